#include "tests/crash/sweep.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "tests/crash/workers.h"

namespace crash {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t second_kills_apart = 3;
constexpr std::uint64_t undo_apart = 4;

/// Stops between which nothing changed below the scene, byte for byte and inode for inode: a kill
/// leaves the same behind at each. The calls between two of them were looked at one by one.
struct State {
  std::uint64_t first = 0, last = 0;  // stops
};

/// What the workers share.
struct Tally {
  std::atomic<std::uint64_t> next_count, next, kills, second_kills, second_missed, bad, unreached;
  std::array<std::atomic<std::uint64_t>, step_count> cases_of, kills_of, bad_of;
  std::atomic<bool> kept;
};

struct Counted {
  std::uint64_t stops = 0;
  std::vector<State> states;
  std::array<std::uint64_t, 2> recovery_stops{};
};

/// From one process to another.
void write_counted(const std::string& file, const Counted& counted) {
  std::ofstream out(file);
  out << counted.stops << ' ' << counted.recovery_stops[0] << ' ' << counted.recovery_stops[1];
  for (const State& state : counted.states) out << ' ' << state.first << ' ' << state.last;
  out.close();
  if (!out) stop("cannot write " + file);
}

Counted read_counted(const std::string& file) {
  Counted counted;
  std::ifstream in(file);
  in >> counted.stops >> counted.recovery_stops[0] >> counted.recovery_stops[1];
  for (State state; in >> state.first >> state.last;) counted.states.push_back(state);
  if (counted.states.empty()) stop("nothing was counted in " + file);
  return counted;
}

/// Runs to the end and tells which stops are of one state.
Counted look_at_all(const Scene& scene, const Words& words) {
  Counted counted;
  Snapshot now = scene.everything();
  counted.states.emplace_back();
  Wish wish;
  wish.look = [&](std::uint64_t stop) {
    Snapshot found = scene.everything();
    if (found != now) {
      counted.states.push_back({stop, stop});
      now = std::move(found);
    }
    return false;
  };
  const Ended ended = scene.traced(words, wish);
  for (std::size_t index = 0; index < counted.states.size(); ++index)
    counted.states[index].last = index + 1 < counted.states.size()
                                     ? counted.states[index + 1].first - 1
                                     : ended.stops.size() - 1;
  counted.stops = ended.stops.size();
  return counted;
}

class Sweep {
 public:
  explicit Sweep(const SweepOptions& options)
      : options_(options), setup_(shared_setup(options.tool, options.folder, options.same_files)) {
    setup_.apart = options.apart;
  }

  SweepResult run() {
    count_all();
    spread(first_);
    spread(rest_);
    std::vector<Case> all = first_;
    all.insert(all.end(), rest_.begin(), rest_.end());
    say(std::to_string(all.size()) + " cases, " + std::to_string(options_.workers) + " workers");
    const bool broken = !run_workers(options_.workers, [&](unsigned worker) { work(all, worker); });
    SweepResult result;
    result.kills = tally_->kills + tally_->second_kills;
    result.unreached = tally_->unreached;
    result.second_kills = tally_->second_kills;
    result.second_missed = tally_->second_missed;
    result.bad = tally_->bad;
    std::uint64_t tried = 0;
    for (const auto& one : tally_->cases_of) tried += one;
    result.skipped = all.size() - tried;
    report(result);
    if (broken) stop("a worker did not end well");
    return result;
  }

  /// Runs a case in a folder of its own; nothing is said about a good one.
  Problems judge(const Case& one, const std::string& folder, Ended* ended,
                 bool* killed_again = nullptr) const {
    Setup setup = setup_;
    if (one.step == Step::init) setup.store.clear();
    Scene scene(setup, folder);
    scene.prepare(one);
    Ended killed = scene.kill(scene.words(one.step), one.kill);
    Problems problems;
    if (one.step == Step::apply && !scene.wait_is_kept())
      problems.emplace_back("apply went past the wait");
    if (!killed.killed && !scene.ended_well(one.step, killed))
      problems.push_back(std::string(step_name(one.step)) + ", not killed, exits with " +
                         std::to_string(killed.code) + ": " + shown(killed.text + killed.messages));
    for (const std::string& lost : scene.conserved())
      problems.push_back("right after the kill: " + lost);
    for (std::string& problem : scene.recover(one)) problems.push_back(std::move(problem));
    if (ended != nullptr) *ended = std::move(killed);
    if (killed_again != nullptr) *killed_again = scene.killed_again();
    return problems;
  }

 private:
  void say(const std::string& text) const {
    if (!options_.quiet) std::printf("%s\n", text.c_str());
  }

  Setup setup_for(Step step) const {
    Setup setup = setup_;
    if (step == Step::init) setup.store.clear();
    return setup;
  }

