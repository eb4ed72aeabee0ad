// Three lists. What the tool's reading needs is allowed. What an attacker would want ends the
// process. All else is answered as an older kernel would, so that a newer C library falls back.
#include <array>
#include <cerrno>
#include <memory>
#include <string_view>

#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "remediate/base/try.h"
#include "remediate/host/posix/errors.h"
#include "remediate/host/posix/walls.h"

namespace remediate::host::posix {
namespace {

constexpr std::array allowed{
    // files that are open, and looking at names
    "read", "readv", "pread64", "preadv", "write", "writev", "lseek", "close", "close_range",
    "getdents64", "stat", "lstat", "fstat", "newfstatat", "statx", "statfs", "fstatfs", "readlink",
    "readlinkat", "access", "faccessat", "faccessat2", "getcwd", "getxattr", "lgetxattr",
    "fgetxattr", "listxattr", "llistxattr", "flistxattr", "fadvise64", "poll", "ppoll", "dup",
    "pipe", "pipe2",
    // memory and threads
    "brk", "munmap", "mremap", "madvise", "futex", "set_robust_list", "set_tid_address", "rseq",
    "membarrier", "sched_yield", "sched_getaffinity", "exit", "exit_group",
    // signals of its own
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall",
    // who and when
    "getpid", "getppid", "gettid", "getuid", "geteuid", "getgid", "getegid", "getgroups", "capget",
    "getrandom", "uname", "umask", "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep",
    "gettimeofday", "time", "sysinfo", "getrlimit", "getrusage"};

constexpr std::array deadly{
    // names, and what belongs to files
    "creat", "unlink", "unlinkat", "rmdir", "rename", "renameat", "renameat2", "mkdir", "mkdirat",
    "mknod", "mknodat", "link", "linkat", "symlink", "symlinkat", "chmod", "fchmod", "fchmodat",
    "fchmodat2", "chown", "fchown", "lchown", "fchownat", "setxattr", "lsetxattr", "fsetxattr",
    "removexattr", "lremovexattr", "fremovexattr", "truncate", "ftruncate", "fallocate", "utime",
    "utimes", "utimensat", "futimesat", "copy_file_range", "sendfile", "splice",
    "open_by_handle_at",
    // processes
    "execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev",
    "process_madvise", "kcmp", "pidfd_open", "pidfd_getfd", "pidfd_send_signal", "kill", "tkill",
    "rt_sigqueueinfo", "rt_tgsigqueueinfo",
    // the network
    "socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "sendto", "sendmsg",
    "sendmmsg",
    // mounts and namespaces
    "mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsconfig",
    "fsmount", "fspick", "mount_setattr", "setns", "unshare",
    // the kernel and the machine
    "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter",
    "io_uring_register", "init_module", "finit_module", "delete_module", "kexec_load",
    "kexec_file_load", "reboot", "swapon", "swapoff", "settimeofday", "clock_settime", "adjtimex",
    "clock_adjtime", "sethostname", "setdomainname", "syslog", "acct", "quotactl", "iopl", "ioperm",
    "add_key", "request_key", "keyctl", "fanotify_init",
    // who it is
    "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "setfsuid",
    "setfsgid", "capset"};

// What is left to a process that computes: messages, memory, time, its end.
constexpr std::array computing{"read",
                               "write",
                               "pread64",
                               "close",
                               "close_range",
                               "poll",
                               "ppoll",
                               "fstat",
                               "newfstatat",
                               "brk",
                               "munmap",
                               "mremap",
                               "madvise",
                               "futex",
                               "set_robust_list",
                               "rseq",
                               "membarrier",
                               "sched_yield",
                               "sched_getaffinity",
                               "exit",
                               "exit_group",
                               "rt_sigaction",
                               "rt_sigprocmask",
                               "rt_sigreturn",
                               "sigaltstack",
                               "restart_syscall",
                               "setitimer",
                               "getpid",
                               "getppid",
                               "gettid",
                               "getrandom",
                               "clock_gettime",
                               "clock_getres",
                               "gettimeofday",
                               "time",
                               "sysinfo",
                               "getrlimit"};
// What it takes to start others, and to bind them further.
constexpr std::array forking{"clone",   "wait4",     "kill",     "prctl",
                             "seccomp", "prlimit64", "setrlimit"};

constexpr std::array<std::uint64_t, 4> allowed_ioctls{TCGETS, TIOCGWINSZ, FIONREAD,
                                                      FS_IOC_GETFLAGS};
// A character into the operator's terminal, or an attribute of a file.
constexpr std::array<std::uint64_t, 4> deadly_ioctls{TIOCSTI, TIOCLINUX, FS_IOC_SETFLAGS,
                                                     FS_IOC_FSSETXATTR};
constexpr std::array<std::uint64_t, 6> allowed_fcntls{F_OFD_GETLK, F_GETFD,         F_SETFD,
                                                      F_GETFL,     F_DUPFD_CLOEXEC, F_DUPFD};
constexpr std::uint64_t temporary = O_TMPFILE & ~O_DIRECTORY;
constexpr std::array<std::uint64_t, 6> writing{O_WRONLY, O_RDWR,   O_CREAT,
                                               O_TRUNC,  O_APPEND, temporary};

class Filter {
 public:
  Filter() : filter_(seccomp_init(SCMP_ACT_ERRNO(ENOSYS)), seccomp_release) {}

