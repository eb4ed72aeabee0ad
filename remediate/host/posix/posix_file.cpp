#include "remediate/host/posix/posix_file.h"

#include <csignal>
#include <limits>

#include <fcntl.h>

#include "remediate/base/try.h"
#include "remediate/host/posix/errors.h"
#include "remediate/host/posix/flush.h"
#include "remediate/host/posix/metadata.h"
#include "remediate/host/posix/resolve.h"

namespace remediate::host::posix {
namespace {

constexpr auto max_offset = static_cast<std::uint64_t>(std::numeric_limits<off_t>::max());

Result<off_t> checked_offset(std::uint64_t offset, std::size_t length, std::string_view path) {
  if (offset > max_offset || length > max_offset - offset) {
    return os_fail(EFBIG, "reach that offset of", path);
  }
  return static_cast<off_t>(offset);
}

}  // namespace

PosixFile::PosixFile(Descriptor fd, Access access, std::string path, std::uint64_t volume)
    : fd_(std::move(fd)), access_(access), path_(std::move(path)), volume_(volume) {}

Result<FileStat> PosixFile::stat() const {
  TRY_LET(FileStat facts, examine(fd_.get(), path_));
  facts.id.volume = volume_.load(std::memory_order_relaxed);
  if (facts.id.volume != unknown_volume) return facts;
  TRY_LET(facts.id.volume, volume_of(fd_.get(), path_));
  volume_.store(facts.id.volume, std::memory_order_relaxed);
  return facts;
}

Result<Metadata> PosixFile::metadata() const { return read_metadata(fd_.get(), path_); }

Result<std::size_t> PosixFile::read_at(std::uint64_t offset, std::span<char> into) const {
  TRY_LET(const off_t at, checked_offset(offset, into.size(), path_));
  const ssize_t length =
      uninterrupted([&] { return ::pread(fd_.get(), into.data(), into.size(), at); });
  if (length < 0) return os_fail(errno, "read", path_);
  return static_cast<std::size_t>(length);
}

Result<void> PosixFile::write_at(std::uint64_t offset, std::string_view bytes) {
  TRY_LET(off_t at, checked_offset(offset, bytes.size(), path_));
  while (!bytes.empty()) {
    const ssize_t length =
        uninterrupted([&] { return ::pwrite(fd_.get(), bytes.data(), bytes.size(), at); });
    if (length < 0) return os_fail(errno, "write", path_);
    if (length == 0) return os_fail(EIO, "write", path_);
    bytes.remove_prefix(static_cast<std::size_t>(length));
    at += length;
  }
  return {};
}

Result<void> PosixFile::truncate(std::uint64_t size) {
  TRY_LET(const off_t length, checked_offset(size, 0, path_));
  if (uninterrupted([&] { return ::ftruncate(fd_.get(), length); }) != 0) {
    return os_fail(errno, "set the size of", path_);
  }
  return {};
}

Result<void> PosixFile::reserve(std::uint64_t size) {
  if (size == 0) return {};
  TRY_LET(const off_t length, checked_offset(size, 0, path_));
  if (uninterrupted([&] { return ::fallocate(fd_.get(), FALLOC_FL_KEEP_SIZE, 0, length); }) == 0) {
    return {};
  }
  if (means_unsupported(errno)) {
    return unsupported(errno, "reserve space for", path_,
                       "this file system cannot reserve space ahead");
  }
  return os_fail(errno, "reserve space for", path_);
}

Result<void> PosixFile::sync_data() { return flush(::fdatasync, fd_.get(), "flush", path_); }

Result<void> PosixFile::sync() { return flush(::fsync, fd_.get(), "flush", path_); }

void PosixFile::drop_cache() const { ::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_DONTNEED); }

Result<bool> PosixFile::has_other_writers() const {
  constexpr std::string_view verb = "look for writers of";
  if (access_ != Access::read) {
    return unsupported(EINVAL, verb, path_, "this handle itself can write",
                       "ask a handle that was opened for reading");
  }
  // A writer who opens the file while the lease is held makes the kernel send the chosen
  // signal; SIGURG is ignored by default, the standard one (SIGIO) would end the process.
  if (::fcntl(fd_.get(), F_SETSIG, SIGURG) != 0) return os_fail(errno, verb, path_);
  if (uninterrupted([&] { return ::fcntl(fd_.get(), F_SETLEASE, F_RDLCK); }) == 0) {
    if (::fcntl(fd_.get(), F_SETLEASE, F_UNLCK) != 0) return os_fail(errno, verb, path_);
    return false;
  }
  if (errno == EAGAIN) return true;
  if (means_unsupported(errno) || errno == ENOLCK) {
    return unsupported(errno, verb, path_, "this file system grants no leases");
  }
  return os_fail(errno, verb, path_);
}

Result<std::vector<std::string>> PosixFile::restore_metadata(const Metadata& wanted,
                                                             Privileges privileges) {
  return write_metadata(fd_.get(), path_, wanted, privileges);
}

Result<void> PosixFile::set_times(Timestamp accessed, Timestamp modified) {
  return write_times(fd_.get(), path_, accessed, modified);
}

Result<void> PosixFile::set_protection_flags(std::uint32_t flags) {
  return write_protection_flags(fd_.get(), path_, flags);
}

}  // namespace remediate::host::posix
