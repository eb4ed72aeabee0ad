#include "tests/support/tree_writer.h"

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace sample {
namespace {

constexpr std::int64_t kFirstDay = 1609459200;  // 2021-01-01T00:00:00Z
constexpr std::int64_t kSecondsADay = 86400;

[[noreturn]] void fail(std::string_view path, const char* what) {
  throw std::runtime_error(std::string(path) + ": " + what + ": " + std::strerror(errno));
}

std::uint64_t hash_of(std::string_view text) {  // FNV-1a
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3;
  }
  return hash;
}

class Descriptor {
 public:
  Descriptor(const std::string& path, int flags, mode_t mode = 0)
      : value_(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, mode)) {
    if (value_ < 0) fail(path, "cannot be opened");
  }
  ~Descriptor() { ::close(value_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return value_; }

 private:
  int value_;
};

void write_all(int descriptor, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0) fail(path, "cannot be written");
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void append_little(std::string& to, std::uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) to.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
}

}  // namespace

TreeWriter::TreeWriter(std::string root) : root_(std::move(root)) {
  if (::mkdir(root_.c_str(), 0755) != 0 && errno != EEXIST) fail(root_, "cannot be made");
  folders_.emplace("", 0755);
}

std::string TreeWriter::full(std::string_view path) const {
  return path.empty() ? root_ : root_ + "/" + std::string(path);
}

void TreeWriter::parents(std::string_view path) {
  for (std::size_t slash = path.find('/'); slash != std::string_view::npos;
       slash = path.find('/', slash + 1)) {
    if (!folders_.contains(path.substr(0, slash))) folder(path.substr(0, slash));
  }
}

void TreeWriter::folder(std::string_view path, mode_t mode, std::optional<Owner> owner) {
  parents(path);
  const std::string name = full(path);
  if (::mkdir(name.c_str(), 0755) != 0) fail(name, "cannot be made");
  if (owner && ::geteuid() == 0 && ::lchown(name.c_str(), owner->user, owner->group) != 0)
    fail(name, "cannot be given its owner");
  folders_.emplace(path, mode);
}

void TreeWriter::times(std::string_view path, std::optional<std::int64_t> day) const {
  const std::uint64_t hash = hash_of(path);
  timespec when{};
  when.tv_sec = kFirstDay +
                day.value_or(static_cast<std::int64_t>(hash >> 20 & 0xff)) * kSecondsADay +
                static_cast<std::int64_t>(hash >> 32) % kSecondsADay;
  when.tv_nsec = static_cast<long>(hash % 1'000'000'000);
  const timespec both[2] = {when, when};
  const std::string name = full(path);
  if (::utimensat(AT_FDCWD, name.c_str(), both, AT_SYMLINK_NOFOLLOW) != 0)
    fail(name, "cannot be given its times");
}

void TreeWriter::file(std::string_view path, std::string_view content, const FileOptions& options) {
  parents(path);
  const std::string name = full(path);
  {
    const Descriptor file(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    write_all(file.get(), content, name);
    if (options.owner && ::geteuid() == 0 &&
        ::fchown(file.get(), options.owner->user, options.owner->group) != 0)
      fail(name, "cannot be given its owner");
    if (::fchmod(file.get(), options.mode) != 0) fail(name, "cannot be given its mode");
  }
  times(path, options.day);
  ++files_;
}

void TreeWriter::sparse_file(std::string_view path, std::string_view data, std::uint64_t size) {
  file(path, data);
  const std::string name = full(path);
  {
    const Descriptor file(name, O_WRONLY);
    if (::lseek(file.get(), static_cast<off_t>(size - data.size()), SEEK_SET) < 0)
      fail(name, "cannot be extended");
    write_all(file.get(), data, name);
  }
  times(path, {});
}

void TreeWriter::hard_link(std::string_view existing, std::string_view path) {
  parents(path);
  if (::link(full(existing).c_str(), full(path).c_str()) != 0) fail(path, "cannot be linked");
  ++files_;
}

void TreeWriter::symlink(std::string_view target, std::string_view path) {
  parents(path);
  if (::symlink(std::string(target).c_str(), full(path).c_str()) != 0)
    fail(path, "cannot be linked");
  times(path, {});
}

void TreeWriter::set_attribute(std::string_view path, const char* name, std::string_view value,
                               const char* what) {
  if (::lsetxattr(full(path).c_str(), name, value.data(), value.size(), 0) == 0) return;
  if (errno != ENOTSUP && errno != EPERM) fail(path, what);
  left_out_.push_back(std::string(path) + ": " + name + ": " + std::strerror(errno));
}

void TreeWriter::attribute(std::string_view path, const char* name, std::string_view value) {
  set_attribute(path, name, value, "cannot be given an extended attribute");
}

void TreeWriter::access_list(std::string_view path, std::uint32_t user) {
  struct Entry {
    std::uint32_t tag, permissions, id;
  };
  constexpr std::uint32_t nobody = 0xffffffff;
  std::string bytes;
  append_little(bytes, 2, 4);  // the version of the kernel's format
  for (const Entry& entry : {Entry{0x01, 6, nobody}, Entry{0x02, 6, user}, Entry{0x04, 4, nobody},
                             Entry{0x10, 6, nobody}, Entry{0x20, 4, nobody}}) {
    append_little(bytes, entry.tag, 2);
    append_little(bytes, entry.permissions, 2);
    append_little(bytes, entry.id, 4);
  }
  set_attribute(path, "system.posix_acl_access", bytes, "cannot be given an access list");
}

void TreeWriter::immutable(std::string_view path) { immutable_.emplace_back(path); }

void TreeWriter::finish() {
  for (auto folder = folders_.rbegin(); folder != folders_.rend(); ++folder) {
    const std::string name = full(folder->first);
    if (::chmod(name.c_str(), folder->second) != 0) fail(name, "cannot be given its mode");
    times(folder->first, {});
  }
  for (const std::string& path : immutable_) {
    const Descriptor file(full(path), O_RDONLY);
    int flags = 0;
    if (::ioctl(file.get(), FS_IOC_GETFLAGS, &flags) == 0) {
      flags |= FS_IMMUTABLE_FL;
      if (::ioctl(file.get(), FS_IOC_SETFLAGS, &flags) == 0) continue;
    }
    left_out_.push_back(path + ": immutable: " + std::strerror(errno));
  }
}

}  // namespace sample
