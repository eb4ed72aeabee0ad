#pragma once

#include <string>
#include <string_view>

#include "remediate/base/error.h"
#include "remediate/base/file_facts.h"
#include "remediate/base/raw_path.h"
#include "remediate/host/directory.h"
#include "remediate/host/posix/descriptor.h"

namespace remediate::host::posix {

/// How names are resolved beneath a directory: by openat2(2), or one component at a time
/// with the kind and the mount id checked on each handle. Both refuse the same things.
enum class Resolution : std::uint8_t { kernel, stepwise };
/// Kernel where openat2 works (Linux 5.6 and not filtered away), found out once.
[[nodiscard]] Resolution best_resolution();

/// Where resolving starts. `location` is raw and only for messages.
struct Anchor {
  int fd;
  std::string_view location;
  Resolution resolution;
};

/// A directory beneath the anchor, open for reading. No symbolic link is followed anywhere.
[[nodiscard]] Result<Descriptor> open_directory_below(const Anchor& anchor, const RawPath& below,
                                                      Mounts mounts);
/// One entry as an O_PATH handle: no device is touched, no FIFO waits. Links are opened
/// themselves; an entry that is a mount point is refused.
[[nodiscard]] Result<Descriptor> open_entry(const Anchor& anchor, std::string_view name);
struct Reopened {
  Descriptor file;
  std::uint64_t device;
};
/// The regular file behind an O_PATH handle, opened through /proc; the result is the same
/// inode or an error. Waits at most a second for another process's lease.
[[nodiscard]] Result<Reopened> reopen_regular(const Descriptor& handle, Access access,
                                              std::string_view raw_path);
/// The directory behind any handle of it, with its own read position; access time unchanged
/// where the kernel permits it.
[[nodiscard]] Result<Descriptor> reopen_directory(int fd, std::string_view raw_path);

[[nodiscard]] Result<FileStat> stat_handle(int fd, std::string_view raw_path);
/// Its two halves: all but the volume (0), and the volume, which stays the same for a handle.
[[nodiscard]] Result<FileStat> examine(int fd, std::string_view raw_path);
[[nodiscard]] Result<std::uint64_t> volume_of(int fd, std::string_view raw_path);
/// `name` must be a checked component.
[[nodiscard]] Result<FileStat> stat_name(const Anchor& anchor, std::string_view name);
/// The mount id by /proc, for kernels before 5.8 whose statx does not give it.
[[nodiscard]] Result<std::uint64_t> mount_id_from_proc(int fd, std::string_view raw_path);
/// What /proc says the handle's path is; `otherwise` where it does not say.
[[nodiscard]] std::string path_of(int fd, std::string_view otherwise);

}  // namespace remediate::host::posix
