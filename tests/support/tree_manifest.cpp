// tree_manifest DIR [--no-atime] [--no-folder-times]: one sorted, escaped line an entry with
// everything about it that a removal and its undo could change. Two equal outputs: two equal
// trees. Plain POSIX calls and libcrypto only, so that it shares no fault with the tool.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <iostream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <openssl/evp.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace {

struct Options {
  bool access_times = true;
  bool folder_times = true;
};

[[noreturn]] void fail(const std::string& path, const char* what) {
  throw std::runtime_error(path + ": " + what + ": " + std::strerror(errno));
}

std::string hex(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto value = static_cast<unsigned char>(c);
    text.push_back(digits[value >> 4]);
    text.push_back(digits[value & 15]);
  }
  return text;
}

/// Printable ASCII without blank and backslash as it is, every other byte as \xHH.
std::string escaped(std::string_view raw) {
  std::string text;
  for (const char c : raw) {
    if (c > ' ' && c < 0x7f && c != '\\') {
      text.push_back(c);
    } else {
      text += "\\x" + hex(std::string_view(&c, 1));
    }
  }
  return text;
}

class Descriptor {
 public:
  /// Reading leaves no access time behind where the caller may ask for that.
  explicit Descriptor(const std::string& path) : value_(::open(path.c_str(), kFlags | O_NOATIME)) {
    if (value_ < 0 && errno == EPERM) value_ = ::open(path.c_str(), kFlags);
    if (value_ < 0) fail(path, "cannot be opened");
  }
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return value_; }
  int release() { return std::exchange(value_, -1); }

 private:
  static constexpr int kFlags = O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC;
  int value_;
};

std::string digest(int file, const std::string& path) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> state(EVP_MD_CTX_new(),
                                                                      &EVP_MD_CTX_free);
  if (state == nullptr || EVP_DigestInit_ex(state.get(), EVP_sha256(), nullptr) != 1)
    throw std::runtime_error("no SHA-256");
  std::vector<char> buffer(1u << 16);
  while (true) {
    const ssize_t got = ::read(file, buffer.data(), buffer.size());
    if (got < 0) fail(path, "cannot be read");
    if (got == 0) break;
    if (EVP_DigestUpdate(state.get(), buffer.data(), static_cast<std::size_t>(got)) != 1)
      throw std::runtime_error("SHA-256 failed");
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned length = 0;
  if (EVP_DigestFinal_ex(state.get(), out.data(), &length) != 1)
    throw std::runtime_error("SHA-256 failed");
  return hex(std::string(out.begin(), out.begin() + length));
}

/// "0+4096,4190208+4096": where the data lies; empty for a file without holes.
std::string extents(int file, off_t size, const std::string& path) {
  std::string text;
  off_t at = 0;
  while (at < size) {
    const off_t data = ::lseek(file, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;
    if (data < 0 && errno == EINVAL) return "";
    const off_t end = data < 0 ? -1 : ::lseek(file, data, SEEK_HOLE);
    if (end < 0) fail(path, "extents cannot be read");
    if (data == 0 && end >= size) return "";
    text += (text.empty() ? "" : ",") + std::to_string(data) + "+" + std::to_string(end - data);
    at = end;
  }
  return text.empty() && size > 0 ? "none" : text;
}

std::string flags_of(int file, const std::string& path) {
  int flags = 0;
  if (::ioctl(file, FS_IOC_GETFLAGS, &flags) != 0) {
    if (errno == ENOTTY || errno == EOPNOTSUPP || errno == EINVAL) return "";
    fail(path, "inode flags cannot be read");
  }
  return std::string((flags & FS_IMMUTABLE_FL) != 0 ? "i" : "") +
         ((flags & FS_APPEND_FL) != 0 ? "a" : "");
}

std::string attributes_of(const std::string& path) {
  std::string names(1u << 16, '\0');
  const ssize_t length = ::llistxattr(path.c_str(), names.data(), names.size());
  if (length < 0) {
    if (errno == ENOTSUP) return "";
    fail(path, "extended attributes cannot be listed");
  }
  std::map<std::string, std::string> attributes;
  for (std::size_t at = 0; at < static_cast<std::size_t>(length);) {
    const std::string name = names.c_str() + at;
    at += name.size() + 1;
    std::string value(1u << 16, '\0');
    const ssize_t got = ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
    if (got < 0) fail(path, "an extended attribute cannot be read");
    attributes[name] = value.substr(0, static_cast<std::size_t>(got));
  }
  std::string text;
  for (const auto& [name, value] : attributes)
    text += (text.empty() ? "" : ",") + escaped(name) + "=" + hex(value);
  return text;
}

std::string nanoseconds(const timespec& time) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%lld.%09ld", static_cast<long long>(time.tv_sec),
                time.tv_nsec);
  return text.data();
}

