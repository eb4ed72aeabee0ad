// Errors of the system around processes: the child that asks a server, the confined child, the
// files that processes use, and who and where this process is.
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "remediate/host/child.h"
#include "remediate/host/confine.h"
#include "remediate/host/process.h"
#include "tests/contract/failing_calls.h"
#include "tests/contract/host_worlds.h"

using namespace remediate;
using namespace remediate::contract;

namespace {

const std::atomic<bool> go_on{false};
/// As the tool does: a child that ended does not end who writes to it.
const auto inherited = std::signal(SIGPIPE, SIG_IGN);
constexpr std::size_t endless = 1'000'000'000;

/// It says what it hears.
host::ChildRequest echo() {
  return {.program = "/usr/bin/cat", .input = "a question", .timeout_seconds = 20};
}

/// Lets calls `from` to `to` (counted from 0) of one name fail.
CallHook::Hook later(const std::string& name, std::size_t from, std::size_t to, int error) {
  return [=, seen = std::size_t{0}](const std::string& call) mutable -> std::optional<long> {
    if (call != name) return std::nullopt;
    const std::size_t now = seen++;
    if (now < from || now > to) return std::nullopt;
    errno = error;
    return -1;
  };
}

Result<host::Product> confined() {
  return host::run_confined([](const host::Confinement& walls) {
    host::Product product{.code = 7, .outputs = {"bytes", std::nullopt}};
    for (const std::string& wall : walls.missing) product.outputs.emplace_back(wall);
    return product;
  });
}

}  // namespace

TEST_CASE("a program is run apart, or it is told why not", "[errors][child]") {
  {
    const auto end = must(host::run_child(echo(), go_on));
    REQUIRE(end.exit_code == 0);
    REQUIRE(end.output == "a question");
  }
  SECTION("the parent's calls") {
    for (const char* call : {"open", "fstat", "pipe2", "fcntl", "fork", "poll", "read"}) {
      INFO(call);
      const FailingCall failing(call, EIO, 1);
      const auto end = host::run_child(echo(), go_on);
      REQUIRE_FALSE(end);
      CHECK(end.error().os_error == EIO);
    }
    for (const auto& [call, from] : {std::pair("open", 1), {"pipe2", 1}, {"fcntl", 1}}) {
      INFO(call << " again");
      const CallHook hook(later(call, static_cast<std::size_t>(from), 100, EMFILE));
      const auto end = host::run_child(echo(), go_on);
      REQUIRE_FALSE(end);
      CHECK(end.error().remedy.find("ulimit") != std::string::npos);
    }
  }
  SECTION("the child's calls: it never runs by half") {
    for (const char* call : {"dup2", "close_range", "setrlimit", "setgroups", "setresgid",
                             "setresuid", "prctl", "chdir", "execveat", "getppid"}) {
      INFO(call);
      const FailingCall failing(call, EPERM);
      const auto end = must(host::run_child(echo(), go_on));
      CHECK(end.exit_code == 127);
      CHECK(end.output.empty());
    }
    for (std::size_t number = 1; number < 4; ++number) {
      const CallHook hook(later("setrlimit", number, number, EPERM));
      CHECK(must(host::run_child(echo(), go_on)).exit_code == 127);
    }
    for (std::size_t number = 1; number < 3; ++number) {
      const CallHook hook(later("dup2", number, number, EPERM));
      CHECK(must(host::run_child(echo(), go_on)).exit_code == 127);
    }
  }
  SECTION("what passes") {
    for (const auto& [call, error] : {std::pair("poll", EINTR),
                                      {"read", EAGAIN},
                                      {"write", EAGAIN},
                                      {"waitpid", EINTR},
                                      {"read", EINTR}}) {
      INFO(call);
      const FailingCall failing(call, error, 1);
      const auto end = must(host::run_child(echo(), go_on));
      CHECK(end.exit_code == 0);
      CHECK(end.output == "a question");
    }
  }
  SECTION("an input that is not taken") {
    const FailingCall failing("write", EPIPE);
    CHECK(must(host::run_child(echo(), go_on)).output.empty());
  }
}

