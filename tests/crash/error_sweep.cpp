// Lets system calls of the tool fail, one by one, and judges what it says and what is left.
//
//   error_sweep --tool FILE [--full] [--seconds N] [--steps apply,...] [--calls fsync,...]
//   error_sweep --tool FILE --case apply:renameat2:3:EIO:once:resume   one case, its folder is kept
//   error_sweep --tool CARELESS --self-test                            the harness, planted bugs
//
// Every call by name x ENOSPC, EIO, EACCES, EPERM, EINTR, EMFILE, EDQUOT, EROFS, ENOMEM x once or
// from then on, and transfers that do half of what was asked. The call is replaced at its entry by
// one without effect, and the error is its answer; a close() that fails has closed. Calls are
// counted from the tool's close_range(), the first thing that its main() does: the loader's work
// and that of constructors is not touched. `meaningless` in errors.cpp lists the calls that are
// left out, with the reason.
//
// A command may fail then, or do a part and say so. It must not die by a signal, must not go on for
// ever, must not claim what is untrue, must not trust a flush after one of that file failed; and a
// resume or rollback afterwards brings every original back.
//
// The short form promises every pair of a call and an error, met somewhere, and every flush with
// EIO; it takes samples of the rest until --sample-seconds. The full form promises every case. What
// --seconds leaves out of a promise is a failure.
//
// Exit: 0 all that is promised was tried and is good, 1 bad states or a promise not kept, 3 the
// surroundings do not allow a verdict, 64 usage.
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "tests/crash/errors.h"

namespace {

int usage() {
  std::fputs(
      "error_sweep --tool FILE [--full | --self-test | --case SPEC] [--steps A,B] [--calls A,B]\n"
      "            [--seconds N] [--sample-seconds N] [--workers N] [--folder DIR]\n",
      stderr);
  return 64;
}

bool read_number(std::string_view text, unsigned& into) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
  return error == std::errc() && end == text.data() + text.size() && into > 0;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    words.emplace_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return words;
}

bool read_steps(std::string_view text, std::vector<crash::Step>& into) {
  into.clear();
  for (const std::string& word : words_of(text)) {
    const std::size_t before = into.size();
    for (int index = 0; index < crash::step_count; ++index)
      if (word == crash::step_name(static_cast<crash::Step>(index)))
        into.push_back(static_cast<crash::Step>(index));
    if (into.size() == before) return false;
  }
  return !into.empty();
}

bool read_calls(std::string_view text, std::set<std::string>& into) {
  for (const std::string& word : words_of(text)) {
    if (!crash::call_number(word)) return false;
    into.insert(word);
  }
  return !into.empty();
}

}  // namespace

int main(int count, char** words) {
  crash::ErrorOptions options;
  bool self_test = false, bounded = false;
  std::string wanted_case, folder;
  for (int index = 1; index < count; ++index) {
    const std::string_view word = words[index];
    if (word == "--full" || word == "--self-test") {
      (word == "--full" ? options.full : self_test) = true;
      continue;
    }
    if (++index >= count) return usage();
    const std::string_view value = words[index];
    bool good = true;
    if (word == "--tool") {
      std::error_code error;
      options.tool = std::filesystem::canonical(value, error).string();
      good = !error;
    } else if (word == "--case") {
      wanted_case = value;
    } else if (word == "--folder") {
      folder = value;
    } else if (word == "--steps") {
      good = read_steps(value, options.steps);
    } else if (word == "--calls") {
      good = read_calls(value, options.calls);
    } else if (word == "--seconds") {
      unsigned seconds = 0;
      good = bounded = read_number(value, seconds);
      options.time = std::chrono::seconds(seconds);
    } else if (word == "--sample-seconds") {
      good = read_number(value, options.sample_seconds);
    } else if (word == "--workers") {
      good = read_number(value, options.workers);
    } else {
      good = false;
    }
    if (!good) return usage();
  }
  if (options.tool.empty()) return usage();
  if (!crash::can_inject()) crash::stop("faults can be made on x86-64 only");
  if (options.full && !bounded) options.time = {};
  if (folder.empty()) folder = crash::can_hold_sample("/dev/shm") ? "/dev/shm" : "/tmp";
  std::string pattern = folder + "/error-sweep.XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) crash::stop("cannot make a folder in " + folder);
  options.folder = std::filesystem::canonical(pattern).string();
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  if (self_test) return crash::error_self_test(options);
  if (!wanted_case.empty()) {
    const auto one = crash::parse_fault_case(wanted_case);
    return one ? crash::try_fault(options, *one) : usage();
  }
  return crash::error_sweep(options).exit_code();
}
