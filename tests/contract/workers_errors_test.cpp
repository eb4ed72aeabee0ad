// Errors of the system around workers: what cannot be made is told when they are started, and a
// nursery or a worker that does not get its walls does no work.
#include <cerrno>
#include <chrono>
#include <csignal>
#include <new>
#include <stdexcept>
#include <thread>

#include <unistd.h>

#include "remediate/host/workers.h"
#include "tests/contract/failing_calls.h"
#include "tests/contract/host_worlds.h"

using namespace remediate;
using namespace remediate::contract;
using namespace std::chrono_literals;

namespace {

/// Calls `from` to `to` (counted from 0) of one name give `result`. The nursery and the workers
/// that are forked meanwhile count on from there.
CallHook::Hook calls(const std::string& name, std::size_t from, std::size_t to, int error,
                     long result = -1) {
  return [=, seen = std::size_t{0}](const std::string& call) mutable -> std::optional<long> {
    if (call != name) return std::nullopt;
    const std::size_t now = seen++;
    if (now < from || now > to) return std::nullopt;
    errno = error;
    return result;
  };
}
constexpr std::size_t all = 1'000'000;

const host::Work& work() {
  static const host::Work one{
      .begin = [] {},
      .prepare = [](std::string_view bytes) -> std::string {
        if (bytes == "no memory") throw std::bad_alloc();
        if (bytes == "odd") throw std::runtime_error("odd");
        return "made " + std::string(bytes);
      },
      .answer = [](std::string_view request, std::string_view content) -> host::Work::Answer {
        if (request == "pid") return {.bytes = std::to_string(::getpid()), .last = false};
        if (request == "odd") throw std::runtime_error("odd");
        return {.bytes = std::string(request) + " " + std::string(content), .last = false};
      }};
  return one;
}

Result<std::unique_ptr<host::Workers>> start(const host::WorkerLimits& limits = {.workers = 1}) {
  ::signal(SIGPIPE, SIG_IGN);
  return host::start_workers(work(), limits);
}

std::string asked(host::Workers& workers, std::string_view request = "say") {
  const auto said = workers.ask(request, "it", 3s);
  if (said) return *said;
  CHECK(said.error().code == Code::limit);
  return "error: " + said.error().message;
}

constexpr const char* gone = "error: the processes that do it are gone";

}  // namespace

TEST_CASE("workers that cannot be made are an error that says why", "[errors][workers]") {
  for (const char* call : {"socketpair", "memfd_create", "ftruncate", "mmap", "fork"}) {
    INFO(call);
    const FailingCall failing(call, EMFILE, 1);
    const auto made = start();
    REQUIRE_FALSE(made);
    CHECK(made.error().os_error == EMFILE);
  }
  {
    const CallHook last(calls("socketpair", 2, 2, EMFILE));
    const auto made = start({.workers = 2});
    REQUIRE_FALSE(made);
    CHECK(made.error().os_error == EMFILE);
  }
  CHECK(code_of(start({.workers = 0})) == Code::bad_input);
  CHECK(asked(*must(start())) == "say it");
}

TEST_CASE("a nursery that does not get its walls ends before anything hostile is there",
          "[errors][workers]") {
  const auto without = [](const CallHook::Hook& hook) {
    std::unique_ptr<host::Workers> workers;
    {
      const CallHook hooked(hook);
      workers = must(start());
    }
    const std::string first = asked(*workers);  // the nursery ends before or after it gets this
    if (first != gone) CHECK(first == "error: no process for it could be started");
    CHECK(asked(*workers) == gone);
    CHECK_FALSE(workers->prepare("p").has_value());
    CHECK_FALSE(workers->ask("say", "", 1s).has_value());
  };
  for (const char* call : {"prctl", "getppid", "dup2", "seccomp_init"}) {
    INFO(call);
    without(calls(call, 0, all, EPERM));
  }
  INFO("the second of a call");
  without(calls("prctl", 1, 1, EPERM));      // the first is about the end of the parent
  without(calls("open", 0, 0, EMFILE));      // /dev/null
  without(calls("read", 0, 0, EIO));         // the first message
  without(calls("setrlimit", 0, 0, EPERM));  // no core dump
  without(calls("setrlimit", 1, 1, EPERM));  // memory
  without(calls("getrlimit", 0, 0, EPERM));
  without(calls("seccomp_attr_set", 0, 0, 0, -EFAULT));
  without(calls("seccomp_load", 0, 0, 0, -ENOMEM));
  constexpr long create_ruleset = 444;
  if (::syscall(create_ruleset, nullptr, 0, 1) >= 1)  // its version: this kernel has Landlock
    without(calls("landlock_create_ruleset", 1, 1, EIO));
}

TEST_CASE("what a kernel lacks does not keep the workers from their work", "[errors][workers]") {
  for (const auto& [call, result] : {std::pair("seccomp_load", static_cast<long>(-ENOSYS)),
                                     {"seccomp_attr_set", -EOPNOTSUPP},
                                     {"landlock_create_ruleset", -1}}) {
    INFO(call);
    const CallHook older(calls(call, 0, all, EOPNOTSUPP, result));
    const auto workers = must(start());
    CHECK(asked(*workers) == "say it");
  }
  // Without /proc nobody knows how much memory counts already: the limit is tighter, no more.
  for (const auto& [call, result] : {std::pair("pread", -1L), {"pread", 1L}}) {
    const CallHook odd(calls(call, 0, all, EIO, result));
    CHECK(asked(*must(start())) == "say it");
  }
}

