#pragma once

#include <memory>
#include <string>
#include <vector>

#include "quarantine/entry.h"
#include "remediate/journal/journal.h"
#include "remediate/plan/plan_file.h"
#include "remediate/run/store.h"
#include "remediate/run/transition.h"

namespace remediate::run {

/// One operation of a run: what was planned, how far it came, what was captured.
struct OperationState {
  const plan::Operation* operation = nullptr;
  State state = State::planned;
  State before_restore = State::planned;  // where `restoring` came from
  quarantine::Entry entry;                // valid from `intended` on
  FileId built;         // the new version; of a quarantined file what a rollback puts in its place
  std::string outcome;  // of the last step, a word of outcome_words
  std::string reason;
  bool held = false;      // not_done, but a file is in the hold
  bool selected = false;  // by the rollback that is under way, or by the last one
};

/// The health between two stages, or after the last, as it was recorded.
struct StageState {
  std::string operation;    // of an instruction that apply waits at; empty: the policy's stages
  std::uint64_t after = 0;  // so many operations had been worked through
  std::uint64_t of = 0;
  std::string outcome;  // passed, failed, waiting
  std::string reason;   // what the probe said, or who let it pass
  Timestamp time;
};

/// A run read from the store: plan, journal, and the state they give.
struct Run {
  std::string name;
  std::unique_ptr<host::Directory> directory;  // runs/RUN
  plan::PlanFile plan;
  std::string plan_signature;
  std::string plan_sha256;
  std::string plan_signature_sha256;  // empty without a signature file
  std::string store_sha256;           // of store.json when the run began
  std::vector<std::string> approvers;
  Timestamp started;
  Timestamp ended;              // of the last record
  std::string boot;             // when it was applied
  bool closed = false;          // the last record closes it
  std::string status;           // of the last closing
  std::string manifest_sha256;  // by the last closing
  std::string phase;            // what was closed or is open: apply, rollback, finalize
  /// The last record says what a rollback is to bring back; the next one that does belongs to it.
  bool announcing = false;
  std::vector<OperationState> operations;
  std::vector<StageState> stages;                // in the order of the records
  std::vector<quarantine::SealedCopy> copies{};  // made before the first change
};

/// Takes one more record of an operation into the state, by the transitions; corrupt when it
/// does not fit. The executor and the reader both go through here.
[[nodiscard]] Result<void> advance(Run& run, OperationState& operation,
                                   const journal::Record& record);
/// Folds a journal over a plan; corrupt when a record does not fit the transitions.
[[nodiscard]] Result<Run> fold(plan::PlanFile plan, const journal::Contents& journal);

/// Reads a run without changing it. `name` may be a unique beginning of a run's name.
[[nodiscard]] Result<Run> load_run(const Store& store, const std::string& name);
/// The full name for a unique beginning.
[[nodiscard]] Result<std::string> find_run(const Store& store, const std::string& name);
[[nodiscard]] std::string journal_name(const std::string& run);
/// Of a plan's signature file; empty without one.
[[nodiscard]] std::string signature_digest(const std::string& signature);

/// Whether this is an instruction that apply waited at and that a person resumed behind.
[[nodiscard]] bool went_past(const Run& run, const plan::Operation& operation);
/// What an apply stands still at until a person resumes it; null when it does not.
[[nodiscard]] const StageState* stands_at(const Run& run);

/// Originals that are held and have no sealed copy yet, without those that a rollback was to bring
/// back: resume seals them. What is too large to be sealed is done and is not among them.
[[nodiscard]] std::size_t held_unsealed(const Run& run);

/// done, partial, failed or nothing_to_do: how a phase (apply, rollback, finalize) ended.
[[nodiscard]] std::string status_of(const Run& run, const std::string& phase);

}  // namespace remediate::run
