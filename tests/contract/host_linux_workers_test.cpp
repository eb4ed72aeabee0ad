// Workers that hang, use up memory, crash, lie, or try to reach something: the question they had
// gets an error within its time, all other questions get their answers.
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "remediate/host/confine.h"
#include "remediate/host/posix/worker_message.h"
#include "remediate/host/workers.h"
#include "tests/contract/host_worlds.h"

using namespace remediate;
using namespace remediate::contract;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

std::string prepared;

bool is_zombie(pid_t process) {
  std::ifstream in("/proc/" + std::to_string(process) + "/stat");
  std::string text;
  std::getline(in, text);
  const std::size_t name_end = text.rfind(") ");
  return name_end != std::string::npos && text.substr(name_end + 2, 1) == "Z";
}

/// Memory that is used, so that it counts; kept until the worker ends.
/// No compiler may leave this loop out.
void hang() {
  for (volatile bool for_ever = true; for_ever;) {
  }
}

bool take_memory(std::size_t bytes) {
  void* at = std::malloc(bytes);
  if (at == nullptr) return false;
  auto* first = static_cast<volatile char*>(at);
  for (std::size_t i = 0; i < bytes; i += 4096) first[i] = 1;
  return true;
}

host::Work::Answer answer(std::string_view request, std::string_view content) {
  if (request == "hang") hang();
  if (request == "hang without alarm") {
    ::signal(SIGALRM, SIG_IGN);
    hang();
  }
  if (request == "crash") ::raise(SIGSEGV), ::abort();
  if (request == "exit") ::_exit(7);
  if (request == "throw") throw std::bad_alloc();
  if (request == "memory") {
    std::size_t taken = 0;
    while (taken < 4096 && take_memory(1u << 20)) ++taken;
    return {.bytes = std::to_string(taken), .last = true};
  }
  if (request == "last") return {.bytes = "bye", .last = true};
  if (request == "long")
    return {.bytes = std::string(host::max_worker_message + 1, 'x'), .last = false};
  if (request == "open") ::open("/etc/hostname", O_RDONLY | O_CLOEXEC);
  if (request == "fork" && ::fork() == 0) ::_exit(0);
  if (request == "socket") (void)::socket(AF_UNIX, SOCK_STREAM, 0);
  if (request == "write content") const_cast<char&>(content.front()) = 'x';
  if (request == "answer more than was asked") {
    // To the one socket that a worker has, whatever its number.
    for (int fd = 0; fd < 64; ++fd)
      for (const std::uint64_t ahead : {std::uint64_t{2}, std::uint64_t{1000}})
        (void)host::posix::send(fd, {.kind = host::posix::Message::Kind::answer, .id = ahead},
                                "a lie");
  }
  if (request == "pid") return {.bytes = std::to_string(::getpid()), .last = false};
  return {.bytes = std::string(request) + ":" + prepared + ":" + std::to_string(content.size()) +
                   ":" + std::string(content.substr(0, 10)),
          .last = false};
}

std::unique_ptr<host::Workers> some(host::WorkerLimits limits = {}) {
  ::signal(SIGPIPE, SIG_IGN);
  prepared.clear();
  host::Work work;
  work.prepare = [](std::string_view bytes) {
    if (bytes == "hang") hang();
    if (bytes == "crash") ::_exit(9);
    prepared += bytes;
    return "made " + std::string(bytes);
  };
  work.answer = answer;
  auto made = host::start_workers(work, limits);
  REQUIRE(made.has_value());
  return std::move(*made);
}

bool works(host::Workers& workers) {
  const auto said = workers.ask("echo", "content", 5s);
  if (!said) std::cout << said.error().text() << '\n';
  return said && *said == "echo:" + std::string() + ":7:content";
}

double seconds_of(const std::function<void()>& body) {
  const auto start = Clock::now();
  body();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// The message of the error that a question ends with.
std::string ends_with(host::Workers& workers, std::string_view request,
                      std::chrono::milliseconds within = 5s) {
  const auto said = workers.ask(request, "content", within);
  if (said) return "no error: " + *said;
  CHECK(said.error().code == Code::limit);
  return said.error().message;
}

}  // namespace

TEST_CASE("workers: what is prepared they all have, and each question gets its answer") {
  const auto workers = some({.workers = 4});
  CHECK(workers->prepare("one ").value() == "made one ");
  CHECK(workers->prepare("two").value() == "made two");
  std::atomic<int> right{0};
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 6; ++thread)  // more than there are workers
      threads.emplace_back([&, thread] {
        for (int i = 0; i < 200; ++i) {
          const std::string mine = std::to_string(thread) + "-" + std::to_string(i);
          const std::string content(static_cast<std::size_t>(i) * 977,
                                    static_cast<char>('a' + thread));
          const auto said = workers->ask(mine, content, 5s);
          const std::string wanted =
              mine + ":one two:" + std::to_string(content.size()) + ":" + content.substr(0, 10);
          if (said && *said == wanted) ++right;
        }
      });
  }
  CHECK(right == 1200);
  const auto empty = workers->ask("empty", "", 5s);
  CHECK(empty.value() == "empty:one two:0:");
}

TEST_CASE("workers: a question that takes for ever ends in its time, the others go on") {
  const auto workers = some();
  for (const char* request : {"hang", "hang without alarm"}) {
    std::string said;
    const double took = seconds_of([&] { said = ends_with(*workers, request, 300ms); });
    CHECK(said == "it took too long");
    CHECK(took >= 0.29);
    CHECK(took < 30);
    CHECK(works(*workers));
  }
}

