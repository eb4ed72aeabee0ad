#include "remediate/host/posix/resolve.h"

#include <array>
#include <charconv>
#include <climits>
#include <cstring>
#include <ctime>
#include <optional>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "remediate/base/try.h"
#include "remediate/host/posix/errors.h"

namespace remediate::host::posix {
namespace {

constexpr std::uint64_t beneath = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
constexpr int directory_flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
constexpr unsigned wanted_facts = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID;
constexpr int max_resolve_tries = 32;

int openat2_call(int fd, const char* path, int flags, std::uint64_t resolve) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags);
  how.resolve = resolve;
  for (int tries = 1;; ++tries) {
    const long result = ::syscall(SYS_openat2, fd, path, &how, sizeof how);
    if (result >= 0) return static_cast<int>(result);
    // EAGAIN: a concurrent rename kept the kernel from being sure; it asks to be called again.
    if ((errno != EINTR && errno != EAGAIN) || tries == max_resolve_tries) return -1;
  }
}

/// Opens without touching the access time where the owner rule of O_NOATIME permits it.
template <class Open>
int open_quietly(Open open, int flags) {
  const int fd = uninterrupted([&] { return open(flags | O_NOATIME); });
  if (fd >= 0 || errno != EPERM) return fd;
  return uninterrupted([&] { return open(flags); });
}

FileKind kind_of(unsigned mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return FileKind::regular;
    case S_IFDIR:
      return FileKind::directory;
    case S_IFLNK:
      return FileKind::symlink;
    case S_IFIFO:
      return FileKind::fifo;
    case S_IFSOCK:
      return FileKind::socket;
    case S_IFBLK:
      return FileKind::block_device;
    case S_IFCHR:
      return FileKind::char_device;
    default:
      return FileKind::unknown;
  }
}

Timestamp timestamp(const struct statx_timestamp& time) {
  return {.seconds = time.tv_sec, .nanoseconds = time.tv_nsec};
}

/// f_fsid: from the UUID on ext4 and btrfs; XFS gives the device number, which is no better.
std::uint64_t volume_id(const struct statfs& volume) {
  std::uint64_t id = 0;
  static_assert(sizeof volume.f_fsid == sizeof id);
  std::memcpy(&id, &volume.f_fsid, sizeof id);
  return id;
}

FileStat facts_of(const struct statx& raw) {
  FileStat facts;
  facts.kind = kind_of(raw.stx_mode);
  facts.id = {.device = makedev(raw.stx_dev_major, raw.stx_dev_minor),
              .inode = raw.stx_ino,
              .mount = raw.stx_mnt_id};
  facts.size = raw.stx_size;
  facts.allocated = raw.stx_blocks * 512;
  facts.links = raw.stx_nlink;
  facts.mode = raw.stx_mode & 07777u;
  facts.owner = raw.stx_uid;
  facts.group = raw.stx_gid;
  facts.modified = timestamp(raw.stx_mtime);
  facts.accessed = timestamp(raw.stx_atime);
  facts.changed = timestamp(raw.stx_ctime);
  if ((raw.stx_mask & STATX_BTIME) != 0) facts.born = timestamp(raw.stx_btime);
  return facts;
}

/// Safe on every kernel, and names the component at fault.
Result<Descriptor> open_stepwise(const Anchor& anchor, const RawPath& below, Mounts mounts) {
  TRY_LET(const FileStat start, stat_handle(anchor.fd, anchor.location));
  Descriptor current;
  std::string path(anchor.location);
  for (const std::string_view component : below.components()) {
    path = joined(path, component);
    const int from = current.is_open() ? current.get() : anchor.fd;
    const std::string name(component);
    Descriptor next(uninterrupted(
        [&] { return ::openat(from, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC); }));
    if (!next.is_open()) return os_fail(errno, "open", path);
    TRY_LET(const FileStat facts, stat_handle(next.get(), path));
    if (facts.kind == FileKind::symlink) {
      return refuse("open", path, "it is a symbolic link",
                    "symbolic links are never followed: name the real directory");
    }
    if (facts.kind != FileKind::directory) {
      return refuse("open", path,
                    "it is a " + std::string(kind_name(facts.kind)) + ", not a directory");
    }
    if (mounts == Mounts::stay && facts.id.mount != start.id.mount) {
      return refuse("open", path, "another file system is mounted here",
                    "name the mounted directory as a root of its own");
    }
    current = std::move(next);
  }
  return reopen_directory(current.is_open() ? current.get() : anchor.fd, path);
}

