#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "remediate/base/error.h"
#include "remediate/base/json.h"

namespace remediate {

/// Which file it is, whatever its name. `mount` is the mount's id and is only
/// comparable within one boot; two bind mounts of one device differ in it.
struct FileId {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t mount = 0;
  /// The file system's own id where it has one that outlives a mount (statfs), else 0; known only
  /// for open files and folders. A device number may be another one after a mount or a boot.
  std::uint64_t volume = 0;
  bool operator==(const FileId& other) const {
    return device == other.device && inode == other.inode && mount == other.mount;
  }
};

struct Timestamp {
  std::int64_t seconds = 0;
  std::uint32_t nanoseconds = 0;
  auto operator<=>(const Timestamp&) const = default;
};

enum class FileKind : std::uint8_t {
  regular,
  directory,
  symlink,
  fifo,
  socket,
  block_device,
  char_device,
  unknown
};
[[nodiscard]] std::string_view kind_name(FileKind kind);

struct FileStat {
  FileKind kind = FileKind::unknown;
  FileId id;
  std::uint64_t size = 0;
  std::uint64_t allocated = 0;  // bytes
  std::uint64_t links = 0;
  std::uint32_t mode = 0;  // permission bits with setuid, setgid and sticky; no type bits
  std::uint32_t owner = 0;
  std::uint32_t group = 0;
  Timestamp modified;
  Timestamp accessed;
  Timestamp changed;              // cannot be put back by any rollback
  std::optional<Timestamp> born;  // cannot be put back by any rollback from an object
};

struct ExtendedAttribute {
  std::string name;   // with its namespace, e.g. user.x, system.posix_acl_access
  std::string value;  // raw bytes
  auto operator<=>(const ExtendedAttribute&) const = default;
};

/// A stretch of bytes that is stored; what lies between extents is a hole.
struct DataExtent {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  bool operator==(const DataExtent&) const = default;
};

/// Everything about a file besides its bytes.
struct Metadata {
  FileStat stat;
  std::vector<ExtendedAttribute> attributes;  // sorted by name; ACLs and labels are here
  std::uint32_t inode_flags = 0;              // as FS_IOC_GETFLAGS gives them, 0 if none
  bool inode_flags_known = false;
  bool sparse = false;
  std::vector<DataExtent> extents;  // filled when sparse

  /// setuid, setgid or file capabilities: put back only when explicitly allowed.
  [[nodiscard]] bool privileged() const;
  [[nodiscard]] bool immutable() const;
  [[nodiscard]] bool append_only() const;
};

/// What differs between two sets of metadata that a rollback promises to keep (kind, size,
/// mode, owner, group, mtime, attributes, immutable/append flags), in words; empty = the
/// same. ctime, birth time, atime, inode number and link count are not compared.
[[nodiscard]] std::vector<std::string> metadata_differences(const Metadata& before,
                                                            const Metadata& after);

[[nodiscard]] Json to_json(const FileId& id);
[[nodiscard]] Json to_json(const Timestamp& time);
[[nodiscard]] Json to_json(const Metadata& metadata);
[[nodiscard]] Result<FileId> file_id_from_json(const Json& json, const std::string& pointer);
[[nodiscard]] Result<Timestamp> timestamp_from_json(const Json& json, const std::string& pointer);
[[nodiscard]] Result<Metadata> metadata_from_json(const Json& json, const std::string& pointer);

}  // namespace remediate
