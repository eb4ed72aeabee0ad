#include "tree_reader.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace property {
namespace {

[[noreturn]] void fail(const std::string& path, const char* what) {
  throw std::runtime_error(escaped(path) + ": " + what + ": " + std::strerror(errno));
}

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return value_; }

 private:
  int value_;
};

int open_entry(int folder, const std::string& name, int flags) {
  int opened = ::openat(folder, name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC | O_NOATIME);
  if (opened < 0 && errno == EPERM)
    opened = ::openat(folder, name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC);
  return opened;
}

std::vector<std::string> names_in(int folder, const std::string& path) {
  const int copy = open_entry(folder, ".", O_RDONLY | O_DIRECTORY);
  if (copy < 0) fail(path, "cannot be opened to list it");
  const std::unique_ptr<DIR, int (*)(DIR*)> list(::fdopendir(copy), &::closedir);
  if (!list) fail(path, "cannot be listed");
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(list.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  if (errno != 0) fail(path, "cannot be listed to its end");
  return names;
}

std::map<std::string, std::string> attributes_of(int file, const std::string& path) {
  std::map<std::string, std::string> result;
  std::string names(1u << 16, '\0');
  const ssize_t length = ::flistxattr(file, names.data(), names.size());
  if (length < 0 && errno == ENOTSUP) return result;
  if (length < 0) fail(path, "attributes cannot be listed");
  std::string value;
  for (std::size_t at = 0; at < static_cast<std::size_t>(length);) {
    const std::string name = names.c_str() + at;
    at += name.size() + 1;
    value.resize(1u << 16);
    const ssize_t got = ::fgetxattr(file, name.c_str(), value.data(), value.size());
    if (got < 0) fail(path, "an attribute cannot be read");
    result[name] = value.substr(0, static_cast<std::size_t>(got));
  }
  return result;
}

int flags_of(int file, const std::string& path) {
  int flags = 0;
  if (::ioctl(file, FS_IOC_GETFLAGS, &flags) != 0) {
    if (errno == ENOTTY || errno == EOPNOTSUPP || errno == EINVAL) return 0;
    fail(path, "inode flags cannot be read");
  }
  return flags & (FS_IMMUTABLE_FL | FS_APPEND_FL);
}

std::string holes_of(int file, off_t size, const std::string& path) {
  std::string text;
  off_t at = 0;
  while (at < size) {
    const off_t data = ::lseek(file, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;
    const off_t end = data < 0 ? -1 : ::lseek(file, data, SEEK_HOLE);
    if (end < 0) fail(path, "holes cannot be found");
    if (data == 0 && end >= size) return "";
    text += std::to_string(data) + "-" + std::to_string(std::min(end, size)) + " ";
    at = end;
  }
  return text.empty() && size > 0 ? "all hole" : text;
}

std::string bytes_of(int file, off_t size, const std::string& path) {
  std::string bytes(static_cast<std::size_t>(size) + 1, '\0');
  std::size_t have = 0;
  while (true) {
    const ssize_t got =
        ::pread(file, bytes.data() + have, bytes.size() - have, static_cast<off_t>(have));
    if (got < 0) fail(path, "cannot be read");
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
    if (have == bytes.size()) throw std::runtime_error(escaped(path) + ": grew while it was read");
  }
  bytes.resize(have);
  return bytes;
}

class Reader {
 public:
  Reader(Tree& tree, const std::set<std::string>& passed_over)
      : tree_(tree), passed_over_(passed_over) {}

  void read(int folder, const std::string& name, const std::string& path) {
    struct stat facts{};
    if (::fstatat(folder, name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0)
      fail(path, "cannot be examined");
    Entry entry;
    entry.type = facts.st_mode & S_IFMT;
    entry.mode = facts.st_mode & 07777u;
    entry.owner = facts.st_uid;
    entry.group = facts.st_gid;
    entry.links = facts.st_nlink;
    entry.device = facts.st_dev;
    entry.inode = facts.st_ino;
    entry.modified = {facts.st_mtim.tv_sec, facts.st_mtim.tv_nsec};
    entry.accessed = {facts.st_atim.tv_sec, facts.st_atim.tv_nsec};
    if (S_ISBLK(facts.st_mode) || S_ISCHR(facts.st_mode)) entry.special = facts.st_rdev;
    if (S_ISLNK(facts.st_mode)) {
      entry.bytes.resize(4096);
      const ssize_t got =
          ::readlinkat(folder, name.c_str(), entry.bytes.data(), entry.bytes.size());
      if (got < 0) fail(path, "link cannot be read");
      entry.bytes.resize(static_cast<std::size_t>(got));
    }
    if (!S_ISREG(facts.st_mode) && !S_ISDIR(facts.st_mode)) {
      tree_.emplace(path, std::move(entry));
      return;
    }
    const Descriptor opened(open_entry(folder, name, O_RDONLY));
    if (opened.get() < 0) fail(path, "cannot be opened");
    entry.attributes = attributes_of(opened.get(), path);
    entry.flags = flags_of(opened.get(), path);
    if (S_ISREG(facts.st_mode)) {
      entry.size = facts.st_size;
      entry.holes = holes_of(opened.get(), facts.st_size, path);
      entry.bytes = bytes_of(opened.get(), facts.st_size, path);
      tree_.emplace(path, std::move(entry));
      return;
    }
    tree_.emplace(path, std::move(entry));
    if (passed_over_.contains(path)) return;
    for (const std::string& below : names_in(opened.get(), path))
      read(opened.get(), below, path.empty() ? below : path + "/" + below);
  }

 private:
  Tree& tree_;
  const std::set<std::string>& passed_over_;
};

void remove_below(int folder, const std::string& path) {
  const auto clear = [](int file) {
    int flags = 0;
    if (::ioctl(file, FS_IOC_GETFLAGS, &flags) != 0) return;
    if ((flags & (FS_IMMUTABLE_FL | FS_APPEND_FL)) == 0) return;
    flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
    ::ioctl(file, FS_IOC_SETFLAGS, &flags);
  };
  clear(folder);
  for (const std::string& name : names_in(folder, path)) {
    const std::string below = path + "/" + name;
    struct stat facts{};
    if (::fstatat(folder, name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0)
      fail(below, "cannot be examined");
    if (S_ISDIR(facts.st_mode)) {
      const Descriptor opened(open_entry(folder, name, O_RDONLY | O_DIRECTORY));
      if (opened.get() < 0) fail(below, "cannot be opened");
      remove_below(opened.get(), below);
      if (::unlinkat(folder, name.c_str(), AT_REMOVEDIR) != 0) fail(below, "cannot be removed");
      continue;
    }
    if (::unlinkat(folder, name.c_str(), 0) == 0) continue;
    if (errno != EPERM) fail(below, "cannot be removed");
    const Descriptor opened(open_entry(folder, name, O_RDONLY | O_NONBLOCK));
    if (opened.get() >= 0) clear(opened.get());
    if (::unlinkat(folder, name.c_str(), 0) != 0) fail(below, "cannot be removed");
  }
}

std::string number(std::pair<std::int64_t, long> time) {
  return std::to_string(time.first) + "s+" + std::to_string(time.second);
}

std::string octal(mode_t mode) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%04o", static_cast<unsigned>(mode));
  return text.data();
}

class Comparison {
 public:
  Comparison(const std::string& path, std::vector<std::string>& lines)
      : path_(path), lines_(lines) {}
  void add(const std::string& what) { lines_.push_back(escaped(path_) + ": " + what); }
  void check(const char* what, const std::string& before, const std::string& after) {
    if (before != after) add(std::string(what) + " was " + before + " and is " + after);
  }

 private:
  const std::string& path_;
  std::vector<std::string>& lines_;
};

void compare(const std::string& path, const Entry& a, const Entry& b, const Measure& measure,
             std::vector<std::string>& lines) {
  Comparison comparison(path, lines);
  const bool folder = S_ISDIR(a.type);
  comparison.check("type", octal(a.type), octal(b.type));
  comparison.check("mode", octal(a.mode), octal(b.mode));
  comparison.check("owner", std::to_string(a.owner), std::to_string(b.owner));
  comparison.check("group", std::to_string(a.group), std::to_string(b.group));
  comparison.check("links", std::to_string(a.links), std::to_string(b.links));
  comparison.check("size", std::to_string(a.size), std::to_string(b.size));
  comparison.check("device number", std::to_string(a.special), std::to_string(b.special));
  comparison.check("flags", std::to_string(a.flags), std::to_string(b.flags));
  comparison.check("holes", a.holes, b.holes);
  comparison.check("hard link group", escaped(a.twin), escaped(b.twin));
  if (a.bytes != b.bytes) comparison.add("other bytes");
  const bool rewritten = !measure.rewritten.empty() && measure.rewritten == path;
  if (!rewritten && (!folder || (measure.folder_times && !measure.moved.contains(path))))
    comparison.check("modification time", number(a.modified), number(b.modified));
  if (S_ISREG(a.type) && measure.access_times && !rewritten)
    comparison.check("access time", number(a.accessed), number(b.accessed));
  if (((measure.inodes && !rewritten) || folder) && (a.inode != b.inode || a.device != b.device))
    comparison.add("another inode");
  for (const auto& [name, value] : a.attributes) {
    const auto found = b.attributes.find(name);
    if (found == b.attributes.end())
      comparison.add("attribute " + escaped(name) + " is lost");
    else if (found->second != value)
      comparison.add("attribute " + escaped(name) + " has another value");
  }
  for (const auto& [name, value] : b.attributes)
    if (!a.attributes.contains(name)) comparison.add("attribute " + escaped(name) + " is new");
}

}  // namespace

Tree read_tree(const std::string& root, const std::set<std::string>& passed_over) {
  Tree tree;
  Reader(tree, passed_over).read(AT_FDCWD, root, "");
  std::map<std::pair<dev_t, ino_t>, std::string> first;
  for (auto& [path, entry] : tree)
    if (!S_ISDIR(entry.type) && entry.links > 1)
      entry.twin = first.emplace(std::pair(entry.device, entry.inode), path).first->second;
  return tree;
}

std::vector<std::string> differences(const Tree& before, const Tree& after,
                                     const Measure& measure) {
  std::vector<std::string> lines;
  for (const auto& [path, entry] : before) {
    const auto found = after.find(path);
    if (found == after.end())
      lines.push_back(escaped(path) + ": missing");
    else
      compare(path, entry, found->second, measure, lines);
  }
  for (const auto& [path, entry] : after)
    if (!before.contains(path)) lines.push_back(escaped(path) + ": new");
  return lines;
}

std::string escaped(std::string_view raw) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const char c : raw) {
    if (c >= ' ' && c < 0x7f && c != '\\') {
      text.push_back(c);
    } else {
      const auto value = static_cast<unsigned char>(c);
      text += {'\\', 'x', digits[value >> 4], digits[value & 15]};
    }
  }
  return text;
}

