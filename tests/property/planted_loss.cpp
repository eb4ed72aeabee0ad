#include "planted_loss.h"

#include <array>

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "folder.h"

namespace property {
namespace {

using Fits = std::function<bool(const std::string& path, const Entry& entry)>;
using Harm = std::function<void(const Folder& root, const std::string& path, const Entry& entry)>;

void put_times_back(int descriptor, const Entry& entry) {
  const std::array<timespec, 2> times = {timespec{entry.accessed.first, entry.accessed.second},
                                         timespec{entry.modified.first, entry.modified.second}};
  check(::futimens(descriptor, times.data()), "times");
}

Loss loss(std::string name, const Fits& fits, const Harm& harm) {
  return {std::move(name), [=](const std::string& root, const Tree& tree, Random& random) {
            std::vector<std::string> candidates;
            for (const auto& [path, entry] : tree)
              if (!path.empty() && entry.flags == 0 && fits(path, entry))
                candidates.push_back(path);
            if (candidates.empty()) return std::optional<std::string>();
            const std::string path = random.pick(candidates);
            const Folder top(root);
            harm(top, path, tree.at(path));
            return std::optional(path);
          }};
}

bool file(const std::string& /*path*/, const Entry& entry) { return S_ISREG(entry.type); }
bool folder(const std::string& /*path*/, const Entry& entry) { return S_ISDIR(entry.type); }
bool written(const std::string& /*path*/, const Entry& entry) {
  return S_ISREG(entry.type) && entry.size > 0 && entry.holes.empty();
}

void later_by_1_ns(const Folder& root, const std::string& path, const Entry& entry) {
  const File opened(Place(root, path), O_RDONLY);
  Entry wrong = entry;
  wrong.modified.second += wrong.modified.second < 999'999'999 ? 1 : -1;
  put_times_back(opened.get(), wrong);
}

void other_owner(const Folder& root, const std::string& path, const Entry& entry) {
  const File opened(Place(root, path), O_RDONLY);
  check(::fchown(opened.get(), entry.owner == 7 ? 8 : 7, entry.group), path);
}

void other_group(const Folder& root, const std::string& path, const Entry& entry) {
  const File opened(Place(root, path), O_RDONLY);
  check(::fchown(opened.get(), entry.owner, entry.group == 7 ? 8 : 7), path);
}

void other_mode(const Folder& root, const std::string& path, const Entry& entry) {
  const File opened(Place(root, path), O_RDONLY);
  check(::fchmod(opened.get(), entry.mode ^ 01u), path);
}

void sticky(const Folder& root, const std::string& path, const Entry& entry) {
  const File opened(Place(root, path), O_RDONLY);
  check(::fchmod(opened.get(), entry.mode ^ 01000u), path);
}

void lost_attribute(const Folder& root, const std::string& path, const Entry& entry) {
  const File opened(Place(root, path), O_RDONLY);
  check(::fremovexattr(opened.get(), entry.attributes.begin()->first.c_str()), path);
}

void other_attribute(const Folder& root, const std::string& path, const Entry& entry) {
  const File opened(Place(root, path), O_RDONLY);
  std::string value = entry.attributes.at("user.note") + "!";
  check(::fsetxattr(opened.get(), "user.note", value.data(), value.size(), 0), path);
}

void lost_acl(const Folder& root, const std::string& path, const Entry& /*entry*/) {
  const File opened(Place(root, path), O_RDONLY);
  check(::fremovexattr(opened.get(), "system.posix_acl_access"), path);
}

void lost_default_acl(const Folder& root, const std::string& path, const Entry& /*entry*/) {
  const File opened(Place(root, path), O_RDONLY);
  check(::fremovexattr(opened.get(), "system.posix_acl_default"), path);
}

/// Same length, same times.
void other_byte(const Folder& root, const std::string& path, const Entry& entry) {
  const File opened(Place(root, path), O_RDWR);
  const char byte = static_cast<char>(entry.bytes.back() ^ 1);
  if (::pwrite(opened.get(), &byte, 1, entry.size - 1) != 1) check(-1, path);
  put_times_back(opened.get(), entry);
}

void shorter(const Folder& root, const std::string& path, const Entry& entry) {
  const File opened(Place(root, path), O_RDWR);
  check(::ftruncate(opened.get(), entry.size - 1), path);
  put_times_back(opened.get(), entry);
}

void filled_hole(const Folder& root, const std::string& path, const Entry& entry) {
  const File opened(Place(root, path), O_RDWR);
  std::size_t at = 0;
  while (at < entry.bytes.size()) {
    const std::string piece = entry.bytes.substr(at, 1u << 16);
    if (::pwrite(opened.get(), piece.data(), piece.size(), static_cast<off_t>(at)) !=
        static_cast<ssize_t>(piece.size()))
      check(-1, path);
    at += piece.size();
  }
  put_times_back(opened.get(), entry);
}

void made_hole(const Folder& root, const std::string& path, const Entry& entry) {
  const File opened(Place(root, path), O_RDWR);
  check(::fallocate(opened.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), path);
  put_times_back(opened.get(), entry);
}

void copy_for_link(const Folder& root, const std::string& path, const Entry& entry) {
  const Place place(root, path);
  check(::unlinkat(place.folder(), place.name(), 0), path);
  const File copy(place, O_RDWR | O_CREAT | O_EXCL);
  if (::write(copy.get(), entry.bytes.data(), entry.bytes.size()) !=
      static_cast<ssize_t>(entry.bytes.size()))
    check(-1, path);
  put_times_back(copy.get(), entry);
}

void missing(const Folder& root, const std::string& path, const Entry& /*entry*/) {
  const Place place(root, path);
  check(::unlinkat(place.folder(), place.name(), 0), path);
}

void other_name(const Folder& root, const std::string& path, const Entry& /*entry*/) {
  const Place place(root, path);
  check(::renameat(place.folder(), place.name(), place.folder(), "another name"), path);
}

void new_flag(const Folder& root, const std::string& path, const Entry& /*entry*/) {
  const File opened(Place(root, path), O_RDONLY);
  int flags = 0;
  check(::ioctl(opened.get(), FS_IOC_GETFLAGS, &flags), path);
  flags |= FS_APPEND_FL;
  check(::ioctl(opened.get(), FS_IOC_SETFLAGS, &flags), path);
}

std::vector<Loss> make_losses() {
  const auto has = [](const char* name) {
    return [=](const std::string&, const Entry& entry) { return entry.attributes.contains(name); };
  };
  const auto sparse = [](const std::string&, const Entry& entry) { return !entry.holes.empty(); };
  const auto linked = [](const std::string&, const Entry& entry) {
    return S_ISREG(entry.type) && entry.links > 1;
  };
  const auto whole_block = [](const std::string&, const Entry& entry) {
    return S_ISREG(entry.type) && entry.size >= 8192 && entry.holes.empty();
  };
  return {
      loss("modification time off by 1 ns", file, later_by_1_ns),
      loss("folder's modification time off by 1 ns", folder, later_by_1_ns),
      loss("owner", file, other_owner),
      loss("group", file, other_group),
      loss("folder's owner", folder, other_owner),
      loss("one mode bit", file, other_mode),
      loss("sticky bit", file, sticky),
      loss("folder's mode", folder, other_mode),
      loss(
          "attribute lost",
          [](const std::string&, const Entry& entry) { return !entry.attributes.empty(); },
          lost_attribute),
      loss("attribute changed", has("user.note"), other_attribute),
      loss("access list lost", has("system.posix_acl_access"), lost_acl),
      loss("default access list lost", has("system.posix_acl_default"), lost_default_acl),
      loss("one byte", written, other_byte),
      loss("one byte at the end", written, shorter),
      loss("hole filled", sparse, filled_hole),
      loss("hole made", whole_block, made_hole),
      loss("hard link parted", linked, copy_for_link),
      loss("file missing", file, missing),
      loss("file with another name", file, other_name),
      loss("append-only flag", file, new_flag),
  };
}

}  // namespace

const std::vector<Loss>& losses() {
  static const std::vector<Loss> all = make_losses();
  return all;
}

}  // namespace property
