// What only Linux has: ACLs, capabilities, holes, mounts, leases, descriptors.
#include <cerrno>
#include <cstring>
#include <functional>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "remediate/host/durable.h"
#include "tests/contract/host_worlds.h"

using namespace remediate;
using namespace remediate::contract;
using host::Access;
using host::Mounts;
using host::Privileges;

namespace {

/// One entry of the kernel's ACL format: tag, permissions, id, little-endian.
std::string acl_entry(unsigned tag, unsigned permissions, std::uint32_t id) {
  std::string entry;
  const auto append = [&](std::uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) entry += static_cast<char>(value >> (8 * i) & 0xff);
  };
  append(tag, 2);
  append(permissions, 2);
  append(id, 4);
  return entry;
}

/// u::rw- u:ID:r-- g::r-- m::rw- o::---
std::string acl_for_user(std::uint32_t id) {
  constexpr std::uint32_t nobody = 0xffffffff;
  return std::string("\x02\0\0\0", 4) + acl_entry(0x01, 6, nobody) + acl_entry(0x02, 4, id) +
         acl_entry(0x04, 4, nobody) + acl_entry(0x10, 6, nobody) + acl_entry(0x20, 0, nobody);
}

/// Runs `body` in a child process with a mount namespace of its own; what it returns is
/// the complaint of a failed check. Nothing when namespaces are not permitted.
std::optional<std::string> in_own_mounts(const std::function<std::string()>& body) {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::string said = "permitted:";
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      said = "not permitted: " + std::string(std::strerror(errno));
    } else {
      said += body();
    }
    const bool sent =
        ::write(ends[1], said.data(), said.size()) == static_cast<ssize_t>(said.size());
    ::_exit(sent ? 0 : 1);
  }
  ::close(ends[1]);
  std::string said(4096, '\0');
  const ssize_t length = ::read(ends[0], said.data(), said.size());
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  REQUIRE(length > 0);
  said.resize(static_cast<std::size_t>(length));
  constexpr std::string_view permitted = "permitted:";
  if (said.starts_with(permitted)) return said.substr(permitted.size());
  WARN("mounts are not covered: " << said);
  return std::nullopt;
}

}  // namespace

TEMPLATE_TEST_CASE("ACLs are recorded, restored, and removed when they were not there",
                   "[host][linux]", KernelWorld, StepwiseWorld) {
  TestType world;
  const host::Directory& root = world.root();
  make_file(root, "with", "x");
  make_file(root, "without", "x");
  const std::string acl = acl_for_user(4711);
  const std::string whole = world.root_path() + "/with";
  if (::setxattr(whole.c_str(), "system.posix_acl_access", acl.data(), acl.size(), 0) != 0) {
    WARN("this file system has no ACLs: " << std::strerror(errno));
    return;
  }
  const Metadata with = must(must(root.open_file("with", Access::read))->metadata());
  REQUIRE(with.attributes.size() == 1);
  CHECK(with.attributes[0].name == "system.posix_acl_access");
  CHECK(with.attributes[0].value == acl);
  CHECK((with.stat.mode & 070) == 060);  // the mask
  const auto other = must(root.open_file("without", Access::read));
  const Metadata without = must(other->metadata());
  CHECK(must(other->restore_metadata(with, Privileges::strip)).empty());
  CHECK(metadata_differences(with, must(other->metadata())).empty());
  CHECK(must(other->restore_metadata(without, Privileges::strip)).empty());
  CHECK(metadata_differences(without, must(other->metadata())).empty());
  CHECK(must(other->metadata()).attributes.empty());
}

TEMPLATE_TEST_CASE("what cannot be set is said, and the rest is set", "[host][linux]", KernelWorld,
                   StepwiseWorld) {
  TestType world;
  const auto file = must(world.root().create_file("f", 0600));
  Metadata wanted = must(file->metadata());
  wanted.stat.mode = 0640;
  wanted.stat.modified = {.seconds = 77, .nanoseconds = 0};
  wanted.attributes.push_back({"nonsense.name", "x"});
  const auto missing = must(file->restore_metadata(wanted, Privileges::strip));
  REQUIRE(missing.size() == 1);
  CHECK_THAT(missing[0], Catch::StartsWith("attribute nonsense.name: operation not supported"));
  CHECK(must(file->stat()).mode == 0640);
  CHECK(must(file->stat()).modified.seconds == 77);
}

