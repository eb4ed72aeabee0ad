#include "remediate/run/rollback.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/run/directory_reset.h"
#include "remediate/run/file_removal.h"
#include "remediate/run/line_order.h"
#include "remediate/run/restore.h"
#include "remediate/run/rollback_preview.h"
#include "remediate/run/verify.h"

namespace remediate::run {
namespace {

bool can_be_restored(const OperationState& operation) {
  if (operation.state == State::not_done) return operation.held;
  return operation.state != State::planned && operation.state != State::restored;
}

Result<std::vector<OperationState*>> select(Run& run, const std::vector<std::string>& only) {
  for (const std::string& word : only) {
    const bool fits = std::ranges::any_of(run.operations, [&](const OperationState& operation) {
      return operation.operation->id == word || operation.operation->indicator == word;
    });
    if (!fits)
      return fail(Code::not_found,
                  "run " + run.name + " has no operation and no indicator " + display(word),
                  "`remediate show " + run.name + "` lists them");
  }
  std::vector<OperationState*> selected;
  for (OperationState& operation : run.operations) {
    const plan::Operation& plan = *operation.operation;
    if (plan.action == plan::Action::instruct) continue;
    if (!only.empty() && std::ranges::find(only, plan.id) == only.end() &&
        std::ranges::find(only, plan.indicator) == only.end())
      continue;
    if (can_be_restored(operation)) selected.push_back(&operation);
  }
  std::ranges::reverse(selected);
  return selected;
}

/// Why there is nothing to put back of an operation, without its name.
std::string nothing_to_restore(const OperationState& operation) {
  if (operation.operation->action == plan::Action::instruct)
    return "an instruction for a person: the tool changed nothing, so what that person did is "
           "taken back by a person";
  if (operation.state == State::restored)
    return "back already: " + (operation.outcome == "restored" || operation.outcome.empty()
                                   ? std::string("an earlier rollback put it back")
                                   : "an earlier rollback ended with " + operation.outcome);
  if (operation.state == State::planned) return "not begun: nothing was changed";
  return "not done, and nothing of it is held" +
         (operation.reason.empty() ? std::string() : ": " + operation.reason);
}

/// Of the operations that --only names: those with nothing to put back, and why; like ones
/// together.
std::vector<std::string> tell_left_out(const Run& run, const std::vector<std::string>& only) {
  constexpr std::size_t named = 5, kinds = 20;
  std::vector<std::pair<std::string, std::vector<std::string>>> groups;
  for (const OperationState& operation : run.operations) {
    const plan::Operation& plan = *operation.operation;
    if (std::ranges::find(only, plan.id) == only.end() &&
        std::ranges::find(only, plan.indicator) == only.end())
      continue;
    if (plan.action != plan::Action::instruct && can_be_restored(operation)) continue;
    const std::string why = nothing_to_restore(operation);
    auto group = std::ranges::find_if(groups, [&](const auto& one) { return one.first == why; });
    if (group == groups.end() && groups.size() == kinds) continue;
    if (group == groups.end()) group = groups.insert(groups.end(), {why, {}});
    group->second.push_back(plan.id);
  }
  std::vector<std::string> lines;
  for (const auto& [why, ids] : groups) {
    std::string line;
    for (std::size_t index = 0; index < std::min(ids.size(), named); ++index)
      line += (index == 0 ? "" : ", ") + ids[index];
    if (ids.size() > named) line += " and " + std::to_string(ids.size() - named) + " more";
    lines.push_back(line + (ids.size() == 1 ? " is " : " are ") + why);
  }
  return lines;
}

/// Every selected operation is recorded as wanted before the first is touched, so that a crash
/// does not forget the rest.
Result<void> announce(Session& session, const std::vector<OperationState*>& selected) {
  session.run.announcing = false;  // a rollback before this one may have ended in the middle
  for (OperationState* operation : selected)
    TRY(session.record(*operation, journal::type::restore_intent));
  return session.flush();
}

Result<bool> restore_all(Session& session, const RollbackOptions& options,
                         const std::vector<OperationState*>& selected) {
  std::size_t next = 0;
  std::set<RawPath> waiting;  // files whose later change failed: the order keeps the undo exact
  while (next < selected.size()) {
    if (session.control.stop) return true;
    session.control.progress.step("rollback", next, selected.size(),
                                  selected[next]->operation->address);
    if (selected[next]->entry.directory) {
      TRY(restore_directory_value(session, *selected[next++]));
      continue;
    }
    if (plan::exchanges_file(*selected[next]->operation)) {
      OperationState& operation = *selected[next++];
      const RawPath& path = operation.operation->path;
      if (waiting.contains(path)) {
        TRY(record_restored(session, operation,
                            {false, "failed",
                             "a later change of this file has to be taken back first: run "
                             "`remediate rollback " +
                                 session.run.name + "` again"}));
        TRY(session.flush());
      } else {
        TRY(restore_exchanged(session, options, operation));
        if (operation.state != State::restored && operation.outcome == "failed")
          waiting.insert(path);
      }
      continue;
    }
    std::vector<OperationState*> batch;
    while (next < selected.size() && batch.size() < batch_files &&
           selected[next]->operation->action == plan::Action::quarantine)
      batch.push_back(selected[next++]);
    TRY(restore_files(session, options, batch));
  }
  session.control.progress.step("rollback", selected.size(), selected.size(), "");
  return false;
}

void add_warnings(RunReport& report, const Run& run) {
  const auto back = [](const OperationState& one) { return one.state == State::restored; };
  std::ranges::move(lines_without_files(run, back), std::back_inserter(report.notices));
  if (const std::size_t unsealed = held_unsealed(run); unsealed != 0)
    report.notices.push_back(std::to_string(unsealed) +
                             " other original(s) of the run are held and unsealed: `remediate "
                             "resume " +
                             run.name + "` seals them, where the store has space");
}

}  // namespace

Result<RunReport> rollback(host::Host& host, const Store& store, const host::Directory& root,
                           const std::string& name, const RollbackOptions& options,
                           Control control) {
  TRY_LET(Run run, load_run(store, name));
  TRY(require_evidence(store, run));
  TRY_LET(const std::vector<OperationState*> selected, select(run, options.only));
  std::vector<std::string> left_out = tell_left_out(run, options.only);
  if (options.dry_run || selected.empty()) {
    RunReport report = preview_rollback(store, root, run, selected, options);
    if (!options.dry_run) report.notices.clear();
    if (selected.empty())
      left_out.insert(left_out.begin(), options.only.empty()
                                            ? "nothing of this run is left to be put back"
                                            : "nothing of what --only names is to be put back");
    report.notices.insert(report.notices.begin(), left_out.begin(), left_out.end());
    return report;
  }
  TRY_LET(auto journal, reopen_journal(store, run.name, host));
  Session session(host, store, root, run, journal, control);
  session.tool = options.tool;
  session.active_directory = options.directory;
  session.undoing = true;
  const auto given_up = std::ranges::count_if(run.operations, [](const OperationState& operation) {
    return operation.state == State::planned &&
           operation.operation->action != plan::Action::instruct;
  });
  TRY(announce(session, selected));
  TRY_LET(const bool stopped, restore_all(session, options, selected));
  TRY_LET(RunReport report, close_phase(session, "rollback", stopped));
  if (given_up > 0)
    report.notices.push_back(std::to_string(given_up) +
                             " operation(s) of the run were not begun and will not be: make a new "
                             "plan for them");
  std::ranges::move(left_out, std::back_inserter(report.notices));
  add_warnings(report, run);
  if (stopped) report.notices.push_back("stopped; `remediate resume " + run.name + "` continues");
  return only_selected(std::move(report), run);
}

RunReport only_selected(RunReport report, const Run& run, std::set<std::string> also) {
  for (const OperationState& operation : run.operations)
    if (operation.selected) also.insert(operation.operation->id);
  std::erase_if(report.operations,
                [&](const OperationReport& one) { return !also.contains(one.id); });
  return report;
}

bool undo_pending(const Run& run) {
  const bool restoring = std::ranges::any_of(
      run.operations, [](const OperationState& o) { return o.state == State::restoring; });
  const bool finalizing = std::ranges::any_of(
      run.operations, [](const OperationState& o) { return o.state == State::finalizing; });
  const bool unclosed = !run.closed && (run.phase == "rollback" || run.phase == "finalize");
  return restoring || finalizing || unclosed;
}

Result<RunReport> resume_undo(host::Host& host, const Store& store, const host::Directory& root,
                              Run& run, const ApplyOptions& options, Control control) {
  if (run.phase == "finalize") return finalize(host, store, root, run.name, options, control);
  std::vector<OperationState*> selected;
  for (OperationState& operation : run.operations) {
    if (operation.state != State::restoring) continue;
    operation.selected = true;
    selected.push_back(&operation);
  }
  std::ranges::reverse(selected);
  RollbackOptions rollback_options;
  rollback_options.tool = options.tool;
  if (auto key = store.recovery_key())
    rollback_options.recovery = Recovery{store.recovery(), std::move(*key)};
  TRY_LET(auto journal, reopen_journal(store, run.name, host));
  Session session(host, store, root, run, journal, control);
  session.tool = options.tool;
  session.active_directory = options.directory;
  session.undoing = true;
  TRY_LET(const bool stopped, restore_all(session, rollback_options, selected));
  TRY_LET(RunReport report, close_phase(session, "rollback", stopped));
  add_warnings(report, run);
  return only_selected(std::move(report), run);
}

}  // namespace remediate::run
