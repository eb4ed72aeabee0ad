// The process that workers are forked from, and the workers.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "remediate/host/posix/walls.h"
#include "remediate/host/posix/worker_message.h"

namespace remediate::host::posix {
namespace {

using Kind = Message::Kind;
using Head = Message::Head;

constexpr int odd_end = 98;

void noted(int /*signal*/) {}

void close_all_but(int fd) {
  ::close_range(0, static_cast<unsigned>(fd - 1), 0);
  ::close_range(static_cast<unsigned>(fd + 1), ~0u, 0);
}

bool bound(__rlimit_resource what, rlim_t most) {
  rlimit limit{};
  if (::getrlimit(what, &limit) != 0) return false;
  limit.rlim_cur = std::min(most, limit.rlim_max);
  return ::setrlimit(what, &limit) == 0;
}

void set_alarm(std::uint64_t milliseconds) {
  itimerval timer{};
  timer.it_value.tv_sec = static_cast<time_t>(milliseconds / 1000);
  timer.it_value.tv_usec = static_cast<suseconds_t>(milliseconds % 1000 * 1000);
  ::setitimer(ITIMER_REAL, &timer, nullptr);
}

/// Answers one question after the other; a question that takes too long is its end by SIGALRM.
[[noreturn]] void work_on(const Work& work, const Slot& slot) {
  while (const auto asked = receive(slot.far.get())) {
    if (asked->head.kind != Kind::ask || asked->head.value > slot.size) ::_exit(odd_end);
    set_alarm(asked->head.milliseconds);
    const Work::Answer answer =
        work.answer(asked->body, {slot.content, static_cast<std::size_t>(asked->head.value)});
    set_alarm(0);
    const Head head{.kind = Kind::answer, .last = answer.last ? 1u : 0u, .id = asked->head.id};
    if (!send(slot.far.get(), head, answer.bytes)) ::_exit(odd_end);
    if (answer.last) break;
  }
  ::_exit(0);
}

class Nursery {
 public:
  Nursery(const Work& work, const WorkerLimits& limits, const Descriptor& control,
          std::vector<Slot>& slots)
      : work_(work), limits_(limits), control_(control), slots_(slots), pids_(slots.size(), 0) {}

  void run() {
    sigset_t waiting;
    prepare_signals(waiting);
    for (;;) {
      collect();
      pollfd wanted{control_.get(), POLLIN, 0};
      if (::ppoll(&wanted, 1, nullptr, &waiting) <= 0) continue;
      const auto message = receive(control_.get());
      if (!message) return;
      if (!confined_ && !confine()) return;
      if (message->head.kind == Kind::prepare) {
        prepare(message->head);
      } else if (message->head.id < slots_.size()) {
        stop(message->head.id);
        if (message->head.kind == Kind::start) start(message->head.id);
      }
    }
  }

 private:
  static void prepare_signals(sigset_t& waiting) {
    struct sigaction action = {};
    action.sa_handler = noted;
    ::sigaction(SIGCHLD, &action, nullptr);
    ::signal(SIGALRM, SIG_DFL);
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGCHLD);
    ::sigprocmask(SIG_BLOCK, &blocked, &waiting);
    sigdelset(&waiting, SIGCHLD);
    sigdelset(&waiting, SIGALRM);
  }

  /// Before anything hostile is here. What the kernel lacks was told by the asking process.
  bool confine() {
    confined_ = true;
    if (work_.begin) work_.begin();
    memory_ = Descriptor(::open("/proc/self/statm", O_RDONLY | O_CLOEXEC));
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
    if (!bound(RLIMIT_CORE, 0) || !bound(RLIMIT_DATA, data_bytes() + limits_.max_prepared))
      return false;
    return forbid_file_changes().has_value() && limit_to_computing(Computing::and_forking);
  }

