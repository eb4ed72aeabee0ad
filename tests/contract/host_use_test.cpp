// Which files are run: the same promises for the running system and for the host in memory.
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/contract/host_worlds.h"

using namespace remediate;
using namespace remediate::contract;

namespace {

const host::FileInUse* find(const host::FilesInUse& use, const FileId& id) {
  const auto found = std::ranges::find_if(use.files, [&](const host::FileInUse& file) {
    return file.id.device == id.device && file.id.inode == id.inode;
  });
  return found == use.files.end() ? nullptr : &*found;
}

/// A process that runs a program made for it; ended by the destructor.
template <class World>
class Program {
 public:
  Program(World& world, const std::string& name) : path_(world.root_path() + "/" + name) {
    std::filesystem::copy_file("/bin/sleep", path_);
    REQUIRE(::chmod(path_.c_str(), 0755) == 0);
  }
  ~Program() { end(); }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  std::uint64_t start() {
    std::string name = "sleep", seconds = "60";
    char* const arguments[] = {name.data(), seconds.data(), nullptr};
    REQUIRE(::posix_spawn(&process_, path_.c_str(), nullptr, nullptr, arguments, nullptr) == 0);
    return static_cast<std::uint64_t>(process_);
  }
  void end() {
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
    }
    process_ = 0;
  }
  /// This process loads it as code, or only reads it through memory.
  void load(int protection) {
    const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    CHECK(::mmap(nullptr, 4096, protection, MAP_PRIVATE, fd, 0) != MAP_FAILED);
    ::close(fd);
  }

 private:
  std::string path_;
  pid_t process_ = 0;
};

template <>
class Program<MemoryWorld> {
 public:
  Program(MemoryWorld& world, const std::string& name)
      : host_(world.host()), path_("/world/" + name) {
    make_file(world.root(), name, "program");
  }
  std::uint64_t start() {
    must(host_.run_file(path_, 77, "sleep"));
    return 77;
  }
  void end() { host_.end_process(77); }
  void load(int protection) {
    if ((protection & PROT_EXEC) != 0) must(host_.run_file(path_, 1, "self"));
  }

 private:
  host::MemoryHost& host_;
  std::string path_;
};

}  // namespace

TEMPLATE_TEST_CASE("a program is in use from its start to its end", "[host][use]", KernelWorld,
                   MemoryWorld) {
  TestType world;
  make_file(world.root(), "idle", "program");
  Program<TestType> program(world, "program");
  const FileId id = must(world.root().stat_entry("program")).id;
  const FileId idle = must(world.root().stat_entry("idle")).id;
  CHECK(find(must(world.host().files_in_use()), id) == nullptr);

  const std::uint64_t process = program.start();
  // A new process is this program for a moment before it becomes the other one.
  const host::FileInUse* found = nullptr;
  host::FilesInUse use;
  for (int tries = 0; found == nullptr && tries < 1000; ++tries) {
    use = must(world.host().files_in_use());
    found = find(use, id);
  }
  REQUIRE(found != nullptr);
  CHECK(found->process == process);
  CHECK_FALSE(found->name.empty());
  CHECK(find(use, idle) == nullptr);
  CHECK(use.own_process != process);
  CHECK(use.processes >= 2);
  CHECK_FALSE(use.cut_off);

  program.end();
  CHECK(find(must(world.host().files_in_use()), id) == nullptr);
}

TEMPLATE_TEST_CASE("what is loaded as code is in use, what is only read is not", "[host][use]",
                   KernelWorld, MemoryWorld) {
  TestType world;
  Program<TestType> library(world, "library");
  Program<TestType> text(world, "text");
  library.load(PROT_READ | PROT_EXEC);
  text.load(PROT_READ);
  const host::FilesInUse use = must(world.host().files_in_use());
  const host::FileInUse* loaded = find(use, must(world.root().stat_entry("library")).id);
  REQUIRE(loaded != nullptr);
  CHECK(loaded->process == use.own_process);
  CHECK(find(use, must(world.root().stat_entry("text")).id) == nullptr);
}

TEST_CASE("this process and its libraries come first", "[host][use][linux]") {
  KernelWorld world;
  const host::FilesInUse use = must(world.host().files_in_use());
  CHECK(use.own_process == static_cast<std::uint64_t>(::getpid()));
  struct stat self = {};
  REQUIRE(::stat("/proc/self/exe", &self) == 0);
  REQUIRE_FALSE(use.files.empty());
  CHECK(use.files.front().id.device == self.st_dev);
  CHECK(use.files.front().id.inode == self.st_ino);
  CHECK(std::ranges::count(use.files, use.own_process, &host::FileInUse::process) >= 3);
}

TEST_CASE("processes of others that this user may not look into are counted",
          "[host][use][linux]") {
  if (::geteuid() != 0) return;
  KernelWorld world;
  // A kernel may keep single processes from the superuser too.
  const host::FilesInUse all = must(world.host().files_in_use());
  CHECK(all.unread < all.processes);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {  // the test's own parents belong to the superuser
    if (::setresuid(65534, 65534, 65534) != 0) ::_exit(2);
    const auto use = world.host().files_in_use();
    ::_exit(use && use->unread > all.unread ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

TEST_CASE("processes hidden in memory are counted", "[host][use][memory]") {
  MemoryWorld world;
  world.host().hide_processes(3);
  CHECK(must(world.host().files_in_use()).unread == 3);
  CHECK(must(world.host().files_in_use()).unread_first.size() == 3);
}
