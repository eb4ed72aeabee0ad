#include "remediate/host/posix/posix_host.h"

#include <array>
#include <cctype>
#include <ctime>

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/host/posix/errors.h"
#include "remediate/host/posix/flush.h"
#include "remediate/host/posix/posix_directory.h"

namespace remediate::host::posix {
namespace {

Result<void> check_path(const std::string& path) {
  if (path.empty()) return fail(Code::bad_input, "the path of a directory is empty");
  if (path.find('\0') != std::string::npos) {
    return fail(Code::bad_input, "the path " + display(path) + " contains a NUL byte");
  }
  return {};
}

Result<Descriptor> create_child(const Descriptor& parent, const std::string& name,
                                const std::string& path) {
  constexpr std::string_view verb = "create the directory";
  if (uninterrupted([&] { return ::mkdirat(parent.get(), name.c_str(), 0700); }) != 0 &&
      errno != EEXIST) {
    return os_fail(errno, verb, path);
  }
  Descriptor made(uninterrupted([&] {
    return ::openat(parent.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  }));
  if (!made.is_open()) return os_fail(errno, verb, path);
  TRY_LET(const Descriptor readable, reopen_directory(parent.get(), path));
  TRY(flush(::fsync, readable.get(), "flush", path));
  return made;
}

/// The first line of a small file of the system, without white space around it.
std::string first_line(const char* path) {
  const Descriptor file(uninterrupted([&] { return ::open(path, O_RDONLY | O_CLOEXEC); }));
  if (!file.is_open()) return {};
  std::array<char, 256> buffer{};
  const ssize_t length =
      uninterrupted([&] { return ::read(file.get(), buffer.data(), buffer.size()); });
  if (length <= 0) return {};
  std::string text(buffer.data(), static_cast<std::size_t>(length));
  text.resize(std::min(text.find('\n'), text.size()));
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  return text;
}

}  // namespace

Result<std::unique_ptr<Directory>> PosixHost::open_root(const std::string& path) {
  TRY(check_path(path));
  const Descriptor handle(
      uninterrupted([&] { return ::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC); }));
  if (!handle.is_open()) return os_fail(errno, "open", path);
  std::string location = path_of(handle.get(), path);
  TRY_LET(Descriptor opened, reopen_directory(handle.get(), location));
  return std::make_unique<PosixDirectory>(std::move(opened), std::move(location), resolution_);
}

Result<std::unique_ptr<Directory>> PosixHost::make_root(const std::string& path) {
  TRY(check_path(path));
  const bool absolute = path.front() == '/';
  Descriptor current(uninterrupted(
      [&] { return ::open(absolute ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC); }));
  if (!current.is_open()) return os_fail(errno, "open", absolute ? "/" : ".");
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string name = path.substr(at, end - at);
    const std::string so_far = path.substr(0, end);
    at = end + 1;
    if (name.empty()) continue;
    Descriptor next(uninterrupted(
        [&] { return ::openat(current.get(), name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC); }));
    if (!next.is_open()) {
      if (errno != ENOENT) return os_fail(errno, "open", so_far);
      TRY_LET(next, create_child(current, name, so_far));
    }
    current = std::move(next);
  }
  std::string location = path_of(current.get(), path);
  TRY_LET(Descriptor opened, reopen_directory(current.get(), location));
  return std::make_unique<PosixDirectory>(std::move(opened), std::move(location), resolution_);
}

Identity PosixHost::identity() const {
  Identity identity;
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) == 0) identity.host_name = name.data();
  identity.machine_id = first_line("/etc/machine-id");
  if (identity.machine_id.empty()) identity.machine_id = identity.host_name;
  identity.boot_id = first_line("/proc/sys/kernel/random/boot_id");
  return identity;
}

Timestamp PosixHost::now() const {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return {.seconds = time.tv_sec, .nanoseconds = static_cast<std::uint32_t>(time.tv_nsec)};
}

bool PosixHost::superuser() const {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
  if (::syscall(SYS_capget, &header, data.data()) != 0) return ::geteuid() == 0;
  constexpr std::uint32_t needed =
      1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE | 1u << CAP_FOWNER | 1u << CAP_FSETID;
  return (data[0].effective & needed) == needed;
}

std::uint32_t PosixHost::user() const { return ::geteuid(); }

}  // namespace remediate::host::posix

namespace remediate::host {

std::unique_ptr<Host> native_host() { return std::make_unique<posix::PosixHost>(); }

}  // namespace remediate::host
