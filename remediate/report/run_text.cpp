#include "remediate/base/encoding.h"
#include "remediate/report/report.h"
#include "remediate/report/text.h"
#include "remediate/report/words.h"

namespace remediate::report {
namespace {

Style style_of(const run::OperationState& operation) {
  const std::string outcome = outcome_of(operation);
  if (outcome == "quarantined" || outcome == "replaced" || outcome == "reset" ||
      outcome == "restored" || outcome == "finalized")
    return Style::good;
  return outcome == "to_do" || outcome == "resumed" ? Style::plain : Style::bad;
}

void write_operation(TextPage& page, const run::Run& run, const run::OperationState& state) {
  const plan::Operation& operation = *state.operation;
  page.blank();
  page.line(
      shown(operation.id) + "  " + action_text(operation.action) + "  " + shown(operation.address),
      Style::strong);
  page.field("now", present_state(state));
  page.field("outcome",
             outcome_of(state) + (state.reason.empty() ? "" : ": " + shown(state.reason)),
             style_of(state));
  page.field("found by", found_by(run.plan.plan, operation.playbook, operation.indicator));
  std::string_view label = "why";
  for (const plan::Reason& reason : operation.why) {
    page.field(label, reason_text(reason));
    label = "";
  }
  if (was_captured(state)) {
    const quarantine::Entry& entry = state.entry;
    page.field("original",
               "sha256 " + shown(entry.sha256) + ", " + count(entry.metadata.stat.size, "byte"));
    page.field("sealed", entry.object.empty() ? "no: only the original in the hold"
                                              : "objects/" + shown(entry.object) + ".p7m, " +
                                                    count(entry.object_size, "byte"));
    if (entry.open_for_writing)
      page.field("warning", "a process had it open for writing when it was taken: find and stop it",
                 Style::bad);
  }
  label = "changed";
  for (const plan::SettingDifference& difference : operation.setting.differences) {
    page.field(label, difference_text(difference));
    label = "";
  }
  if (!operation.setting.diff.empty()) page.diff(shown_lines(operation.setting.diff));
}

}  // namespace

std::string run_text(const run::Run& run, bool colour) {
  const plan::Plan& plan = run.plan.plan;
  TextPage page(colour);
  page.line(run_title(run), Style::strong);
  page.blank();
  for (const auto& [label, value] : run_facts(run)) page.field(label, value);
  page.blank();
  page.paragraph(run_summary(run), 2, Style::strong);
  page.heading("WHAT WAS FOUND AND DONE");
  bool any = false;
  for (const run::OperationState& operation : run.operations)
    if (operation.operation->action != plan::Action::instruct) {
      write_operation(page, run, operation);
      any = true;
    }
  if (!any) page.item("nothing: the plan has no change");
  page.heading("STILL TO BE DONE BY A PERSON");
  any = false;
  for (const plan::Operation& operation : plan.operations) {
    if (operation.action != plan::Action::instruct) continue;
    any = true;
    page.item(
        shown(operation.id) + " (" + playbook_name(plan, operation.playbook) + ")" +
        (run::went_past(run, operation) ? ", which apply waited for and was resumed behind:" : ""));
    for (const std::string& line : shown_lines(operation.instruction)) page.paragraph(line, 4);
  }
  if (!any) page.item("the playbooks ask for nothing more");
  page.heading("HOW TO GET IT BACK");
  for (const NextStep& step : way_back(run)) {
    page.item(step.words);
    if (!step.command.empty()) page.line("      " + step.command, Style::strong);
  }
  page.heading("WHAT WAS NOT DONE");
  for (const std::string& text : not_done(run)) page.item(text);
  for (const plan::Review& review : plan.reviews)
    page.item("for review: " + shown(review.address) + " (" +
              found_by(plan, review.playbook, review.indicator) + ")");
  for (const plan::Exclusion& exclusion : plan.exclusions)
    page.item("left alone: " + shown(exclusion.address) + ": " + shown(exclusion.reason));
  for (const plan::IssueReport& issue : plan.issues) page.item(issue_text(issue));
  return page.take();
}

}  // namespace remediate::report
