// What a confined process can no longer do. Every attempt is made in a child of its own, first
// without walls, where it has to succeed: an attempt that fails anyway would show nothing.
#include <csignal>
#include <functional>
#include <iostream>
#include <set>
#include <thread>

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "remediate/host/confine.h"
#include "remediate/host/durable.h"
#include "remediate/host/posix/walls.h"
#include "tests/contract/host_worlds.h"

using namespace remediate;
using namespace remediate::contract;

namespace {

enum End : int { happened = 0, denied = 1, not_walled = 2, ended = 3 };

/// How `body` ends in a child process.
End in_child(const std::function<End()>& body) {
  std::cout.flush();
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    for (const int number : {SIGSEGV, SIGABRT, SIGSYS}) ::signal(number, SIG_DFL);
    ::_exit(body());
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  if (WIFSIGNALED(status)) return WTERMSIG(status) == SIGSYS ? ended : not_walled;
  return static_cast<End>(WEXITSTATUS(status));
}

using Walls = std::function<bool()>;
using Attempt = std::function<bool()>;
struct Attack {
  std::string name;
  Attempt attempt;
  bool by_path = true;  // Landlock alone has to deny it
};

bool full_walls() {
  const auto walls = host::confine();
  return walls && walls->missing.empty();
}
bool no_walls() { return true; }
bool landlock_only() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
  const auto lacking = host::posix::forbid_file_changes();
  return lacking && !*lacking;
}
bool filter_only() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
  const auto lacking = host::posix::limit_system_calls(false);
  return lacking && !*lacking;
}
bool kernel_has_landlock() { return ::syscall(SYS_landlock_create_ruleset, nullptr, 0, 1) >= 1; }
#define NEEDS_LANDLOCK()                          \
  if (!kernel_has_landlock()) {                   \
    WARN("skipped: this kernel has no Landlock"); \
    return;                                       \
  }

/// A fresh place and what an attacker would try there.
class Scene {
 public:
  Scene() {
    write("victim", "content");
    write("other", "content");
    REQUIRE(::mkdir(path("folder").c_str(), 0700) == 0);
  }
  [[nodiscard]] std::string path(const std::string& name) const {
    return folder_.path() + "/" + name;
  }
  [[nodiscard]] std::vector<Attack> attacks() const;

 private:
  void write(const std::string& name, const std::string& text) {
    const int fd = ::open(path(name).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0);
    REQUIRE(::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    ::close(fd);
  }
  TemporaryFolder folder_;
};

long openat2_for(const std::string& path, std::uint64_t flags, std::uint64_t mode) {
  struct open_how how = {};
  how.flags = flags;
  how.mode = mode;
  return ::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how);
}

