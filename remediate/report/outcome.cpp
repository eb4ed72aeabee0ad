#include <algorithm>

#include "remediate/base/clock.h"
#include "remediate/base/encoding.h"
#include "remediate/plan/plan_file.h"
#include "remediate/report/report.h"
#include "remediate/report/text.h"
#include "remediate/report/words.h"

namespace remediate::report {
namespace {

bool good(std::string_view outcome) {
  constexpr std::string_view words[] = {"quarantined", "replaced", "reset",   "restored",
                                        "finalized",   "to_do",    "resumed", "would_restore"};
  return std::ranges::find(words, outcome) != std::end(words);
}

Json operation_json(const std::string& id, std::string_view action, const std::string& address,
                    const std::string& outcome, const std::string& reason) {
  Json json{{"id", shown(id)},
            {"action", action},
            {"address", shown(address)},
            {"outcome", shown(outcome)}};
  if (!reason.empty()) json["reason"] = shown(reason);
  return json;
}

Json entry_json(const quarantine::Entry& entry) {
  return Json{{"sha256", shown(entry.sha256)},
              {"size", entry.metadata.stat.size},
              {"object", shown(entry.object)},
              {"object_size", entry.object_size},
              {"open_for_writing", entry.open_for_writing},
              {"after_sha256", shown(entry.after_sha256)}};
}

}  // namespace

Json run_json(const run::Run& run) {
  const plan::Plan& plan = run.plan.plan;
  Json approvers = Json::array(), playbooks = Json::array(), operations = Json::array();
  for (const std::string& approver : run.approvers) approvers.push_back(shown(approver));
  for (const plan::PlaybookReport& playbook : plan.playbooks)
    playbooks.push_back(Json{{"id", shown(playbook.id)},
                             {"name", shown(playbook.name)},
                             {"revision", playbook.revision},
                             {"sha256", shown(playbook.sha256)},
                             {"signer", shown(playbook.signer)}});
  Json stages = Json::array();
  for (const run::StageState& stage : run.stages)
    stages.push_back(Json{{"operation", shown(stage.operation)},
                          {"after", stage.after},
                          {"of", stage.of},
                          {"outcome", shown(stage.outcome)},
                          {"reason", shown(stage.reason)}});
  for (const run::OperationState& state : run.operations) {
    const plan::Operation& operation = *state.operation;
    const bool instruction = operation.action == plan::Action::instruct;
    Json json =
        operation_json(operation.id, plan::action_name(operation.action), operation.address,
                       outcome_of(state), instruction ? operation.instruction : state.reason);
    json["state"] = run::state_name(state.state);
    json["now"] = present_state(state);
    json["playbook"] = shown(operation.playbook);
    json["indicator"] = shown(operation.indicator);
    if (!instruction && !operation.setting.directory)
      json["path"] = plan::path_to_json(operation.path);
    if (state.entry.directory) json["entry"] = Json{{"directory", to_json(*state.entry.directory)}};
    if (was_captured(state)) json["entry"] = entry_json(state.entry);
    operations.push_back(std::move(json));
  }
  return Json{{"run_id", shown(run.name)},
              {"plan_id", shown(plan.plan_id)},
              {"plan_sha256", shown(run.plan_sha256)},
              {"status", run.closed ? shown(run.status) : "interrupted"},
              {"phase", shown(run.phase)},
              {"interrupted", !run.closed},
              {"started", run.phase.empty() ? Json() : Json(format_utc(run.started))},
              {"ended", run.phase.empty() ? Json() : Json(format_utc(run.ended))},
              {"host", Json{{"id", shown(plan.host.id)},
                            {"name", shown(plan.host.name)},
                            {"root", display(plan.host.root)}}},
              {"approvers", std::move(approvers)},
              {"playbooks", std::move(playbooks)},
              {"copies", quarantine::to_json(run.copies)},
              {"stages", std::move(stages)},
              {"operations", std::move(operations)}};
}

std::string outcome_text(const run::RunReport& report, bool colour) {
  TextPage page(colour);
  const bool rehearsal = report.status == "planned";
  const bool well = !report.interrupted &&
                    (report.status == "done" || report.status == "nothing_to_do" || rehearsal);
  page.line(shown(report.phase) + ": " + (report.interrupted ? "interrupted, " : "") +
                shown(report.status),
            well ? Style::good : Style::bad);
  page.field("run", shown(report.run));
  page.field("plan", shown(report.plan_id));
  if (!report.operations.empty()) page.blank();
  for (const run::OperationReport& operation : report.operations) {
    page.line("  " + shown(operation.id) + "  " + shown(operation.outcome) + "  " +
                  shown(operation.address),
              good(operation.outcome) ? Style::plain : Style::bad);
    for (const std::string& line : shown_lines(operation.reason)) page.paragraph(line, 11);
  }
  if (!report.notices.empty()) page.blank();
  for (const std::string& notice : report.notices) page.item(shown(notice));
  if (!report.head.empty()) {
    page.blank();
    page.field("head", shown(report.head));
    page.paragraph(
        "Note the head elsewhere: `remediate verify --witness HEAD` then proves that no record was "
        "changed or cut since.",
        12);
  }
  if (report.phase == "apply" && report.status != "nothing_to_do") {
    page.blank();
    page.field("undo", "remediate rollback " + shown(report.run));
    page.field("report", "remediate show " + shown(report.run) + " --html report.html");
  }
  return page.take();
}

Json outcome_json(const run::RunReport& report) {
  Json operations = Json::array();
  for (const run::OperationReport& operation : report.operations)
    operations.push_back(operation_json(operation.id, shown(operation.action), operation.address,
                                        operation.outcome, operation.reason));
  Json notices = Json::array();
  for (const std::string& notice : report.notices) notices.push_back(shown(notice));
  return Json{{"run_id", shown(report.run)},         {"plan_id", shown(report.plan_id)},
              {"phase", shown(report.phase)},        {"status", shown(report.status)},
              {"interrupted", report.interrupted},   {"head", shown(report.head)},
              {"operations", std::move(operations)}, {"notices", std::move(notices)}};
}

std::string verify_text(const run::VerifyReport& report, bool colour) {
  TextPage page(colour);
  const auto errors = static_cast<std::uint64_t>(
      std::ranges::count(report.findings, run::Finding::Level::error, &run::Finding::level));
  const std::string checked = count(report.runs.size(), "run") + ", " +
                              count(report.objects_checked, "sealed object") + " and " +
                              count(report.held_checked, "held original") + " checked";
  if (report.ok())
    page.line("verified: " + checked + ", all as recorded", Style::good);
  else
    page.line("NOT VERIFIED: " + count(errors, "error") + "; " + checked, Style::bad);
  for (const run::Finding& finding : report.findings) {
    const bool error = finding.level == run::Finding::Level::error;
    page.item(std::string(error ? "error" : "notice") + ": " + shown(finding.where) + ": " +
                  shown(finding.what),
              error ? Style::bad : Style::plain);
  }
  return page.take();
}

Json verify_json(const run::VerifyReport& report) {
  Json runs = Json::array(), findings = Json::array();
  for (const std::string& run : report.runs) runs.push_back(shown(run));
  for (const run::Finding& finding : report.findings)
    findings.push_back(
        Json{{"level", finding.level == run::Finding::Level::error ? "error" : "notice"},
             {"where", shown(finding.where)},
             {"what", shown(finding.what)}});
  return Json{{"ok", report.ok()},
              {"runs", std::move(runs)},
              {"objects_checked", report.objects_checked},
              {"held_checked", report.held_checked},
              {"findings", std::move(findings)}};
}

Json error_json(const Error& error) {
  Json causes = Json::array();
  for (const std::string& cause : error.causes) causes.push_back(shown(cause));
  return Json{{"error", Json{{"code", code_name(error.code)},
                             {"message", shown(error.message)},
                             {"causes", std::move(causes)},
                             {"remedy", shown(error.remedy)}}}};
}

}  // namespace remediate::report
