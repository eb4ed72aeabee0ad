#include "remediate/host/child.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/host/posix/descriptor.h"
#include "remediate/host/posix/errors.h"

namespace remediate::host {
namespace {

using Clock = std::chrono::steady_clock;
using posix::Descriptor;

constexpr unsigned nobody = 65534;
constexpr rlim_t max_memory = 512u << 20;
constexpr rlim_t max_stack = 1u << 20;
constexpr int poll_milliseconds = 100;

struct Pipe {
  Descriptor read, write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return posix::os_fail(errno, "make a pipe", "");
  return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
}

/// Only calls that are safe between fork and exec.
[[noreturn]] void become(int program, int input, int output, int errors, pid_t parent) {
  constexpr int failed = 127;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(failed);
  if (::dup2(input, 0) < 0 || ::dup2(output, 1) < 0 || ::dup2(errors, 2) < 0) ::_exit(failed);
  if (::syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC) != 0) ::_exit(failed);
  const auto bound = [](int what, rlim_t most) {
    const rlimit limit{most, most};
    return ::setrlimit(static_cast<__rlimit_resource>(what), &limit) == 0;
  };
  if (!bound(RLIMIT_AS, max_memory) || !bound(RLIMIT_STACK, max_stack) || !bound(RLIMIT_CORE, 0) ||
      !bound(RLIMIT_FSIZE, 0))
    ::_exit(failed);
  if (::geteuid() == 0 &&
      (::setgroups(0, nullptr) != 0 || ::setresgid(nobody, nobody, nobody) != 0 ||
       ::setresuid(nobody, nobody, nobody) != 0))
    ::_exit(failed);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // changing the user took it back
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::chdir("/") != 0) ::_exit(failed);
  std::signal(SIGPIPE, SIG_DFL);
  std::signal(SIGINT, SIG_IGN);  // of the terminal: the parent decides
  char name[] = "probe";
  std::array<char*, 2> words{name, nullptr};
  std::array<char*, 1> environment{nullptr};
  ::syscall(SYS_execveat, program, "", words.data(), environment.data(), AT_EMPTY_PATH);
  ::_exit(failed);
}

/// A started program; killed and waited for whatever happens.
class Running {
 public:
  explicit Running(pid_t pid) : pid_(pid) {}
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    posix::uninterrupted([&] { return ::waitpid(pid_, nullptr, 0); });
  }
  /// True, and its exit code, when it has ended.
  bool ended(int& exit_code) {
    int status = 0;
    if (posix::uninterrupted([&] { return ::waitpid(pid_, &status, WNOHANG); }) != pid_)
      return false;
    pid_ = 0;
    exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return true;
  }

 private:
  pid_t pid_;
};

Result<Descriptor> open_program(const std::string& path) {
  Descriptor program(
      posix::uninterrupted([&] { return ::open(path.c_str(), O_PATH | O_CLOEXEC | O_NOFOLLOW); }));
  if (!program.is_open()) return posix::os_fail(errno, "open", path);
  struct stat stat = {};
  if (::fstat(program.get(), &stat) != 0) return posix::os_fail(errno, "look at", path);
  if (!S_ISREG(stat.st_mode) || (stat.st_uid != 0 && stat.st_uid != ::geteuid()) ||
      (stat.st_mode & 022u) != 0)
    return fail(
        Code::configuration, display(path) + " could have been changed by others, so it is not run",
        "install the tool anew; its programs belong to root and are written by nobody else");
  return program;
}

/// Writes what is left of the input as far as the pipe takes it.
void feed(Descriptor& pipe, const std::string& input, std::size_t& written) {
  while (written < input.size()) {
    const ssize_t count = posix::uninterrupted(
        [&] { return ::write(pipe.get(), input.data() + written, input.size() - written); });
    if (count <= 0) {
      if (count < 0 && errno == EAGAIN) return;
      break;  // it does not want the rest
    }
    written += static_cast<std::size_t>(count);
  }
  pipe = Descriptor();
}

}  // namespace

bool program_exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

Result<std::string> program_folder() {
  std::array<char, 4096> path{};
  const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size());
  if (length <= 0 || static_cast<std::size_t>(length) >= path.size())
    return fail(Code::io, "the folder of the running program cannot be found",
                "mount /proc, or install the tool anew");
  const std::string whole(path.data(), static_cast<std::size_t>(length));
  return whole.substr(0, whole.rfind('/'));
}

Result<ChildEnd> run_child(const ChildRequest& request, const std::atomic<bool>& stop) {
  TRY_LET(const Descriptor program, open_program(request.program));
  TRY_LET(Pipe input, make_pipe());
  TRY_LET(Pipe output, make_pipe());
  const Descriptor null(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  if (!null.is_open()) return posix::os_fail(errno, "open", "/dev/null");
  if (::fcntl(input.write.get(), F_SETFL, O_NONBLOCK) != 0 ||
      ::fcntl(output.read.get(), F_SETFL, O_NONBLOCK) != 0)
    return posix::os_fail(errno, "set up a pipe for", request.program);
  const Clock::time_point deadline = Clock::now() + std::chrono::seconds(request.timeout_seconds);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return posix::os_fail(errno, "start", request.program);
  if (pid == 0) become(program.get(), input.read.get(), output.write.get(), null.get(), parent);
  Running running(pid);
  input.read = Descriptor();
  output.write = Descriptor();

  ChildEnd end;
  std::size_t written = 0;
  feed(input.write, request.input, written);
  for (bool open = true; open;) {
    if (stop) return fail(Code::interrupted, "it was stopped", "");
    if (Clock::now() >= deadline)
      return fail(Code::limit, "no answer within " + std::to_string(request.timeout_seconds) + " s",
                  "");
    std::array<pollfd, 2> wanted{pollfd{output.read.get(), POLLIN, 0},
                                 pollfd{input.write.get(), POLLOUT, 0}};
    const nfds_t count = input.write.is_open() ? 2 : 1;
    if (::poll(wanted.data(), count, poll_milliseconds) < 0 && errno != EINTR)
      return posix::os_fail(errno, "wait for", request.program);
    if (count == 2 && wanted[1].revents != 0) feed(input.write, request.input, written);
    if (wanted[0].revents == 0) continue;
    std::array<char, 8192> buffer{};
    const ssize_t got = posix::uninterrupted(
        [&] { return ::read(output.read.get(), buffer.data(), buffer.size()); });
    if (got < 0 && errno != EAGAIN) return posix::os_fail(errno, "read from", request.program);
    if (got > 0) end.output.append(buffer.data(), static_cast<std::size_t>(got));
    if (end.output.size() > request.max_output)
      return fail(Code::limit, display(request.program) + " says too much", "");
    open = got != 0;
  }
  while (!running.ended(end.exit_code)) {
    if (stop) return fail(Code::interrupted, "it was stopped", "");
    if (Clock::now() >= deadline)
      return fail(Code::limit, "no answer within " + std::to_string(request.timeout_seconds) + " s",
                  "");
    ::poll(nullptr, 0, 5);
  }
  return end;
}

}  // namespace remediate::host
