#include "remediate/host/posix/posix_directory.h"

#include <cstdio>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/host/posix/errors.h"
#include "remediate/host/posix/filesystem.h"
#include "remediate/host/posix/flush.h"
#include "remediate/host/posix/metadata.h"
#include "remediate/host/posix/posix_file.h"

namespace remediate::host::posix {
namespace {

constexpr int max_depth = 100'000;
constexpr std::size_t max_link_bytes = 4096;

/// The lock belongs to the open file description and ends with it, however the process ends.
class PosixLock final : public Lock {
 public:
  explicit PosixLock(std::unique_ptr<File> file) : file_(std::move(file)) {}

 private:
  std::unique_ptr<File> file_;
};

/// Handles only work together with handles of the same implementation.
template <class Concrete, class Interface>
Result<const Concrete*> same_host(const Interface& object) {
  const auto* concrete = dynamic_cast<const Concrete*>(&object);
  if (concrete == nullptr) {
    return fail(Code::internal, "a handle of another host was given to a handle of this one");
  }
  return concrete;
}

}  // namespace

PosixDirectory::PosixDirectory(Descriptor fd, std::string location, Resolution resolution)
    : fd_(std::move(fd)), location_(std::move(location)), resolution_(resolution) {}

Anchor PosixDirectory::anchor() const { return {fd_.get(), location_, resolution_}; }

std::string PosixDirectory::path_to(std::string_view name) const { return joined(location_, name); }

std::string PosixDirectory::location() const { return display(location_); }

Result<FileStat> PosixDirectory::stat() const { return stat_handle(fd_.get(), location_); }

Result<std::unique_ptr<Directory>> PosixDirectory::open_directory(const RawPath& below,
                                                                  Mounts mounts) const {
  TRY_LET(Descriptor opened, open_directory_below(anchor(), below, mounts));
  return std::make_unique<PosixDirectory>(std::move(opened), path_to(below.bytes()), resolution_);
}

Result<FileStat> PosixDirectory::stat_entry(std::string_view name) const {
  TRY(RawPath::check_component(name));
  return stat_name(anchor(), name);
}

Result<std::string> PosixDirectory::read_link(std::string_view name) const {
  TRY(RawPath::check_component(name));
  const std::string text(name);
  std::string target(max_link_bytes + 1, '\0');
  const ssize_t length = uninterrupted(
      [&] { return ::readlinkat(fd_.get(), text.c_str(), target.data(), target.size()); });
  if (length < 0 && errno == EINVAL)
    return fail(Code::refused, display(path_to(name)) + " is not a symbolic link");
  if (length < 0) return os_fail(errno, "read the link", path_to(name));
  if (static_cast<std::size_t>(length) > max_link_bytes)
    return fail(Code::limit, display(path_to(name)) + " leads to a name of more than " +
                                 std::to_string(max_link_bytes) + " bytes");
  target.resize(static_cast<std::size_t>(length));
  return target;
}

Result<std::unique_ptr<File>> PosixDirectory::open_file(std::string_view name,
                                                        Access access) const {
  TRY(RawPath::check_component(name));
  TRY_LET(const Descriptor handle, open_entry(anchor(), name));
  std::string path = path_to(name);
  TRY_LET(Reopened opened, reopen_regular(handle, access, path));
  const std::uint64_t volume = volume_on(opened.device);
  return std::make_unique<PosixFile>(std::move(opened.file), access, std::move(path), volume);
}

std::uint64_t PosixDirectory::volume_on(std::uint64_t device) const {
  if (home_device_.load(std::memory_order_acquire) == unknown_device) {
    const auto own = stat();
    if (!own) return PosixFile::unknown_volume;
    home_volume_.store(own->id.volume, std::memory_order_relaxed);
    home_device_.store(own->id.device, std::memory_order_release);
  }
  if (device != home_device_.load(std::memory_order_acquire)) return PosixFile::unknown_volume;
  return home_volume_.load(std::memory_order_relaxed);
}

Result<std::unique_ptr<File>> PosixDirectory::create_file(std::string_view name,
                                                          std::uint32_t mode) const {
  TRY(RawPath::check_component(name));
  std::string path = path_to(name);
  const std::string text(name);
  constexpr int flags = O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC;
  Descriptor file(uninterrupted([&] { return ::openat(fd_.get(), text.c_str(), flags, mode); }));
  if (!file.is_open()) return os_fail(errno, "create", path);
  return std::make_unique<PosixFile>(std::move(file), Access::read_write, std::move(path));
}

Result<std::unique_ptr<File>> PosixDirectory::create_unnamed(std::uint32_t mode) const {
  constexpr std::string_view verb = "create an unnamed file in";
  Descriptor file(uninterrupted(
      [&] { return ::openat(fd_.get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode); }));
  if (!file.is_open()) {
    if (means_unsupported(errno) || errno == EISDIR) {
      return unsupported(errno, verb, location_, "this file system has no unnamed files");
    }
    return os_fail(errno, verb, location_);
  }
  return std::make_unique<PosixFile>(std::move(file), Access::read_write,
                                     path_to("(unnamed file)"));
}

Result<void> PosixDirectory::link_file(const File& unnamed, std::string_view name) const {
  TRY(RawPath::check_component(name));
  TRY_LET(const PosixFile* file, same_host<PosixFile>(unnamed));
  const std::string text(name);
  const int from = file->descriptor();
  if (uninterrupted([&] { return ::linkat(from, "", fd_.get(), text.c_str(), AT_EMPTY_PATH); }) ==
      0) {
    return {};
  }
  if (errno == ENOENT || errno == EPERM) {  // lacks CAP_DAC_READ_SEARCH
    const std::string by_proc = "/proc/self/fd/" + std::to_string(from);
    if (uninterrupted([&] {
          return ::linkat(AT_FDCWD, by_proc.c_str(), fd_.get(), text.c_str(), AT_SYMLINK_FOLLOW);
        }) == 0) {
      return {};
    }
  }
  if (errno == EXDEV) {
    return unsupported(errno, "link", path_to(name), "the file is on another mount");
  }
  return os_fail(errno, "link", path_to(name));
}

Result<void> PosixDirectory::make_directory(std::string_view name, std::uint32_t mode) const {
  TRY(RawPath::check_component(name));
  const std::string text(name);
  if (uninterrupted([&] { return ::mkdirat(fd_.get(), text.c_str(), mode); }) != 0) {
    return os_fail(errno, "create the directory", path_to(name));
  }
  return {};
}

Result<void> PosixDirectory::move(std::string_view name, const Directory& to,
                                  std::string_view new_name, unsigned flag) const {
  TRY(RawPath::check_component(name));
  TRY(RawPath::check_component(new_name));
  TRY_LET(const PosixDirectory* target, same_host<PosixDirectory>(to));
  const std::string from_text(name);
  const std::string to_text(new_name);
  if (uninterrupted([&] {
        return ::renameat2(fd_.get(), from_text.c_str(), target->fd_.get(), to_text.c_str(), flag);
      }) == 0) {
    return {};
  }
  const int number = errno;
  const std::string_view verb = flag == RENAME_EXCHANGE ? "exchange" : "rename";
  const std::string what =
      path_to(name) + (flag == RENAME_EXCHANGE ? " with " : " to ") + target->path_to(new_name);
  if (number == EXDEV) {
    auto here = mount_top();
    auto there = target->mount_top();
    const std::string why =
        "they are on different mounts: " + (here ? (*here)->location() : location()) + " and " +
        (there ? (*there)->location() : target->location());
    return unsupported(number, verb, what, why, "use directories of one mount");
  }
  if (number == EINVAL || number == ENOSYS || number == EOPNOTSUPP) {
    return unsupported(
        number, verb, what,
        flag == RENAME_EXCHANGE
            ? "this file system or kernel cannot swap two names atomically"
            : "this file system or kernel cannot rename without the risk of overwriting",
        "nothing was changed; use a local file system such as ext4 or xfs");
  }
  return os_fail(number, verb, what);
}

Result<void> PosixDirectory::rename(std::string_view name, const Directory& to,
                                    std::string_view new_name) const {
  return move(name, to, new_name, RENAME_NOREPLACE);
}

Result<void> PosixDirectory::exchange(std::string_view name, const Directory& other,
                                      std::string_view other_name) const {
  return move(name, other, other_name, RENAME_EXCHANGE);
}

Result<void> PosixDirectory::replace(std::string_view name, std::string_view new_name) const {
  TRY(RawPath::check_component(name));
  TRY(RawPath::check_component(new_name));
  const std::string from(name);
  const std::string to(new_name);
  if (uninterrupted([&] { return ::renameat(fd_.get(), from.c_str(), fd_.get(), to.c_str()); }) !=
      0) {
    return os_fail(errno, "replace", path_to(new_name));
  }
  return {};
}

Result<void> PosixDirectory::remove_file(std::string_view name) const {
  TRY(RawPath::check_component(name));
  const std::string text(name);
  if (uninterrupted([&] { return ::unlinkat(fd_.get(), text.c_str(), 0); }) != 0) {
    return os_fail(errno, "remove", path_to(name));
  }
  return {};
}

Result<void> PosixDirectory::remove_directory(std::string_view name) const {
  TRY(RawPath::check_component(name));
  const std::string text(name);
  if (uninterrupted([&] { return ::unlinkat(fd_.get(), text.c_str(), AT_REMOVEDIR); }) != 0) {
    return os_fail(errno, "remove the directory", path_to(name));
  }
  return {};
}

Result<void> PosixDirectory::sync() const { return flush(::fsync, fd_.get(), "flush", location_); }

Result<void> PosixDirectory::sync_filesystem() const {
  return flush(::syncfs, fd_.get(), "flush the file system of", location_);
}

Result<Space> PosixDirectory::space() const { return filesystem_space(fd_.get(), location_); }

Result<bool> PosixDirectory::writable_mount() const {
  return filesystem_writable(fd_.get(), location_);
}

Result<std::string> PosixDirectory::filesystem_type() const {
  return filesystem_name(fd_.get(), location_);
}

Result<void> PosixDirectory::each_entry(
    const std::function<bool(std::string_view, FileKind)>& visit) const {
  TRY_LET(const Descriptor own, reopen_directory(fd_.get(), location_));
  return read_entries(own.get(), location_, visit);
}

Result<void> PosixDirectory::set_times(Timestamp accessed, Timestamp modified) const {
  return write_times(fd_.get(), location_, accessed, modified);
}

Result<std::uint32_t> PosixDirectory::inode_flags() const {
  TRY_LET(const InodeFlags flags, read_inode_flags(fd_.get(), location_));
  return flags.bits;
}

Result<std::unique_ptr<Directory>> PosixDirectory::mount_top() const {
  TRY_LET(FileStat top, stat());
  TRY_LET(Descriptor current, reopen_directory(fd_.get(), location_));
  for (int depth = 0; depth < max_depth; ++depth) {
    Descriptor above(uninterrupted(
        [&] { return ::openat(current.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC); }));
    if (!above.is_open()) return os_fail(errno, "open the parent directory of", location_);
    TRY_LET(const FileStat facts, stat_handle(above.get(), location_));
    if (facts.id == top.id || facts.id.mount != top.id.mount) {
      std::string path = path_of(current.get(), location_);
      TRY_LET(Descriptor opened, reopen_directory(current.get(), path));
      return std::make_unique<PosixDirectory>(std::move(opened), std::move(path), resolution_);
    }
    top = facts;
    current = std::move(above);
  }
  return fail(Code::limit, "cannot find the mount of " + location() + ": it lies too deep");
}

Result<std::unique_ptr<Lock>> PosixDirectory::lock(std::string_view name) const {
  constexpr int max_tries = 16;
  for (int tries = 0; tries < max_tries; ++tries) {
    auto file = open_file(name, Access::read_write);
    if (!file && file.error().code == Code::not_found) {
      file = create_file(name, 0600);
      if (!file && file.error().code == Code::already_exists) continue;
    }
    if (!file) return std::unexpected(std::move(file).error());
    TRY_LET(const PosixFile* opened, same_host<PosixFile>(**file));
    struct flock whole{};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    if (uninterrupted([&] { return ::fcntl(opened->descriptor(), F_OFD_SETLK, &whole); }) != 0) {
      if (errno != EAGAIN && errno != EACCES) return os_fail(errno, "lock", path_to(name));
      return fail(Code::busy, "cannot lock " + display(path_to(name)) + ": it is locked elsewhere",
                  "another instance is running; wait until it ends");
    }
    // The name may have been given to another file between opening and locking.
    TRY_LET(const FileStat locked, (*file)->stat());
    auto named = stat_entry(name);
    if (named && named->id == locked.id) return std::make_unique<PosixLock>(std::move(*file));
    if (!named && named.error().code != Code::not_found) {
      return std::unexpected(std::move(named).error());
    }
  }
  return fail(Code::busy, "cannot lock " + display(path_to(name)) + ": the file keeps changing",
              "find the process that replaces it");
}

Result<bool> PosixDirectory::locked(std::string_view name) const {
  const auto file = open_file(name, Access::read);
  if (!file && file.error().code == Code::not_found) return false;
  if (!file) return std::unexpected(file.error());
  TRY_LET(const PosixFile* opened, same_host<PosixFile>(**file));
  struct flock whole{};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (uninterrupted([&] { return ::fcntl(opened->descriptor(), F_OFD_GETLK, &whole); }) != 0)
    return os_fail(errno, "ask for the lock of", path_to(name));
  return whole.l_type != F_UNLCK;
}

}  // namespace remediate::host::posix
