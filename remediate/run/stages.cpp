#include "remediate/run/stages.h"

#include <algorithm>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"

namespace remediate::run {
namespace {

bool changes_something(const OperationState& operation) {
  return operation.operation->action != plan::Action::instruct;
}

/// An answer of its own also where the probe could not be asked; interrupted passes through.
Result<ProbeAnswer> ask(HealthProbe& probe, const Control& control) {
  control.progress.note("asking " + display(probe.name()) + " whether the server still works");
  auto answer = probe.ask(control.stop);
  if (answer || answer.error().code == Code::interrupted) return answer;
  return ProbeAnswer{false, reason_of(answer.error())};
}

Result<void> record(Session& session, const StageEnd& end, std::uint64_t of, std::string outcome,
                    std::string reason) {
  session.journal.append(
      journal::type::stage, "",
      Json{{"after", end.after}, {"of", of}, {"outcome", outcome}, {"reason", reason}});
  TRY(session.flush());
  session.run.stages.push_back({end.after, of, std::move(outcome), std::move(reason),
                                session.journal.contents().records.back().time});
  return {};
}

std::string go_on(const Session& session) {
  return "look at the server; `remediate resume " + session.run.name +
         "` goes on, `remediate rollback " + session.run.name + "` takes back what was done";
}

}  // namespace

std::vector<StageEnd> stage_ends(const Session& session) {
  std::vector<StageEnd> ends;
  if (session.stages.plan == nullptr || session.run.phase != "apply" || session.run.closed)
    return ends;
  const std::vector<OperationState>& operations = session.run.operations;
  std::size_t stage = 0;
  std::uint64_t after = 0;
  std::uint64_t next = session.stages.plan->sizes.front();
  for (std::size_t index = 0; index < operations.size(); ++index) {
    if (!changes_something(operations[index])) continue;
    if (after == next && stage < session.stages.plan->sizes.size()) {
      ends.push_back({index, after});
      if (++stage < session.stages.plan->sizes.size()) next += session.stages.plan->sizes[stage];
    }
    ++after;
  }
  if (session.stages.probe != nullptr && after != 0) ends.push_back({operations.size(), after});
  return ends;
}

Result<bool> stands_still(Session& session, const StageEnd& end) {
  std::vector<StageState>& known = session.run.stages;
  const auto recorded = [&](std::string_view outcome) {
    return std::ranges::any_of(known, [&](const StageState& stage) {
      return stage.outcome == outcome && stage.after >= end.after;
    });
  };
  if (recorded("passed")) return false;
  const auto of =
      static_cast<std::uint64_t>(std::ranges::count_if(session.run.operations, changes_something));
  const std::string done = std::to_string(end.after) + " of " + std::to_string(of) + " operations";
  const std::string left = std::to_string(of - end.after) + " were not begun";

  if (session.stages.probe == nullptr) {
    if (recorded("waiting")) {
      TRY(record(session, end, of, "passed", "resumed by the operator"));
      return false;
    }
    TRY(record(session, end, of, "waiting", "the policy names no probe: a person has to look"));
    session.notices.push_back("a stage has ended after " + done + ", " + left + ": " +
                              go_on(session));
    return true;
  }
  auto answer = ask(*session.stages.probe, session.control);
  if (!answer && answer.error().code == Code::interrupted) return true;
  if (!answer) return std::unexpected(std::move(answer).error());
  TRY(record(session, end, of, answer->passed ? "passed" : "failed", answer->said));
  if (answer->passed) return false;
  session.notices.push_back("the health probe " + display(session.stages.probe->name()) +
                            " failed after " + done + ", " + left + ": " + answer->said + "; " +
                            go_on(session));
  return true;
}

Result<void> probe_before(const ApplyStages& stages, const Control& control) {
  if (stages.plan == nullptr || stages.probe == nullptr) return {};
  TRY_LET(const ProbeAnswer answer, ask(*stages.probe, control));
  if (answer.passed) return {};
  return fail(Code::refused,
              "the health probe " + display(stages.probe->name()) +
                  " fails before anything was done: " + answer.said,
              "repair the server or the policy's stages.probe first; nothing was done");
}

}  // namespace remediate::run