std::optional<Descriptor> open_by_kernel(const Anchor& anchor, const RawPath& below,
                                         Mounts mounts) {
  const std::uint64_t resolve = beneath | (mounts == Mounts::stay ? RESOLVE_NO_XDEV : 0);
  Descriptor current;
  std::string_view rest = below.bytes();
  while (rest.size() >= PATH_MAX) {
    const std::size_t cut = rest.rfind('/', PATH_MAX - 1);
    const std::string part(rest.substr(0, cut));
    Descriptor next(openat2_call(current.is_open() ? current.get() : anchor.fd, part.c_str(),
                                 O_PATH | O_DIRECTORY | O_CLOEXEC, resolve));
    if (!next.is_open()) return std::nullopt;
    current = std::move(next);
    rest.remove_prefix(cut + 1);
  }
  const std::string part(rest);
  const int from = current.is_open() ? current.get() : anchor.fd;
  Descriptor last(
      open_quietly([&](int flags) { return openat2_call(from, part.c_str(), flags, resolve); },
                   directory_flags));
  if (!last.is_open()) return std::nullopt;
  return last;
}

void pause_milliseconds(long milliseconds) {
  const timespec time{.tv_sec = 0, .tv_nsec = milliseconds * 1'000'000};
  ::nanosleep(&time, nullptr);
}

std::string proc_path(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

}  // namespace

Resolution best_resolution() {
  static const Resolution best = [] {
    const Descriptor probe(
        openat2_call(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, RESOLVE_NO_SYMLINKS));
    return probe.is_open() ? Resolution::kernel : Resolution::stepwise;
  }();
  return best;
}

Result<Descriptor> open_directory_below(const Anchor& anchor, const RawPath& below, Mounts mounts) {
  if (below.is_root()) return reopen_directory(anchor.fd, anchor.location);
  if (anchor.resolution == Resolution::stepwise) return open_stepwise(anchor, below, mounts);
  if (auto opened = open_by_kernel(anchor, below, mounts)) return std::move(*opened);
  // The kernel refused: only now is it worth finding out which component is to blame.
  const int number = errno;
  auto precise = open_stepwise(anchor, below, mounts);
  // A filter that cannot see into openat2 says that there is no such call.
  if (!precise || number == ENOSYS) return precise;
  return os_fail(number, "open", joined(anchor.location, below.bytes()));
}

Result<Descriptor> open_entry(const Anchor& anchor, std::string_view name) {
  const std::string text(name);
  constexpr int flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
  if (anchor.resolution == Resolution::kernel) {
    Descriptor entry(openat2_call(anchor.fd, text.c_str(), flags, beneath | RESOLVE_NO_XDEV));
    if (entry.is_open()) return entry;
    const std::string path = joined(anchor.location, name);
    if (errno == EXDEV)
      return refuse("open", path, "something is mounted on it", "unmount it first");
    if (errno != ENOSYS) return os_fail(errno, "open", path);
  }
  const std::string path = joined(anchor.location, name);
  Descriptor entry(uninterrupted([&] { return ::openat(anchor.fd, text.c_str(), flags); }));
  if (!entry.is_open()) return os_fail(errno, "open", path);
  TRY_LET(const FileStat facts, stat_handle(entry.get(), path));
  TRY_LET(const FileStat folder, stat_handle(anchor.fd, anchor.location));
  if (facts.id.mount != folder.id.mount) {
    return refuse("open", path, "something is mounted on it", "unmount it first");
  }
  return entry;
}

