#include "tests/crash/errors.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>

#include <unistd.h>

#include "tests/crash/workers.h"

namespace crash {
namespace {

using Clock = std::chrono::steady_clock;

struct Named {
  int number;
  const char* name;
};
constexpr int short_transfer = 0;
constexpr std::array errors = {Named{ENOSPC, "ENOSPC"}, Named{EIO, "EIO"},
                               Named{EACCES, "EACCES"}, Named{EPERM, "EPERM"},
                               Named{EINTR, "EINTR"},   Named{EMFILE, "EMFILE"},
                               Named{EDQUOT, "EDQUOT"}, Named{EROFS, "EROFS"},
                               Named{ENOMEM, "ENOMEM"}, Named{short_transfer, "short"}};

/// Calls that cannot fail, whose failure the C library hides or cannot live with, or whose failure
/// says nothing about files: the end of a process or thread, giving memory back, signal masks,
/// waiting on memory, the clock and the identity of the process.
constexpr std::array meaningless = {"exit",
                                    "exit_group",
                                    "munmap",
                                    "madvise",
                                    "futex",
                                    "rt_sigreturn",
                                    "rt_sigaction",
                                    "rt_sigprocmask",
                                    "restart_syscall",
                                    "set_robust_list",
                                    "rseq",
                                    "set_tid_address",
                                    "arch_prctl",
                                    "sched_yield",
                                    "sigaltstack",
                                    "getpid",
                                    "gettid",
                                    "getppid",
                                    "getuid",
                                    "geteuid",
                                    "getgid",
                                    "getegid",
                                    "umask",
                                    "clock_gettime",
                                    "clock_nanosleep",
                                    "tgkill",
                                    "kill"};
/// Of these only the lack of memory is a failure that the kernel has.
constexpr std::array memory = {"mmap", "brk", "mprotect", "mremap"};

std::string error_name(int error) {
  for (const Named& one : errors)
    if (one.number == error) return one.name;
  return std::to_string(error);
}

bool in(const auto& names, const std::string& name) {
  return std::ranges::any_of(names, [&](const char* one) { return name == one; });
}

bool makes_sense(std::uint64_t call, int error) {
  const std::string name = call_name(call);
  if (in(meaningless, name)) return false;
  if (error == short_transfer) return transfers(call);
  return error == ENOMEM || !in(memory, name);
}

constexpr std::uint64_t stops_factor = 20, stops_more = 50'000;
constexpr unsigned case_seconds = 90;

/// What one command does when nothing fails.
struct Course {
  Case where;
  std::uint64_t stops = 0;
  std::map<std::uint64_t, std::vector<std::uint64_t>> lengths;  // of every call by number
};

struct Tally {
  std::atomic<std::uint64_t> next, cases, faults, bad, unreached, flushes, degraded;
  std::array<std::atomic<std::uint64_t>, step_count> cases_of, bad_of;
  std::atomic<bool> kept;
};

class ErrorSweep {
 public:
  explicit ErrorSweep(const ErrorOptions& options)
      : options_(options), setup_(shared_setup(options.tool, options.folder, options.same_files)) {}

  ErrorResult run() {
    for (const Step step : options_.steps) add_course(step);
    if (options_.full) {
      add_all();
      promised_ = cases_.size();
    } else {
      add_spread();
    }
    say(std::to_string(cases_.size()) + " cases, " + std::to_string(options_.workers) + " workers");
    const bool well = run_workers(options_.workers, [&](unsigned worker) { work(worker); });
    ErrorResult result;
    result.cases = tally_->cases;
    result.faults = tally_->faults;
    result.bad = tally_->bad;
    // They are taken in order.
    result.left_out = promised_ - std::min<std::uint64_t>(promised_, result.cases);
    result.samples_left = cases_.size() - result.cases - result.left_out;
    std::set<Pair> all;
    for (const FaultCase& one : cases_) all.insert(pair_of(one));
    const std::set<Pair> met = pairs_met();
    result.covered = met.size();
    result.pairs = all.size();
    report(result);
    for (const Pair& pair : all)
      if (!met.contains(pair))
        say("NOT tried, which is a failure: " + call_name(pair.first) + " with " +
            error_name(pair.second));
    if (!well) stop("a worker did not end well");
    return result;
  }

