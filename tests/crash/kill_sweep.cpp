// Kills the tool with SIGKILL at its system calls, lets it recover, and judges what is left.
//
//   kill_sweep --tool FILE [--full] [--steps apply,rollback,...] [--seconds N] [--folder DIR]
//   kill_sweep --tool FILE --case apply:stop:17:resume     one case, its folder is kept
//   kill_sweep --tool NAIVE --self-test                     the harness against planted bugs
//
// --apart: the tree is on a mount of its own, at whose top the hold is then (a mounted disk).
//
// Every stop before and after a system call is covered. The short form looks at what each stop
// leaves, byte for byte, and kills in each of these states; the full form kills at each stop, and
// kills the recovery in each state of its own as well.
//
// A kill leaves the page cache whole: this proves recovery from a dead process, not from a power
// cut. Exit: 0 everything was tried and is good, 1 bad states or the bound (--seconds) left some
// out, 3 the surroundings do not allow a verdict, 64 usage.
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include <unistd.h>

#include "tests/crash/sweep.h"

namespace {

int usage() {
  std::fputs(
      "kill_sweep --tool FILE [--full | --self-test | --case SPEC] [--steps A,B] [--seconds N]\n"
      "           [--apart] [--workers N] [--folder DIR]\n",
      stderr);
  return 64;
}

bool read_number(std::string_view text, unsigned& into) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
  return error == std::errc() && end == text.data() + text.size() && into > 0;
}

bool read_steps(std::string_view text, std::vector<crash::Step>& into) {
  into.clear();
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view word = text.substr(0, comma);
    bool known = false;
    for (int index = 0; index < crash::step_count; ++index)
      if (word == crash::step_name(static_cast<crash::Step>(index))) {
        into.push_back(static_cast<crash::Step>(index));
        known = true;
      }
    if (!known) return false;
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  return !into.empty();
}

}  // namespace

int main(int count, char** words) {
  crash::SweepOptions options;
  bool self_test = false, bounded = false;
  std::string wanted_case;
  std::string folder;
  for (int index = 1; index < count; ++index) {
    const std::string_view word = words[index];
    if (word == "--full") {
      options.full = true;
      continue;
    }
    if (word == "--apart") {
      options.apart = true;
      continue;
    }
    if (word == "--self-test") {
      self_test = true;
      continue;
    }
    if (++index >= count) return usage();
    const std::string_view value = words[index];
    if (word == "--tool") {
      std::error_code error;
      options.tool = std::filesystem::canonical(value, error).string();
      if (error) return usage();
    } else if (word == "--case") {
      wanted_case = value;
    } else if (word == "--folder") {
      folder = value;
    } else if (word == "--steps") {
      if (!read_steps(value, options.steps)) return usage();
    } else if (word == "--seconds") {
      unsigned seconds = 0;
      bounded = read_number(value, seconds);
      options.time = std::chrono::seconds(seconds);
      if (!bounded) return usage();
    } else if (word == "--workers") {
      if (!read_number(value, options.workers)) return usage();
    } else {
      return usage();
    }
  }
  if (options.tool.empty()) return usage();
  if (options.apart) crash::keep_mounts_private();
  if (options.full && !bounded) options.time = {};
  // What counts after a kill is what the page cache holds, and in memory flushes cost nothing.
  if (folder.empty()) folder = crash::can_hold_sample("/dev/shm") ? "/dev/shm" : "/tmp";
  std::string pattern = folder + "/kill-sweep.XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) crash::stop("cannot make a folder in " + folder);
  options.folder = std::filesystem::canonical(pattern).string();
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  if (self_test) return crash::self_test(options);
  if (!wanted_case.empty()) {
    const auto one = crash::parse_case(wanted_case);
    return one ? crash::try_case(options, *one) : usage();
  }
  return crash::sweep(options).exit_code();
}
