#include "tests/crash/trace.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <string_view>

#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/crash/tree.h"

namespace crash {
namespace {

constexpr unsigned time_limit_seconds = 120;

struct Call {
  long number;
  std::string_view name;
};
#define CALL(name) \
  Call { SYS_##name, #name }
/// Calls that change what a file system holds, or make it durable. Opening is judged by its flags,
/// ioctl by its request.
constexpr std::array changing = {
    CALL(write),        CALL(pwrite64),
    CALL(writev),       CALL(pwritev),
    CALL(pwritev2),     CALL(fsync),
    CALL(fdatasync),    CALL(syncfs),
    CALL(sync),         CALL(sync_file_range),
    CALL(renameat),     CALL(renameat2),
    CALL(linkat),       CALL(symlinkat),
    CALL(unlinkat),     CALL(mkdirat),
    CALL(mknodat),      CALL(fchmod),
    CALL(fchmodat),     CALL(fchown),
    CALL(fchownat),     CALL(utimensat),
    CALL(setxattr),     CALL(lsetxattr),
    CALL(fsetxattr),    CALL(removexattr),
    CALL(lremovexattr), CALL(fremovexattr),
    CALL(fallocate),    CALL(ftruncate),
    CALL(truncate),     CALL(copy_file_range),
    CALL(sendfile),
#ifdef SYS_rename
    CALL(rename),       CALL(link),
    CALL(symlink),      CALL(unlink),
    CALL(rmdir),        CALL(mkdir),
    CALL(mknod),        CALL(chmod),
    CALL(chown),        CALL(lchown),
    CALL(creat),        CALL(utimes),
#endif
};
constexpr std::array others = {
    CALL(openat),     CALL(openat2),      CALL(ioctl),   CALL(read),       CALL(pread64),
    CALL(close),      CALL(lseek),        CALL(statx),   CALL(newfstatat), CALL(fcntl),
    CALL(getdents64), CALL(mmap),         CALL(munmap),  CALL(mprotect),   CALL(brk),
    CALL(futex),      CALL(exit_group),   CALL(execve),  CALL(getrandom),  CALL(fgetxattr),
    CALL(flistxattr), CALL(rt_sigaction), CALL(clone3),  CALL(prctl),      CALL(fadvise64),
    CALL(fstatfs),    CALL(readlinkat),   CALL(madvise), CALL(exit),
#ifdef SYS_open
    CALL(open),       CALL(fstat),        CALL(stat),    CALL(access),     CALL(readlink),
    CALL(arch_prctl),
#endif
};
#undef CALL

bool creates(std::uint64_t flags) {
  return (flags & O_CREAT) != 0 || (flags & O_TRUNC) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

bool changes_state(pid_t thread, const __ptrace_syscall_info& info) {
  const auto number = static_cast<long>(info.entry.nr);
  if (std::ranges::any_of(changing, [&](const Call& call) { return call.number == number; }))
    return true;
  if (number == SYS_openat) return creates(info.entry.args[2]);
#ifdef SYS_open
  if (number == SYS_open) return creates(info.entry.args[1]);
#endif
  if (number == SYS_openat2) {
    std::uint64_t flags = 0;
    iovec local{&flags, sizeof flags};
    iovec remote{};
    std::memcpy(&remote.iov_base, &info.entry.args[2], sizeof remote.iov_base);
    remote.iov_len = sizeof flags;
    if (process_vm_readv(thread, &local, 1, &remote, 1, 0) != sizeof flags)
      stop("cannot read the arguments of openat2");
    return creates(flags);
  }
  if (number == SYS_ioctl)
    return info.entry.args[1] == FS_IOC_SETFLAGS || info.entry.args[1] == FS_IOC_FSSETXATTR ||
           info.entry.args[1] == FICLONE || info.entry.args[1] == FICLONERANGE;
  return false;
}

void redirect(const char* path, int onto, int flags) {
  const int descriptor = open(path, flags | O_CLOEXEC, 0600);
  if (descriptor < 0 || dup2(descriptor, onto) < 0) _exit(126);
}

/// The child: the same surroundings in every run, so that its calls are the same.
[[noreturn]] void become(const Words& words, const std::string& out, const std::string& err,
                         bool traced) {
  redirect("/dev/null", 0, O_RDONLY);
  redirect(out.c_str(), 1, O_WRONLY | O_CREAT | O_TRUNC);
  redirect(err.c_str(), 2, O_WRONLY | O_CREAT | O_TRUNC);
  alarm(time_limit_seconds);
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  std::array<std::string, 4> settings = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C",
                                         "HOME=/nonexistent", "TZ=UTC"};
  std::array<char*, 5> environment{};
  for (std::size_t index = 0; index < settings.size(); ++index)
    environment[index] = settings[index].data();
  if (traced && ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(126);
  if (traced) raise(SIGSTOP);
  execve(arguments.front(), arguments.data(), environment.data());
  _exit(127);
}

int exit_code(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : -1; }

class Tracer {
 public:
  Tracer(pid_t process, KillAt kill, Ended& ended)
      : process_(process), kill_(kill), ended_(ended) {}

  void follow() {
    int status = 0;
    if (waitpid(process_, &status, 0) != process_ || !WIFSTOPPED(status))
      stop("the program could not be traced");
    constexpr long options = PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE |
                             PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC;
    if (ptrace(PTRACE_SETOPTIONS, process_, nullptr, options) != 0)
      stop(std::string("ptrace does not work here: ") + std::strerror(errno));
    go_on(process_, 0);
    for (;;) {
      const pid_t thread = waitpid(-1, &status, __WALL);
      if (thread < 0 && errno == EINTR) continue;
      if (thread < 0) stop("the traced program was lost");
      if (WIFEXITED(status) || WIFSIGNALED(status)) {
        if (thread != process_) continue;
        ended_.code = exit_code(status);
        return;
      }
      stopped(thread, status);
    }
  }

 private:
  void stopped(pid_t thread, int status) {
    const int signal = WSTOPSIG(status);
    if (signal == (SIGTRAP | 0x80)) {
      if (counting_) at_call(thread);
      go_on(thread, 0);
    } else if (const int event = status >> 16; event != 0) {
      if (event == PTRACE_EVENT_EXEC) counting_ = true;
      go_on(thread, 0);
    } else {
      // The first stop of a new thread is ptrace's own.
      const bool attached = signal == SIGSTOP && !known_.contains(thread);
      known_[thread];
      go_on(thread, attached ? 0 : signal);
    }
  }

  void at_call(pid_t thread) {
    __ptrace_syscall_info info{};
    if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) < 0) {
      if (errno == ESRCH) return;  // killed meanwhile
      stop(std::string("PTRACE_GET_SYSCALL_INFO: ") + std::strerror(errno));
    }
    Stop& pending = known_[thread];
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
      pending = {info.entry.nr, true, changes_state(thread, info)};
      change_of_[thread] = pending.changes ? ended_.changes : no_change;
      if (pending.changes) ++ended_.changes;
    } else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
      pending.entry = false;
    } else {
      return;
    }
    const std::uint64_t stop_number = ended_.stops.size();
    ended_.stops.push_back(pending);
    const bool here =
        (kill_.at == At::stop && stop_number == kill_.number) ||
        (kill_.at == At::before_change && pending.entry && change_of_[thread] == kill_.number) ||
        (kill_.at == At::after_change && !pending.entry && pending.changes &&
         change_of_[thread] == kill_.number);
    if (!here || ended_.killed) return;
    ended_.killed = true;
    ended_.where = call_name(pending.call) + (pending.entry ? " entry" : " exit");
    kill(process_, SIGKILL);
  }

