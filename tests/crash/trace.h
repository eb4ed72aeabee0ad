#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

/// Runs a program under ptrace: kills it with SIGKILL at one chosen stop, or lets system calls
/// fail.
namespace crash {

enum class At : std::uint8_t {
  never,
  stop,           // the n-th system call stop of any kind
  before_change,  // the entry of the n-th state-changing call, which then does not happen
  after_change,   // its exit
  state,          // in the n-th state that the run leaves below the scene; the first is 0
};

struct KillAt {
  At at = At::never;
  std::uint64_t number = 0;
};

/// What one system call is made to answer. Calls are counted by name, over all threads and
/// children, from the first after the program's close_range(): the loader has ended then, and
/// main() has begun.
struct Fault {
  std::uint64_t call = 0;
  std::uint64_t number = 0;  // the n-th call of that name
  bool from_then_on = false;
  int error = 0;  // errno; 0 is a short transfer: half of what was asked is really done
};

struct Wish {
  KillAt kill;
  std::optional<Fault> fault = std::nullopt;
  unsigned seconds = 120;        // then SIGALRM ends it
  std::uint64_t most_stops = 0;  // then SIGKILL ends it; 0: no such bound
  /// Called with the number of the stop at every exit of a call that may have changed something: of
  /// all but those that can do no more than read. The thread stands still meanwhile. True: kill it.
  std::function<bool(std::uint64_t stop)> look = nullptr;
};

struct Stop {
  std::uint64_t call = 0;  // number of the system call
  bool entry = false;
  bool changes = false;      // the call can change what a file system holds
  bool counted = false;      // comes after close_range()
  std::uint64_t length = 0;  // what a transfer asks for, in bytes
};

struct Ended {
  int code = -1;         // exit code; -1 when a signal ended it
  int signal = 0;        // that signal
  bool endless = false;  // it made more calls than `most_stops`
  bool killed = false;   // by the sweep, at `where`
  std::string where;     // name of the call, entry or exit
  std::string text;      // standard output
  std::string messages;  // standard error
  std::vector<Stop> stops;
  std::uint64_t changes = 0;  // state-changing calls begun
  std::uint64_t faults = 0;   // calls that were made to fail
  /// Files that were flushed again after a flush of them had failed.
  std::vector<std::string> flushed_again;
};

using Words = std::vector<std::string>;

/// `folder` gets the output; nothing else is written there.
Ended run(const Words& words, const std::string& folder);
Ended run_traced(const Words& words, const std::string& folder, const Wish& wish);

std::string call_name(std::uint64_t call);
std::optional<std::uint64_t> call_number(const std::string& name);
bool can_inject();                   // on this machine
bool transfers(std::uint64_t call);  // reads or writes a number of bytes
bool flushes(std::uint64_t call);
std::string quoted(const Words& words);

}  // namespace crash