  /// What counts for RLIMIT_DATA, roughly; without /proc the limit is only tighter.
  rlim_t data_bytes() const {
    std::array<char, 128> text{};
    const ssize_t length = ::pread(memory_.get(), text.data(), text.size() - 1, 0);
    unsigned long pages = 0;
    if (length <= 0 || std::sscanf(text.data(), "%*u %*u %*u %*u %*u %lu", &pages) != 1) return 0;
    return static_cast<rlim_t>(pages) * static_cast<rlim_t>(page_);
  }

  void prepare(const Head& head) {
    const auto length = static_cast<std::size_t>(std::min(head.value, slots_.front().size));
    set_alarm(static_cast<std::uint64_t>(limits_.prepare_within.count()));
    const std::string made = work_.prepare({slots_.front().content, length});
    set_alarm(0);
    if (!send(control_.get(), {.kind = Kind::prepared}, made.substr(0, max_worker_message)))
      ::_exit(odd_end);
  }

  /// Kills the slot's worker and tells its end, if there is one.
  void stop(std::uint64_t slot) {
    if (pids_[slot] <= 0) return;  // also when it could not be started
    ::kill(pids_[slot], SIGKILL);
    int status = 0;
    uninterrupted([&] { return ::waitpid(pids_[slot], &status, 0); });
    ended(slot, status);
  }

  void start(std::uint64_t slot) {
    const int far = slots_[slot].far.get();
    while (readable(far, std::chrono::steady_clock::now()))
      if (!receive(far)) return;  // asked of one that ended
    const rlim_t most = data_bytes() + limits_.max_memory;
    const pid_t nursery = ::getpid();
    const pid_t child = ::fork();
    if (child == 0) become_worker(slot, nursery, most);
    pids_[slot] = child;
    (void)send(far, {.kind = Kind::started, .value = child < 0 ? 1u : 0u});
  }

  [[noreturn]] void become_worker(std::uint64_t slot, pid_t nursery, rlim_t most) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != nursery) ::_exit(odd_end);
    close_all_but(slots_[slot].far.get());
    for (std::uint64_t other = 0; other < slots_.size(); ++other)
      if (other != slot) ::munmap(slots_[other].content, slots_[other].size);
    ::mprotect(slots_[slot].content, slots_[slot].size, PROT_READ);
    if (!bound(RLIMIT_DATA, most) || !limit_to_computing(Computing::alone)) ::_exit(odd_end);
    try {
      work_on(work_, slots_[slot]);
    } catch (const std::bad_alloc&) {
      ::_exit(no_memory_left);
    } catch (const std::exception&) {
      ::_exit(odd_end);
    }
  }

  void collect() {
    int status = 0;
    for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;)
      for (std::uint64_t slot = 0; slot < slots_.size(); ++slot)
        if (pids_[slot] == pid) ended(slot, status);
  }

  void ended(std::uint64_t slot, int status) {
    pids_[slot] = 0;
    (void)send(slots_[slot].far.get(),
               {.kind = Kind::ended, .value = static_cast<std::uint64_t>(status)});
  }

  const Work& work_;
  const WorkerLimits& limits_;
  const Descriptor& control_;
  std::vector<Slot>& slots_;
  std::vector<pid_t> pids_;
  Descriptor memory_;
  long page_ = ::sysconf(_SC_PAGESIZE);
  bool confined_ = false;
};

}  // namespace

void run_nursery(const Work& work, const WorkerLimits& limits, const Descriptor& control,
                 std::vector<Slot>& slots) noexcept {
  try {
    // Nothing is to be read from or said to the terminal here.
    const Descriptor null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    for (int stream = 0; stream <= 2; ++stream)
      if (!null.is_open() || ::dup2(null.get(), stream) < 0) ::_exit(odd_end);
    for (Slot& slot : slots) slot.near = Descriptor();
    Nursery(work, limits, control, slots).run();
  } catch (const std::bad_alloc&) {
    ::_exit(no_memory_left);
  } catch (const std::exception&) {
    ::_exit(odd_end);
  }
  ::_exit(0);
}

}  // namespace remediate::host::posix