TEST_CASE("a worker that cannot be started, or not within its walls, does no work",
          "[errors][workers]") {
  const auto without = [](const CallHook::Hook& hook) {
    std::unique_ptr<host::Workers> workers;
    {
      const CallHook hooked(hook);
      workers = must(start());
    }
    return asked(*workers);
  };
  CHECK(without(calls("fork", 1, all, EAGAIN)) == "error: no process for it could be started");
  const std::string ended = "error: the process that did it ended with code 98";
  CHECK(without(calls("getppid", 1, all, 0)) == ended);
  CHECK(without(calls("setrlimit", 2, all, EPERM)) == ended);
  CHECK(without(calls("seccomp_load", 1, all, 0, -ENOMEM)) == ended);
  CHECK(asked(*must(start()), "odd") == ended);
}

TEST_CASE("sockets to the workers that fail are an error of the question, which ends in its time",
          "[errors][workers]") {
  const auto begun = std::chrono::steady_clock::now();
  const auto workers = [] {
    auto made = must(start({.workers = 2}));
    CHECK(asked(*made) == "say it");
    return made;
  };
  SECTION("the nursery is not reached") {
    const auto fresh = must(start());
    const FailingCall failing("write", EPIPE, 1);
    CHECK(asked(*fresh) == gone);
    CHECK(asked(*fresh) == gone);
  }
  SECTION("the worker is not reached") {
    const auto some = workers();
    const FailingCall failing("write", EPIPE, 1);
    CHECK(asked(*some) == "error: it could not be asked");
    CHECK(asked(*some) == "say it");
  }
  SECTION("no word can be read") {
    const auto some = workers();
    {
      const FailingCall failing("read", EIO);
      CHECK(asked(*some) == gone);
    }
    CHECK(asked(*some) == gone);
  }
  SECTION("nobody can wait") {
    const auto some = workers();
    const FailingCall failing("poll", EIO);
    CHECK(asked(*some) == gone);
  }
  SECTION("nobody can wait for a new worker") {
    const auto fresh = must(start());
    const FailingCall failing("poll", EIO);
    CHECK(asked(*fresh) == "error: no process for it could be started");
  }
  SECTION("nobody can wait, and the nursery is not reached") {
    const auto some = workers();
    const CallHook hook([sent = 0](const std::string& call) mutable -> std::optional<long> {
      errno = EPIPE;
      if (call == "poll" || (call == "write" && ++sent == 2)) return -1;
      return std::nullopt;
    });
    CHECK(asked(*some) == gone);
  }
  SECTION("a signal while waiting") {
    const auto some = workers();
    for (const char* call : {"poll", "read", "write"}) {
      const FailingCall passing(call, EINTR, 1);
      CHECK(asked(*some) == "say it");
    }
  }
  CHECK(std::chrono::steady_clock::now() - begun < 20s);
}

TEST_CASE("a preparation that fails is told, whatever failed", "[errors][workers]") {
  const auto prepared = [](std::string_view bytes, const host::WorkerLimits& limits = {}) {
    const auto workers = must(start(limits));
    const auto made = workers->prepare(bytes);
    if (made) return *made;
    CHECK(made.error().code == Code::limit);
    CHECK_FALSE(workers->ask("say", "", 1s).has_value());
    return made.error().message;
  };
  const std::string failed = "the preparation of the workers ";
  CHECK(prepared("it") == "made it");
  CHECK(prepared("no memory") == failed + "took too long, or more memory than it may have");
  CHECK(prepared("odd") == failed + "took too long, or more memory than it may have");
  CHECK(prepared("four", {.workers = 1, .max_content = 3}) == failed + "failed");
  {
    const auto workers = must(start());
    const FailingCall failing("write", EPIPE, 1);
    CHECK(workers->prepare("it").error().message == failed + "could not be asked for");
  }
  {
    const auto workers = must(start());
    const FailingCall failing("poll", EIO);
    CHECK(workers->prepare("it").error().message == failed + "took too long");
  }
  {
    // What the nursery made does not reach the asking process, which writes first.
    const CallHook unsaid(calls("write", 0, 0, EPIPE));
    const auto workers = must(start());
    const CallHook none([](const std::string&) { return std::nullopt; });
    CHECK(workers->prepare("it").error().message ==
          failed + "took too long, or more memory than it may have");
  }
  // Another message than the one that is due: all zeros.
  const auto workers = must(start());
  const FailingCall odd("read", 0, 1, 32);
  CHECK(workers->prepare("it").error().message ==
        failed + "took too long, or more memory than it may have");
}

TEST_CASE("a question to a worker that ended unseen is not answered by the next one",
          "[errors][workers]") {
  const auto workers = must(start());
  const auto pid = static_cast<pid_t>(std::stol(asked(*workers, "pid")));
  REQUIRE(::kill(pid, SIGKILL) == 0);
  std::this_thread::sleep_for(100ms);
  {
    const FailingCall unseen("poll", 0, 1, 0);  // nothing to read, it says
    CHECK(asked(*workers, "lost") == "error: the process that did it was ended by signal 9");
  }
  CHECK(asked(*workers) == "say it");
  CHECK(asked(*workers, "more") == "more it");
}

TEST_CASE("workers belong to the process that started them", "[errors][workers]") {
  const auto workers = must(start());
  CHECK(asked(*workers) == "say it");
  const std::string problem = apart([&]() -> std::string {
    const_cast<std::unique_ptr<host::Workers>&>(workers).reset();
    return "";
  });
  CHECK(problem.empty());
  std::this_thread::sleep_for(100ms);  // what was ended by mistake would be gone by then
  CHECK(asked(*workers) == "say it");
}
