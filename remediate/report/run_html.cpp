#include "remediate/base/encoding.h"
#include "remediate/report/html.h"
#include "remediate/report/report.h"

namespace remediate::report {
namespace {

std::string operation_html(const run::Run& run, const run::OperationState& state) {
  const plan::Operation& operation = *state.operation;
  std::vector<std::pair<std::string, std::string>> facts{
      {"now", present_state(state)},
      {"outcome", outcome_of(state) + (state.reason.empty() ? "" : ": " + shown(state.reason))},
      {"found by", found_by(run.plan.plan, operation.playbook, operation.indicator)}};
  for (const plan::Reason& reason : operation.why) facts.emplace_back("why", reason_text(reason));
  if (was_captured(state)) {
    const quarantine::Entry& entry = state.entry;
    facts.emplace_back("original", "sha256 " + shown(entry.sha256) + ", " +
                                       count(entry.metadata.stat.size, "byte"));
    facts.emplace_back("sealed", entry.object.empty()
                                     ? "no: only the original in the hold"
                                     : "objects/" + shown(entry.object) + ".p7m, " +
                                           count(entry.object_size, "byte"));
    if (entry.open_for_writing)
      facts.emplace_back("warning",
                         "a process had it open for writing when it was taken: find and stop it");
  }
  for (const plan::SettingDifference& difference : operation.setting.differences)
    facts.emplace_back("changed", difference_text(difference));
  std::string html = "<section class=\"op\">" +
                     element("h3", shown(operation.id) + " · " + action_text(operation.action) +
                                       " · " + shown(operation.address)) +
                     "\n" + html_facts(facts);
  if (!operation.setting.diff.empty()) html += html_diff(operation.setting.diff);
  return html + "</section>\n";
}

}  // namespace

std::string run_html(const run::Run& run) {
  const plan::Plan& plan = run.plan.plan;
  std::string done, instructions;
  for (const run::OperationState& state : run.operations) {
    const plan::Operation& operation = *state.operation;
    if (operation.action != plan::Action::instruct) {
      done += operation_html(run, state);
      continue;
    }
    instructions +=
        "<section class=\"op\">" +
        element("h3", shown(operation.id) + " · " + playbook_name(plan, operation.playbook) +
                          (run::went_past(run, operation)
                               ? " · apply waited for it and was resumed behind it"
                               : "")) +
        html_list(shown_lines(operation.instruction)) + "</section>\n";
  }
  std::vector<std::string> left = not_done(run);
  for (const plan::Review& review : plan.reviews)
    left.push_back("for review: " + shown(review.address) + " (" +
                   found_by(plan, review.playbook, review.indicator) + ")");
  for (const plan::Exclusion& exclusion : plan.exclusions)
    left.push_back("left alone: " + shown(exclusion.address) + ": " + shown(exclusion.reason));
  for (const plan::IssueReport& issue : plan.issues) left.push_back(issue_text(issue));
  const std::string body =
      element("h1", "Notice about a change to " + shown(plan.host.name)) + "\n" +
      html_facts(run_facts(run)) + element("p", run_summary(run), "sum") +
      "\n<h2>What was found and done</h2>\n" +
      (done.empty() ? "<p>Nothing: the plan has no change.</p>\n" : done) +
      "<h2>Still to be done by a person</h2>\n" +
      (instructions.empty() ? "<p>The playbooks ask for nothing more.</p>\n" : instructions) +
      "<h2>How to get it back</h2>\n" + html_steps(way_back(run)) + "<h2>What was not done</h2>\n" +
      html_list(left);
  return html_page("Run " + shown(run.name), body);
}

}  // namespace remediate::report
