#include "tests/crash/trace.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <string_view>

#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/crash/tree.h"

namespace crash {
namespace {

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
    CALL(openat),
    CALL(openat2),
    CALL(ioctl),
    CALL(read),
    CALL(pread64),
    CALL(close),
    CALL(lseek),
    CALL(statx),
    CALL(newfstatat),
    CALL(fcntl),
    CALL(getdents64),
    CALL(mmap),
    CALL(munmap),
    CALL(mprotect),
    CALL(brk),
    CALL(futex),
    CALL(exit_group),
    CALL(execve),
    CALL(getrandom),
    CALL(fgetxattr),
    CALL(flistxattr),
    CALL(rt_sigaction),
    CALL(clone3),
    CALL(prctl),
    CALL(fadvise64),
    CALL(fstatfs),
    CALL(readlinkat),
    CALL(madvise),
    CALL(exit),
    CALL(close_range),
    CALL(umask),
    CALL(rt_sigprocmask),
    CALL(faccessat),
    CALL(faccessat2),
    CALL(geteuid),
    CALL(getuid),
    CALL(getegid),
    CALL(getgid),
    CALL(getpid),
    CALL(gettid),
    CALL(capget),
    CALL(uname),
    CALL(sysinfo),
    CALL(prlimit64),
    CALL(sched_getaffinity),
    CALL(set_robust_list),
    CALL(rseq),
    CALL(clock_nanosleep),
    CALL(lgetxattr),
    CALL(getxattr),
    CALL(llistxattr),
    CALL(clone),
    CALL(wait4),
    CALL(waitid),
    CALL(pipe2),
    CALL(dup),
    CALL(dup3),
    CALL(readv),
    CALL(preadv),
    CALL(mremap),
    CALL(ppoll),
    CALL(socket),
    CALL(connect),
    CALL(flock),
    CALL(statfs),
    CALL(getcwd),
    CALL(tgkill),
    CALL(kill),
    CALL(rt_sigreturn),
    CALL(sched_yield),
    CALL(seccomp),
    CALL(setrlimit),
    CALL(set_tid_address),
    CALL(sigaltstack),
    CALL(restart_syscall),
    CALL(clock_gettime),
    CALL(sendmsg),
    CALL(recvmsg),
    CALL(sendto),
    CALL(recvfrom),
    CALL(socketpair),
    CALL(memfd_create),
    CALL(unshare),
    CALL(setresuid),
    CALL(setresgid),
    CALL(setgroups),
    CALL(capset),
    CALL(getppid),
    CALL(pidfd_open),
    CALL(landlock_create_ruleset),
    CALL(landlock_add_rule),
    CALL(landlock_restrict_self),
    CALL(fchdir),
    CALL(chdir),
    CALL(fstat),
    CALL(execveat),
#ifdef SYS_open
    CALL(open),
    CALL(stat),
    CALL(lstat),
    CALL(access),
    CALL(readlink),
    CALL(arch_prctl),
    CALL(poll),
    CALL(pipe),
    CALL(fork),
    CALL(vfork),
    CALL(dup2),
#endif
};
#undef CALL

/// Calls after which nobody has to look: they read, or deal with memory, signals and waiting only.
/// Opening and ioctl are among them only where their arguments say so.
constexpr std::array reading = {SYS_read,
                                SYS_pread64,
                                SYS_lseek,
                                SYS_statx,
                                SYS_newfstatat,
                                SYS_fstat,
                                SYS_getdents64,
                                SYS_fgetxattr,
                                SYS_flistxattr,
                                SYS_readlinkat,
                                SYS_faccessat,
                                SYS_faccessat2,
                                SYS_fstatfs,
                                SYS_statfs,
                                SYS_openat,
                                SYS_openat2,
                                SYS_ioctl,
                                SYS_close,
                                SYS_dup,
                                SYS_fadvise64,
                                SYS_mmap,
                                SYS_munmap,
                                SYS_mprotect,
                                SYS_brk,
                                SYS_madvise,
                                SYS_futex,
                                SYS_getrandom,
                                SYS_fcntl,
                                SYS_ppoll,
                                SYS_recvmsg,
                                SYS_recvfrom,
                                SYS_wait4,
                                SYS_rt_sigaction,
                                SYS_rt_sigprocmask,
                                SYS_clock_nanosleep,
                                SYS_sched_yield};

bool only_reads(const Stop& stop) {
  return !stop.changes && std::ranges::find(reading, static_cast<long>(stop.call)) != reading.end();
}

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
                         bool traced, unsigned seconds) {
  redirect("/dev/null", 0, O_RDONLY);
  redirect(out.c_str(), 1, O_WRONLY | O_CREAT | O_TRUNC);
  redirect(err.c_str(), 2, O_WRONLY | O_CREAT | O_TRUNC);
  alarm(seconds);
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  std::vector<std::string> settings = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C",
                                       "HOME=/nonexistent", "TZ=UTC"};
  if (const char* counts = std::getenv("LLVM_PROFILE_FILE"))  // the measurement of coverage
    settings.push_back(std::string("LLVM_PROFILE_FILE=") + counts);
  std::vector<char*> environment;
  for (std::string& setting : settings) environment.push_back(setting.data());
  environment.push_back(nullptr);
  if (traced && ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(126);
  if (traced) raise(SIGSTOP);
  execve(arguments.front(), arguments.data(), environment.data());
  _exit(127);
}