TEST_CASE("workers: one that uses up its memory, crashes or ends is replaced") {
  const auto workers = some({.max_memory = 64u << 20});
  const auto megabytes = workers->ask("memory", "", 20s);
  if (megabytes) {                        // a sanitizer ends the process instead
    constexpr unsigned freed_before = 8;  // memory of the parent that it may use again
    CHECK(std::stoul(*megabytes) <= 64 + freed_before);
    CHECK(std::stoul(*megabytes) >= 32);
  }
  CHECK(works(*workers));
  const std::string crashed = ends_with(*workers, "crash");
  CHECK(crashed.starts_with("the process that did it "));
  CHECK(works(*workers));
  CHECK(ends_with(*workers, "exit") == "the process that did it ended with code 7");
  CHECK(ends_with(*workers, "throw") == "out of memory");
  CHECK(ends_with(*workers, "long").starts_with("the process that did it ended with code"));
  CHECK(works(*workers));
  for (int i = 0; i < 20; ++i) CHECK(workers->ask("last", "x", 5s).value() == "bye");
  CHECK(works(*workers));
}

TEST_CASE("workers: after too many ends nothing is tried any more, and that is said") {
  const auto workers = some({.max_ends = 3});
  for (int i = 0; i < 3; ++i) CHECK(ends_with(*workers, "exit").ends_with("with code 7"));
  CHECK(ends_with(*workers, "echo").find("3 processes have ended") != std::string::npos);
}

TEST_CASE("workers: they can open, start and reach nothing, nor change what they were given") {
  const auto workers = some();
  const std::string killed = "the process that did it was ended by signal ";
  for (const char* request : {"open", "fork", "socket"}) {
    INFO(request);
    CHECK(ends_with(*workers, request) == killed + std::to_string(SIGSYS));
  }
  CHECK(ends_with(*workers, "write content").starts_with("the process that did it "));
  CHECK(works(*workers));
}

TEST_CASE("workers: an answer that nobody asked for is none") {
  const auto workers = some({.workers = 1});
  const auto said = workers->ask("answer more than was asked", "content", 5s);
  CHECK(said.value() == "answer more than was asked::7:content");
  const auto next = workers->ask("echo", "12345", 5s);
  CHECK(next.value() == "echo::5:12345");
}

TEST_CASE("workers: content and requests that are too long are told") {
  const auto workers = some({.max_content = 1u << 20});
  const auto said = workers->ask("echo", std::string((1u << 20) + 1, 'x'), 5s);
  REQUIRE_FALSE(said.has_value());
  CHECK(said.error().message.find("1048577 bytes") != std::string::npos);
  CHECK_FALSE(workers->ask(std::string(host::max_worker_message + 1, 'x'), "", 5s).has_value());
  CHECK(workers->ask("echo", std::string(1u << 20, 'x'), 5s).has_value());
  // The memory of long content is given back; what follows is not of it.
  const auto more = some({.workers = 1});
  CHECK(more->ask("echo", std::string(3u << 20, 'x'), 5s).value() == "echo::3145728:xxxxxxxxxx");
  CHECK(more->ask("echo", "12345", 5s).value() == "echo::5:12345");
}

TEST_CASE("workers: a preparation that hangs or ends is an error, and so is all that follows") {
  for (const char* bytes : {"hang", "crash"}) {
    const auto workers = some({.prepare_within = 200ms});
    const double took =
        seconds_of([&] { CHECK(workers->prepare(bytes).error().code == Code::limit); });
    CHECK(took < 30);
    CHECK_FALSE(workers->prepare("fine").has_value());
    CHECK_FALSE(workers->ask("echo", "", 1s).has_value());
  }
}

TEST_CASE("workers: killed from outside, the question or the next one tells it") {
  const auto workers = some({.workers = 1});
  const auto pid = static_cast<pid_t>(std::stol(workers->ask("pid", "", 5s).value()));
  REQUIRE(::kill(pid, SIGKILL) == 0);
  std::this_thread::sleep_for(100ms);
  CHECK(works(*workers));  // its end was seen before the question was asked
  CHECK(std::stol(workers->ask("pid", "", 5s).value()) != pid);
}

TEST_CASE("workers: asked from a confined process, and gone with the one that started them") {
  auto ready = some();
  REQUIRE(ready->prepare("p").has_value());
  const auto product = host::run_confined([&](const host::Confinement&) {
    const auto hung = ready->ask("hang", "", 200ms);
    const auto said = ready->ask("echo", "12345", 5s);
    const auto pid = ready->ask("pid", "", 5s);
    return host::Product{.code = hung.has_value() ? 1 : 0,
                         .outputs = {said.value_or("none"), pid.value_or("0")}};
  });
  REQUIRE(product.has_value());
  CHECK(product->code == 0);
  CHECK(product->outputs.at(0) == "echo:p:5:12345");
  const auto pid = static_cast<pid_t>(std::stol(product->outputs.at(1).value()));
  REQUIRE(pid > 0);
  REQUIRE(::kill(pid, 0) == 0);
  ready.reset();
  bool gone = false;
  for (int tries = 0; tries < 200 && !gone; ++tries) {
    std::this_thread::sleep_for(10ms);
    gone = ::kill(pid, 0) != 0 || is_zombie(pid);  // not every container's first process reaps
  }
  CHECK(gone);
}
