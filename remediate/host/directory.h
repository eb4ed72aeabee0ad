#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "remediate/base/error.h"
#include "remediate/base/file_facts.h"
#include "remediate/base/raw_path.h"

namespace remediate::host {

enum class Access : std::uint8_t { read, read_write };
/// Whether setuid, setgid and file capabilities are put back.
enum class Privileges : std::uint8_t { strip, keep };
/// Whether resolving may cross a mount point. Symbolic links are never followed.
enum class Mounts : std::uint8_t { stay, cross };

/// An open regular file: a handle, not a name. Closed by the destructor. Not thread-safe.
class File {
 public:
  virtual ~File() = default;
  [[nodiscard]] virtual Result<FileStat> stat() const = 0;
  [[nodiscard]] virtual Result<Metadata> metadata() const = 0;
  /// Up to into.size() bytes at `offset`; 0 at the end. Access time stays unchanged where
  /// the host allows it (O_NOATIME).
  [[nodiscard]] virtual Result<std::size_t> read_at(std::uint64_t offset,
                                                    std::span<char> into) const = 0;
  /// Writes all of `bytes` or fails.
  [[nodiscard]] virtual Result<void> write_at(std::uint64_t offset, std::string_view bytes) = 0;
  [[nodiscard]] virtual Result<void> truncate(std::uint64_t size) = 0;
  /// Reserves space for the first `size` bytes without changing the file's size.
  [[nodiscard]] virtual Result<void> reserve(std::uint64_t size) = 0;
  /// Durable when it returns (fdatasync / fsync). A failure is final: never call again.
  [[nodiscard]] virtual Result<void> sync_data() = 0;
  [[nodiscard]] virtual Result<void> sync() = 0;
  /// Lets the next read come from the disk where the host can.
  virtual void drop_cache() const = 0;
  /// True when another process has the file open for writing (lease test). An error of code
  /// unsupported where the file system cannot tell.
  [[nodiscard]] virtual Result<bool> has_other_writers() const = 0;
  /// Owner, mode, ACLs and attributes, capabilities, label, then times, in that order;
  /// holes are the writer's business, inode flags are not touched. What could not be set is
  /// returned as words ("owner: operation not permitted"); an Error is what may pass (disk, space,
  /// memory): then nothing may be relied on, and a later try may do all of it.
  [[nodiscard]] virtual Result<std::vector<std::string>> restore_metadata(
      const Metadata& wanted, Privileges privileges) = 0;
  [[nodiscard]] virtual Result<void> set_times(Timestamp accessed, Timestamp modified) = 0;
  /// Sets exactly the immutable and append-only bits of `flags`; other bits stay.
  [[nodiscard]] virtual Result<void> set_protection_flags(std::uint32_t flags) = 0;
};

struct Space {
  std::uint64_t free_bytes = 0;  // for this user
  std::uint64_t free_files = 0;  // inodes; a huge number where the file system has no limit
};

/// An exclusive advisory lock, released by the destructor or the end of the process.
class Lock {
 public:
  virtual ~Lock() = default;
};

/// An open directory: every name below is one validated component, resolved relative to
/// this handle, never through a symbolic link. Refuses bad components with bad_input.
/// Thread-safe for concurrent calls.
class Directory {
 public:
  virtual ~Directory() = default;
  [[nodiscard]] virtual Result<FileStat> stat() const = 0;
  /// Empty path: another handle of this directory.
  [[nodiscard]] virtual Result<std::unique_ptr<Directory>> open_directory(const RawPath& below,
                                                                          Mounts mounts) const = 0;
  /// The entry itself, links not followed.
  [[nodiscard]] virtual Result<FileStat> stat_entry(std::string_view name) const = 0;
  /// Regular files only: the kind is checked on a handle that cannot block or trigger a
  /// device, and the same handle is then reopened. Anything else: refused.
  [[nodiscard]] virtual Result<std::unique_ptr<File>> open_file(std::string_view name,
                                                                Access access) const = 0;
  /// New, empty, exclusive; already_exists when the name is taken.
  [[nodiscard]] virtual Result<std::unique_ptr<File>> create_file(std::string_view name,
                                                                  std::uint32_t mode) const = 0;
  /// A file without a name (O_TMPFILE); it is gone unless link_file() gives it one.
  [[nodiscard]] virtual Result<std::unique_ptr<File>> create_unnamed(std::uint32_t mode) const = 0;
  /// already_exists when the name is taken.
  [[nodiscard]] virtual Result<void> link_file(const File& unnamed,
                                               std::string_view name) const = 0;
  [[nodiscard]] virtual Result<void> make_directory(std::string_view name,
                                                    std::uint32_t mode) const = 0;
  /// Atomic; never overwrites (already_exists). unsupported across mounts.
  [[nodiscard]] virtual Result<void> rename(std::string_view name, const Directory& to,
                                            std::string_view new_name) const = 0;
  /// Atomic swap of two existing entries.
  [[nodiscard]] virtual Result<void> exchange(std::string_view name, const Directory& other,
                                              std::string_view other_name) const = 0;
  /// Atomic overwrite; for the tool's own store only.
  [[nodiscard]] virtual Result<void> replace(std::string_view name,
                                             std::string_view new_name) const = 0;
  [[nodiscard]] virtual Result<void> remove_file(std::string_view name) const = 0;
  [[nodiscard]] virtual Result<void> remove_directory(std::string_view name) const = 0;
  /// Durable when it returns: the names in this directory.
  [[nodiscard]] virtual Result<void> sync() const = 0;
  /// Durable when it returns: everything written to this file system so far.
  [[nodiscard]] virtual Result<void> sync_filesystem() const = 0;
  [[nodiscard]] virtual Result<Space> space() const = 0;
  [[nodiscard]] virtual Result<bool> writable_mount() const = 0;
  /// "ext4", "nfs", "tmpfs" ...; "unknown-0xHEX" when the magic number is not known.
  [[nodiscard]] virtual Result<std::string> filesystem_type() const = 0;
  /// Calls `visit` for each entry but . and .. in directory order until it returns false.
  /// The kind is FileKind::unknown where the file system does not say; the name is valid
  /// only during the call. A read error is an Error, never a short list.
  [[nodiscard]] virtual Result<void> each_entry(
      const std::function<bool(std::string_view, FileKind)>& visit) const = 0;
  [[nodiscard]] virtual Result<void> set_times(Timestamp accessed, Timestamp modified) const = 0;
  /// Inode flags (immutable, append-only) of the directory itself; 0 where unsupported.
  [[nodiscard]] virtual Result<std::uint32_t> inode_flags() const = 0;
  /// The topmost directory of the mount this directory is on.
  [[nodiscard]] virtual Result<std::unique_ptr<Directory>> mount_top() const = 0;
  /// Exclusive lock on a file of that name, created when missing; busy when held elsewhere.
  [[nodiscard]] virtual Result<std::unique_ptr<Lock>> lock(std::string_view name) const = 0;
  /// Whether that lock is held now. Asks only: takes nothing and creates nothing.
  [[nodiscard]] virtual Result<bool> locked(std::string_view name) const = 0;
  /// The absolute path at the time of opening: for messages only.
  [[nodiscard]] virtual std::string location() const = 0;
};

inline constexpr std::uint32_t flag_append_only = 0x20;  // FS_APPEND_FL
inline constexpr std::uint32_t flag_immutable = 0x10;    // FS_IMMUTABLE_FL

}  // namespace remediate::host