  static void go_on(pid_t thread, int signal) {
    if (ptrace(PTRACE_SYSCALL, thread, nullptr, signal) != 0 && errno != ESRCH)
      stop(std::string("PTRACE_SYSCALL: ") + std::strerror(errno));
  }

  static constexpr std::uint64_t no_change = ~std::uint64_t{0};
  const pid_t process_;
  const KillAt kill_;
  Ended& ended_;
  bool counting_ = false;
  std::map<pid_t, Stop> known_;
  std::map<pid_t, std::uint64_t> change_of_;
};

}  // namespace

std::string call_name(std::uint64_t number) {
  const auto wanted = static_cast<long>(number);
  for (const Call& call : changing)
    if (call.number == wanted) return std::string(call.name);
  for (const Call& call : others)
    if (call.number == wanted) return std::string(call.name);
  return "call " + std::to_string(number);
}

std::string quoted(const Words& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "'" : " '") + shown(word) + "'";
  return line;
}

Ended run_traced(const Words& words, const std::string& folder, KillAt kill) {
  const std::string out = folder + "/stdout", err = folder + "/stderr";
  Ended ended;
  const pid_t process = fork();
  if (process < 0) stop(std::string("cannot fork: ") + std::strerror(errno));
  if (process == 0) become(words, out, err, true);
  Tracer(process, kill, ended).follow();
  ended.text = read_file(out);
  ended.messages = read_file(err);
  return ended;
}

Ended run(const Words& words, const std::string& folder) {
  const std::string out = folder + "/stdout", err = folder + "/stderr";
  Ended ended;
  const pid_t process = fork();
  if (process < 0) stop(std::string("cannot fork: ") + std::strerror(errno));
  if (process == 0) become(words, out, err, false);
  int status = 0;
  while (waitpid(process, &status, 0) < 0)
    if (errno != EINTR) stop("the program was lost");
  ended.code = exit_code(status);
  ended.text = read_file(out);
  ended.messages = read_file(err);
  return ended;
}

}  // namespace crash
