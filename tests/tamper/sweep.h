#pragma once

#include <array>
#include <functional>
#include <set>
#include <string>

#include "scene.h"

namespace remediate::run::test {

/// What somebody who looks at the store learns.
enum class Verdict : std::uint8_t {
  found,   // verify fails, or names an error
  told,    // verify holds, with a notice that was not there before
  missed,  // nothing
};
/// `wide`: look at the whole store, not only at the run.
using Judge = std::function<Verdict(Scene&, bool wide)>;

/// The judge that the product has to stand: run::verify in a new process's place. Remembers the
/// notices of the untouched scene.
[[nodiscard]] Judge by_verify(Scene& scene, const std::string& witness = "");
/// Mutants of it, each with a check switched off.
[[nodiscard]] Judge by_existence(Scene& scene);  // every file is there
[[nodiscard]] Judge by_chain(Scene& scene);      // plan id, chain and transitions, no signature

struct Row {
  std::uint64_t tried = 0, found = 0, told = 0, missed = 0, refused = 0, witnessed = 0;
};

struct Limits {
  bool full = false;
  std::size_t flips = 60, cuts = 25;  // places of a file in the short form
};
[[nodiscard]] const Limits& limits();
Limits& mutable_limits();

/// Counts what a sweep saw and says what it missed.
class Sweep {
 public:
  Sweep(Scene& scene, Judge judge, bool mutant = false)
      : scene_(scene),
        judge_(std::move(judge)),
        witness_(by_verify(scene, scene.witness)),
        mutant_(mutant) {}

  enum class Ask : std::uint8_t {
    found,
    told,     // the changed bytes are no evidence: a notice is enough
    witness,  // nobody signed them: found by the head that was noted elsewhere
  };
  /// What the judge says of the scene as it is now, after a change of `kind`.
  void judge(Kind kind, const std::string& change, Ask ask = Ask::found, bool wide = false);
  /// The changed scene: rollback, finalize and resume have to refuse and to change nothing.
  void refuse(Kind kind, const std::string& change, bool resume_too = true);

  [[nodiscard]] const Row& row(Kind kind) const { return rows_[static_cast<std::size_t>(kind)]; }
  [[nodiscard]] Row total() const;
  [[nodiscard]] const std::vector<std::string>& misses() const { return misses_; }
  /// One line a kind, and one for all.
  void print(const std::string& title, double seconds) const;

  Scene& scene() { return scene_; }

 private:
  Row& of(Kind kind) { return rows_[static_cast<std::size_t>(kind)]; }
  void miss(Kind kind, const std::string& what);
  Scene& scene_;
  Judge judge_, witness_;
  bool mutant_;  // a verify with a check less has no rollback and no witness of its own
  std::array<Row, static_cast<std::size_t>(Kind::count)> rows_{};
  std::vector<std::string> misses_;
};

/// Bits, lengths, deletion, exchange, doubling, zeros, bytes behind: of every file.
void sweep_bytes(Sweep& sweep);
/// Records of the journal; members of plan, manifest and heads; forms of signatures.
void sweep_records(Sweep& sweep);
/// Modes and owners of the store's files.
void sweep_modes(Sweep& sweep);
/// A whole earlier state, rightly signed.
void sweep_history(Sweep& sweep);

/// Every edit of one value or member of a document, as texts: values, names, members more and less,
/// members twice, other order, other white space.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> edits_of(const std::string& text,
                                                                        bool pretty);

}  // namespace remediate::run::test