void end_of(int status, Ended& ended) {
  ended.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  ended.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

#ifdef __x86_64__
/// The registers of a thread at a stop, to put an answer in the place of the call's work.
class Registers {
 public:
  explicit Registers(pid_t thread) : thread_(thread) {
    if (ptrace(PTRACE_GETREGS, thread, nullptr, &all_) == 0) return;
    gone_ = errno == ESRCH;  // its process ended meanwhile
    if (!gone_) stop(std::string("PTRACE_GETREGS: ") + std::strerror(errno));
  }
  [[nodiscard]] std::array<unsigned long long, 2> saved() const { return {all_.rdi, all_.rdx}; }
  /// At the entry. close(-1) has no effect and is allowed wherever a filter stands.
  void do_nothing() {
    all_.orig_rax = SYS_close;
    all_.rdi = ~0ull;
    write();
  }
  /// brk() tells of a failure by the break that stays, which is what brk(0) answers.
  void keep_break() {
    all_.rdi = 0;
    write();
  }
  void ask_for(std::uint64_t length) {
    all_.rdx = length;
    write();
  }
  /// At the exit.
  void answer(std::array<unsigned long long, 2> arguments, std::optional<int> error) {
    all_.rdi = arguments[0];
    all_.rdx = arguments[1];
    if (error) all_.rax = static_cast<unsigned long long>(-static_cast<long long>(*error));
    write();
  }

 private:
  void write() {
    if (!gone_ && ptrace(PTRACE_SETREGS, thread_, nullptr, &all_) != 0 && errno != ESRCH)
      stop(std::string("PTRACE_SETREGS: ") + std::strerror(errno));
  }
  pid_t thread_;
  bool gone_ = false;
  user_regs_struct all_{};
};
#else
struct Registers {
  explicit Registers(pid_t) { stop("faults can be made on x86-64 only"); }
  [[nodiscard]] std::array<unsigned long long, 2> saved() const { return {}; }
  void do_nothing() {}
  void keep_break() {}
  void ask_for(std::uint64_t) {}
  void answer(std::array<unsigned long long, 2>, std::optional<int>) {}
};
#endif

class Tracer {
 public:
  Tracer(pid_t process, const Wish& wish, Ended& ended)
      : process_(process), wish_(wish), ended_(ended) {}

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
        end_of(status, ended_);
        return;
      }
      stopped(thread, status);
    }
  }

 private:
  struct Pending {
    Stop stop;
    std::uint64_t change = no_change;
    std::optional<std::array<unsigned long long, 2>> changed_arguments;
    std::string flushed;  // the file, where the call is a flush
  };

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
    Pending& pending = known_[thread];
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
      at_entry(thread, info, pending);
    } else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
      at_exit(thread, info, pending);
    } else {
      return;
    }
    const std::uint64_t stop_number = ended_.stops.size();
    ended_.stops.push_back(pending.stop);
    const bool wanted = !pending.stop.entry && wish_.look && !ended_.killed &&
                        !only_reads(pending.stop) && wish_.look(stop_number);
    const KillAt& kill_at = wish_.kill;
    const bool here = wanted || (kill_at.at == At::stop && stop_number == kill_at.number) ||
                      (kill_at.at == At::before_change && pending.stop.entry &&
                       pending.change == kill_at.number) ||
                      (kill_at.at == At::after_change && !pending.stop.entry &&
                       pending.stop.changes && pending.change == kill_at.number);
    const bool endless = wish_.most_stops != 0 && stop_number >= wish_.most_stops;
    if ((!here && !endless) || ended_.killed || ended_.endless) return;
    ended_.killed = here;
    ended_.endless = !here;
    ended_.where = call_name(pending.stop.call) + (pending.stop.entry ? " entry" : " exit");
    kill(process_, SIGKILL);
  }

  void at_entry(pid_t thread, const __ptrace_syscall_info& info, Pending& pending) {
    pending = {};
    pending.stop = {info.entry.nr, true, changes_state(thread, info), begun_,
                    transfers(info.entry.nr) ? info.entry.args[2] : 0};
    if (pending.stop.changes) pending.change = ended_.changes++;
    if (!begun_) {
      begun_ = info.entry.nr == SYS_close_range;
      return;
    }
    if (flushes(info.entry.nr)) pending.flushed = file_of(thread, info.entry.args[0]);
    if (!wish_.fault || wish_.fault->call != info.entry.nr) return;
    const std::uint64_t number = called_++;
    const Fault& fault = *wish_.fault;
    if (number < fault.number || (number != fault.number && !fault.from_then_on)) return;
    if (fault.error == 0 && info.entry.args[2] < 2) return;
    Registers registers(thread);
    pending.changed_arguments = registers.saved();
    if (fault.error == 0)
      registers.ask_for((info.entry.args[2] + 1) / 2);
    else if (info.entry.nr == SYS_brk)
      registers.keep_break();
    else if (info.entry.nr != SYS_close)  // a close that fails has closed
      registers.do_nothing();
    ++ended_.faults;
  }

  void at_exit(pid_t thread, const __ptrace_syscall_info& info, Pending& pending) {
    pending.stop.entry = false;
    bool failed = info.exit.is_error != 0;
    if (pending.changed_arguments) {
      const int error = wish_.fault->error;
      Registers(thread).answer(
          *pending.changed_arguments,
          error == 0 || pending.stop.call == SYS_brk ? std::nullopt : std::optional(error));
      failed = error != 0;
      pending.changed_arguments.reset();
    }
    if (pending.flushed.empty()) return;
    const std::string file = pending.flushed.substr(0, pending.flushed.find(' '));
    if (failed)
      not_flushed_.insert(file);
    else if (not_flushed_.contains(file))
      ended_.flushed_again.push_back(call_name(pending.stop.call) + " of " + pending.flushed);
    pending.flushed.clear();
  }

  /// A name for the very file, and for people: `device:inode path`.
  static std::string file_of(pid_t thread, std::uint64_t descriptor) {
    const std::string link =
        "/proc/" + std::to_string(thread) + "/fd/" + std::to_string(static_cast<int>(descriptor));
    struct stat facts{};
    std::array<char, 4096> path{};
    if (stat(link.c_str(), &facts) != 0) return "";
    const ssize_t length = readlink(link.c_str(), path.data(), path.size());
    if (length < 0) return "";
    return std::to_string(facts.st_dev) + ":" + std::to_string(facts.st_ino) + " " +
           shown(std::string(path.data(), static_cast<std::size_t>(length)));
  }

  static void go_on(pid_t thread, int signal) {
    if (ptrace(PTRACE_SYSCALL, thread, nullptr, signal) != 0 && errno != ESRCH)
      stop(std::string("PTRACE_SYSCALL: ") + std::strerror(errno));
  }

  static constexpr std::uint64_t no_change = ~std::uint64_t{0};
  const pid_t process_;
  const Wish& wish_;
  Ended& ended_;
  bool counting_ = false;
  bool begun_ = false;
  std::uint64_t called_ = 0;  // calls of the fault's name
  std::map<pid_t, Pending> known_;
  std::set<std::string> not_flushed_;
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

