// The linker (--wrap) sends the host's calls of the C library through these functions.
#include "tests/contract/failing_calls.h"

#include <cerrno>
#include <cstdarg>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

namespace remediate::contract {
namespace {

thread_local const CallHook::Hook* active = nullptr;
thread_local bool inside = false;

std::optional<long> shown(const char* name) {
  if (active == nullptr || inside) return std::nullopt;
  inside = true;
  const int before = errno;
  const std::optional<long> result = (*active)(name);
  if (!result) errno = before;
  inside = false;
  return result;
}

thread_local CallHook::Hook hook_of_thread;

}  // namespace

CallHook::CallHook(Hook hook) {
  hook_of_thread = std::move(hook);
  active = &hook_of_thread;
}
CallHook::~CallHook() { active = nullptr; }

FailingCalls::FailingCalls(std::size_t at, int error, std::size_t count)
    : hook_([this, at, error, count](const std::string& call) -> std::optional<long> {
        if (call == "fsync" || call == "fdatasync" || call == "syncfs") return 0;
        if (call == "geteuid") return std::nullopt;
        const std::size_t now = made_++;
        if (now < at || now - at >= count) return std::nullopt;
        if (first_.empty()) first_ = call;
        errno = error;
        return -1;
      }) {}

FailingCall::FailingCall(std::string name, int error, std::size_t count, long result)
    : hook_([this, name = std::move(name), error, count,
             result](const std::string& call) -> std::optional<long> {
        if (call != name || fired_ >= count) return std::nullopt;
        ++fired_;
        errno = error;
        return result;
      }) {}

std::string apart(const std::function<std::string()>& body) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return "no pipe";
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string said = body() + ".";
    const ssize_t sent = ::write(ends[1], said.data(), said.size());
    ::_exit(sent == static_cast<ssize_t>(said.size()) ? 0 : 1);
  }
  ::close(ends[1]);
  std::string said(4096, '\0');
  const ssize_t length = ::read(ends[0], said.data(), said.size());
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (length <= 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) return "?";
  return said.substr(0, static_cast<std::size_t>(length) - 1);
}

}  // namespace remediate::contract

using remediate::contract::shown;

namespace {

const char* name_of(long number) {
  switch (number) {
    case SYS_openat2:
      return "openat2";
    case SYS_getdents64:
      return "getdents64";
    case SYS_capget:
      return "capget";
    case SYS_close_range:
      return "close_range";
    case SYS_execveat:
      return "execveat";
    case 444:
      return "landlock_create_ruleset";
    case 445:
      return "landlock_add_rule";
    case 446:
      return "landlock_restrict_self";
    default:
      return "syscall";
  }
}

}  // namespace

// NOLINTBEGIN(bugprone-macro-parentheses): types and parameter lists are no expressions
#define WRAP(type, symbol, name, parameters, arguments)                     \
  type __real_##symbol parameters;                                          \
  type __wrap_##symbol parameters;                                          \
  type __wrap_##symbol parameters {                                         \
    if (const auto result = shown(name)) return static_cast<type>(*result); \
    return __real_##symbol arguments;                                       \
  }
// NOLINTEND(bugprone-macro-parentheses)