  Problems judge(const FaultCase& one, const std::string& folder, Ended* told) const {
    Setup setup = setup_;
    if (one.where.step == Step::init) setup.store.clear();
    Scene scene(setup, folder);
    scene.prepare(one.where);
    Wish wish;
    wish.fault = one.fault;
    wish.seconds = case_seconds;
    const auto course = std::ranges::find_if(
        courses_, [&](const Course& each) { return each.where.step == one.where.step; });
    if (course != courses_.end()) wish.most_stops = course->stops * stops_factor + stops_more;
    Ended ended = scene.traced(scene.words(one.where.step), wish);
    Problems problems = scene.judge_error(one.where, ended);
    if (ended.faults > 0 && flushes(one.fault.call) && ended.code == 0)
      problems.insert(problems.begin(), "a flush failed and it says success");
    if (scene.degraded() != 0) ++tally_->degraded;
    if (told != nullptr) *told = std::move(ended);
    return problems;
  }

 private:
  void say(const std::string& text) const {
    if (!options_.quiet) std::printf("%s\n", text.c_str());
  }

  using Pair = std::pair<std::uint64_t, int>;
  static Pair pair_of(const FaultCase& one) { return {one.fault.call, one.fault.error}; }

  /// What the workers noted: a case whose call never came has tried nothing.
  [[nodiscard]] std::set<Pair> pairs_met() const {
    std::set<Pair> met;
    for (unsigned worker = 0; worker < options_.workers; ++worker) {
      std::ifstream notes(met_file(worker));
      for (std::size_t index = 0; notes >> index;) met.insert(pair_of(cases_.at(index)));
    }
    return met;
  }
  [[nodiscard]] std::string met_file(unsigned worker) const {
    return options_.folder + "/met-" + std::to_string(worker);
  }

  void add_course(Step step) {
    Course course;
    course.where.step = step;
    const std::string folder = options_.folder + "/count";
    Setup setup = setup_;
    if (step == Step::init) setup.store.clear();
    if (step == Step::resume) course.where.base = middle_of_apply(setup, folder);
    Scene scene(setup, folder);
    scene.prepare(course.where);
    const Ended ended = scene.traced(scene.words(step), {});
    if (!scene.ended_well(step, ended))
      stop(std::string(step_name(step)) + " without a fault: " + ended.text + ended.messages);
    course.stops = ended.stops.size();
    for (const Stop& each : ended.stops)
      if (each.entry && each.counted) course.lengths[each.call].push_back(each.length);
    if (course.lengths.empty()) stop("the program never calls close_range()");
    remove_tree(folder);
    courses_.push_back(std::move(course));
  }

  /// Half of the files are in the hold.
  static std::uint64_t middle_of_apply(const Setup& setup, const std::string& folder) {
    std::vector<std::uint64_t> renames;
    {
      Scene scene(setup, folder);
      scene.prepare({});
      std::uint64_t change = 0;
      for (const Stop& each : scene.traced(scene.words(Step::apply), {}).stops) {
        if (!each.entry || !each.changes) continue;
        if (call_name(each.call).starts_with("rename")) renames.push_back(change);
        ++change;
      }
    }
    remove_tree(folder);
    if (renames.empty()) stop("apply renames nothing");
    return renames[renames.size() / 2];
  }

  void add(const Course& course, std::uint64_t call, std::uint64_t number, int error, bool always) {
    // glibc's getentropy asks again until it is answered, and no signal comes for ever.
    if (error == EINTR && call_name(call) == "getrandom") always = false;
    FaultCase one;
    one.where = course.where;
    one.where.recovery = (number + cases_.size()) % 2 == 0 ? Recovery::resume : Recovery::rollback;
    one.fault = {call, number, always, error};
    if (seen_.insert(spelled(one).substr(0, spelled(one).rfind(':'))).second) cases_.push_back(one);
  }

  [[nodiscard]] bool wanted(std::uint64_t call, int error) const {
    return makes_sense(call, error) &&
           (options_.calls.empty() || options_.calls.contains(call_name(call)));
  }

  void add_all() {
    for (const Course& course : courses_)
      for (const auto& [call, lengths] : course.lengths)
        for (const Named& error : errors)
          for (std::uint64_t number = 0; number < lengths.size(); ++number) {
            if (!wanted(call, error.number)) continue;
            if (error.number == short_transfer && lengths[number] < 2) continue;
            for (const bool always : {false, true}) add(course, call, number, error.number, always);
          }
    spread(cases_);
  }

