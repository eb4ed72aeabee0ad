#include "tests/contract/host_worlds.h"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "remediate/host/durable.h"

namespace remediate::contract {

TemporaryFolder::TemporaryFolder() {
  std::string pattern =
      (std::filesystem::temp_directory_path() / "remediate-contract-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    FAIL("mkdtemp: " << std::generic_category().message(errno));
  }
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

template <host::posix::Resolution resolution>
PosixWorld<resolution>::PosixWorld() : root_(must(host_.open_root(folder_.path()))) {}

template <host::posix::Resolution resolution>
void PosixWorld<resolution>::plant_link(const std::string& path, const std::string& target) {
  REQUIRE(::symlink(target.c_str(), (folder_.path() + "/" + path).c_str()) == 0);
}

template <host::posix::Resolution resolution>
bool PosixWorld<resolution>::plant(const std::string& path, FileKind kind) {
  const std::string whole = folder_.path() + "/" + path;
  switch (kind) {
    case FileKind::fifo:
      return ::mkfifo(whole.c_str(), 0666) == 0;
    case FileKind::char_device:
      return ::mknod(whole.c_str(), S_IFCHR | 0666, makedev(4, 64)) == 0;
    case FileKind::block_device:
      return ::mknod(whole.c_str(), S_IFBLK | 0666, makedev(2, 0)) == 0;
    case FileKind::socket: {
      const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      if (whole.size() >= sizeof address.sun_path) return false;
      whole.copy(address.sun_path, whole.size());
      const void* raw = &address;
      const int bound = ::bind(fd, static_cast<const sockaddr*>(raw), sizeof address);
      ::close(fd);
      return bound == 0;
    }
    default:
      return false;
  }
}

template class PosixWorld<host::posix::Resolution::kernel>;
template class PosixWorld<host::posix::Resolution::stepwise>;

MemoryWorld::MemoryWorld() : root_(must(host_.make_root("/world"))) {}

void MemoryWorld::plant_link(const std::string& path, const std::string& target) {
  must(host_.plant("/world/" + path, FileKind::symlink, target));
}

bool MemoryWorld::plant(const std::string& path, FileKind kind) {
  must(host_.plant("/world/" + path, kind));
  return true;
}

void make_file(const host::Directory& directory, std::string_view name, std::string_view bytes) {
  must(must(directory.create_file(name, 0644))->write_at(0, bytes));
}

std::string read_file(const host::Directory& directory, std::string_view name) {
  return must(host::read_whole(directory, name, 1u << 20));
}

std::unique_ptr<host::Directory> make_folder(const host::Directory& directory,
                                             std::string_view name) {
  must(directory.make_directory(name, 0755));
  return must(directory.open_directory(path(name), host::Mounts::stay));
}

RawPath path(std::string_view joined) { return must(RawPath::parse(joined)); }

}  // namespace remediate::contract