std::string shortened(const std::string& text) {
  constexpr std::size_t most = 300;
  if (text.size() <= most) return text;
  return text.substr(0, most / 2) + "[...]" + text.substr(text.size() - most / 2);
}

std::string parent_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return std::string(slash == std::string_view::npos ? "" : path.substr(0, slash));
}

std::string description(const std::string& path, const Entry& entry) {
  std::string text = octal(entry.mode | entry.type) + " " + std::to_string(entry.owner) + ":" +
                     std::to_string(entry.group) + " size " + std::to_string(entry.size) +
                     " links " + std::to_string(entry.links) + " mtime " + number(entry.modified);
  if (entry.flags != 0) text += " flags " + std::to_string(entry.flags);
  if (!entry.holes.empty()) text += " data " + entry.holes;
  for (const auto& [name, value] : entry.attributes)
    text += " " + escaped(name) + "(" + std::to_string(value.size()) + ")";
  return text + " " + (path.empty() ? "." : shortened(escaped(path)));
}

void remove_tree(const std::string& root) {
  const Descriptor opened(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (opened.get() < 0 && errno == ENOENT) return;
  if (opened.get() < 0) fail(root, "cannot be opened");
  remove_below(opened.get(), root);
  if (::rmdir(root.c_str()) != 0) fail(root, "cannot be removed");
}

}  // namespace property
