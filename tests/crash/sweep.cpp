#include "tests/crash/sweep.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <new>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace crash {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t other_stops_apart = 16;
constexpr std::uint64_t second_kills_apart = 3;
constexpr std::uint64_t undo_apart = 4;

/// What the workers share.
struct Tally {
  std::atomic<std::uint64_t> next, kills, bad;
  std::array<std::atomic<std::uint64_t>, step_count> cases_of, kills_of, bad_of;
  std::atomic<bool> kept;
};

struct Counted {
  std::vector<Stop> stops;
  std::vector<std::uint64_t> changing;  // the call of each change, in order
  std::array<std::uint64_t, 2> recovery_changes{};
};

class Sweep {
 public:
  explicit Sweep(const SweepOptions& options) : options_(options) {
    setup_.tool = options.tool;
    setup_.same_files = options.same_files;
    setup_.playbook = options.folder + "/playbook.json";
    make_shared_parts();
    void* memory =
        mmap(nullptr, sizeof(Tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) stop("no shared memory");
    tally_ = new (memory) Tally();
  }
  ~Sweep() {
    tally_->~Tally();
    munmap(tally_, sizeof(Tally));
  }
  Sweep(const Sweep&) = delete;
  Sweep& operator=(const Sweep&) = delete;

  SweepResult run() {
    count_all();
    if (!options_.full) spread(first_), spread(rest_);
    std::vector<Case> all = first_;
    all.insert(all.end(), rest_.begin(), rest_.end());
    say(std::to_string(all.size()) + " cases, " + std::to_string(options_.workers) + " workers");
    std::vector<pid_t> workers;
    for (unsigned index = 0; index < options_.workers; ++index) {
      std::fflush(nullptr);
      const pid_t worker = fork();
      if (worker < 0) stop("cannot fork");
      if (worker == 0) {
        work(all, index);
        _exit(0);
      }
      workers.push_back(worker);
    }
    bool broken = false;
    for (const pid_t worker : workers) {
      int status = 0;
      while (waitpid(worker, &status, 0) < 0 && errno == EINTR) {
      }
      broken = broken || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    }
    SweepResult result;
    result.kills = tally_->kills;
    result.bad = tally_->bad + baseline_bad_;
    std::uint64_t tried = 0;
    for (const auto& one : tally_->cases_of) tried += one;
    result.skipped = all.size() - tried;
    report(result);
    if (broken) stop("a worker did not end well");
    return result;
  }

  /// Runs a case in a folder of its own; nothing is said about a good one.
  Problems judge(const Case& one, const std::string& folder, Ended* ended) const {
    Setup setup = setup_;
    if (one.step == Step::init) setup.store.clear();
    Scene scene(setup, folder);
    scene.prepare(one);
    Ended killed = scene.kill(scene.words(one.step), one.kill);
    Problems problems;
    if (!killed.killed && killed.code != 0)
      problems.push_back(std::string(step_name(one.step)) + ", not killed, exits with " +
                         std::to_string(killed.code) + ": " + shown(killed.text + killed.messages));
    for (const std::string& lost : scene.conserved())
      problems.push_back("right after the kill: " + lost);
    for (std::string& problem : scene.recover(one)) problems.push_back(std::move(problem));
    if (ended != nullptr) *ended = std::move(killed);
    return problems;
  }

 private:
  void make_shared_parts() {
    const std::string scratch = options_.folder + "/shared";
    {
      Setup nothing;
      const Scene scene(nothing, scratch);
      write_playbook(setup_.playbook, scene.tree(), scene.sample());
    }
    const std::string store = options_.folder + "/store";
    const Ended made =
        crash::run({options_.tool, "--store", store, "-q", "--format", "json", "init"}, scratch);
    if (made.code != 0) stop("`init` fails: " + made.text + made.messages);
    setup_.store = store;
    remove_tree(scratch);
  }

  void say(const std::string& text) const {
    if (!options_.quiet) std::printf("%s\n", text.c_str());
  }

  Counted count(const Case& one) {
    Counted counted;
    const std::string folder = options_.folder + "/count";
    Setup setup = setup_;
    if (one.step == Step::init) setup.store.clear();
    {
      Scene scene(setup, folder);
      scene.prepare(one);
      Ended ended = scene.kill(scene.words(one.step), {});
      counted.stops = std::move(ended.stops);
      for (const Stop& stop : counted.stops)
        if (stop.entry && stop.changes) counted.changing.push_back(stop.call);
    }
    remove_tree(folder);
    Case whole = one;
    const Problems problems = judge(whole, folder, nullptr);
    if (!problems.empty()) {
      ++baseline_bad_;
      tell(whole, "not killed", problems);
    }
    remove_tree(folder);
    if (one.step == Step::init || one.step == Step::plan) return counted;
    for (const Recovery recovery : {Recovery::resume, Recovery::rollback}) {
      Scene scene(setup, folder);
      scene.prepare(one);
      (void)scene.kill(scene.words(one.step), {At::after_change, counted.changing.size() / 2});
      counted.recovery_changes.at(recovery == Recovery::resume ? 0 : 1) =
          scene.kill(scene.words(recovery), {}).changes;
      remove_tree(folder);
    }
    return counted;
  }

  void count_all() {
    for (const Step step : options_.steps) {
      if (step != Step::resume) {
        Case one;
        one.step = step;
        add_cases(one, count(one));
        continue;
      }
      Case apply;
      const Counted counted = count(apply);
      std::vector<std::uint64_t> bases;
      for (std::uint64_t index = 0; index < counted.changing.size(); ++index)
        if (call_name(counted.changing[index]) == "renameat2" || (options_.full && index % 8 == 0))
          bases.push_back(index);
      if (bases.empty()) bases.push_back(counted.changing.size() / 2);
      // The exchange of the settings file, and the last file taken.
      if (!options_.full && bases.size() > 2) bases = {bases.front(), bases.back()};
      for (const std::uint64_t base : bases) {
        Case one;
        one.step = Step::resume;
        one.base = base;
        add_cases(one, count(one));
      }
    }
  }

  void add_cases(const Case& like, const Counted& counted) {
    const auto step = static_cast<std::size_t>(like.step);
    stops_of_[step] += counted.stops.size();
    changes_of_[step] += counted.changing.size();
    const bool recovers = like.step != Step::init && like.step != Step::plan;
    std::uint64_t number = 0;
    const auto add = [&](std::vector<Case>& into, At at, std::uint64_t where, Recovery recovery) {
      Case one = like;
      one.kill = {at, where};
      one.recovery = recovers ? recovery : Recovery::resume;
      const bool can_undo =
          one.recovery == Recovery::resume &&
          (like.step == Step::apply || like.step == Step::resume || like.step == Step::finalize);
      one.undo_too = can_undo && (options_.full || number++ % undo_apart == 0);
      into.push_back(one);
    };
    const auto either = [](std::uint64_t n) {
      return n % 2 == 0 ? Recovery::resume : Recovery::rollback;
    };
    // Between the exit of one change and the entry of the next nothing changes: both forms meet
    // every state of the disk.
    for (std::uint64_t k = 0; k < counted.changing.size() && !options_.full; ++k) {
      add(first_, At::before_change, k, Recovery::resume);
      add(first_, At::after_change, k, Recovery::rollback);
    }
    std::uint64_t others = 0;
    for (std::uint64_t index = 0; index < counted.stops.size(); ++index) {
      if (options_.full) {
        add(first_, At::stop, index, Recovery::resume);
        if (recovers) add(first_, At::stop, index, Recovery::rollback);
      } else if (!counted.stops[index].changes && others++ % other_stops_apart == 0) {
        add(rest_, At::stop, index, either(others / other_stops_apart));
      }
    }
    if (!recovers) return;
    for (std::uint64_t k = 0; k < counted.changing.size(); ++k) {
      for (const Recovery recovery : {Recovery::resume, Recovery::rollback}) {
        if (!options_.full && (k % second_kills_apart != 0 || recovery != either(k))) continue;
        const std::uint64_t range = std::max<std::uint64_t>(
            1, counted.recovery_changes.at(recovery == Recovery::resume ? 0 : 1));
        for (std::uint64_t sample = 0; sample < (options_.full ? 3u : 1u); ++sample) {
          add(rest_, At::after_change, k, recovery);
          rest_.back().second = (k * 7 + sample * range / 3) % range;
        }
      }
    }
  }

  /// A fixed disorder, so that a sweep that runs out of time has tried something everywhere.
  static void spread(std::vector<Case>& cases) {
    std::uint64_t state = 0x9e3779b97f4a7c15u;
    for (std::size_t index = cases.size(); index > 1; --index) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      std::swap(cases[index - 1], cases[(state >> 33) % index]);
    }
  }