char type_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return 'f';
    case S_IFDIR:
      return 'd';
    case S_IFLNK:
      return 'l';
    case S_IFIFO:
      return 'p';
    case S_IFSOCK:
      return 's';
    case S_IFBLK:
      return 'b';
    default:
      return 'c';
  }
}

class Manifest {
 public:
  explicit Manifest(Options options) : options_(options) {}

  void add(const std::string& full, const std::string& below) {
    struct stat facts{};
    if (::lstat(full.c_str(), &facts) != 0) fail(full, "cannot be examined");
    std::string line = std::string(1, type_of(facts.st_mode));
    char mode[8];
    std::snprintf(mode, sizeof mode, "%04o", static_cast<unsigned>(facts.st_mode) & 07777u);
    line += std::string(" mode=") + mode + " uid=" + std::to_string(facts.st_uid) +
            " gid=" + std::to_string(facts.st_gid);
    const bool folder = S_ISDIR(facts.st_mode);
    if (!folder || options_.folder_times) {
      line += " mtime=" + nanoseconds(facts.st_mtim);
      // Reading a link's target changes its access time, so that is no fact about the tree.
      if (options_.access_times && !S_ISLNK(facts.st_mode))
        line += " atime=" + nanoseconds(facts.st_atim);
    }
    if (!folder) {
      line += " size=" + std::to_string(facts.st_size) + " nlink=" + std::to_string(facts.st_nlink);
      if (facts.st_nlink > 1) links_[{facts.st_dev, facts.st_ino}].push_back(below);
    }
    if (S_ISBLK(facts.st_mode) || S_ISCHR(facts.st_mode))
      line += " device=" + std::to_string(facts.st_rdev);
    if (S_ISLNK(facts.st_mode)) {
      std::string target(4096, '\0');
      const ssize_t length = ::readlink(full.c_str(), target.data(), target.size());
      if (length < 0) fail(full, "link cannot be read");
      line += " target=" + escaped(target.substr(0, static_cast<std::size_t>(length)));
    }
    line += " xattr=" + attributes_of(full);
    if (S_ISREG(facts.st_mode)) {
      const Descriptor file(full);
      line += " flags=" + flags_of(file.get(), full);
      line += " extents=" + extents(file.get(), facts.st_size, full);
      if (::lseek(file.get(), 0, SEEK_SET) != 0) fail(full, "cannot be read from its start");
      line += " sha256=" + digest(file.get(), full);
    } else if (folder) {
      const Descriptor opened(full);
      line += " flags=" + flags_of(opened.get(), full);
    }
    entries_.push_back({below, std::move(line), {facts.st_dev, facts.st_ino}});
    if (folder) add_folder(full, below);
  }

  void print(std::ostream& out) {
    std::ranges::sort(entries_, {}, &Entry::path);
    for (auto& [inode, paths] : links_) std::ranges::sort(paths);
    for (const Entry& entry : entries_) {
      out << escaped(entry.path) << " " << entry.line;
      if (const auto group = links_.find(entry.inode); group != links_.end())
        out << " linked-with=" << escaped(group->second.front());
      out << "\n";
    }
  }

 private:
  using Inode = std::pair<dev_t, ino_t>;
  struct Entry {
    std::string path;
    std::string line;
    Inode inode;
  };

  void add_folder(const std::string& full, const std::string& below) {
    Descriptor opened(full);
    DIR* const raw = ::fdopendir(opened.get());
    if (raw == nullptr) fail(full, "cannot be listed");
    opened.release();
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(raw, &::closedir);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(folder.get())) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
    }
    if (errno != 0) fail(full, "cannot be listed to its end");
    for (const std::string& name : names)
      add(full + "/" + name, below == "." ? name : below + "/" + name);
  }

  Options options_;
  std::vector<Entry> entries_;
  std::map<Inode, std::vector<std::string>> links_;
};

int run(const std::vector<std::string>& arguments) {
  Options options;
  std::string root;
  for (const std::string& argument : arguments) {
    if (argument == "--no-atime") {
      options.access_times = false;
    } else if (argument == "--no-folder-times") {
      options.folder_times = false;
    } else if (root.empty() && !argument.starts_with('-')) {
      root = argument;
    } else {
      root.clear();
      break;
    }
  }
  if (root.empty()) {
    std::cerr << "usage: tree_manifest DIR [--no-atime] [--no-folder-times]\n";
    return 64;
  }
  Manifest manifest(options);
  manifest.add(root, ".");
  manifest.print(std::cout);
  return std::cout.flush() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const std::exception& error) {
    std::cerr << "tree_manifest: " << error.what() << "\n";
    return 1;
  }
}