  /// First every pair of a call and an error, each somewhere else; then every flush that fails;
  /// then the first, the middle and the last call of each name in each command, in disorder.
  void add_spread() {
    std::map<std::uint64_t, std::vector<const Course*>> makers;
    for (const Course& course : courses_)
      for (const auto& [call, lengths] : course.lengths) makers[call].push_back(&course);
    std::uint64_t turn = 0;
    for (const auto& [call, courses] : makers)
      for (const Named& error : errors) {
        if (!wanted(call, error.number)) continue;
        const Course& course = *courses[turn % courses.size()];
        const auto& lengths = course.lengths.at(call);
        const std::array<std::uint64_t, 3> numbers = {lengths.size() / 2, 0, lengths.size() - 1};
        std::uint64_t number = numbers.at(turn % 3);
        if (error.number == short_transfer && lengths[number] < 2) {  // one byte has no half
          const auto long_one = std::ranges::find_if(lengths, [](auto each) { return each > 1; });
          if (long_one == lengths.end()) continue;
          number = static_cast<std::uint64_t>(long_one - lengths.begin());
        }
        add(course, call, number, error.number, turn / 2 % 2 == 0);
        ++turn;
      }
    for (const Course& course : courses_)
      for (const auto& [call, lengths] : course.lengths)
        for (std::uint64_t number = 0; number < lengths.size() && flushes(call); ++number)
          if (wanted(call, EIO)) add(course, call, number, EIO, false);
    promised_ = cases_.size();
    for (const Course& course : courses_)
      for (const auto& [call, lengths] : course.lengths)
        for (const Named& error : errors)
          for (const std::uint64_t number :
               std::set<std::uint64_t>{0, lengths.size() / 2, lengths.size() - 1})
            for (const bool always : {false, true})
              if (wanted(call, error.number) &&
                  (error.number != short_transfer || lengths[number] > 1))
                add(course, call, number, error.number, always);
    const auto samples = static_cast<std::ptrdiff_t>(promised_);
    std::vector<FaultCase> rest(cases_.begin() + samples, cases_.end());
    spread(rest);
    std::ranges::copy(rest, cases_.begin() + samples);
  }

  void work(unsigned worker) const {
    std::ofstream results(options_.folder + "/results-" + std::to_string(worker));
    std::ofstream notes(met_file(worker));
    auto told = Clock::now();
    for (;;) {
      const bool enough = options_.until_bad && tally_->bad != 0;
      const auto spent = Clock::now() - started_;
      const bool late =
          (options_.time.count() != 0 && spent > options_.time) ||
          (tally_->next >= promised_ && spent > std::chrono::seconds(options_.sample_seconds));
      const std::uint64_t index = late || enough ? cases_.size() : tally_->next.fetch_add(1);
      if (index >= cases_.size()) return;
      FaultCase one = cases_[index];
      const std::string folder = options_.folder + "/case-" + std::to_string(index);
      Ended ended;
      Problems problems = judge(one, folder, &ended);
      if (ended.faults == 0 && problems.empty() && index < promised_ && one.fault.number != 0) {
        // Not every run makes as many calls of a name; the first it makes always.
        remove_tree(folder);
        one.fault.number = 0;
        problems = judge(one, folder, &ended);
      }
      if (ended.faults != 0) notes << index << std::endl;
      const auto step = static_cast<std::size_t>(one.where.step);
      ++tally_->cases;
      ++tally_->cases_of[step];
      tally_->faults += ended.faults;
      if (ended.faults == 0) ++tally_->unreached;
      if (ended.faults != 0 && flushes(one.fault.call)) ++tally_->flushes;
      bool keep = false;
      if (!problems.empty()) {
        ++tally_->bad;
        ++tally_->bad_of[step];
        keep = !tally_->kept.exchange(true);
        results << spelled(one) << "\n";
        for (const std::string& problem : problems) results << "    " << problem << "\n";
        if (keep) results << "    kept: " << folder << "\n";
        results.flush();
      }
      if (!keep) remove_tree(folder);
      if (worker == 0 && !options_.quiet && Clock::now() - told > std::chrono::seconds(30)) {
        told = Clock::now();
        std::printf("  %llu of %zu, %llu bad\n", number(tally_->next), cases_.size(),
                    number(tally_->bad));
      }
    }
  }

