#include "remediate/host/posix/metadata.h"

#include <algorithm>
#include <cctype>
#include <cerrno>

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/host/posix/descriptor.h"
#include "remediate/host/posix/errors.h"
#include "remediate/host/posix/resolve.h"

namespace remediate::host::posix {
namespace {

constexpr std::string_view capability_attribute = "security.capability";
constexpr std::uint32_t protection_bits = flag_immutable | flag_append_only;

std::string lower_first(std::string text) {
  if (!text.empty()) {
    text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  }
  return text;
}

std::unexpected<Error> too_much(std::string_view raw_path, std::string_view what) {
  return fail(Code::limit, "cannot record " + display(raw_path) + ": " + std::string(what),
              "remove the extended attributes that nobody needs (getfattr -d -m - FILE)");
}

Result<std::string> attribute_names(int fd, std::string_view raw_path) {
  std::string names(4096, '\0');
  for (;;) {
    const ssize_t length =
        uninterrupted([&] { return ::flistxattr(fd, names.data(), names.size()); });
    if (length >= 0) {
      names.resize(static_cast<std::size_t>(length));
      return names;
    }
    if (errno == EOPNOTSUPP || errno == ENOSYS) return std::string();
    if (errno == E2BIG || (errno == ERANGE && names.size() >= max_attributes_bytes)) {
      return too_much(raw_path, "it has too many extended attributes to list");
    }
    if (errno != ERANGE) return os_fail(errno, "list the attributes of", raw_path);
    names.resize(names.size() * 4);
  }
}

/// `data` moves on to the start of the next stretch of data; false at the end.
Result<bool> next_extent(int fd, std::string_view raw_path, off_t from, off_t& data, off_t& hole) {
  data = uninterrupted([&] { return ::lseek(fd, from, SEEK_DATA); });
  if (data < 0) {
    if (errno == ENXIO) return false;
    return os_fail(errno, "find the holes of", raw_path);
  }
  hole = uninterrupted([&] { return ::lseek(fd, data, SEEK_HOLE); });
  if (hole < 0) return os_fail(errno, "find the holes of", raw_path);
  return true;
}

Result<void> read_extents(int fd, std::string_view raw_path, Metadata& metadata) {
  off_t data = 0;
  off_t hole = 0;
  for (;;) {
    auto more = next_extent(fd, raw_path, hole, data, hole);
    if (!more && means_unsupported(more.error().os_error)) {
      metadata.extents.clear();
      return {};
    }
    if (!more) return std::unexpected(std::move(more).error());
    if (!*more) break;
    auto end = static_cast<std::uint64_t>(hole);
    const auto begin = static_cast<std::uint64_t>(data);
    if (metadata.extents.size() + 1 == max_extents) end = std::max(end, metadata.stat.size);
    metadata.extents.push_back({.offset = begin, .length = end - begin});
    if (metadata.extents.size() == max_extents) break;
  }
  const bool dense = metadata.extents.size() == 1 && metadata.extents[0].offset == 0 &&
                     metadata.extents[0].length >= metadata.stat.size;
  metadata.sparse = !dense;
  if (dense) metadata.extents.clear();
  return {};
}

/// Whether a later try may do better: the disk, its space or the memory, not what the host allows.
bool passes(int number) {
  switch (number) {
    case EIO:
    case ENOMEM:
    case EINTR:
    case EMFILE:
    case ENFILE:
    case ENOSPC:
    case EDQUOT:
    case EROFS:
      return true;
    default:
      return false;
  }
}

/// What could not be set, in words. An error that may pass is one of the whole.
class Shortfall {
 public:
  void check(int result, std::string_view what) {
    if (result != 0) add(what, errno);
  }
  void add(std::string_view what, int number) {
    if (passes(number) && error_ == 0) {
      error_ = number;
      what_ = what;
    }
    words_.push_back(std::string(what) + ": " + lower_first(errno_text(number)));
  }
  Result<std::vector<std::string>> take(std::string_view raw_path) {
    if (error_ != 0) return os_fail(error_, "set the " + what_ + " of", raw_path);
    return std::move(words_);
  }