TEST_CASE("a program that does not end is ended", "[errors][child]") {
  host::ChildRequest request = echo();
  request.timeout_seconds = 1;
  SECTION("it waits for its input") {
    const FailingCall failing("write", EAGAIN, endless);
    CHECK(code_of(host::run_child(request, go_on)) == Code::limit);
  }
  SECTION("it closed its output") {
    const FailingCall failing("waitpid", ECHILD, 1000);
    CHECK(code_of(host::run_child(request, go_on)) == Code::limit);
  }
  SECTION("it says too much") {
    request.program = "/usr/bin/yes";
    CHECK(code_of(host::run_child(request, go_on)) == Code::limit);
  }
  SECTION("somebody asks to stop") {
    const std::atomic<bool> stop{true};
    CHECK(code_of(host::run_child(request, stop)) == Code::interrupted);
  }
  SECTION("somebody asks to stop after its last word") {
    std::atomic<bool> stop{false};
    const CallHook hook([&](const std::string& call) -> std::optional<long> {
      if (call != "waitpid") return std::nullopt;
      if (stop) return std::nullopt;
      stop = true;
      return 0;
    });
    CHECK(code_of(host::run_child(request, stop)) == Code::interrupted);
  }
  SECTION("a signal ends it") {
    const CallHook hook([](const std::string& call) -> std::optional<long> {
      if (call == "execveat") (void)std::raise(SIGKILL);
      return std::nullopt;
    });
    CHECK(must(host::run_child(request, go_on)).exit_code == 128 + SIGKILL);
  }
}

TEST_CASE("only a program that nobody else could have changed is run", "[errors][child]") {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/program";
  REQUIRE(::symlink("/usr/bin/cat", path.c_str()) == 0);
  host::ChildRequest request = echo();
  request.program = path;
  CHECK_FALSE(host::run_child(request, go_on));
  REQUIRE(::unlink(path.c_str()) == 0);
  CHECK(code_of(host::run_child(request, go_on)) == Code::not_found);
  CHECK_FALSE(host::program_exists(path));
  REQUIRE(::mkdir(path.c_str(), 0755) == 0);
  CHECK(code_of(host::run_child(request, go_on)) == Code::configuration);
  CHECK(host::program_exists(path));
  REQUIRE(::rmdir(path.c_str()) == 0);
  const auto root = must(host::native_host()->open_root(folder.path()));
  make_file(*root, "program", "#!/bin/sh\n");
  REQUIRE(::chmod(path.c_str(), 0775) == 0);
  CHECK(code_of(host::run_child(request, go_on)) == Code::configuration);
  REQUIRE(::chmod(path.c_str(), 0755) == 0);
  if (::geteuid() == 0) {
    REQUIRE(::chown(path.c_str(), 4711, 4711) == 0);
    CHECK(code_of(host::run_child(request, go_on)) == Code::configuration);
  }
}

TEST_CASE("the folder of the program is found or it is told", "[errors][child]") {
  CHECK(must(host::program_folder()).starts_with("/"));
  {
    const FailingCall failing("readlink", EACCES);
    CHECK(code_of(host::program_folder()) == Code::io);
  }
  const FailingCall too_long("readlink", 0, 1, 4096);
  CHECK(code_of(host::program_folder()) == Code::io);
}

TEST_CASE("a wall that cannot be put up is an error, one that is not there is told",
          "[errors][confine]") {
  const auto missing = [](const Result<host::Product>& product) -> std::string {
    if (!product) return "error: " + product.error().text();
    std::string all;
    for (std::size_t i = 2; i < product->outputs.size(); ++i) all += *product->outputs[i] + ";";
    return all;
  };
  const std::string none = missing(confined());
  SECTION("the parent's calls") {
    for (const char* call : {"memfd_create", "fork", "waitpid", "fstat", "pread"}) {
      INFO(call);
      const FailingCall failing(call, EIO, 1);
      const auto product = confined();
      REQUIRE_FALSE(product);
      CHECK(product.error().os_error == EIO);
    }
    const FailingCall shorter("pread", EIO, 1, 0);
    CHECK_FALSE(confined());
  }
  SECTION("no process without its walls") {
    for (const char* call :
         {"prctl", "getppid", "landlock_add_rule", "landlock_restrict_self", "seccomp_init"}) {
      INFO(call);
      const FailingCall failing(call, EIO);
      if (none.empty()) CHECK(code_of(confined()) == Code::unsupported);
    }
    const CallHook privileges(later("prctl", 1, 1, EIO));
    CHECK(code_of(confined()) == Code::unsupported);
    const CallHook ruleset(later("landlock_create_ruleset", 2, 2, EIO));
    if (none.empty()) CHECK(code_of(confined()) == Code::unsupported);
    const CallHook top(later("open", 0, 0, EMFILE));
    if (none.empty()) CHECK(code_of(confined()) == Code::unsupported);
  }
  SECTION("the filter") {
    for (const int error : {ENOSYS, EINVAL, EOPNOTSUPP, EPERM, EACCES}) {
      const FailingCall failing("seccomp_load", 0, 1, -error);
      CHECK(missing(confined()).find("no system call filter") != std::string::npos);
    }
    {
      const FailingCall failing("seccomp_load", 0, 1, -ENOMEM);
      CHECK(code_of(confined()) == Code::unsupported);
    }
    {
      const FailingCall failing("seccomp_attr_set", 0, 1, -EOPNOTSUPP);
      CHECK(missing(confined()).find("no system call filter") != std::string::npos);
    }
    const FailingCall failing("seccomp_attr_set", 0, 1, -EFAULT);
    CHECK(code_of(confined()) == Code::unsupported);
  }
  SECTION("older kernels") {
    for (long version = 0; version <= 6; ++version) {
      INFO("Landlock " << version);
      const FailingCall older("landlock_create_ruleset", EOPNOTSUPP, 2, version);
      const std::string told = missing(confined());
      if (version == 0) CHECK(told.find("no Landlock") != std::string::npos);
      if (version == 1) CHECK(told == none);
    }
  }
  SECTION("a result that does not come out") {
    const FailingCall failing("write", ENOSPC);
    CHECK(code_of(confined()) == Code::io);
  }
}