std::vector<Attack> Scene::attacks() const {
  const std::string victim = path("victim");
  const std::string other = path("other");
  const std::string fresh = path("fresh");
  const std::string folder = path("folder");
  const pid_t outside = ::getpid();
  const auto open = [](const std::string& file, int flags) {
    return [=] { return ::open(file.c_str(), flags | O_CLOEXEC, 0600) >= 0; };
  };
  std::vector<Attack> attacks{
      {"open for writing", open(victim, O_WRONLY)},
      {"open for both", open(victim, O_RDWR)},
      {"open and cut", open(victim, O_RDONLY | O_TRUNC)},
      {"open a new file", open(fresh, O_RDONLY | O_CREAT)},
      {"unnamed file", open(folder, O_TMPFILE | O_RDWR)},
      {"creat", [=] { return ::syscall(SYS_creat, fresh.c_str(), 0600) >= 0; }},
      {"open by the old call",
       [=] { return ::syscall(SYS_open, victim.c_str(), O_WRONLY, 0) >= 0; }},
      {"openat2 for writing", [=] { return openat2_for(victim, O_WRONLY, 0) >= 0; }},
      {"openat2 of a new file", [=] { return openat2_for(fresh, O_RDONLY | O_CREAT, 0600) >= 0; }},
      {"unlink", [=] { return ::unlink(victim.c_str()) == 0; }},
      {"unlinkat", [=] { return ::unlinkat(AT_FDCWD, victim.c_str(), 0) == 0; }},
      {"rmdir", [=] { return ::rmdir(folder.c_str()) == 0; }},
      {"rename", [=] { return ::rename(victim.c_str(), fresh.c_str()) == 0; }},
      {"exchange",
       [=] {
         return ::renameat2(AT_FDCWD, victim.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE) ==
                0;
       }},
      {"link", [=] { return ::link(victim.c_str(), fresh.c_str()) == 0; }},
      {"symlink", [=] { return ::symlink("x", fresh.c_str()) == 0; }},
      {"mkdir", [=] { return ::mkdir(fresh.c_str(), 0700) == 0; }},
      {"mkfifo", [=] { return ::mkfifo(fresh.c_str(), 0600) == 0; }},
      {"run a program",
       [] {
         const pid_t child = static_cast<pid_t>(
             ::syscall(SYS_clone, SIGCHLD | CLONE_VFORK, nullptr, nullptr, nullptr, nullptr));
         if (child == 0) {
           const char* words[] = {"true", nullptr};
           const char* none[] = {nullptr};
           ::execve("/bin/true", const_cast<char**>(words), const_cast<char**>(none));
           ::_exit(1);
         }
         int status = 0;
         return child > 0 && ::waitpid(child, &status, 0) == child && status == 0;
       }},
      {"truncate", [=] { return ::truncate(victim.c_str(), 0) == 0; }},
      {"chmod", [=] { return ::chmod(victim.c_str(), 0777) == 0; }, false},
      {"fchmod", [=] { return ::fchmod(::open(victim.c_str(), O_RDONLY | O_CLOEXEC), 0777) == 0; },
       false},
      {"chown", [=] { return ::chown(victim.c_str(), ::getuid(), ::getgid()) == 0; }, false},
      {"times", [=] { return ::utimensat(AT_FDCWD, victim.c_str(), nullptr, 0) == 0; }, false},
      {"attribute", [=] { return ::setxattr(victim.c_str(), "user.planted", "1", 1, 0) == 0; },
       false},
      {"file flags",
       [=] {
         const int fd = ::open(victim.c_str(), O_RDONLY | O_CLOEXEC);
         int bits = 0;
         return ::ioctl(fd, FS_IOC_GETFLAGS, &bits) == 0 &&
                ::ioctl(fd, FS_IOC_SETFLAGS, &bits) == 0;
       },
       false},
      {"fork",
       [] {
         const pid_t child = ::fork();
         if (child == 0) ::_exit(0);
         int status = 0;
         return child > 0 && ::waitpid(child, &status, 0) == child;
       },
       false},
      {"vfork by number",
       [] {
         const long child = ::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr);
         if (child == 0) ::_exit(0);
         return child > 0;
       },
       false},
      {"local socket", [] { return ::socket(AF_UNIX, SOCK_STREAM, 0) >= 0; }, false},
      {"internet socket", [] { return ::socket(AF_INET, SOCK_STREAM, 0) >= 0; }, false},
      {"socket pair",
       [] {
         int ends[2];
         return ::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0;
       },
       false},
      {"be traced", [] { return ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0; }, false},
      {"memory of another",
       [=] {
         char byte = 0;
         static const char there = 'x';
         const iovec mine{.iov_base = &byte, .iov_len = 1};
         const iovec theirs{.iov_base = const_cast<char*>(&there), .iov_len = 1};
         return ::process_vm_readv(outside, &mine, 1, &theirs, 1, 0) == 1;
       },
       false},
      {"signal another", [=] { return ::kill(outside, 0) == 0; }, false},
      {"signal another by thread", [=] { return ::syscall(SYS_tgkill, outside, outside, 0) == 0; },
       false},
      {"code made at run time",
       [] {
         return ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
       },
       false},
      {"user namespace", [] { return ::unshare(CLONE_NEWUSER) == 0; }, false}};
  if (::geteuid() == 0) {
    attacks.push_back({"mount", [=] {
                         return ::unshare(CLONE_NEWNS) == 0 &&
                                ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
                       }});
    attacks.back().by_path = false;
    attacks.push_back(
        {"device", [=] { return ::mknod(fresh.c_str(), S_IFCHR | 0600, makedev(1, 3)) == 0; }});
    attacks.push_back({"root", [=] { return ::chroot(folder.c_str()) == 0; }, false});
    attacks.push_back({"another user", [] { return ::setuid(65534) == 0; }, false});
  }
  return attacks;
}