extern "C" {

WRAP(int, openat64, "openat", (int at, const char* path, int flags, unsigned mode),
     (at, path, flags, mode))
WRAP(int, open64, "open", (const char* path, int flags, unsigned mode), (path, flags, mode))
WRAP(ssize_t, read, "read", (int fd, void* into, std::size_t size), (fd, into, size))
WRAP(ssize_t, write, "write", (int fd, const void* from, std::size_t size), (fd, from, size))
WRAP(ssize_t, pread64, "pread", (int fd, void* into, std::size_t size, off_t at),
     (fd, into, size, at))
WRAP(ssize_t, pwrite64, "pwrite", (int fd, const void* from, std::size_t size, off_t at),
     (fd, from, size, at))
WRAP(int, ftruncate64, "ftruncate", (int fd, off_t size), (fd, size))
WRAP(int, fallocate64, "fallocate", (int fd, int mode, off_t at, off_t size), (fd, mode, at, size))
WRAP(off_t, lseek64, "lseek", (int fd, off_t at, int whence), (fd, at, whence))
WRAP(int, fsync, "fsync", (int fd), (fd))
WRAP(int, fdatasync, "fdatasync", (int fd), (fd))
WRAP(int, syncfs, "syncfs", (int fd), (fd))
WRAP(int, fstat64, "fstat", (int fd, struct stat64* into), (fd, into))
WRAP(int, stat64, "stat", (const char* path, struct stat64* into), (path, into))
WRAP(int, fstatat64, "fstatat", (int at, const char* path, struct stat64* into, int flags),
     (at, path, into, flags))
WRAP(int, fstatfs64, "fstatfs", (int fd, struct statfs64* into), (fd, into))
WRAP(int, fstatvfs64, "fstatvfs", (int fd, struct statvfs64* into), (fd, into))
WRAP(int, fchmod, "fchmod", (int fd, mode_t mode), (fd, mode))
WRAP(int, fchown, "fchown", (int fd, uid_t owner, gid_t group), (fd, owner, group))
WRAP(int, futimens, "futimens", (int fd, const timespec* times), (fd, times))
WRAP(ssize_t, fgetxattr, "fgetxattr", (int fd, const char* name, void* into, std::size_t size),
     (fd, name, into, size))
WRAP(ssize_t, flistxattr, "flistxattr", (int fd, char* into, std::size_t size), (fd, into, size))
WRAP(int, fsetxattr, "fsetxattr",
     (int fd, const char* name, const void* from, std::size_t size, int flags),
     (fd, name, from, size, flags))
WRAP(int, fremovexattr, "fremovexattr", (int fd, const char* name), (fd, name))
WRAP(int, linkat, "linkat", (int from, const char* path, int to, const char* name, int flags),
     (from, path, to, name, flags))
WRAP(int, mkdirat, "mkdirat", (int at, const char* path, mode_t mode), (at, path, mode))
WRAP(int, renameat, "renameat", (int from, const char* path, int to, const char* name),
     (from, path, to, name))
WRAP(int, renameat2, "renameat2",
     (int from, const char* path, int to, const char* name, unsigned flags),
     (from, path, to, name, flags))
WRAP(int, unlinkat, "unlinkat", (int at, const char* path, int flags), (at, path, flags))
WRAP(ssize_t, readlink, "readlink", (const char* path, char* into, std::size_t size),
     (path, into, size))
WRAP(ssize_t, readlinkat, "readlinkat", (int at, const char* path, char* into, std::size_t size),
     (at, path, into, size))
WRAP(int, access, "access", (const char* path, int mode), (path, mode))
WRAP(int, gethostname, "gethostname", (char* into, std::size_t size), (into, size))
WRAP(int, pipe2, "pipe2", (int* ends, int flags), (ends, flags))
WRAP(int, poll, "poll", (pollfd * waiting, nfds_t count, int timeout), (waiting, count, timeout))
WRAP(pid_t, fork, "fork", (), ())
WRAP(pid_t, waitpid, "waitpid", (pid_t process, int* status, int flags), (process, status, flags))
WRAP(int, dup2, "dup2", (int from, int to), (from, to))
WRAP(int, chdir, "chdir", (const char* path), (path))
WRAP(int, setgroups, "setgroups", (std::size_t count, const gid_t* groups), (count, groups))
WRAP(int, setresgid, "setresgid", (gid_t real, gid_t effective, gid_t saved),
     (real, effective, saved))
WRAP(int, setresuid, "setresuid", (uid_t real, uid_t effective, uid_t saved),
     (real, effective, saved))
WRAP(uid_t, geteuid, "geteuid", (), ())
WRAP(pid_t, getppid, "getppid", (), ())
WRAP(int, memfd_create, "memfd_create", (const char* name, unsigned flags), (name, flags))
WRAP(int, setrlimit64, "setrlimit", (int what, const void* limit), (what, limit))
WRAP(int, getrlimit64, "getrlimit", (int what, void* limit), (what, limit))
WRAP(int, socketpair, "socketpair", (int domain, int type, int protocol, int* ends),
     (domain, type, protocol, ends))
WRAP(int, seccomp_load, "seccomp_load", (void* filter), (filter))
WRAP(int, seccomp_attr_set, "seccomp_attr_set", (void* filter, int attribute, unsigned value),
     (filter, attribute, value))

// What the calls are named where the compiler checks their buffers (_FORTIFY_SOURCE).
WRAP(int, __open64_2, "open", (const char* path, int flags), (path, flags))
WRAP(int, __openat64_2, "openat", (int at, const char* path, int flags), (at, path, flags))
WRAP(ssize_t, __read_chk, "read", (int fd, void* into, std::size_t size, std::size_t room),
     (fd, into, size, room))
WRAP(ssize_t, __pread64_chk, "pread",
     (int fd, void* into, std::size_t size, off_t at, std::size_t room), (fd, into, size, at, room))
WRAP(ssize_t, __readlink_chk, "readlink",
     (const char* path, char* into, std::size_t size, std::size_t room), (path, into, size, room))
WRAP(ssize_t, __readlinkat_chk, "readlinkat",
     (int at, const char* path, char* into, std::size_t size, std::size_t room),
     (at, path, into, size, room))
WRAP(int, __gethostname_chk, "gethostname", (char* into, std::size_t size, std::size_t room),
     (into, size, room))
WRAP(int, __poll_chk, "poll", (pollfd * waiting, nfds_t count, int timeout, std::size_t room),
     (waiting, count, timeout, room))

// Pointers cannot come from a number.
dirent64* __real_readdir64(DIR* listing);
dirent64* __wrap_readdir64(DIR* listing);
dirent64* __wrap_readdir64(DIR* listing) {
  return shown("readdir") ? nullptr : __real_readdir64(listing);
}
DIR* __real_fdopendir(int fd);
DIR* __wrap_fdopendir(int fd);
DIR* __wrap_fdopendir(int fd) { return shown("fdopendir") ? nullptr : __real_fdopendir(fd); }
void* __real_mmap64(void* at, std::size_t size, int protection, int flags, int fd, off_t offset);
void* __wrap_mmap64(void* at, std::size_t size, int protection, int flags, int fd, off_t offset);
void* __wrap_mmap64(void* at, std::size_t size, int protection, int flags, int fd, off_t offset) {
  if (shown("mmap")) return MAP_FAILED;
  return __real_mmap64(at, size, protection, flags, fd, offset);
}
void* __real_seccomp_init(unsigned action);
void* __wrap_seccomp_init(unsigned action);
void* __wrap_seccomp_init(unsigned action) {
  return shown("seccomp_init") ? nullptr : __real_seccomp_init(action);
}

// A success of statx without the id of the mount is an older kernel.
int __real_statx(int at, const char* path, int flags, unsigned mask, struct statx* into);
int __wrap_statx(int at, const char* path, int flags, unsigned mask, struct statx* into);
int __wrap_statx(int at, const char* path, int flags, unsigned mask, struct statx* into) {
  const auto result = shown("statx");
  if (result && *result < 0) return -1;
  const int real = __real_statx(at, path, flags, mask, into);
  if (result) into->stx_mask &= ~static_cast<unsigned>(*result);
  return real;
}

int __real_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...) {
  va_list list;
  va_start(list, command);
  void* const argument = va_arg(list, void*);
  va_end(list);
  if (const auto result = shown("fcntl")) return static_cast<int>(*result);
  return __real_fcntl64(fd, command, argument);
}
int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...) {
  va_list list;
  va_start(list, request);
  void* const argument = va_arg(list, void*);
  va_end(list);
  if (const auto result = shown("ioctl")) return static_cast<int>(*result);
  return __real_ioctl(fd, request, argument);
}
int __real_prctl(int option, ...);
int __wrap_prctl(int option, ...);
int __wrap_prctl(int option, ...) {
  va_list list;
  va_start(list, option);
  unsigned long words[4] = {};
  for (unsigned long& word : words) word = va_arg(list, unsigned long);
  va_end(list);
  if (const auto result = shown("prctl")) return static_cast<int>(*result);
  return __real_prctl(option, words[0], words[1], words[2], words[3]);
}
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  long words[6] = {};
  for (long& word : words) word = va_arg(list, long);
  va_end(list);
  if (const auto result = shown(name_of(number))) return *result;
  return __real_syscall(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}
}
