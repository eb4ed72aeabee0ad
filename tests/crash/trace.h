#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// Runs a program under ptrace and kills it with SIGKILL at one chosen stop.
namespace crash {

enum class At : std::uint8_t {
  never,
  stop,           // the n-th system call stop of any kind
  before_change,  // the entry of the n-th state-changing call, which then does not happen
  after_change,   // its exit
};

struct KillAt {
  At at = At::never;
  std::uint64_t number = 0;
};

struct Stop {
  std::uint64_t call = 0;  // number of the system call
  bool entry = false;
  bool changes = false;  // the call can change what a file system holds
};

struct Ended {
  int code = -1;         // exit code; -1 when a signal ended it
  bool killed = false;   // by the sweep, at `where`
  std::string where;     // name of the call, entry or exit
  std::string text;      // standard output
  std::string messages;  // standard error
  std::vector<Stop> stops;
  std::uint64_t changes = 0;  // state-changing calls begun
};

using Words = std::vector<std::string>;

/// `folder` gets the output; nothing else is written there.
Ended run(const Words& words, const std::string& folder);
Ended run_traced(const Words& words, const std::string& folder, KillAt kill);

std::string call_name(std::uint64_t call);
std::string quoted(const Words& words);

}  // namespace crash