/// The names of the attacks that get through `walls`; each on a fresh scene.
std::set<std::string> getting_through(const Walls& walls, bool only_by_path = false) {
  std::set<std::string> through;
  const std::size_t count = Scene().attacks().size();
  for (std::size_t index = 0; index < count; ++index) {
    const Scene scene;
    const Attack attack = scene.attacks()[index];
    if (only_by_path && !attack.by_path) continue;
    const End end = in_child([&] {
      if (!walls()) return not_walled;
      return attack.attempt() ? happened : denied;
    });
    INFO(attack.name);
    CHECK(end != not_walled);
    if (end == happened) through.insert(attack.name);
  }
  return through;
}

/// Tells the calls of this process that they do not exist.
bool without(const std::vector<std::pair<const char*, int>>& calls) {
  const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  for (const auto& [name, number] : calls) {
    const std::uint32_t action = SCMP_ACT_ERRNO(static_cast<std::uint32_t>(number));
    const int call = seccomp_syscall_resolve_name(name);
    // prctl has other uses, so only that one is gone.
    const scmp_arg_cmp filtering{0, SCMP_CMP_EQ, PR_SET_SECCOMP, 0};
    const unsigned conditions = std::string_view(name) == "prctl" ? 1 : 0;
    const int rc = seccomp_rule_add_array(filter, action, call, conditions, &filtering);
    if (rc != 0) return false;
  }
  const bool loaded = seccomp_load(filter) == 0;
  seccomp_release(filter);
  return loaded;
}

/// Reads through the seam as a scan does: open, list, read, attributes; also from a thread.
bool reads(const Scene& scene, host::posix::Resolution resolution) {
  host::posix::PosixHost host(resolution);
  bool good = false;
  std::thread worker([&] {
    const auto root = host.open_root(scene.path("."));
    if (!root) return;
    const auto text = host::read_whole(**root, "victim", 100);
    const auto below = RawPath::parse("folder");
    const auto folder = (*root)->open_directory(*below, host::Mounts::stay);
    const auto stat = (*root)->stat_entry("other");
    good = text && *text == "content" && folder && stat && stat->size == 7 &&
           !host.identity().host_name.empty();
  });
  worker.join();
  return good;
}

}  // namespace

TEST_CASE("without walls every attack happens", "[confine]") {
  const std::size_t count = Scene().attacks().size();
  const std::set<std::string> through = getting_through(no_walls);
  std::set<std::string> missing;
  for (const Attack& attack : Scene().attacks())
    if (!through.contains(attack.name)) missing.insert(attack.name);
  // Kernels and containers may forbid these to anybody.
  for (const char* optional : {"user namespace", "mount", "device", "root", "attribute",
                               "memory of another", "file flags", "unnamed file"})
    missing.erase(optional);
  CHECK(missing == std::set<std::string>{});
  std::cout << "confine: " << count << " attacks, " << through.size() << " happen without walls\n";
}

TEST_CASE("a confined process can do none of it", "[confine]") {
  NEEDS_LANDLOCK();
  CHECK(getting_through(full_walls) == std::set<std::string>{});
}

TEST_CASE("each wall holds alone", "[confine]") {
  SECTION("Landlock, for what has a path") {
    NEEDS_LANDLOCK();
    CHECK(getting_through(landlock_only, true) == std::set<std::string>{});
  }
  SECTION("the filter") { CHECK(getting_through(filter_only) == std::set<std::string>{}); }
}

TEST_CASE("a forbidden call ends the process, it is not merely refused", "[confine]") {
  const Scene scene;
  for (const Attack& attack : scene.attacks()) {
    INFO(attack.name);
    const End end = in_child([&] {
      if (!filter_only()) return not_walled;
      return attack.attempt() ? happened : denied;
    });
    const bool hidden = attack.name.starts_with("openat2") ||
                        attack.name == "signal another by thread" ||
                        attack.name == "code made at run time";
    CHECK(end == (hidden ? denied : ended));
  }
}

