#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/crash/trace.h"
#include "tests/crash/tree.h"

/// One tree with one store: brings them to where a command starts, and judges what a kill and a
/// recovery left behind.
namespace crash {

/// `resume` follows a killed apply, `go_on` one that stands still at a wait.
enum class Step : std::uint8_t { init, plan, apply, resume, go_on, rollback, finalize, unfinalize };
constexpr int step_count = 8;
enum class Recovery : std::uint8_t { resume, rollback };

struct Setup {
  std::string tool;
  std::string playbook;    // file
  std::string store;       // an empty store to copy
  bool same_files = true;  // a rollback brings the very inodes back
  bool apart = false;      // the tree is on a mount of its own, and so is the hold
};
/// The playbook and an empty store that every scene below `folder` shares.
Setup shared_setup(const std::string& tool, const std::string& folder, bool same_files);

/// A kill to try: where it comes, what recovers, and where that is killed in turn.
struct Case {
  Step step = Step::apply;
  KillAt kill;
  Recovery recovery = Recovery::resume;
  std::optional<std::uint64_t> second;  // kill the recovery at its n-th stop
  std::uint64_t base = 0;               // for resume: after which change apply was killed
  bool undo_too = false;                // after the verdict, roll back and compare again
  std::uint64_t state = 0;              // the one that `kill` is meant to leave; not spelled
};
std::string spelled(const Case& one);
std::optional<Case> parse_case(const std::string& text);
const char* step_name(Step step);

using Problems = std::vector<std::string>;

/// A string of a JSON document's top level; empty where there is none.
std::string json_string(const std::string& json, const char* key);
std::string first_lines(const std::string& text);

class Scene {
 public:
  /// Makes `folder` with a fresh tree and a copy of the store.
  Scene(const Setup& setup, std::string folder);

  /// Runs the commands that come before `step`.
  void prepare(const Case& one);
  [[nodiscard]] Words words(Step step) const;
  [[nodiscard]] Words words(Recovery recovery) const;
  Ended kill(const Words& command, KillAt at) const;
  Ended traced(const Words& command, const Wish& wish) const;

  /// It ended as the step should: well, or standing still where the playbook waits.
  [[nodiscard]] bool ended_well(Step step, const Ended& ended) const;
  /// What comes after the wait is untouched.
  [[nodiscard]] bool wait_is_kept() const;
  /// No original is lost (and no line names a file that is gone): at its place, in the hold, or in
  /// a sealed object that openssl opens.
  [[nodiscard]] Problems conserved() const;
  /// Recovers and holds the outcome against what was promised.
  [[nodiscard]] Problems recover(const Case& one);
  /// The recovery came to its second kill.
  [[nodiscard]] bool killed_again() const { return killed_again_; }
  /// The same after system calls of `one.step` failed and it ended as `ended` tells: no claim of
  /// it may be untrue, and what it left can be recovered.
  [[nodiscard]] Problems judge_error(const Case& one, const Ended& ended);
  /// The tree without a hold at its top, and what is held, wherever the hold is.
  [[nodiscard]] Snapshot tree_now() const;
  [[nodiscard]] Snapshot held_now() const;
  /// Everything below the scene that a program can change.
  [[nodiscard]] Snapshot everything() const;

  [[nodiscard]] std::size_t degraded() const { return degraded_.size(); }
  [[nodiscard]] const Sample& sample() const { return sample_; }
  [[nodiscard]] const Snapshot& before() const { return before_; }
  [[nodiscard]] std::string tree() const { return folder_ + "/tree"; }
  [[nodiscard]] std::string store() const { return folder_ + "/store"; }

 private:
  Ended run_logged(const Words& command, Problems& problems, const char* what) const;
  [[nodiscard]] Words tool_words(const Words& rest) const;
  [[nodiscard]] std::string run_name() const;
  [[nodiscard]] bool begun() const;
  [[nodiscard]] bool is_as_before() const;
  [[nodiscard]] bool waits(const Ended& ended) const;
  /// `resume` until nothing waits any more; the last one.
  Ended resume_to_end(Problems& problems) const;
  void check_order(const Snapshot& now, Problems& problems) const;
  [[nodiscard]] std::vector<std::string> opened_objects() const;
  void judge_applied(Problems& problems, std::size_t held) const;
  void judge_undone(Problems& problems, bool same_files) const;
  void judge_store(Problems& problems, std::size_t held) const;
  void roll_back(Problems& problems);
  /// What a command said it restored with differences: its bytes are right, the rest need not be.
  void note_degraded(const Ended& ended);
  void plan_and_apply(Problems& problems);
  std::set<std::string> degraded_;
  bool killed_again_ = false;
  std::string run_;  // the run of a second plan, where there is one

  void judge_claims(const Case& one, const Ended& ended, Problems& problems) const;
  void judge_operations(const Case& one, const Ended& ended, Problems& problems) const;
  void recover_from_error(const Case& one, Problems& problems);
  void after_start(const Case& one, Problems& problems);
  void after_apply(const Case& one, Problems& problems);
  void after_rollback(const Case& one, Problems& problems);
  void after_finalize(const Case& one, Problems& problems);

  const Setup& setup_;
  std::string folder_;
  Sample sample_;
  Snapshot before_;
};

}  // namespace crash