std::optional<std::uint64_t> call_number(const std::string& name) {
  for (const Call& call : changing)
    if (call.name == name) return static_cast<std::uint64_t>(call.number);
  for (const Call& call : others)
    if (call.name == name) return static_cast<std::uint64_t>(call.number);
  return std::nullopt;
}

bool can_inject() {
#ifdef __x86_64__
  return true;
#else
  return false;
#endif
}

bool transfers(std::uint64_t call) {
  return call == SYS_read || call == SYS_pread64 || call == SYS_write || call == SYS_pwrite64;
}

bool flushes(std::uint64_t call) {
  return call == SYS_fsync || call == SYS_fdatasync || call == SYS_syncfs;
}

std::string quoted(const Words& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "'" : " '") + shown(word) + "'";
  return line;
}

Ended run_traced(const Words& words, const std::string& folder, const Wish& wish) {
  const std::string out = folder + "/stdout", err = folder + "/stderr";
  Ended ended;
  const pid_t process = fork();
  if (process < 0) stop(std::string("cannot fork: ") + std::strerror(errno));
  if (process == 0) become(words, out, err, true, wish.seconds);
  Tracer(process, wish, ended).follow();
  ended.text = read_file(out);
  ended.messages = read_file(err);
  return ended;
}

Ended run(const Words& words, const std::string& folder) {
  const std::string out = folder + "/stdout", err = folder + "/stderr";
  Ended ended;
  const pid_t process = fork();
  if (process < 0) stop(std::string("cannot fork: ") + std::strerror(errno));
  if (process == 0) become(words, out, err, false, Wish().seconds);
  int status = 0;
  while (waitpid(process, &status, 0) < 0)
    if (errno != EINTR) stop("the program was lost");
  end_of(status, ended);
  ended.text = read_file(out);
  ended.messages = read_file(err);
  return ended;
}

}  // namespace crash