  void work(const std::vector<Case>& cases, unsigned worker) const {
    std::ofstream results(options_.folder + "/results-" + std::to_string(worker));
    for (;;) {
      const bool late =
          !options_.full && Clock::now() - started_ > std::chrono::seconds(options_.seconds);
      const std::uint64_t index = late ? cases.size() : tally_->next.fetch_add(1);
      if (index >= cases.size()) return;
      const Case& one = cases[index];
      const std::string folder = options_.folder + "/case-" + std::to_string(index);
      Ended ended;
      const Problems problems = judge(one, folder, &ended);
      const auto step = static_cast<std::size_t>(one.step);
      ++tally_->cases_of[step];
      if (ended.killed) {
        ++tally_->kills_of[step];
        ++tally_->kills;
      }
      if (one.second) ++tally_->kills;
      bool keep = false;
      if (!problems.empty()) {
        ++tally_->bad_of[step];
        ++tally_->bad;
        keep = !tally_->kept.exchange(true);
        results << spelled(one) << "  (" << (ended.killed ? ended.where : "not reached") << ")\n";
        for (const std::string& problem : problems) results << "    " << problem << "\n";
        if (keep) results << "    kept: " << folder << "\n";
        results.flush();
      }
      if (!keep) remove_tree(folder);
      if (worker == 0 && !options_.quiet && Clock::now() - told_ > std::chrono::seconds(30)) {
        told_ = Clock::now();
        std::printf("  %llu of %zu, %llu bad\n", static_cast<unsigned long long>(tally_->next),
                    cases.size(), static_cast<unsigned long long>(tally_->bad));
      }
    }
  }

