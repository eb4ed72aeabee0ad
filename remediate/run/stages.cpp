#include "remediate/run/stages.h"

#include <algorithm>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"

namespace remediate::run {
namespace {

bool changes_something(const OperationState& operation) {
  return operation.operation->action != plan::Action::instruct;
}

/// An answer of its own also where the probe could not be asked; the only Error is interrupted.
Result<ProbeAnswer> ask(HealthProbe& probe, const Control& control) {
  control.progress.note("asking " + display(probe.name()) + " whether the server still works");
  auto answer = probe.ask(control.stop);
  if (answer || answer.error().code == Code::interrupted) return answer;
  return ProbeAnswer{false, reason_of(answer.error())};
}

Result<void> record(Session& session, const StageEnd& end, std::uint64_t of, std::string outcome,
                    std::string reason) {
  const std::string operation = end.wait != nullptr ? end.wait->id : "";
  session.journal.append(
      journal::type::stage, operation,
      Json{{"after", end.after}, {"of", of}, {"outcome", outcome}, {"reason", reason}});
  TRY(session.flush());
  session.run.stages.push_back({operation, end.after, of, std::move(outcome), std::move(reason),
                                session.journal.contents().records.back().time});
  return {};
}

std::string go_on(const Session& session) {
  return "look at the server; `remediate resume " + session.run.name +
         "` goes on, `remediate rollback " + session.run.name + "` takes back what was done";
}

/// What lies before a wait and did not come about: what follows may rely on it.
std::string undone_before(const Session& session, const StageEnd& end) {
  std::string said;
  for (std::size_t index = 0; index < end.index; ++index) {
    const OperationState& operation = session.run.operations[index];
    if (operation.state != State::not_done) continue;
    said += "Not done: " + operation.operation->id + " " + operation.operation->address + " (" +
            operation.reason + "); what follows may rely on it. ";
  }
  return said;
}

}  // namespace

std::vector<StageEnd> stage_ends(const Session& session) {
  std::vector<StageEnd> ends;
  if (session.run.phase != "apply" || session.run.closed) return ends;
  const plan::Stages* stages = session.stages.plan;
  const std::vector<OperationState>& operations = session.run.operations;
  std::size_t stage = 0;
  std::uint64_t after = 0;
  std::uint64_t next = stages != nullptr ? stages->sizes.front() : 0;
  for (std::size_t index = 0; index < operations.size(); ++index) {
    if (!changes_something(operations[index])) {
      if (operations[index].operation->waits && after != 0)
        ends.push_back({index, after, operations[index].operation});
      continue;
    }
    if (stages != nullptr && after == next) {
      ends.push_back({index, after});
      if (++stage < stages->sizes.size()) next += stages->sizes[stage];
    }
    ++after;
  }
  if (stages != nullptr && session.stages.probe != nullptr && after != 0)
    ends.push_back({operations.size(), after});
  return ends;
}

Result<bool> stands_still(Session& session, const StageEnd& end) {
  std::vector<StageState>& known = session.run.stages;
  const auto recorded = [&](std::string_view outcome) {
    return std::ranges::any_of(known, [&](const StageState& stage) {
      return stage.outcome == outcome &&
             (end.wait != nullptr ? stage.operation == end.wait->id
                                  : stage.operation.empty() && stage.after >= end.after);
    });
  };
  if (recorded("passed")) return false;
  const auto of =
      static_cast<std::uint64_t>(std::ranges::count_if(session.run.operations, changes_something));
  const std::string done = std::to_string(end.after) + " of " + std::to_string(of) + " operations";
  const std::string left = std::to_string(of - end.after) + " were not begun";

  if (end.wait != nullptr || session.stages.probe == nullptr) {
    if (recorded("waiting") && !session.untold) {
      if (end.wait != nullptr)
        session.control.progress.note(
            "going on behind step " + end.wait->step +
            ", which was for a person to do: " + display(end.wait->instruction));
      TRY(record(session, end, of, "passed", "resumed by the operator"));
      return false;
    }
    if (!recorded("waiting"))
      TRY(record(session, end, of, "waiting",
                 end.wait != nullptr ? "step " + end.wait->step + " is for a person to do first"
                                     : "the policy names no probe: a person has to look"));
    session.notices.push_back(
        end.wait != nullptr
            ? "apply waits after " + done + ", " + left + ". " + undone_before(session, end) +
                  "Do this first: " + display(end.wait->instruction) + " Then " + go_on(session)
            : "a stage has ended after " + done + ", " + left + ": " + go_on(session));
    return true;
  }
  const auto answer = ask(*session.stages.probe, session.control);
  if (!answer) return true;  // interrupted
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
