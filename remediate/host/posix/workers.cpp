#include "remediate/host/workers.h"

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <mutex>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "remediate/base/try.h"
#include "remediate/host/posix/errors.h"
#include "remediate/host/posix/worker_message.h"

namespace remediate::host {
namespace {

using namespace std::chrono_literals;
using posix::Descriptor;
using posix::Message;
using posix::Slot;
using Clock = std::chrono::steady_clock;
using Kind = Message::Kind;

// The alarm within a worker comes first; then it is killed from outside; then it is given up.
constexpr auto grace = 2s;
constexpr auto patience = 10s;
constexpr std::uint64_t kept_content = 1u << 20;  // memory beyond it is given back

std::string how_it_ended(std::uint64_t value) {
  const int status = static_cast<int>(value);
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) return "it took too long";
  if (WIFEXITED(status) && WEXITSTATUS(status) == posix::no_memory_left) return "out of memory";
  if (WIFSIGNALED(status))
    return "the process that did it was ended by signal " + std::to_string(WTERMSIG(status));
  return "the process that did it ended with code " + std::to_string(WEXITSTATUS(status));
}

class PosixWorkers final : public Workers {
 public:
  explicit PosixWorkers(const WorkerLimits& limits) : limits_(limits) {}
  ~PosixWorkers() override {
    for (const Slot& slot : slots_)
      if (slot.content != nullptr) ::munmap(slot.content, slot.size);
    if (nursery_ <= 0 || owner_ != ::getpid()) return;
    ::kill(nursery_, SIGKILL);
    posix::uninterrupted([&] { return ::waitpid(nursery_, nullptr, 0); });
  }

  Result<void> start(const Work& work);
  Result<std::string> prepare(std::string_view bytes) override;
  Result<std::string> ask(std::string_view request, std::string_view content,
                          std::chrono::milliseconds within) override;

 private:
  struct State {
    bool taken = false;
    bool alive = false;
    bool lost = false;  // no word of the nursery about it
  };
  /// A slot for as long as one question takes.
  class Turn {
   public:
    explicit Turn(PosixWorkers& all) : all_(all) {
      std::unique_lock lock(all_.mutex_);
      all_.freed_.wait(lock, [&] { return find(); });
      all_.states_[number].taken = true;
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
      const std::lock_guard lock(all_.mutex_);
      all_.states_[number].taken = false;
      all_.freed_.notify_one();
    }
    std::size_t number = 0;

   private:
    bool find() {
      for (number = 0; number < all_.states_.size(); ++number)
        if (!all_.states_[number].taken) return true;
      return false;
    }
    PosixWorkers& all_;
  };

  static std::unexpected<Error> not_done(std::string why) {
    return fail(Code::limit, std::move(why));
  }
  Result<void> make_slot();
  Result<void> wake(std::size_t number);
  /// Nothing when no word comes.
  std::optional<Message> next(std::size_t number, Clock::time_point deadline);
  Result<std::string> wait_for_answer(std::size_t number, std::uint64_t id,
                                      std::chrono::milliseconds within);
  std::unexpected<Error> end(std::size_t number, std::string why);

  WorkerLimits limits_;
  Descriptor control_;
  std::vector<Slot> slots_;
  pid_t nursery_ = 0;
  pid_t owner_ = 0;
  bool unprepared_ = false;

  std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<State> states_;
  unsigned ends_ = 0;
  std::uint64_t last_id_ = 0;
};

Result<void> PosixWorkers::make_slot() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return posix::os_fail(errno, "make a socket for", "a worker");
  Slot slot{.near = Descriptor(ends[0]), .far = Descriptor(ends[1])};
  const Descriptor memory(::memfd_create("content", MFD_CLOEXEC));
  if (!memory.is_open() || ::ftruncate(memory.get(), static_cast<off_t>(limits_.max_content)) != 0)
    return posix::os_fail(errno, "make room for", "a worker");
  void* at = ::mmap(nullptr, limits_.max_content, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_NORESERVE, memory.get(), 0);
  if (at == MAP_FAILED) return posix::os_fail(errno, "map memory for", "a worker");
  slot.content = static_cast<char*>(at);
  slot.size = limits_.max_content;
  slots_.push_back(std::move(slot));
  return {};
}

Result<void> PosixWorkers::start(const Work& work) {
  if (limits_.workers == 0) return fail(Code::bad_input, "there have to be workers");
  for (unsigned number = 0; number < limits_.workers; ++number) TRY(make_slot());
  states_.resize(limits_.workers);
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return posix::os_fail(errno, "make a socket for", "the workers");
  control_ = Descriptor(ends[0]);
  const Descriptor far(ends[1]);
  std::fflush(nullptr);
  owner_ = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return posix::os_fail(errno, "start a process for", "the workers");
  if (child == 0) {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != owner_) ::_exit(1);
    control_ = Descriptor();
    posix::run_nursery(work, limits_, far, slots_);
  }
  nursery_ = child;
  for (Slot& slot : slots_) slot.far = Descriptor();
  return {};
}