  [[nodiscard]] bool made() const { return filter_ != nullptr; }
  void set(scmp_filter_attr attribute, std::uint32_t value) {
    keep(seccomp_attr_set(filter_.get(), attribute, value));
  }
  template <class... Condition>
  void rule(std::uint32_t action, const char* name, Condition... condition) {
    const int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR) return;  // newer than the library: not allowed anyway
    const std::array<scmp_arg_cmp, sizeof...(condition)> conditions{condition...};
    const int rc = seccomp_rule_add_array(
        filter_.get(), action, number, static_cast<unsigned>(conditions.size()), conditions.data());
    // Calls that this machine's architecture does not have come back as EDOM or EINVAL below 0.
    if (number >= 0) keep(rc);
  }
  [[nodiscard]] int fault() const { return fault_; }
  /// What the kernel said, negative; 0 when the filter stands.
  [[nodiscard]] int load() { return seccomp_load(filter_.get()); }

 private:
  void keep(int rc) {
    if (rc != 0 && fault_ == 0) fault_ = rc;
  }
  std::unique_ptr<void, void (*)(scmp_filter_ctx)> filter_;
  int fault_ = 0;
};

scmp_arg_cmp has_bits(unsigned argument, std::uint64_t mask, std::uint64_t value) {
  return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}
scmp_arg_cmp is(unsigned argument, std::uint64_t value) {
  return {argument, SCMP_CMP_EQ, value, 0};
}

void opening(Filter& filter, const char* name, unsigned flags) {
  std::uint64_t all = 0;
  for (const std::uint64_t bit : writing) {
    all |= bit;
    filter.rule(SCMP_ACT_KILL_PROCESS, name, has_bits(flags, bit, bit));
  }
  filter.rule(SCMP_ACT_ALLOW, name, has_bits(flags, all, 0));
}

void fill(Filter& filter, bool by_path) {
  filter.set(SCMP_FLTATR_CTL_TSYNC, 1);
  filter.set(SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  filter.set(SCMP_FLTATR_API_SYSRAWRC, 1);
  for (const char* name : allowed) filter.rule(SCMP_ACT_ALLOW, name);
  for (const char* name : deadly) filter.rule(SCMP_ACT_KILL_PROCESS, name);
  opening(filter, "open", 1);
  opening(filter, "openat", 2);
  if (by_path) filter.rule(SCMP_ACT_ALLOW, "openat2");
  for (const char* name : {"mmap", "mprotect"})
    filter.rule(SCMP_ACT_ALLOW, name, has_bits(2, PROT_EXEC, 0));
  // A thread, not a process; clone3 hides its flags, so the C library has to take this one.
  filter.rule(SCMP_ACT_ALLOW, "clone", has_bits(0, CLONE_THREAD, CLONE_THREAD));
  filter.rule(SCMP_ACT_KILL_PROCESS, "clone", has_bits(0, CLONE_THREAD, 0));
  filter.rule(SCMP_ACT_ALLOW, "tgkill", is(0, static_cast<std::uint64_t>(::getpid())));
  filter.rule(SCMP_ACT_ALLOW, "prlimit64", is(2, 0));
  for (const std::uint64_t request : allowed_ioctls)
    filter.rule(SCMP_ACT_ALLOW, "ioctl", has_bits(1, 0xffffffffu, request));
  for (const std::uint64_t request : deadly_ioctls)
    filter.rule(SCMP_ACT_KILL_PROCESS, "ioctl", has_bits(1, 0xffffffffu, request & 0xffffffffu));
  for (const std::uint64_t command : allowed_fcntls)
    filter.rule(SCMP_ACT_ALLOW, "fcntl", has_bits(1, 0xffffffffu, command));
}

void fill_computing(Filter& filter, Computing how) {
  filter.set(SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  filter.set(SCMP_FLTATR_API_SYSRAWRC, 1);
  const bool forks = how == Computing::and_forking;
  for (const char* name : computing) filter.rule(SCMP_ACT_ALLOW, name);
  for (const char* name : {"mmap", "mprotect"})
    filter.rule(SCMP_ACT_ALLOW, name, has_bits(2, PROT_EXEC, 0));
  if (forks)
    for (const char* name : forking) filter.rule(SCMP_ACT_ALLOW, name);
  for (const char* name : deadly)
    if (!forks || std::string_view(name) != "kill") filter.rule(SCMP_ACT_KILL_PROCESS, name);
  for (const char* name : {"open", "openat", "openat2"}) filter.rule(SCMP_ACT_KILL_PROCESS, name);
  if (!forks) {
    filter.rule(SCMP_ACT_KILL_PROCESS, "clone");
    filter.rule(SCMP_ACT_ALLOW, "prlimit64", is(2, 0));
  }
}

bool lacks_filters(int rc) {
  return rc == -ENOSYS || rc == -EINVAL || rc == -EOPNOTSUPP || rc == -EPERM || rc == -EACCES;
}

std::unexpected<Error> failed(int rc) {
  return std::unexpected(
      Error{.code = Code::unsupported,
            .message = "cannot confine this process: the system call filter: " + errno_text(-rc),
            .remedy = "`--no-sandbox` works without",
            .os_error = -rc});
}

}  // namespace

Result<Lacking> limit_system_calls(bool by_path) {
  Filter filter;
  if (!filter.made()) return failed(-ENOMEM);
  fill(filter, by_path);
  // The library asks the kernel before it takes an attribute or an action.
  const bool known = filter.fault() != -EOPNOTSUPP;
  if (known && filter.fault() != 0) return failed(filter.fault());
  const int rc = known ? filter.load() : filter.fault();
  if (rc == 0) return std::nullopt;
  if (lacks_filters(rc)) return "this kernel takes no system call filter (" + errno_text(-rc) + ")";
  return failed(rc);
}

bool limit_to_computing(Computing how) {
  Filter filter;
  if (!filter.made()) return false;
  fill_computing(filter, how);
  if (filter.fault() != 0) return filter.fault() == -EOPNOTSUPP;
  const int rc = filter.load();
  return rc == 0 || lacks_filters(rc);
}

}  // namespace remediate::host::posix