TEST_CASE("what processes use is told or counted as unknown", "[errors][use]") {
  const auto host = host::native_host();
  const host::FilesInUse known = must(host->files_in_use());
  REQUIRE_FALSE(known.files.empty());
  for (const char* call : {"open", "fcntl", "fdopendir", "readdir"}) {
    INFO(call);
    const CallHook hook([&](const std::string& name) -> std::optional<long> {
      if (name != call) return std::nullopt;
      errno = EMFILE;
      return -1;
    });
    CHECK(code_of(host->files_in_use()) == Code::io);
  }
  for (const char* call : {"fstatat", "openat", "read"}) {
    INFO(call);
    {
      const FailingCall denied(call, EACCES);
      const auto use = must(host->files_in_use());
      CHECK(use.unread == use.processes);
    }
    const FailingCall gone(call, ESRCH);
    const auto use = must(host->files_in_use());
    CHECK(use.unread <= known.unread);
    CHECK(use.processes > 0);
  }
  const CallHook empty([](const std::string& name) -> std::optional<long> {
    if (name != "fstatat" && name != "openat" && name != "readdir") return std::nullopt;
    errno = name == "readdir" ? 0 : ENOENT;
    return -1;
  });
  CHECK(code_of(host->files_in_use()) == Code::unsupported);
}

TEST_CASE("a process that is hardened has its three streams or does not run", "[errors]") {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);
    const CallHook none([](const std::string& call) -> std::optional<long> {
      if (call == "fcntl" || call == "open") return -1;
      return std::nullopt;
    });
    host::harden_process();
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGABRT);
}

namespace {

/// The exit code of `body`, which runs in a process of its own.
int code_apart(const std::function<bool()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body() ? 0 : 1);
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

bool leads_to_null(int fd, int access) {
  struct stat here = {}, null = {};
  return ::fstat(fd, &here) == 0 && ::stat("/dev/null", &null) == 0 &&
         here.st_rdev == null.st_rdev && (::fcntl(fd, F_GETFL) & O_ACCMODE) == access;
}

}  // namespace

TEST_CASE("a hardened process keeps no descriptor and has three streams", "[errors]") {
  CHECK(code_apart([] {
          const int left = ::open("/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
          for (int fd = 0; fd <= 2; ++fd) ::close(fd);
          host::harden_process();
          return left > 2 && ::fcntl(left, F_GETFD) < 0 && leads_to_null(0, O_RDONLY) &&
                 leads_to_null(1, O_WRONLY) && leads_to_null(2, O_WRONLY);
        }) == 0);
}

TEST_CASE("a signal to stop is noticed once, and not where it was ignored before", "[errors]") {
  CHECK(code_apart([] {
          static std::atomic<bool> stop{false};
          std::signal(SIGHUP, SIG_IGN);  // as nohup starts a program
          std::signal(SIGTERM, SIG_DFL);
          host::stop_on_signal(stop);
          (void)std::raise(SIGHUP);
          if (stop) return false;
          (void)std::raise(SIGTERM);
          return stop.load();
        }) == 0);
}

TEST_CASE("a person is at a terminal and not at a file", "[errors]") {
  CHECK(code_apart([] {
          const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY);
          const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
          if (terminal < 0 || null < 0) return false;
          const std::pair<int, host::Stream> streams[] = {
              {0, host::Stream::input}, {1, host::Stream::output}, {2, host::Stream::error}};
          for (const auto& [fd, stream] : streams) {
            if (::dup2(terminal, fd) < 0 || !host::is_terminal(stream)) return false;
            if (::dup2(null, fd) < 0 || host::is_terminal(stream)) return false;
          }
          return true;
        }) == 0);
}

