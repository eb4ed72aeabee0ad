#include <array>
#include <cerrno>
#include <cstdint>

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "remediate/host/posix/descriptor.h"
#include "remediate/host/posix/errors.h"
#include "remediate/host/posix/walls.h"

namespace remediate::host::posix {
namespace {

// What later kernels added to the header of the oldest one we build on, by version of the ABI.
constexpr std::uint64_t fs_truncate = 1ull << 14;             // 3
constexpr std::uint64_t net_bind_and_connect = 3;             // 4
constexpr std::uint64_t fs_ioctl_device = 1ull << 15;         // 5
constexpr std::uint64_t scope_abstract_unix_and_signals = 3;  // 6

struct Ruleset {
  std::uint64_t handled_fs;
  std::uint64_t handled_net;
  std::uint64_t scoped;
};

constexpr std::uint64_t reading = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;

Ruleset rules_of(long version) {
  Ruleset rules{};
  rules.handled_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
  if (version >= 2) rules.handled_fs |= LANDLOCK_ACCESS_FS_REFER;
  if (version >= 3) rules.handled_fs |= fs_truncate;
  if (version >= 4) rules.handled_net = net_bind_and_connect;
  if (version >= 5) rules.handled_fs |= fs_ioctl_device;
  if (version >= 6) rules.scoped = scope_abstract_unix_and_signals;
  return rules;
}

/// An older kernel knows a shorter structure.
std::size_t size_of(long version) {
  if (version >= 6) return sizeof(Ruleset);
  return version >= 4 ? 2 * sizeof(std::uint64_t) : sizeof(std::uint64_t);
}

std::unexpected<Error> failed(std::string_view step) {
  return std::unexpected(Error{.code = Code::unsupported,
                               .message = "cannot confine this process: Landlock, " +
                                          std::string(step) + ": " + errno_text(errno),
                               .remedy = "`--no-sandbox` works without",
                               .os_error = errno});
}

long landlock_version() {
  return ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

}  // namespace

bool landlock_judges_truncation() { return landlock_version() >= 3; }

Result<Lacking> forbid_file_changes() {
  const long version = landlock_version();
  if (version < 1) return "this kernel has no Landlock (" + errno_text(errno) + ")";
  const Ruleset rules = rules_of(version);
  const Descriptor ruleset(
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &rules, size_of(version), 0)));
  if (!ruleset.is_open()) return failed("making a ruleset");
  const Descriptor top(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!top.is_open()) return failed("opening /");
  const landlock_path_beneath_attr below{.allowed_access = reading, .parent_fd = top.get()};
  if (::syscall(SYS_landlock_add_rule, ruleset.get(), LANDLOCK_RULE_PATH_BENEATH, &below, 0) != 0)
    return failed("adding a rule");
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) return failed("restricting");
  return std::nullopt;
}

}  // namespace remediate::host::posix