Result<Reopened> reopen_regular(const Descriptor& handle, Access access,
                                std::string_view raw_path) {
  TRY_LET(const FileStat before, examine(handle.get(), raw_path));
  if (before.kind != FileKind::regular) {
    return refuse("open", raw_path,
                  "it is a " + std::string(kind_name(before.kind)) + ", not a regular file");
  }
  const std::string path = proc_path(handle.get());
  // O_NONBLOCK matters only for a lease that another process holds: opening would wait for
  // it (45 s by default). The first try makes the kernel break the lease.
  const int flags =
      (access == Access::read ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  Descriptor file;
  for (int tries = 0; tries < 50 && !file.is_open(); ++tries) {
    file = Descriptor(open_quietly([&](int all) { return ::open(path.c_str(), all); }, flags));
    if (file.is_open()) break;
    if (errno == ENOENT && ::access("/proc/self/fd", F_OK) != 0) {
      return unsupported(ENOENT, "open", raw_path, "/proc is not mounted",
                         "mount /proc: files are opened through their handles there");
    }
    if (errno != EWOULDBLOCK) return os_fail(errno, "open", raw_path);
    pause_milliseconds(20);
  }
  if (!file.is_open()) {
    auto error = os_error(EWOULDBLOCK, "open", raw_path);
    error.code = Code::busy;
    error.remedy = "another process holds a lease on it; the kernel ends that soon: try again";
    return std::unexpected(std::move(error));
  }
  TRY_LET(const FileStat after, examine(file.get(), raw_path));
  if (after.id.device != before.id.device || after.id.inode != before.id.inode) {
    return refuse("open", raw_path, "/proc led to another file",
                  "look for something mounted over /proc");
  }
  return Reopened{.file = std::move(file), .device = after.id.device};
}

Result<Descriptor> reopen_directory(int fd, std::string_view raw_path) {
  Descriptor opened(
      open_quietly([&](int flags) { return ::openat(fd, ".", flags); }, directory_flags));
  if (!opened.is_open()) return os_fail(errno, "open", raw_path);
  return opened;
}

Result<FileStat> examine(int fd, std::string_view raw_path) {
  struct statx raw{};
  if (uninterrupted([&] { return ::statx(fd, "", AT_EMPTY_PATH, wanted_facts, &raw); }) != 0) {
    return os_fail(errno, "examine", raw_path);
  }
  FileStat facts = facts_of(raw);
  if ((raw.stx_mask & STATX_MNT_ID) == 0) {
    TRY_LET(facts.id.mount, mount_id_from_proc(fd, raw_path));
  }
  return facts;
}

Result<std::uint64_t> volume_of(int fd, std::string_view raw_path) {
  struct statfs volume{};
  if (uninterrupted([&] { return ::fstatfs(fd, &volume); }) != 0)
    return os_fail(errno, "examine the file system of", raw_path);
  return volume_id(volume);
}

Result<FileStat> stat_handle(int fd, std::string_view raw_path) {
  TRY_LET(FileStat facts, examine(fd, raw_path));
  TRY_LET(facts.id.volume, volume_of(fd, raw_path));
  return facts;
}

Result<FileStat> stat_name(const Anchor& anchor, std::string_view name) {
  const std::string text(name);
  struct statx raw{};
  constexpr int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
  if (uninterrupted([&] { return ::statx(anchor.fd, text.c_str(), flags, wanted_facts, &raw); }) !=
      0) {
    return os_fail(errno, "examine", joined(anchor.location, name));
  }
  if ((raw.stx_mask & STATX_MNT_ID) != 0) return facts_of(raw);
  const std::string path = joined(anchor.location, name);
  const Descriptor handle(uninterrupted(
      [&] { return ::openat(anchor.fd, text.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC); }));
  if (!handle.is_open()) return os_fail(errno, "examine", path);
  return stat_handle(handle.get(), path);
}

Result<std::uint64_t> mount_id_from_proc(int fd, std::string_view raw_path) {
  constexpr std::string_view why = "this kernel tells the mount of a file only through /proc";
  const std::string path = "/proc/self/fdinfo/" + std::to_string(fd);
  const Descriptor info(uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); }));
  if (!info.is_open()) return unsupported(errno, "examine", raw_path, why, "mount /proc");
  std::array<char, 1024> buffer{};
  const ssize_t length =
      uninterrupted([&] { return ::read(info.get(), buffer.data(), buffer.size()); });
  const std::string_view text(buffer.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  constexpr std::string_view key = "mnt_id:\t";
  const std::size_t found = text.find(key);
  std::uint64_t id = 0;
  if (found == std::string_view::npos ||
      std::from_chars(text.data() + found + key.size(), text.data() + text.size(), id).ec !=
          std::errc{}) {
    return unsupported(ENOSYS, "examine", raw_path, why, "use a kernel of version 3.15 or later");
  }
  return id;
}

std::string path_of(int fd, std::string_view otherwise) {
  std::array<char, PATH_MAX> buffer{};
  const ssize_t length = ::readlink(proc_path(fd).c_str(), buffer.data(), buffer.size());
  if (length <= 0 || buffer[0] != '/') return std::string(otherwise);
  return {buffer.data(), static_cast<std::size_t>(length)};
}

}  // namespace remediate::host::posix
