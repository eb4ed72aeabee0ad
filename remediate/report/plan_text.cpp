#include "remediate/base/encoding.h"
#include "remediate/report/report.h"
#include "remediate/report/text.h"
#include "remediate/report/words.h"

namespace remediate::report {
namespace {

void write_head(TextPage& page, const plan::Plan& plan, const PlanPlace& place) {
  page.line("CHANGE REQUEST: nothing has been changed yet", Style::strong);
  page.blank();
  for (const auto& [label, value] : plan_facts(plan, place)) page.field(label, value);
  page.blank();
  page.paragraph(summary(plan), 2, Style::strong);
  for (const plan::LimitReport& limit : plan.limits)
    if (limit.fired)
      page.paragraph((limit.approvers == 0 ? "BLOCKED: " : "ABOVE A LIMIT: ") + shown(limit.name) +
                         ": " + std::to_string(limit.found) + " found, the limit is " +
                         std::to_string(limit.limit) + limit_effect(limit),
                     2, Style::bad);
  if (!plan.issues.empty())
    page.paragraph(
        "NOT EVERYTHING WAS LOOKED AT: " + count(plan.issues.size(), "place was", "places were") +
            " not evaluated (see ISSUES).",
        2, Style::bad);
}

void write_operation(TextPage& page, const plan::Plan& plan, const plan::Operation& operation) {
  page.blank();
  page.line(
      shown(operation.id) + "  " + action_text(operation.action) + "  " + shown(operation.address),
      Style::strong);
  page.field("found by", found_by(plan, operation.playbook, operation.indicator) +
                             (operation.step.empty() ? "" : ", step " + shown(operation.step)));
  std::string_view label = "why";
  for (const plan::Reason& reason : operation.why) {
    page.field(label, reason_text(reason));
    label = "";
  }
  label = "details";
  for (const auto& [name, value] : operation.details) {
    page.field(label, display(name) + " = " + display(value));
    label = "";
  }
  if (operation.action == plan::Action::instruct) {
    if (operation.waits) page.field("waits", waits_text);
    label = "do";
    for (const std::string& line : shown_lines(operation.instruction)) {
      page.field(label, line);
      label = "";
    }
    return;
  }
  page.field("before", shown(operation.before));
  page.field("after", shown(operation.after));
  if (operation.action == plan::Action::replace_file)
    page.field("good file", display(operation.replacement.source));
  label = "baseline";
  for (const std::string& baseline : baselines_of(operation.setting)) {
    page.field(label, baseline);
    label = "";
  }
  label = "meaning";
  for (const plan::SettingDifference& difference : operation.setting.differences) {
    page.field(label, difference_text(difference));
    label = "";
  }
  if (!operation.setting.diff.empty()) page.diff(shown_lines(operation.setting.diff));
  page.field("undo", shown(operation.inverse));
  label = "no undo";
  for (const std::string& lost : operation.not_restorable) {
    page.field(label, shown(lost));
    label = "";
  }
}

void write_rest(TextPage& page, const plan::Plan& plan) {
  if (!plan.reviews.empty()) page.heading("FOR REVIEW: what nothing is done about");
  for (const plan::Review& review : plan.reviews) {
    page.item(shown(review.address) + " (" + found_by(plan, review.playbook, review.indicator) +
              (review.sha256.empty() ? "" : ", sha256 " + shown(review.sha256)) + ")");
    for (const plan::Reason& reason : review.why) page.paragraph(reason_text(reason), 6);
  }
  if (!plan.exclusions.empty()) page.heading("EXCLUDED: matches that are left alone, and why");
  for (const plan::Exclusion& exclusion : plan.exclusions) {
    page.item(shown(exclusion.address) + " (" +
              found_by(plan, exclusion.playbook, exclusion.indicator) + ")");
    page.paragraph(shown(exclusion.reason), 6);
  }
  page.heading("LIMITS");
  if (plan.limits.empty()) page.item("none is recorded in this plan");
  for (const plan::LimitReport& limit : plan.limits) {
    const std::string words = shown(limit.name) + ": " + std::to_string(limit.found) + " of " +
                              std::to_string(limit.limit);
    if (!limit.fired) {
      page.item(words);
      continue;
    }
    page.item((limit.approvers == 0 ? "EXCEEDED, THIS PLAN IS BLOCKED: "
                                    : "EXCEEDED, MORE APPROVERS ARE NEEDED: ") +
                  words,
              Style::bad);
    page.paragraph(limit_remedy(limit), 4, Style::bad);
  }
  page.heading("WHERE IT LOOKED");
  for (const plan::ScopeReport& scope : plan.scopes) {
    const std::string name = shown(scope.spelled) + " (scope " + shown(scope.scope) + " of " +
                             playbook_name(plan, scope.playbook) + "): ";
    if (scope.found)
      page.item(name + shown(scope.folder) + ", " + count(scope.files, "file"));
    else
      page.item(name + "not below this root, not searched", Style::faint);
  }
  if (plan.scopes.empty()) page.item("no scope is recorded in this plan");
  if (const std::string words = shared_files(plan); !words.empty()) page.paragraph(words, 2);
  page.heading("ISSUES: what was not evaluated");
  for (const plan::IssueReport& issue : plan.issues) page.item(issue_text(issue), Style::bad);
  if (plan.issues.empty()) page.item("none");
}

}  // namespace

std::string plan_text(const plan::Plan& plan, bool colour, const PlanPlace& place) {
  TextPage page(colour);
  write_head(page, plan, place);
  page.heading(plan.operations.empty() ? "CHANGES: none" : "CHANGES, in the order of work");
  for (const plan::Operation& operation : plan.operations) write_operation(page, plan, operation);
  write_rest(page, plan);
  page.heading("HOW TO GO ON");
  for (const NextStep& step : next_steps(plan, place.file)) {
    page.item(step.words);
    if (!step.command.empty()) page.line("      " + step.command, Style::strong);
  }
  return page.take();
}

}  // namespace remediate::report