TEST_CASE("who and where this is, without the calls that tell it best", "[errors]") {
  const auto host = host::native_host();
  const host::Identity known = host->identity();
  {
    const FailingCall failing("gethostname", ENAMETOOLONG);
    CHECK(host->identity().host_name.empty());
    CHECK(host->identity().boot_id == known.boot_id);
  }
  for (const char* call : {"open", "read"}) {
    const FailingCall failing(call, EACCES);
    CHECK(host->identity().machine_id == known.host_name);
    CHECK(host->identity().boot_id.empty());
  }
  const FailingCall failing("capget", ENOSYS);
  CHECK(host->superuser() == (::geteuid() == 0));
}

TEMPLATE_TEST_CASE("an older kernel tells mounts through /proc", "[errors]", KernelWorld,
                   StepwiseWorld) {
  TestType world;
  make_file(world.root(), "file", "x");
  const FileId known = must(world.root().stat_entry("file")).id;
  const long no_mount = 0x1000;  // STATX_MNT_ID
  const auto old_kernel = [no_mount](const std::string& broken, long result, int error) {
    return CallHook::Hook([=](const std::string& call) -> std::optional<long> {
      if (call == "statx") return no_mount;
      if (call != broken) return std::nullopt;
      errno = error;
      return result;
    });
  };
  {
    const CallHook older(old_kernel("", 0, 0));
    CHECK(must(world.root().stat_entry("file")).id == known);
    CHECK(must(world.root().open_file("file", host::Access::read))->stat());
  }
  {
    const CallHook older(old_kernel("open", -1, ENOENT));
    CHECK(code_of(world.root().stat_entry("file")) == Code::unsupported);
  }
  {
    const CallHook older(old_kernel("openat", -1, EMFILE));
    CHECK(code_of(world.root().stat_entry("file")) == Code::io);
  }
  for (const long length : {-1L, 0L}) {
    const CallHook older(old_kernel("read", length, EIO));
    CHECK(code_of(world.root().stat()) == Code::unsupported);
  }
}

TEMPLATE_TEST_CASE("odd answers of the system are no success", "[errors]", KernelWorld,
                   StepwiseWorld) {
  TestType world;
  make_file(world.root(), "file", "x");
  const auto file = must(world.root().open_file("file", host::Access::read_write));
  SECTION("a write of nothing") {
    const FailingCall odd("pwrite", 0, 1, 0);
    CHECK(file->write_at(0, "abc").error().os_error == EIO);
  }
  SECTION("half an entry") {
    const FailingCall odd("getdents64", 0, 1, 5);
    CHECK(
        world.root().each_entry([](std::string_view, FileKind) { return true; }).error().os_error ==
        EIO);
  }
  SECTION("a mode that was not set") {
    Metadata wanted = must(file->metadata());
    wanted.stat.mode = 0604;
    const FailingCall odd("fchmod", 0, 1, 0);
    CHECK(must(file->restore_metadata(wanted, host::Privileges::strip)).empty());
    CHECK(must(file->stat()).mode == 0604);
  }
  SECTION("set-id bits come only with their owner") {
    Metadata wanted = must(file->metadata());
    wanted.stat.mode = 04755;
    wanted.stat.owner = 4711;
    const FailingCall odd("fchown", EPERM);
    const auto words = must(file->restore_metadata(wanted, host::Privileges::keep));
    CHECK(words.size() == 2);
    CHECK(must(file->stat()).mode == 0755);
  }
  SECTION("an attribute that cannot be taken away") {
    Metadata wanted = must(file->metadata());
    Metadata more = wanted;
    more.attributes = {{"user.x", "1"}};
    if (!must(file->restore_metadata(more, host::Privileges::strip)).empty()) return;
    {
      const FailingCall odd("fremovexattr", EACCES);
      CHECK(must(file->restore_metadata(wanted, host::Privileges::strip)).size() == 1);
    }
    const FailingCall odd("fremovexattr", ENODATA);
    CHECK(must(file->restore_metadata(wanted, host::Privileges::strip)).empty());
  }
  SECTION("no /proc") {
    const CallHook odd([](const std::string& call) -> std::optional<long> {
      if (call != "open" && call != "access") return std::nullopt;
      errno = ENOENT;
      return -1;
    });
    CHECK(code_of(world.root().open_file("file", host::Access::read)) == Code::unsupported);
  }
}