TEST_CASE("a confined process reads, also in threads", "[confine]") {
  const Scene scene;
  using host::posix::Resolution;
  for (const Resolution resolution : {Resolution::kernel, Resolution::stepwise}) {
    for (const Walls& walls :
         {Walls(filter_only), Walls([] { return host::confine().has_value(); })})
      CHECK(in_child([&] {
              if (!walls()) return not_walled;
              return reads(scene, resolution) ? happened : denied;
            }) == happened);
  }
}

TEST_CASE("a thread of a confined process is confined", "[confine]") {
  const Scene scene;
  CHECK(in_child([&] {
          const auto walls = host::confine();
          if (!walls) return not_walled;
          bool done = false;
          std::thread([&] { done = ::unlink(scene.path("victim").c_str()) == 0; }).join();
          return done ? happened : denied;
        }) == ended);
}

TEST_CASE("a process with threads is not confined by half", "[confine]") {
  CHECK(in_child([] {
          std::atomic<bool> stop = false;
          std::thread other([&] {
            while (!stop) std::this_thread::yield();
          });
          const auto walls = host::confine();
          stop = true;
          other.join();
          return !walls && walls.error().code == Code::internal ? denied : happened;
        }) == denied);
}

TEST_CASE("a kernel without a wall is told, and the other wall stands", "[confine]") {
  const auto missing_then_unlink = [](const std::vector<std::pair<const char*, int>>& calls,
                                      const std::string& named) {
    const Scene scene;
    return in_child([&] {
      if (!without(calls)) return not_walled;
      const auto walls = host::confine();
      if (!walls || walls->missing.size() != 1 ||
          walls->missing[0].find(named) == std::string::npos)
        return not_walled;
      return ::unlink(scene.path("victim").c_str()) == 0 ? happened : denied;
    });
  };
  SECTION("Landlock") {
    CHECK(missing_then_unlink({{"landlock_create_ruleset", ENOSYS}}, "Landlock") == ended);
    CHECK(missing_then_unlink({{"landlock_create_ruleset", EOPNOTSUPP}}, "Landlock") == ended);
  }
  SECTION("seccomp") {
    NEEDS_LANDLOCK();
    CHECK(missing_then_unlink({{"seccomp", EINVAL}, {"prctl", EINVAL}}, "filter") == denied);
  }
}

TEST_CASE("confined work hands out its product", "[confine]") {
  std::string large(1u << 20, '\0');
  large[77] = 'x';
  const auto product = host::run_confined([&](const host::Confinement&) {
    return host::Product{.code = 65, .outputs = {"text", std::nullopt, "", large}};
  });
  REQUIRE(product);
  CHECK(product->code == 65);
  REQUIRE(product->outputs.size() == 4);
  CHECK(product->outputs[0] == "text");
  CHECK(!product->outputs[1]);
  CHECK(product->outputs[2] == "");
  CHECK(product->outputs[3] == large);
  // The process that asked is as free as before.
  const Scene scene;
  CHECK(::unlink(scene.path("victim").c_str()) == 0);
}

TEST_CASE("confined work that is taken over has no product", "[confine]") {
  const Scene scene;
  const auto run = [](const std::function<void()>& act) {
    return host::run_confined([&](const host::Confinement&) {
      act();
      return host::Product{.code = 0, .outputs = {"clean"}};
    });
  };
  SECTION("a forbidden call") {
    const auto product = run([&] { (void)::unlink(scene.path("victim").c_str()); });
    REQUIRE(!product);
    CHECK(product.error().code == Code::refused);
    CHECK(product.error().message.find("forbidden") != std::string::npos);
    CHECK(::access(scene.path("victim").c_str(), F_OK) == 0);
  }
  SECTION("a crash") {
    const auto product = run([] {
      ::signal(SIGABRT, SIG_DFL);
      std::abort();
    });
    REQUIRE(!product);
    CHECK(product.error().code == Code::io);
    CHECK(product.error().message.find("signal 6") != std::string::npos);
  }
  SECTION("an end without a word") {
    const auto product = run([] { ::_exit(0); });
    REQUIRE(!product);
    CHECK(product.error().code == Code::internal);
  }
  SECTION("an exception") {
    const auto product = run([] {
      ::signal(SIGABRT, SIG_DFL);
      throw std::runtime_error("foreign");
    });
    CHECK(!product);
  }
}