  Counted count(const Case& one, const std::string& folder) const {
    const Setup setup = setup_for(one.step);
    Counted counted;
    {
      Scene scene(setup, folder);
      scene.prepare(one);
      counted = look_at_all(scene, scene.words(one.step));
    }
    remove_tree(folder);
    const Problems problems = judge(one, folder, nullptr);
    if (!problems.empty()) {
      ++tally_->bad;
      tell(one, "not killed", problems);
    }
    remove_tree(folder);
    if (!recovers(one.step)) return counted;
    for (const Recovery recovery : {Recovery::resume, Recovery::rollback}) {
      Scene scene(setup, folder);
      scene.prepare(one);
      (void)scene.kill(scene.words(one.step),
                       {At::stop, counted.states[counted.states.size() / 2].first});
      counted.recovery_stops.at(recovery == Recovery::resume ? 0 : 1) =
          scene.traced(scene.words(recovery), {}).stops.size();
      remove_tree(folder);
    }
    return counted;
  }

  void count_all() {
    std::vector<Case> likes;
    for (const Step step : options_.steps) {
      Case one;
      one.step = step;
      for (const std::uint64_t base :
           step == Step::resume ? bases_of_resume() : std::vector<std::uint64_t>{0}) {
        one.base = base;
        likes.push_back(one);
      }
    }
    const auto counted_in = [&](std::size_t index) {
      return options_.folder + "/counted-" + std::to_string(index);
    };
    const bool well = run_workers(options_.workers, [&](unsigned) {
      for (;;) {
        const std::size_t index = tally_->next_count.fetch_add(1);
        if (index >= likes.size()) return;
        write_counted(counted_in(index),
                      count(likes[index], options_.folder + "/count-" + std::to_string(index)));
      }
    });
    if (!well) stop("a worker that counts stops did not end well");
    for (std::size_t index = 0; index < likes.size(); ++index)
      add_cases(likes[index], read_counted(counted_in(index)));
  }

  /// After which changes apply is killed for a resume to be killed in turn.
  std::vector<std::uint64_t> bases_of_resume() const {
    std::vector<std::uint64_t> all, renames;
    const std::string folder = options_.folder + "/count";
    {
      Scene scene(setup_, folder);
      scene.prepare({});
      std::uint64_t change = 0;
      for (const Stop& each : scene.traced(scene.words(Step::apply), {}).stops) {
        if (!each.entry || !each.changes) continue;
        if (call_name(each.call) == "renameat2") renames.push_back(change);
        if (call_name(each.call) == "renameat2" || change % 8 == 0) all.push_back(change);
        ++change;
      }
    }
    remove_tree(folder);
    if (options_.full) return all;
    // The middle of the capture: settings done, files in part.
    return renames.empty() ? std::vector{all.back()} : std::vector{renames[renames.size() / 2]};
  }

  static bool recovers(Step step) { return step != Step::init && step != Step::plan; }

  void add(std::vector<Case>& into, const Case& like, std::uint64_t state, std::uint64_t stop,
           Recovery recovery) {
    Case one = like;
    one.state = state;
    one.kill = {At::stop, stop};
    one.recovery = recovers(like.step) ? recovery : Recovery::resume;
    const bool can_undo = one.recovery == Recovery::resume &&
                          (like.step == Step::apply || like.step == Step::resume ||
                           like.step == Step::go_on || like.step == Step::finalize);
    one.undo_too = can_undo && (options_.full || number_++ % undo_apart == 0);
    into.push_back(one);
  }

  /// The short form kills in every state, at its first stop and at its last, and so covers every
  /// stop; the full form kills at every stop.
  void add_cases(const Case& like, const Counted& counted) {
    const auto step = static_cast<std::size_t>(like.step);
    stops_of_[step] += counted.stops;
    states_of_[step] += counted.states.size();
    for (std::uint64_t index = 0; index < counted.states.size(); ++index) {
      const State& state = counted.states[index];
      add(first_, like, index, state.first, Recovery::resume);
      if (recovers(like.step) || state.last != state.first)
        add(first_, like, index, state.last, Recovery::rollback);
      for (std::uint64_t stop = state.first; stop <= state.last && options_.full; ++stop) {
        add(rest_, like, index, stop, Recovery::resume);
        if (recovers(like.step)) add(rest_, like, index, stop, Recovery::rollback);
      }
    }
    if (recovers(like.step)) add_second_kills(like, counted);
  }

