#include "folder.h"

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "tree_reader.h"

namespace property {

void check(int result, std::string_view what) {
  if (result != 0) throw std::runtime_error(escaped(what) + ": " + std::strerror(errno));
}

Folder::Folder(const std::string& root)
    : descriptor_(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (descriptor_ < 0) check(-1, root);
}

Folder::Folder(Folder&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

Folder::~Folder() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Folder Folder::open(std::string_view path) const {
  int here = ::openat(descriptor_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (here < 0) check(-1, ".");
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string name(path.substr(0, slash));
    path = slash == std::string_view::npos ? "" : path.substr(slash + 1);
    const int below = ::openat(here, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    const int number = errno;
    ::close(here);
    errno = number;
    if (below < 0) check(-1, name);
    here = below;
  }
  return Folder(here);
}

Place::Place(const Folder& root, std::string_view path)
    : folder_(root.open(parent_of(path))),
      name_(path.empty() ? "." : path.substr(path.rfind('/') + 1)) {}

File::File(const Place& place, int flags, unsigned mode)
    : descriptor_(::openat(place.folder(), place.name(), flags | O_NOFOLLOW | O_CLOEXEC, mode)) {
  if (descriptor_ < 0) check(-1, place.name());
}

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace property
