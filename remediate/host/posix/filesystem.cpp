#include "remediate/host/posix/filesystem.h"

#include <array>
#include <charconv>
#include <cstring>
#include <limits>
#include <memory>
#include <utility>

#include <dirent.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "remediate/host/posix/descriptor.h"
#include "remediate/host/posix/errors.h"

namespace remediate::host::posix {
namespace {

struct Magic {
  std::uint32_t number;
  const char* name;
};

// From <linux/magic.h> and the file systems' own sources. ext2 and ext3 share ext4's number.
constexpr std::array magics = {
    Magic{0xEF53, "ext4"},         Magic{0x58465342, "xfs"},       Magic{0x9123683E, "btrfs"},
    Magic{0x01021994, "tmpfs"},    Magic{0x858458F6, "ramfs"},     Magic{0x6969, "nfs"},
    Magic{0xFF534D42, "cifs"},     Magic{0xFE534D42, "smb2"},      Magic{0x517B, "smb"},
    Magic{0x65735546, "fuse"},     Magic{0x794C7630, "overlayfs"}, Magic{0x2FC12FC1, "zfs"},
    Magic{0x4D44, "vfat"},         Magic{0x2011BAB0, "exfat"},     Magic{0x5346544E, "ntfs"},
    Magic{0x7366746E, "ntfs3"},    Magic{0xF2F52010, "f2fs"},      Magic{0x52654973, "reiserfs"},
    Magic{0x3153464A, "jfs"},      Magic{0x01161970, "gfs2"},      Magic{0x7461636F, "ocfs2"},
    Magic{0x00C36400, "ceph"},     Magic{0x47504653, "gpfs"},      Magic{0x0BD00BD0, "lustre"},
    Magic{0x6B414653, "afs"},      Magic{0x5346414F, "openafs"},   Magic{0x01021997, "9p"},
    Magic{0xCA451A4E, "bcachefs"}, Magic{0x3434, "nilfs2"},        Magic{0x15013346, "udf"},
    Magic{0x9660, "iso9660"},      Magic{0x73717368, "squashfs"},  Magic{0xE0F5E1E2, "erofs"},
    Magic{0xF15F, "ecryptfs"},     Magic{0x9FA0, "proc"},          Magic{0x62656572, "sysfs"},
    Magic{0x27E0EB, "cgroup"},     Magic{0x63677270, "cgroup2"},   Magic{0x1CD1, "devpts"},
    Magic{0x187, "autofs"},        Magic{0x786F4256, "vboxsf"},    Magic{0xBACBACBC, "vmhgfs"},
};

/// The fixed part of what getdents64 writes; the name follows.
struct EntryHead {
  std::uint64_t inode;
  std::int64_t next;
  std::uint16_t length;
  std::uint8_t type;
};
constexpr std::size_t name_offset = 19;

FileKind kind_of(std::uint8_t type) {
  switch (type) {
    case DT_REG:
      return FileKind::regular;
    case DT_DIR:
      return FileKind::directory;
    case DT_LNK:
      return FileKind::symlink;
    case DT_FIFO:
      return FileKind::fifo;
    case DT_SOCK:
      return FileKind::socket;
    case DT_BLK:
      return FileKind::block_device;
    case DT_CHR:
      return FileKind::char_device;
    default:
      return FileKind::unknown;
  }
}

Result<struct statvfs> statvfs_of(int fd, std::string_view raw_path) {
  struct statvfs raw{};
  if (uninterrupted([&] { return ::fstatvfs(fd, &raw); }) != 0) {
    return os_fail(errno, "ask for the file system of", raw_path);
  }
  return raw;
}

}  // namespace

Result<Space> filesystem_space(int fd, std::string_view raw_path) {
  auto raw = statvfs_of(fd, raw_path);
  if (!raw) return std::unexpected(std::move(raw).error());
  const bool privileged = ::geteuid() == 0;
  Space space;
  space.free_bytes = (privileged ? raw->f_bfree : raw->f_bavail) * raw->f_frsize;
  space.free_files = raw->f_files == 0 ? std::numeric_limits<std::uint64_t>::max()
                                       : (privileged ? raw->f_ffree : raw->f_favail);
  return space;
}

Result<bool> filesystem_writable(int fd, std::string_view raw_path) {
  auto raw = statvfs_of(fd, raw_path);
  if (!raw) return std::unexpected(std::move(raw).error());
  return (raw->f_flag & ST_RDONLY) == 0;
}

Result<std::string> filesystem_name(int fd, std::string_view raw_path) {
  struct statfs raw{};
  if (uninterrupted([&] { return ::fstatfs(fd, &raw); }) != 0) {
    return os_fail(errno, "ask for the file system of", raw_path);
  }
  const auto number = static_cast<std::uint32_t>(raw.f_type);
  for (const Magic& magic : magics) {
    if (magic.number == number) return std::string(magic.name);
  }
  std::array<char, 8> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, 16).ptr;
  return "unknown-0x" + std::string(digits.data(), end);
}

Result<void> read_entries(int fd, std::string_view raw_path,
                          const std::function<bool(std::string_view, FileKind)>& visit) {
  constexpr std::size_t buffer_size = 64u << 10;
  const auto buffer = std::make_unique_for_overwrite<char[]>(buffer_size);
  for (;;) {
    const long filled =
        uninterrupted([&] { return ::syscall(SYS_getdents64, fd, buffer.get(), buffer_size); });
    if (filled < 0) return os_fail(errno, "list", raw_path);
    if (filled == 0) return {};
    const std::string_view block(buffer.get(), static_cast<std::size_t>(filled));
    for (std::size_t at = 0; at < block.size();) {
      EntryHead head;
      if (block.size() - at <= name_offset) return os_fail(EIO, "list", raw_path);
      std::memcpy(&head, block.data() + at, name_offset);
      if (head.length <= name_offset || head.length > block.size() - at) {
        return os_fail(EIO, "list", raw_path);
      }
      std::string_view name = block.substr(at + name_offset, head.length - name_offset);
      name = name.substr(0, name.find('\0'));
      at += head.length;
      if (name == "." || name == "..") continue;
      if (!visit(name, kind_of(head.type))) return {};
    }
  }
}

}  // namespace remediate::host::posix
