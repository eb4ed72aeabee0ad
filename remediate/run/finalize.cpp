#include <algorithm>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/run/rollback.h"
#include "remediate/run/verify.h"

namespace remediate::run {
namespace {

/// The sealed copy is proven good before the original goes: by its digest and, where the key is
/// at hand, by opening it.
Result<void> prove_object(const Session& session, const quarantine::Entry& entry,
                          const std::optional<Recovery>& recovery) {
  TRY(session.store.vault().check_object(entry.object));
  if (!recovery) return {};
  return session.store.vault().open_object(entry.object, entry.sha256, recovery->certificate,
                                           recovery->key);
}

/// Success only when the very hold was looked into and the original is not, or no longer, in it.
Result<void> remove_held(Session& session, OperationState& operation, bool& gone) {
  const quarantine::Entry& entry = operation.entry;
  TRY_LET(const auto hold, session.hold_of(entry));
  auto file = hold->open_file(entry.hold_name, host::Access::read);
  gone = !file && file.error().code == Code::not_found;
  if (gone) return hold->sync();
  if (!file) return std::unexpected(std::move(file).error());
  TRY_LET(const FileStat stat, (*file)->stat());
  TRY_LET(const std::string digest, file_sha256(**file, entry.metadata.stat.size));
  if (digest != entry.sha256)
    return fail(Code::changed, "the held original is not what was captured: sha256 " + digest,
                "look who changed it; it was left alone");
  if (!same_file(stat.id, entry.metadata.stat.id, false))
    return fail(Code::changed, "the hold has another file under the name " + entry.hold_name,
                "look who put it there; it was left alone");
  if (!plan::exchanges_file(*operation.operation) && stat.links > entry.metadata.stat.links)
    return fail(Code::changed, linked_elsewhere(stat.links),
                "remove the other name, which is not seen from the hold (find -inum " +
                    std::to_string(stat.id.inode) + " on its file system); it was left alone");
  // A name cannot be removed by what it is of, so another look comes right before.
  TRY_LET(const FileStat now, hold->stat_entry(entry.hold_name));
  if (!same_and_unwritten(stat, now))
    return fail(Code::changed, "the held original was written to or exchanged while it was checked",
                "look who did that; it was left alone");
  TRY(hold->remove_file(entry.hold_name));
  gone = true;
  return hold->sync();
}

/// Nothing of the run has a sealed copy, so nothing can be finalized, and originals are held.
RunReport only_held(const Run& run) {
  RunReport report{
      run.name, run.plan.plan.plan_id, "finalize", status_of(run, "finalize"), false, "", {}, {}};
  for (const OperationState& operation : run.operations) {
    const bool stranger = operation.state == State::not_done && operation.held;
    if (operation.state != State::captured && operation.state != State::sealed && !stranger)
      continue;
    report.operations.push_back(
        {operation.operation->id, std::string(plan::action_name(operation.operation->action)),
         operation.operation->address, "held",
         stranger ? "a file that was not approved is in the hold: `remediate rollback " + run.name +
                        "` puts it back"
                  : "the original is in the hold without a sealed copy, so it stays: `remediate "
                    "resume " +
                        run.name + "` seals it"});
  }
  report.notices.emplace_back("nothing was finalized: originals are held only");
  return report;
}

/// A rollback that merged, or that found the original's bytes at their place, put back another
/// file: the held original is left. Finalizing does not remove it, since the journal knows no such
/// step.
void tell_left(RunReport& report, const Store& store, const host::Directory& root, const Run& run) {
  for (const OperationState& operation : run.operations) {
    const quarantine::Entry& entry = operation.entry;
    if (operation.state != State::restored || entry.hold_name.empty() || entry.directory ||
        !plan::exchanges_file(*operation.operation))
      continue;
    const auto hold = open_hold_of(store, root, run.name, entry);
    const auto left = hold ? (*hold)->stat_entry(entry.hold_name) : std::unexpected(hold.error());
    if (left)
      report.notices.push_back(
          operation.operation->id + " " + operation.operation->address +
          " was rolled back by another file than the held original, which is still there in clear "
          "and which finalize leaves: " +
          display((*hold)->location()) + "/" + entry.hold_name +
          (entry.object.empty() ? " (there is no sealed copy of it)" : "") +
          ". Remove it by hand when nobody needs it");
    else if (left.error().code != Code::not_found)
      report.notices.push_back(
          operation.operation->id +
          ": its hold cannot be looked into for a held original: " + reason_of(left.error()));
  }
}

Result<RunReport> finalize_held(host::Host& host, const Store& store, const host::Directory& root,
                                const std::string& name, const ApplyOptions& options,
                                Control control) {
  TRY_LET(Run run, load_run(store, name));
  TRY(undo_pending(run) ? require_resumable(store, run) : require_evidence(store, run));
  if (run.phase.empty())
    return fail(Code::not_found, "run " + run.name + " was interrupted before it did anything",
                "there is nothing to finalize: make a new plan");
  std::optional<Recovery> recovery;
  if (auto key = store.recovery_key()) recovery = Recovery{store.recovery(), std::move(*key)};
  const bool own_key_can_open =
      recovery &&
      std::ranges::any_of(options.recipients, [&](const crypto::Certificate& recipient) {
        return recipient.fingerprint() == recovery->certificate.fingerprint();
      });
  if (!own_key_can_open) recovery.reset();

  const bool anything = std::ranges::any_of(run.operations, [](const OperationState& operation) {
    return !operation.entry.directory &&
           (operation.state == State::done || operation.state == State::finalizing);
  });
  const auto begun = [](const OperationState& operation) {
    return operation.state != State::planned && operation.state != State::intended;
  };
  const bool waits =
      run.phase == "apply" &&
      std::ranges::any_of(run.operations, [&](const OperationState& operation) {
        return operation.operation->action != plan::Action::instruct && !begun(operation);
      });
  if (waits)
    return fail(Code::refused, "run " + run.name + " is not finished: it has operations not begun",
                "`remediate resume " + run.name + "` goes on, `remediate rollback " + run.name +
                    "` takes back what was done");
  if (!anything && run.closed)
    if (RunReport held = only_held(run); !held.operations.empty()) return held;
  if (!anything && run.closed)
    return RunReport{run.name,   run.plan.plan.plan_id,
                     "finalize", "nothing_to_do",
                     false,      "",
                     {},         {"nothing of this run is left to be finalized"}};

  TRY_LET(auto journal, reopen_journal(store, run.name, host));
  Session session(host, store, root, run, journal, control);
  session.tool = options.tool;
  session.undoing = true;

  std::vector<OperationState*> ready;
  for (OperationState& operation : run.operations) {
    if (operation.state != State::done && operation.state != State::finalizing) continue;
    if (operation.entry.directory) continue;  // its value is in the journal: nothing is held
    if (operation.entry.object.empty()) {
      operation.outcome = "kept";
      operation.reason = "it has no sealed copy, so the held original stays";
    } else if (auto proven = prove_object(session, operation.entry, recovery); !proven) {
      operation.outcome = "kept";
      operation.reason = "its sealed copy does not verify, so the held original stays: " +
                         reason_of(proven.error());
    } else {
      TRY(session.record(operation, journal::type::finalize_intent));
      ready.push_back(&operation);
    }
  }
  TRY(session.flush());
  bool stopped = false;
  for (std::size_t index = 0; index < ready.size(); ++index) {
    if (control.stop) {
      stopped = true;
      break;
    }
    control.progress.step("finalize", index, ready.size(), ready[index]->operation->address);
    bool gone = false;
    if (auto removed = remove_held(session, *ready[index], gone); !removed) {
      // Not kept, and not durably gone: resume looks again.
      if (gone) return std::unexpected(std::move(removed).error());
      TRY(session.record(*ready[index], journal::type::done,
                         Json{{"outcome", "kept"}, {"reason", reason_of(removed.error())}}));
      continue;
    }
    TRY(session.record(*ready[index], journal::type::finalized,
                       Json{{"outcome", "finalized"}, {"reason", ""}}));
  }
  control.progress.step("finalize", ready.size(), ready.size(), "");
  return close_phase(session, "finalize", stopped);
}

}  // namespace

Result<RunReport> finalize(host::Host& host, const Store& store, const host::Directory& root,
                           const std::string& name, const ApplyOptions& options, Control control) {
  TRY_LET(RunReport report, finalize_held(host, store, root, name, options, control));
  TRY_LET(const Run run, load_run(store, name));
  tell_left(report, store, root, run);
  return report;
}

}  // namespace remediate::run