  void add_second_kills(const Case& like, const Counted& counted) {
    for (std::size_t index = 0; index < counted.states.size(); ++index) {
      for (const Recovery recovery : {Recovery::resume, Recovery::rollback}) {
        const bool resumes = recovery == Recovery::resume;
        if (options_.full) {
          for (const State& state : states_of_recovery(like, counted.states[index], recovery)) {
            add(rest_, like, index, counted.states[index].first, recovery);
            rest_.back().second = state.first;
          }
        } else if (index % second_kills_apart == 0 && resumes == (index / 3 % 2 == 0)) {
          add(rest_, like, index, counted.states[index].first, recovery);
          rest_.back().second =
              index * 7919 % std::max<std::uint64_t>(1, counted.recovery_stops.at(resumes ? 0 : 1));
        }
      }
    }
  }

  std::vector<State> states_of_recovery(const Case& like, const State& killed,
                                        Recovery recovery) const {
    const std::string folder = options_.folder + "/count";
    std::vector<State> states;
    {
      const Setup setup = setup_for(like.step);
      Scene scene(setup, folder);
      scene.prepare(like);
      (void)scene.kill(scene.words(like.step), {At::stop, killed.first});
      states = look_at_all(scene, scene.words(recovery)).states;
    }
    remove_tree(folder);
    return states;
  }

  void work(const std::vector<Case>& cases, unsigned worker) const {
    std::ofstream results(options_.folder + "/results-" + std::to_string(worker));
    for (;;) {
      const bool late = options_.time.count() != 0 && Clock::now() - started_ > options_.time;
      const std::uint64_t index = late ? cases.size() : tally_->next.fetch_add(1);
      if (index >= cases.size()) return;
      Case one = cases[index];
      const std::string folder = options_.folder + "/case-" + std::to_string(index);
      Ended ended;
      bool killed_again = false;
      Problems problems = judge(one, folder, &ended, &killed_again);
      if (!ended.killed && problems.empty()) {
        // Threads make another number of stops in each run, not another number of states.
        remove_tree(folder);
        one.kill = {At::state, one.state};
        problems = judge(one, folder, &ended, &killed_again);
      }
      const auto step = static_cast<std::size_t>(one.step);
      ++tally_->cases_of[step];
      if (ended.killed) {
        ++tally_->kills_of[step];
        ++tally_->kills;
      } else {
        ++tally_->unreached;
      }
      if (killed_again)
        ++tally_->second_kills;
      else if (one.second && ended.killed)
        ++tally_->second_missed;
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
    say("command       stops   states    cases    kills  bad states");
    for (int index = 0; index < step_count; ++index) {
      const auto at = static_cast<std::size_t>(index);
      if (stops_of_.at(at) == 0 || options_.quiet) continue;
      std::printf("%-11s %7llu %8llu %8llu %8llu %11llu\n", step_name(static_cast<Step>(index)),
                  number(stops_of_.at(at)), number(states_of_.at(at)),
                  number(tally_->cases_of.at(at)), number(tally_->kills_of.at(at)),
                  number(tally_->bad_of.at(at)));
    }
    if (result.skipped == 0 && result.unreached == 0)
      say("every stop is covered: each state that the stops leave was killed in, at its first and "
          "its last stop");
    else
      say("NOT every stop is covered, which is a failure: the time was too short for " +
          std::to_string(result.skipped) + " of the cases (give more --seconds), and " +
          std::to_string(result.unreached) + " ended before their kill");
    say("kills in all: " + std::to_string(result.kills) + " (" +
        std::to_string(tally_->second_kills) + " of them of a recovery; " +
        std::to_string(tally_->second_missed) + " recoveries ended before theirs), bad: " +
        std::to_string(result.bad) + ", left out for time: " + std::to_string(result.skipped) +
        ", ended before their kill: " + std::to_string(result.unreached) +
        ", seconds: " + std::to_string(seconds));
    say("Times of folders are not compared: after a kill they are best effort.");
    if (result.bad != 0)
      say("repeat one with: kill_sweep --tool " + options_.tool + " --case SPEC");
    if (result.bad == 0) remove_tree(options_.folder);
  }

  static unsigned long long number(std::uint64_t value) { return value; }

  const SweepOptions& options_;
  Setup setup_;
  Shared<Tally> tally_;
  std::vector<Case> first_, rest_;
  std::array<std::uint64_t, step_count> stops_of_{}, states_of_{};
  std::uint64_t number_ = 0;
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
  for (std::size_t index = 0; index < ended.stops.size(); ++index)
    if (ended.stops[index].entry && ended.stops[index].changes)
      std::printf("  stop %zu %s\n", index, call_name(ended.stops[index].call).c_str());
  for (const std::string& problem : problems) std::printf("BAD %s\n", problem.c_str());
  std::printf("folder: %s\n", folder.c_str());
  return problems.empty() ? 0 : 1;
}

}  // namespace crash