 private:
  std::vector<std::string> words_;
  int error_ = 0;
  std::string what_;
};

/// Attributes are set in this order: ACLs and the rest, capabilities, labels.
int rank(std::string_view name) {
  if (name == capability_attribute) return 1;
  return name.starts_with("security.") ? 2 : 0;
}

Result<void> write_attributes(int fd, std::string_view raw_path, const Metadata& wanted,
                              Privileges privileges, Shortfall& shortfall) {
  TRY_LET(const std::vector<ExtendedAttribute> present, read_attributes(fd, raw_path));
  const auto kept = [&](std::string_view name) {
    if (name == capability_attribute && privileges == Privileges::strip) return false;
    return std::ranges::any_of(wanted.attributes, [&](const auto& a) { return a.name == name; });
  };
  for (const auto& attribute : present) {
    if (kept(attribute.name)) continue;
    const int result = uninterrupted([&] { return ::fremovexattr(fd, attribute.name.c_str()); });
    if (result != 0 && errno != ENODATA) {
      shortfall.add("removal of attribute " + display(attribute.name), errno);
    }
  }
  for (int pass = 0; pass <= 2; ++pass) {
    for (const auto& attribute : wanted.attributes) {
      if (rank(attribute.name) != pass || !kept(attribute.name)) continue;
      if (std::ranges::find(present, attribute) != present.end()) continue;
      const int result = uninterrupted([&] {
        return ::fsetxattr(fd, attribute.name.c_str(), attribute.value.data(),
                           attribute.value.size(), 0);
      });
      shortfall.check(result, "attribute " + display(attribute.name));
    }
  }
  return {};
}

timespec to_timespec(Timestamp time) {
  return {.tv_sec = time.seconds, .tv_nsec = static_cast<long>(time.nanoseconds)};
}

}  // namespace

Result<std::vector<ExtendedAttribute>> read_attributes(int fd, std::string_view raw_path) {
  TRY_LET(const std::string names, attribute_names(fd, raw_path));
  std::vector<ExtendedAttribute> attributes;
  std::string buffer;
  std::size_t total = names.size();
  for (std::size_t at = 0; at < names.size();) {
    const std::string name(names.c_str() + at);
    at += name.size() + 1;
    if (buffer.empty()) buffer.resize(max_attribute_bytes);
    const ssize_t length =
        uninterrupted([&] { return ::fgetxattr(fd, name.c_str(), buffer.data(), buffer.size()); });
    if (length < 0 && errno == ENODATA) continue;  // removed since it was listed
    if (length < 0 && (errno == ERANGE || errno == E2BIG)) {
      return too_much(raw_path, "the attribute " + display(name) + " is larger than 64 KiB");
    }
    if (length < 0) return os_fail(errno, "read attribute " + display(name) + " of", raw_path);
    total += static_cast<std::size_t>(length);
    if (total > max_attributes_bytes) {
      return too_much(raw_path, "its extended attributes are larger than 1 MiB together");
    }
    attributes.push_back({name, buffer.substr(0, static_cast<std::size_t>(length))});
  }
  std::ranges::sort(attributes);
  return attributes;
}

Result<InodeFlags> read_inode_flags(int fd, std::string_view raw_path) {
  int bits = 0;
  if (uninterrupted([&] { return ::ioctl(fd, FS_IOC_GETFLAGS, &bits); }) == 0) {
    return InodeFlags{.bits = static_cast<std::uint32_t>(bits), .known = true};
  }
  if (means_unsupported(errno)) return InodeFlags{};
  return os_fail(errno, "read the inode flags of", raw_path);
}

Result<void> write_protection_flags(int fd, std::string_view raw_path, std::uint32_t flags) {
  constexpr std::string_view verb = "set the immutable and append-only flags of";
  TRY_LET(const InodeFlags now, read_inode_flags(fd, raw_path));
  const std::uint32_t wanted = (now.bits & ~protection_bits) | (flags & protection_bits);
  if (wanted == now.bits) return {};
  if (!now.known) {
    return unsupported(EOPNOTSUPP, verb, raw_path, "this file system has no such flags");
  }
  int bits = static_cast<int>(wanted);
  if (uninterrupted([&] { return ::ioctl(fd, FS_IOC_SETFLAGS, &bits); }) == 0) return {};
  if (means_unsupported(errno)) {
    return unsupported(errno, verb, raw_path, "this file system has no such flags");
  }
  return os_fail(errno, verb, raw_path);
}

Result<void> write_times(int fd, std::string_view raw_path, Timestamp accessed,
                         Timestamp modified) {
  const timespec times[2] = {to_timespec(accessed), to_timespec(modified)};
  if (uninterrupted([&] { return ::futimens(fd, times); }) != 0) {
    return os_fail(errno, "set the times of", raw_path);
  }
  return {};
}

Result<Metadata> read_metadata(int fd, std::string_view raw_path) {
  Metadata metadata;
  TRY_LET(metadata.stat, stat_handle(fd, raw_path));
  TRY_LET(metadata.attributes, read_attributes(fd, raw_path));
  TRY_LET(const InodeFlags flags, read_inode_flags(fd, raw_path));
  metadata.inode_flags = flags.bits;
  metadata.inode_flags_known = flags.known;
  if (metadata.stat.allocated < metadata.stat.size) TRY(read_extents(fd, raw_path, metadata));
  return metadata;
}

Result<std::vector<std::string>> write_metadata(int fd, std::string_view raw_path,
                                                const Metadata& wanted, Privileges privileges) {
  TRY_LET(const FileStat before, stat_handle(fd, raw_path));
  Shortfall shortfall;
  const FileStat& want = wanted.stat;
  if (before.owner != want.owner || before.group != want.group) {
    shortfall.check(uninterrupted([&] { return ::fchown(fd, want.owner, want.group); }), "owner");
  }
  constexpr std::uint32_t set_id_bits = S_ISUID | S_ISGID;
  const std::uint32_t mode =
      want.mode & (privileges == Privileges::keep ? 07777u : 07777u & ~set_id_bits);
  // The wanted bits go to a file whose owner is not the wanted one only without set-id.
  TRY_LET(const FileStat owned, stat_handle(fd, raw_path));
  const bool right_owner = owned.owner == want.owner && owned.group == want.group;
  const std::uint32_t safe_mode = right_owner ? mode : mode & ~set_id_bits;
  shortfall.check(uninterrupted([&] { return ::fchmod(fd, safe_mode); }), "mode");
  TRY(write_attributes(fd, raw_path, wanted, privileges, shortfall));
  TRY_LET(const FileStat after, stat_handle(fd, raw_path));
  if (after.mode != safe_mode) {
    shortfall.check(uninterrupted([&] { return ::fchmod(fd, safe_mode); }), "mode");
  }
  if (safe_mode != mode) shortfall.add("set-id bits without their owner", EPERM);
  if (auto times = write_times(fd, raw_path, want.accessed, want.modified); !times) {
    shortfall.add("times", times.error().os_error);
  }
  return shortfall.take(raw_path);
}

}  // namespace remediate::host::posix