TEMPLATE_TEST_CASE("attributes of more than 1 MiB are a limit, not a short list", "[host][linux]",
                   KernelWorld) {
  TestType world;
  make_folder(world.root(), "small");
  const std::string base = world.root_path() + "/small";
  const auto complaint = in_own_mounts([&]() -> std::string {
    if (::mount("tmpfs", base.c_str(), "tmpfs", 0, "size=8m") != 0) {
      return "cannot mount: " + std::string(std::strerror(errno));
    }
    auto root = world.host().open_root(base);
    if (!root) return root.error().text();
    auto file = (*root)->create_file("f", 0600);
    if (!file) return file.error().text();
    const std::string value(60'000, 'v');
    for (int set = 1; set <= 20; ++set) {
      const std::string name = "trusted.a" + std::to_string(set);
      if (::setxattr((base + "/f").c_str(), name.c_str(), value.data(), value.size(), 0) != 0) {
        return "cannot set " + name + ": " + std::strerror(errno);
      }
      auto metadata = (*file)->metadata();
      if (set <= 17 && !metadata) return metadata.error().text();
      if (set <= 17 && metadata->attributes.size() != static_cast<std::size_t>(set)) {
        return "attributes are missing";
      }
      if (set > 17 && metadata) return "1 MiB was exceeded";
      if (set > 17 && metadata.error().code != Code::limit) return metadata.error().text();
    }
    return "";
  });
  if (complaint) CHECK(*complaint == "");
}

TEMPLATE_TEST_CASE("holes are recorded", "[host][linux]", KernelWorld) {
  TestType world;
  const auto file = must(world.root().create_file("f", 0600));
  constexpr std::uint64_t step = 1u << 20;
  must(file->write_at(step, std::string(8192, 'a')));
  must(file->write_at(5 * step, std::string(4096, 'b')));
  must(file->truncate(8 * step));
  must(file->sync());
  const Metadata metadata = must(file->metadata());
  REQUIRE(metadata.stat.size == 8 * step);
  if (metadata.stat.allocated >= metadata.stat.size) {
    WARN("this file system stores holes");
    return;
  }
  CHECK(metadata.sparse);
  CHECK(metadata.extents == std::vector<DataExtent>{{step, 8192}, {5 * step, 4096}});
  must(file->truncate(0));
  must(file->truncate(step));
  CHECK(must(file->metadata()).sparse);
  CHECK(must(file->metadata()).extents.empty());
  must(file->truncate(0));
  must(file->write_at(0, "dense"));
  must(file->sync());
  CHECK_FALSE(must(file->metadata()).sparse);
}

TEMPLATE_TEST_CASE("reading leaves the access time alone", "[host][linux]", KernelWorld,
                   StepwiseWorld) {
  TestType world;
  make_file(world.root(), "f", "bytes");
  const auto folder = make_folder(world.root(), "d");
  const Timestamp old{.seconds = 1'000, .nanoseconds = 0};  // older than mtime: relatime would act
  must(must(world.root().open_file("f", Access::read))
           ->set_times(old, {.seconds = 2'000, .nanoseconds = 0}));
  must(folder->set_times(old, {.seconds = 2'000, .nanoseconds = 0}));
  CHECK(read_file(world.root(), "f") == "bytes");
  must(folder->each_entry([](std::string_view, FileKind) { return true; }));
  CHECK(must(world.root().stat_entry("f")).accessed == old);
  CHECK(must(world.root().stat_entry("d")).accessed == old);
}

TEMPLATE_TEST_CASE("another process's lease delays opening by a second at most", "[host][linux]",
                   KernelWorld, StepwiseWorld) {
  TestType world;
  make_file(world.root(), "shell.php", "x");
  const std::string whole = world.root_path() + "/shell.php";
  int ready[2];
  REQUIRE(::pipe2(ready, O_CLOEXEC) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {  // holds on to the lease whatever the kernel asks
    const int fd = ::open(whole.c_str(), O_RDONLY | O_CLOEXEC);
    const bool leased = ::fcntl(fd, F_SETSIG, SIGURG) == 0 && ::fcntl(fd, F_SETLEASE, F_WRLCK) == 0;
    const char said = leased ? 'y' : 'n';
    if (::write(ready[1], &said, 1) == 1) ::sleep(20);
    ::_exit(0);
  }
  char said = 0;
  REQUIRE(::read(ready[0], &said, 1) == 1);
  const auto start = std::chrono::steady_clock::now();
  const auto opened = world.root().open_file("shell.php", Access::read);
  const auto took = std::chrono::steady_clock::now() - start;
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  if (said != 'y') {
    WARN("no leases here");
    return;
  }
  REQUIRE(code_of(opened) == Code::busy);
  CHECK(took < std::chrono::seconds(3));
  CHECK(read_file(world.root(), "shell.php") == "x");
}

TEMPLATE_TEST_CASE("the two ways to learn a mount id agree", "[host][linux]", KernelWorld) {
  TestType world;
  const int fd = ::open(world.root_path().c_str(), O_PATH | O_CLOEXEC);
  REQUIRE(fd >= 0);
  CHECK(must(host::posix::mount_id_from_proc(fd, "root")) == must(world.root().stat()).id.mount);
  ::close(fd);
  CHECK(code_of(host::posix::mount_id_from_proc(fd, "closed")) == Code::unsupported);
}

TEMPLATE_TEST_CASE("a bind mount in the tree is another mount", "[host][linux]", KernelWorld,
                   StepwiseWorld) {
  TestType world;
  const auto target = make_folder(world.root(), "target");
  make_folder(*target, "inner");
  make_file(*target, "secret", "secret");
  const auto web = make_folder(world.root(), "web");
  make_folder(*web, "bound");
  make_file(*web, "file", "covered");
  make_file(*web, "plain", "plain");
  const std::string base = world.root_path();
  const auto complaint = in_own_mounts([&]() -> std::string {
    if (::mount((base + "/target").c_str(), (base + "/web/bound").c_str(), nullptr, MS_BIND,
                nullptr) != 0 ||
        ::mount((base + "/target/secret").c_str(), (base + "/web/file").c_str(), nullptr, MS_BIND,
                nullptr) != 0) {
      return "cannot mount: " + std::string(std::strerror(errno));
    }
    auto root = world.host().open_root(base);
    if (!root) return root.error().text();
    const auto here = (*root)->stat();
    auto stay = (*root)->open_directory(path("web/bound"), Mounts::stay);
    if (stay || stay.error().code != Code::refused) return "bound was opened";
    if (stay.error().message.find("mounted") == std::string::npos) return stay.error().text();
    stay = (*root)->open_directory(path("web/bound/inner"), Mounts::stay);
    if (stay || stay.error().code != Code::refused) return "below bound was opened";
    auto across = (*root)->open_directory(path("web/bound"), Mounts::cross);
    if (!across) return across.error().text();
    const auto there = (*across)->stat();
    if (!here || !there) return "no stat";
    if (here->id.device != there->id.device) return "a bind mount changed the device";
    if (here->id.mount == there->id.mount) return "a bind mount kept the mount id";
    auto folder = (*root)->open_directory(path("web"), Mounts::stay);
    if (!folder) return folder.error().text();
    auto file = (*folder)->open_file("file", Access::read);
    if (file || file.error().code != Code::refused) return "a file with a mount on it was opened";
    auto moved = (*folder)->rename("plain", **across, "plain");
    if (moved || moved.error().code != Code::unsupported) return "rename went across mounts";
    if (moved.error().message.find("web/bound") == std::string::npos) return moved.error().text();
    auto swapped = (*folder)->exchange("plain", **across, "secret");
    if (swapped || swapped.error().code != Code::unsupported) return "exchange across mounts";
    auto inner = (*across)->open_directory(path("inner"), Mounts::stay);
    if (!inner) return inner.error().text();
    auto top = (*inner)->mount_top();
    if (!top) return top.error().text();
    if (!(*top)->stat() || (*top)->stat()->id != there->id) return "wrong top of the mount";
    auto read_only = ::mount(nullptr, (base + "/web/bound").c_str(), nullptr,
                             MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr);
    if (read_only != 0) return "cannot remount: " + std::string(std::strerror(errno));
    auto writable = (*across)->writable_mount();
    if (!writable || *writable) return "a read-only mount counts as writable";
    auto created = (*across)->create_file("x", 0600);
    if (created || created.error().code != Code::read_only) return "created on read-only";
    return "";
  });
  if (complaint) CHECK(*complaint == "");
}

TEMPLATE_TEST_CASE("a full file system is no_space", "[host][linux]", KernelWorld) {
  TestType world;
  make_folder(world.root(), "small");
  const std::string base = world.root_path() + "/small";
  const auto complaint = in_own_mounts([&]() -> std::string {
    if (::mount("tmpfs", base.c_str(), "tmpfs", 0, "size=64k") != 0) {
      return "cannot mount: " + std::string(std::strerror(errno));
    }
    auto root = world.host().open_root(base);
    if (!root) return root.error().text();
    auto type = (*root)->filesystem_type();
    if (!type || *type != "tmpfs") return "the type of a tmpfs is " + type.value_or("an error");
    auto space = (*root)->space();
    if (!space || space->free_bytes > 65'536) return "wrong space";
    auto file = (*root)->create_file("f", 0600);
    if (!file) return file.error().text();
    auto written = (*file)->write_at(0, std::string(100'000, 'x'));
    if (written || written.error().code != Code::no_space) return "write_at: no no_space";
    auto reserved = (*file)->reserve(1'000'000);
    if (reserved || reserved.error().code != Code::no_space) return "reserve: no no_space";
    auto durable = host::write_durable(**root, "g", std::string(100'000, 'x'));
    if (durable || durable.error().code != Code::no_space) return "write_durable: no no_space";
    if ((*root)->stat_entry("g")) return "half a file got its name";
    return "";
  });
  if (complaint) CHECK(*complaint == "");
}

TEMPLATE_TEST_CASE("no handle is inherited by a program", "[host][linux]", KernelWorld,
                   StepwiseWorld) {
  TestType world;
  make_folder(world.root(), "d");
  const auto folder = must(world.root().open_directory(path("d"), Mounts::stay));
  const auto file = must(folder->create_file("f", 0600));
  const auto again = must(folder->open_file("f", Access::read));
  const auto unnamed = must(folder->create_unnamed(0600));
  const auto lock = must(folder->lock("l"));
  int open = 0;
  for (int fd = 3; fd < 256; ++fd) {
    char target[512] = {};
    const std::string name = "/proc/self/fd/" + std::to_string(fd);
    if (::readlink(name.c_str(), target, sizeof target - 1) <= 0) continue;
    if (!std::string_view(target).starts_with(world.root_path())) continue;
    ++open;
    CAPTURE(target);
    CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  }
  CHECK(open >= 6);
}