  void report(const ErrorResult& result) const {
    for (unsigned index = 0; index < options_.workers && !options_.quiet; ++index) {
      std::ifstream results(options_.folder + "/results-" + std::to_string(index));
      std::string line;
      while (std::getline(results, line)) std::printf("BAD %s\n", line.c_str());
    }
    say("command      calls   names    cases  bad states");
    for (const Course& course : courses_) {
      const auto step = static_cast<std::size_t>(course.where.step);
      std::uint64_t calls = 0;
      for (const auto& [call, lengths] : course.lengths) calls += lengths.size();
      if (!options_.quiet)
        std::printf("%-11s %6llu %7zu %8llu %11llu\n", step_name(course.where.step), number(calls),
                    course.lengths.size(), number(tally_->cases_of.at(step)),
                    number(tally_->bad_of.at(step)));
    }
    const auto seconds =
        std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - started_).count();
    say("error cases: " + std::to_string(result.cases) +
        ", calls that failed: " + std::to_string(result.faults) + ", with a failed flush: " +
        std::to_string(tally_->flushes) + ", not reached: " + std::to_string(tally_->unreached) +
        ", restored with differences and said so: " + std::to_string(tally_->degraded) +
        ", (call, error) pairs: " + std::to_string(result.covered) + " of " +
        std::to_string(result.pairs) + ", bad: " + std::to_string(result.bad) + ", promised: " +
        std::to_string(promised_) + ", of them left out: " + std::to_string(result.left_out) +
        ", samples left out: " + std::to_string(result.samples_left) +
        ", seconds: " + std::to_string(seconds));
    if (result.bad != 0)
      say("repeat one with: error_sweep --tool " + options_.tool + " --case SPEC");
    if (result.bad == 0) remove_tree(options_.folder);
  }

  static unsigned long long number(std::uint64_t value) { return value; }

  const ErrorOptions& options_;
  Setup setup_;
  Shared<Tally> tally_;
  std::vector<Course> courses_;
  std::vector<FaultCase> cases_;
  std::size_t promised_ = 0;  // the first so many must be tried
  std::set<std::string> seen_;
  const Clock::time_point started_ = Clock::now();
};

}  // namespace

std::string spelled(const FaultCase& one) {
  std::string text = step_name(one.where.step);
  if (one.where.step == Step::resume) text += "@" + std::to_string(one.where.base);
  text += ":" + call_name(one.fault.call) + ":" + std::to_string(one.fault.number) + ":";
  text += error_name(one.fault.error);
  return text + (one.fault.from_then_on ? ":always" : ":once") +
         (one.where.recovery == Recovery::resume ? ":resume" : ":rollback");
}

std::optional<FaultCase> parse_fault_case(const std::string& text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == ':')
      parts.emplace_back();
    else
      parts.back() += c;
  }
  if (parts.size() != 6) return std::nullopt;
  // The places of step and recovery are those of a kill.
  const auto where = parse_case(parts[0] + ":never:0:" + parts[5]);
  const auto call = call_number(parts[1]);
  if (!where || !call) return std::nullopt;
  FaultCase one{*where, {*call, 0, parts[4] == "always", -1}};
  const std::string& digits = parts[2];
  const auto [end, failed] =
      std::from_chars(digits.data(), digits.data() + digits.size(), one.fault.number);
  if (failed != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  for (const Named& error : errors)
    if (parts[3] == error.name) one.fault.error = error.number;
  if (one.fault.error < 0 || (parts[4] != "once" && parts[4] != "always")) return std::nullopt;
  return one;
}

ErrorResult error_sweep(const ErrorOptions& options) { return ErrorSweep(options).run(); }

int try_fault(const ErrorOptions& options, const FaultCase& one) {
  const ErrorSweep sweep(options);
  const std::string folder = options.folder + "/case";
  Ended ended;
  const Problems problems = sweep.judge(one, folder, &ended);
  std::printf("%s: %llu calls failed, exit %d\n%s%s", spelled(one).c_str(),
              static_cast<unsigned long long>(ended.faults), ended.code, ended.text.c_str(),
              ended.messages.c_str());
  for (const std::string& problem : problems) std::printf("BAD %s\n", problem.c_str());
  std::printf("folder: %s\n", folder.c_str());
  return problems.empty() ? 0 : 1;
}

}  // namespace crash