Result<std::string> PosixWorkers::prepare(std::string_view bytes) {
  const auto lost = [&](const char* why) {
    unprepared_ = true;
    return fail(Code::limit, std::string("the preparation of the workers ") + why,
                "make it smaller, or free memory");
  };
  if (bytes.size() > limits_.max_content || unprepared_) return lost("failed");
  std::ranges::copy(bytes, slots_.front().content);
  if (!posix::send(control_.get(), {.kind = Kind::prepare, .value = bytes.size()}))
    return lost("could not be asked for");
  if (!posix::readable(control_.get(), Clock::now() + limits_.prepare_within + grace))
    return lost("took too long");
  auto made = posix::receive(control_.get());
  if (!made || made->head.kind != Kind::prepared)
    return lost("took too long, or more memory than it may have");
  return std::move(made->body);
}

std::optional<Message> PosixWorkers::next(std::size_t number, Clock::time_point deadline) {
  const int near = slots_[number].near.get();
  if (!posix::readable(near, deadline)) return std::nullopt;
  auto message = posix::receive(near);
  if (!message) states_[number].lost = true;
  return message;
}

/// Sees to it that a worker is there.
Result<void> PosixWorkers::wake(std::size_t number) {
  State& state = states_[number];
  while (auto message = next(number, Clock::now()))
    if (message->head.kind == Kind::ended) state.alive = false;
  if (state.lost) return not_done("the processes that do it are gone");
  if (state.alive) return {};
  {
    const std::lock_guard lock(mutex_);
    if (ends_ >= limits_.max_ends)
      return not_done("it was not tried: " + std::to_string(ends_) +
                      " processes have ended in the middle of such work");
  }
  if (!posix::send(control_.get(), {.kind = Kind::start, .id = number})) {
    state.lost = true;
    return not_done("the processes that do it are gone");
  }
  const auto deadline = Clock::now() + patience;
  while (const auto message = next(number, deadline)) {
    if (message->head.kind != Kind::started) continue;  // the end of the one before
    if (message->head.value != 0) return end(number, "no process for it could be started");
    state.alive = true;
    return {};
  }
  state.lost = true;
  return not_done("no process for it could be started");
}

std::unexpected<Error> PosixWorkers::end(std::size_t number, std::string why) {
  states_[number].alive = false;
  const std::lock_guard lock(mutex_);
  ++ends_;
  return not_done(std::move(why));
}

Result<std::string> PosixWorkers::wait_for_answer(std::size_t number, std::uint64_t id,
                                                  std::chrono::milliseconds within) {
  auto deadline = Clock::now() + within + grace;
  bool killed = false;
  for (;;) {
    auto message = next(number, deadline);
    if (message && message->head.kind == Kind::answer && message->head.id == id) {
      // The next question starts another one, and waits for the end of this one first.
      if (message->head.last != 0) states_[number].alive = false;
      return std::move(message->body);
    }
    if (message && message->head.kind == Kind::ended)
      return end(number, killed ? "it took too long" : how_it_ended(message->head.value));
    if (message) continue;
    if (killed || states_[number].lost) break;
    killed = true;
    if (!posix::send(control_.get(), {.kind = Kind::kill, .id = number})) break;
    deadline = Clock::now() + patience;
  }
  states_[number].lost = true;
  return end(number, "the processes that do it are gone");
}

Result<std::string> PosixWorkers::ask(std::string_view request, std::string_view content,
                                      std::chrono::milliseconds within) {
  if (content.size() > limits_.max_content)
    return not_done("it has " + std::to_string(content.size()) + " bytes, more than the " +
                    std::to_string(limits_.max_content) + " for which there is room");
  if (unprepared_) return not_done("the preparation failed");
  const Turn turn(*this);
  TRY(wake(turn.number));
  Slot& slot = slots_[turn.number];
  std::ranges::copy(content, slot.content);
  Message::Head head{.kind = Kind::ask, .value = content.size()};
  head.milliseconds = static_cast<std::uint64_t>(within.count());
  {
    const std::lock_guard lock(mutex_);
    head.id = ++last_id_;
  }
  if (!posix::send(slot.near.get(), head, request)) return not_done("it could not be asked");
  auto answer = wait_for_answer(turn.number, head.id, within);
  if (content.size() > kept_content) ::madvise(slot.content, content.size(), MADV_REMOVE);
  return answer;
}

}  // namespace

Result<std::unique_ptr<Workers>> start_workers(const Work& work, const WorkerLimits& limits) {
  auto workers = std::make_unique<PosixWorkers>(limits);
  TRY(workers->start(work));
  return std::unique_ptr<Workers>(std::move(workers));
}

}  // namespace remediate::host
