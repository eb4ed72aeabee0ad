#include <algorithm>

#include "remediate/base/clock.h"
#include "remediate/base/encoding.h"
#include "remediate/report/words.h"

namespace remediate::report {
namespace {

using run::State;

std::uint64_t number_in(const run::Run& run, plan::Action action, bool (*wanted)(State)) {
  return static_cast<std::uint64_t>(
      std::ranges::count_if(run.operations, [&](const run::OperationState& operation) {
        return operation.operation->action == action && wanted(operation.state);
      }));
}

bool gone(State state) {
  return state == State::captured || state == State::sealed || state == State::done ||
         state == State::finalizing || state == State::finalized;
}
bool back(State state) { return state == State::restored; }
bool untouched(State state) { return state == State::planned || state == State::not_done; }
bool final(State state) { return state == State::finalized; }
bool doubtful(State state) { return state == State::intended || state == State::restoring; }

}  // namespace

std::string outcome_of(const run::OperationState& operation) {
  if (operation.operation->action == plan::Action::instruct && operation.outcome.empty())
    return "to_do";
  if (!operation.outcome.empty()) return shown(operation.outcome);
  switch (operation.state) {
    case State::planned:
      return "not_started";
    case State::captured:
    case State::sealed:
      return "held";
    case State::intended:
    case State::restoring:
    case State::finalizing:
      return "interrupted";
    default:
      return std::string(run::state_name(operation.state));
  }
}

bool was_captured(const run::OperationState& operation) {
  const State state =
      operation.state == State::restoring ? operation.before_restore : operation.state;
  return !operation.entry.directory && (gone(state) || back(state));
}

std::string present_state(const run::OperationState& operation) {
  const bool setting = operation.operation->action == plan::Action::reset_setting;
  const bool replaced = operation.operation->action == plan::Action::replace_file;
  const std::string what = setting    ? "the earlier version is"
                           : replaced ? "the replaced file is"
                                      : "the original is";
  const std::string changed = setting ? "reset" : replaced ? "known good again" : "removed";
  switch (operation.state) {
    case State::planned:
      return outcome_of(operation) == "resumed"
                 ? "for a person: apply waited here, and `remediate resume` went on behind it"
             : operation.operation->action == plan::Action::instruct
                 ? "to be done by a person"
                 : "not started: nothing was changed";
    case State::intended:
      return "interrupted at its start: whether it was changed is found out by `remediate resume`";
    case State::captured:
      return what + " in the hold, not sealed";
    case State::sealed:
      return what + " in the hold and sealed; the last check is missing (`remediate resume`)";
    case State::done:
      if (operation.entry.directory) return "reset; the value before is in the journal";
      return changed + "; " + what +
             (operation.entry.object.empty() ? " in the hold (not sealed)"
                                             : " in the hold and sealed");
    case State::not_done:
      return operation.held ? "not done: a file that was not approved is in the hold"
                            : "not done: it was left as it is";
    case State::restoring:
      return "a rollback was begun and not finished (`remediate resume`)";
    case State::restored:
      if (operation.entry.directory) return "rolled back: the value before is there again";
      if (replaced) return "rolled back: the replaced file is at its place again";
      return setting ? "rolled back: our change was taken out again"
                     : "rolled back: the original is at its place again";
    case State::finalizing:
      return "a finalize was begun and not finished (`remediate resume`); the sealed copy is kept";
    case State::finalized:
      return changed + "; only the sealed copy is left";
  }
  return "unknown";
}

std::string run_status(const run::Run& run) {
  if (run.phase.empty()) return "interrupted before anything was done";
  const std::string phase = shown(run.phase);
  if (!run.closed) return "interrupted during " + phase;
  return phase + ": " + shown(run.status);
}

std::string run_title(const run::Run& run) {
  return "NOTICE ABOUT A CHANGE TO " + shown(run.plan.plan.host.name);
}

std::string run_summary(const run::Run& run) {
  const auto number = [&](plan::Action action, bool (*wanted)(State)) {
    return number_in(run, action, wanted);
  };
  const auto all = [&](bool (*wanted)(State)) {
    return number(plan::Action::quarantine, wanted) + number(plan::Action::replace_file, wanted) +
           number(plan::Action::reset_setting, wanted);
  };
  const std::uint64_t replaced = number(plan::Action::replace_file, gone);
  std::string text = count(number(plan::Action::quarantine, gone), "file") + " removed, " +
                     (replaced == 0 ? "" : count(replaced, "file") + " replaced, ") +
                     count(number(plan::Action::reset_setting, gone), "settings file") + " reset";
  if (const auto n = all(back); n != 0) text += ", " + std::to_string(n) + " rolled back";
  if (const auto n = all(untouched); n != 0) text += ", " + std::to_string(n) + " not done";
  if (const auto n = all(doubtful); n != 0) text += ", " + std::to_string(n) + " interrupted";
  const auto past = static_cast<std::uint64_t>(
      std::ranges::count(run.operations, "resumed", &run::OperationState::outcome));
  const auto instructions = count_operations(run.plan.plan).instructions - past;
  if (instructions != 0) text += ", " + count(instructions, "instruction") + " to do";
  return text;
}

std::vector<std::pair<std::string, std::string>> run_facts(const run::Run& run) {
  const plan::Plan& plan = run.plan.plan;
  std::string approvers;
  for (const std::string& approver : run.approvers)
    if (approver != plan::confirmed_by_id)
      approvers += (approvers.empty() ? "" : "; ") + shown(approver);
  if (approvers.empty())
    approvers =
        "by whoever ran apply, who typed the plan's id (--confirm). Nobody signed it: the policy "
        "asks for no approver";
  std::vector<std::pair<std::string, std::string>> facts{
      {"run", shown(run.name)},
      {"host", shown(plan.host.name) + " (id " + shown(plan.host.id) + ")"},
      {"root", display(plan.host.root)},
      {"status", run_status(run)}};
  if (run.phase.empty()) {
    facts.emplace_back("started", "never: the journal has no record");
  } else {
    facts.emplace_back("started", format_utc(run.started));
    facts.emplace_back("ended", format_utc(run.ended));
  }
  facts.emplace_back("approval", approvers);
  facts.emplace_back("plan", shown(plan.plan_id) + ", made " + format_utc(plan.created) + " by " +
                                 shown(plan.tool) + ", sha256 " + shown(run.plan_sha256));
  for (const plan::PlaybookReport& playbook : plan.playbooks)
    facts.emplace_back("playbook", shown(playbook.name) + ", revision " +
                                       std::to_string(playbook.revision) + " (" +
                                       shown(playbook.id) + ")");
  for (const quarantine::SealedCopy& copy : run.copies)
    facts.emplace_back("copied first", shown(copy.path.display()) + " of " +
                                           format_utc(copy.modified) + ", sha256 " +
                                           shown(copy.sha256) + ", sealed as objects/" +
                                           shown(copy.object) + ".p7m");
  for (const run::StageState& stage : run.stages)
    facts.emplace_back(stage.operation.empty() ? "stage" : "wait",
                       (stage.operation.empty() ? "" : shown(stage.operation) + " ") + "after " +
                           std::to_string(stage.after) + " of " + std::to_string(stage.of) + ": " +
                           shown(stage.outcome) + ", " + shown(stage.reason));
  return facts;
}

std::vector<NextStep> way_back(const run::Run& run) {
  const std::string name = shown(run.name);
  std::vector<NextStep> steps;
  if (!run.phase.empty() && !run.closed)
    steps.push_back({"remediate resume " + name, "It was interrupted. Continue it:"});
  const auto can = [&](bool (*wanted)(State)) {
    return number_in(run, plan::Action::quarantine, wanted) +
           number_in(run, plan::Action::replace_file, wanted) +
           number_in(run, plan::Action::reset_setting, wanted);
  };
  const std::uint64_t taken = can(gone);
  const std::uint64_t finalized = can(final);
  const bool stranger = std::ranges::any_of(run.operations, &run::OperationState::held);
  if (taken == 0 && can(doubtful) == 0 && !stranger) {
    steps.push_back({"", "Nothing of this run is left to be put back."});
    return steps;
  }
  steps.push_back({"remediate rollback " + name + " --dry-run",
                   "See what a rollback would put back, without changing anything:"});
  steps.push_back({"remediate rollback " + name,
                   "Put everything back as it was (or a part: --only OPERATION or INDICATOR). "
                   "Nothing that is there now is overwritten:"});
  if (finalized != 0)
    steps.push_back({"remediate rollback " + name + " --recovery-key KEY",
                     std::to_string(finalized) +
                         " of them were finalized: only the sealed copy is left, and it opens "
                         "with the recovery key alone:"});
  if (finalized < taken)
    steps.push_back({"remediate finalize " + name,
                     "End the undo window. The held originals are removed for good; after that "
                     "only the sealed copies are left and a rollback needs the recovery key:"});
  steps.push_back({"remediate verify " + name, "Check that the evidence is whole:"});
  return steps;
}

std::vector<std::string> not_done(const run::Run& run) {
  const plan::Plan& plan = run.plan.plan;
  std::vector<std::string> texts{
      "The hole that the files came through was not closed: no patch was installed.",
      "No other malware was searched for than what the playbooks above describe, and only in their "
      "scopes.",
      "Processes that already run were not stopped, sessions were not ended, and passwords and "
      "keys were not changed."};
  if (!plan.reviews.empty())
    texts.push_back(count(plan.reviews.size(), "match is", "matches are") +
                    " for a person to judge; nothing was done about " +
                    (plan.reviews.size() == 1 ? "it." : "them."));
  if (!plan.exclusions.empty())
    texts.push_back(count(plan.exclusions.size(), "match was", "matches were") +
                    " left alone for the reason given.");
  if (!plan.issues.empty())
    texts.push_back(count(plan.issues.size(), "place was", "places were") +
                    " not evaluated: nothing is known about " +
                    (plan.issues.size() == 1 ? "it." : "them."));
  return texts;
}

}  // namespace remediate::report