  void tell(const Case& one, const std::string& where, const Problems& problems) const {
    say("BAD " + spelled(one) + "  (" + where + ")");
    for (const std::string& problem : problems) say("    " + problem);
  }

  void report(const SweepResult& result) const {
    if (!options_.quiet)
      for (unsigned index = 0; index < options_.workers; ++index) {
        std::ifstream results(options_.folder + "/results-" + std::to_string(index));
        std::string line;
        while (std::getline(results, line)) std::printf("BAD %s\n", line.c_str());
      }
    const auto seconds =
        std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - started_).count();
    say("command       stops  changes    cases    kills  bad states");
    for (int index = 0; index < step_count; ++index) {
      const auto at = static_cast<std::size_t>(index);
      if (stops_of_.at(at) == 0 || options_.quiet) continue;
      std::printf("%-11s %7llu %8llu %8llu %8llu %11llu\n", step_name(static_cast<Step>(index)),
                  number(stops_of_.at(at)), number(changes_of_.at(at)),
                  number(tally_->cases_of.at(at)), number(tally_->kills_of.at(at)),
                  number(tally_->bad_of.at(at)));
    }
    say("kills in all (with those of a recovery): " + std::to_string(result.kills) + ", bad: " +
        std::to_string(result.bad) + ", left out for time: " + std::to_string(result.skipped) +
        ", seconds: " + std::to_string(seconds));
    say("Times of folders are not compared: after a kill they are best effort.");
    if (result.bad != 0)
      say("repeat one with: kill_sweep --tool " + options_.tool + " --case SPEC");
    if (result.bad == 0) remove_tree(options_.folder);
  }

  static unsigned long long number(std::uint64_t value) { return value; }

  const SweepOptions& options_;
  Setup setup_;
  Tally* tally_ = nullptr;
  std::vector<Case> first_, rest_;
  std::array<std::uint64_t, step_count> stops_of_{}, changes_of_{};
  std::uint64_t baseline_bad_ = 0;
  const Clock::time_point started_ = Clock::now();
  mutable Clock::time_point told_ = Clock::now();
};

}  // namespace

SweepResult sweep(const SweepOptions& options) { return Sweep(options).run(); }

int try_case(const SweepOptions& options, const Case& one) {
  const Sweep sweep(options);
  Ended ended;
  const std::string folder = options.folder + "/case";
  const Problems problems = sweep.judge(one, folder, &ended);
  std::printf("%s: %s\n", spelled(one).c_str(),
              ended.killed ? ("killed at " + ended.where).c_str() : "not reached");
  std::uint64_t change = 0;
  for (const Stop& stop : ended.stops)
    if (stop.entry && stop.changes)
      std::printf("  change %llu %s\n", static_cast<unsigned long long>(change++),
                  call_name(stop.call).c_str());
  for (const std::string& problem : problems) std::printf("BAD %s\n", problem.c_str());
  std::printf("folder: %s\n", folder.c_str());
  return problems.empty() ? 0 : 1;
}

}  // namespace crash
