#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <set>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/host/posix/descriptor.h"
#include "remediate/host/posix/errors.h"
#include "remediate/host/posix/posix_host.h"

namespace remediate::host::posix {
namespace {

constexpr std::size_t max_files = 1'000'000;
constexpr std::size_t max_maps_bytes = 64u << 20;
using Key = std::pair<std::uint64_t, std::uint64_t>;

/// A mapping of code, as one line of /proc/PID/maps tells it.
struct Mapping {
  std::string_view range;
  Key file;
  std::string_view name;
};

template <class Number>
bool number(std::string_view& text, Number& value, int base) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

/// "start-end perms offset major:minor inode   path"; false for what is not code of a file.
bool parse(std::string_view line, Mapping& mapping) {
  const auto word = [&] {
    const std::size_t end = std::min(line.find(' '), line.size());
    const std::string_view found = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    return found;
  };
  mapping.range = word();
  const std::string_view permissions = word();
  if (permissions.size() < 3 || permissions[2] != 'x') return false;
  (void)word();
  std::string_view device = word();
  unsigned major_number = 0, minor_number = 0;
  if (!number(device, major_number, 16) || !device.starts_with(':')) return false;
  device.remove_prefix(1);
  if (!number(device, minor_number, 16)) return false;
  std::uint64_t inode = 0;
  if (!number(line, inode, 10) || inode == 0) return false;
  mapping.file = {makedev(major_number, minor_number), inode};
  mapping.name = line;
  return true;
}

constexpr std::size_t unread_named = 3;

class Processes {
 public:
  explicit Processes(int proc) : proc_(proc) {}

  void look_into(std::uint64_t process) {
    ++result.processes;
    const std::string folder = std::to_string(process);
    name_.clear();
    bool readable = image(process, folder);
    readable = mappings(process, folder) && readable;
    if (readable) return;
    ++result.unread;
    if (result.unread_first.size() < unread_named)
      result.unread_first.push_back({process, name_of(folder)});
  }

  FilesInUse result;

 private:
  static bool gone(int error) { return error == ENOENT || error == ESRCH; }

  /// Whether it could be told; a thread of the kernel has none.
  bool image(std::uint64_t process, const std::string& folder) {
    struct stat found = {};
    if (::fstatat(proc_, (folder + "/exe").c_str(), &found, 0) != 0) return gone(errno);
    add(process, folder, {found.st_dev, found.st_ino});
    return true;
  }

  bool mappings(std::uint64_t process, const std::string& folder) {
    const Descriptor maps(uninterrupted(
        [&] { return ::openat(proc_, (folder + "/maps").c_str(), O_RDONLY | O_CLOEXEC); }));
    if (!maps.is_open()) return gone(errno);
    std::array<char, 65536> buffer;
    std::string line;
    std::size_t bytes = 0;
    for (;;) {
      const ssize_t count =
          uninterrupted([&] { return ::read(maps.get(), buffer.data(), buffer.size()); });
      if (count < 0) return gone(errno);
      if (count == 0) return true;
      bytes += static_cast<std::size_t>(count);
      if (bytes > max_maps_bytes) {
        result.cut_off = true;
        return true;
      }
      std::string_view rest(buffer.data(), static_cast<std::size_t>(count));
      for (;;) {
        const std::size_t end = rest.find('\n');
        line.append(rest.substr(0, end));
        if (end == std::string_view::npos) break;
        mapping(process, folder, line);
        line.clear();
        rest.remove_prefix(end + 1);
      }
    }
  }

  /// Some file systems (btrfs, overlay) show another device in `maps` than to stat(): the mapping's
  /// own link tells that one, where this user may follow it.
  void mapping(std::uint64_t process, const std::string& folder, std::string_view line) {
    Mapping found;
    // With the name: volumes of one device may number their files alike.
    if (!parse(line, found) || !mapped_.emplace(found.file, found.name).second) return;
    add(process, folder, found.file);
    struct stat real = {};
    const std::string link = folder + "/map_files/" + std::string(found.range);
    if (::fstatat(proc_, link.c_str(), &real, 0) == 0)
      add(process, folder, {real.st_dev, real.st_ino});
  }

  void add(std::uint64_t process, const std::string& folder, Key file) {
    if (result.files.size() >= max_files) {
      result.cut_off = true;
      return;
    }
    if (!seen_.insert(file).second) return;
    if (name_.empty()) name_ = name_of(folder);
    result.files.push_back(
        {.id = {.device = file.first, .inode = file.second}, .process = process, .name = name_});
  }

  std::string name_of(const std::string& folder) const {
    const Descriptor comm(uninterrupted(
        [&] { return ::openat(proc_, (folder + "/comm").c_str(), O_RDONLY | O_CLOEXEC); }));
    std::array<char, 64> buffer{};
    const ssize_t count = !comm.is_open() ? -1 : uninterrupted([&] {
      return ::read(comm.get(), buffer.data(), buffer.size());
    });
    if (count <= 0) return "?";
    std::string name(buffer.data(), static_cast<std::size_t>(count));
    if (name.ends_with('\n')) name.pop_back();
    return name;
  }

  int proc_;
  std::string name_;
  std::set<std::pair<Key, std::string>> mapped_;
  std::set<Key> seen_;
};

}  // namespace

Result<FilesInUse> PosixHost::files_in_use() const {
  const std::string place = "/proc";
  Descriptor handle(
      uninterrupted([&] { return ::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!handle.is_open()) return os_fail(errno, "list the processes in", place);
  const int listed = ::fcntl(handle.get(), F_DUPFD_CLOEXEC, 0);
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(listed < 0 ? nullptr : ::fdopendir(listed),
                                                    &::closedir);
  if (!listing) {
    const int error = errno;
    if (listed >= 0) ::close(listed);
    return os_fail(error, "list the processes in", place);
  }
  Processes processes(handle.get());
  const auto self = static_cast<std::uint64_t>(::getpid());
  processes.result.own_process = self;
  processes.look_into(self);
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(listing.get());
    if (entry == nullptr) break;
    std::string_view name = entry->d_name;
    std::uint64_t process = 0;
    if (number(name, process, 10) && name.empty() && process != self) processes.look_into(process);
  }
  if (errno != 0) return os_fail(errno, "list the processes in", place);
  if (processes.result.processes == 1 && processes.result.files.empty())
    return fail(Code::unsupported, place + " shows no process", "mount proc there");
  return std::move(processes.result);
}

}  // namespace remediate::host::posix
