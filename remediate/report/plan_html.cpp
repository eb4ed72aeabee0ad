#include "remediate/base/encoding.h"
#include "remediate/report/html.h"
#include "remediate/report/report.h"

namespace remediate::report {
namespace {

std::vector<std::string> reason_texts(const std::vector<plan::Reason>& reasons) {
  std::vector<std::string> texts;
  for (const plan::Reason& reason : reasons) texts.push_back(reason_text(reason));
  return texts;
}

std::string labelled(std::string_view label, const std::string& html) {
  return html.empty() ? "" : element("dt", label) + "<dd>" + html + "</dd>";
}

std::string operation_html(const plan::Plan& plan, const plan::Operation& operation) {
  std::string html = "<section class=\"op\">" +
                     element("h3", shown(operation.id) + " · " + action_text(operation.action) +
                                       " · " + shown(operation.address)) +
                     "\n<dl>";
  html += labelled("found by",
                   escape(found_by(plan, operation.playbook, operation.indicator) +
                          (operation.step.empty() ? "" : ", step " + shown(operation.step))));
  html += labelled("why", html_list(reason_texts(operation.why)));
  std::vector<std::string> details;
  for (const auto& [name, value] : operation.details)
    details.push_back(display(name) + " = " + display(value));
  html += labelled("details", html_list(details));
  if (operation.action == plan::Action::instruct) {
    if (operation.waits) html += labelled("waits", escape(waits_text));
    html += labelled("do", html_list(shown_lines(operation.instruction)));
    return html + "</dl></section>\n";
  }
  html += labelled("before", escape(operation.before));
  html += labelled("after", escape(operation.after));
  if (operation.action == plan::Action::replace_file)
    html += labelled("good file", escape(display(operation.replacement.source)));
  html += labelled("baseline", html_list(baselines_of(operation.setting)));
  std::vector<std::string> differences;
  for (const plan::SettingDifference& difference : operation.setting.differences)
    differences.push_back(difference_text(difference));
  html += labelled("meaning", html_list(differences));
  if (!operation.setting.diff.empty()) html += labelled("diff", html_diff(operation.setting.diff));
  html += labelled("undo", escape(operation.inverse));
  html += labelled("no undo", html_list(operation.not_restorable));
  return html + "</dl></section>\n";
}

std::string rest_html(const plan::Plan& plan) {
  std::string html;
  if (!plan.reviews.empty()) {
    html += "<h2>For review: what nothing is done about</h2>\n";
    for (const plan::Review& review : plan.reviews)
      html += "<section class=\"op\">" + element("h3", review.address) +
              element("p", found_by(plan, review.playbook, review.indicator) + ", sha256 " +
                               shown(review.sha256)) +
              html_list(reason_texts(review.why)) + "</section>\n";
  }
  if (!plan.exclusions.empty()) {
    std::vector<std::vector<std::string>> rows{{"left alone", "found by", "why it stays"}};
    for (const plan::Exclusion& exclusion : plan.exclusions)
      rows.push_back({exclusion.address, found_by(plan, exclusion.playbook, exclusion.indicator),
                      exclusion.reason});
    html += "<h2>Excluded</h2>\n" + html_table(rows);
  }
  html += "<h2>Limits</h2>\n";
  std::vector<std::vector<std::string>> limits{{"limit", "found", "allowed", ""}};
  for (const plan::LimitReport& limit : plan.limits)
    limits.push_back({limit.name, std::to_string(limit.found), std::to_string(limit.limit),
                      limit.fired ? "EXCEEDED. " + limit_remedy(limit) : "kept"});
  html += html_table(limits) + "<h2>Where it looked</h2>\n";
  std::vector<std::vector<std::string>> scopes{{"playbook", "scope", "folder", "files"}};
  for (const plan::ScopeReport& scope : plan.scopes)
    scopes.push_back({playbook_name(plan, scope.playbook),
                      shown(scope.spelled) + " (" + shown(scope.scope) + ")",
                      scope.found ? shown(scope.folder) : "not below this root, not searched",
                      scope.found ? std::to_string(scope.files) : ""});
  html += html_table(scopes);
  if (const std::string words = shared_files(plan); !words.empty()) html += element("p", words);
  html += "<h2>Issues: what was not evaluated</h2>\n";
  std::vector<std::string> issues;
  for (const plan::IssueReport& issue : plan.issues) issues.push_back(issue_text(issue));
  return html + (issues.empty() ? "<p>None.</p>\n" : html_list(issues));
}

}  // namespace

std::string plan_html(const plan::Plan& plan, const PlanPlace& place) {
  std::string body =
      "<h1>Change request</h1>\n<p class=\"faint\">Nothing has been changed "
      "yet.</p>\n" +
      html_facts(plan_facts(plan, place)) + element("p", summary(plan), "sum") + "\n";
  for (const plan::LimitReport& limit : plan.limits)
    if (limit.fired)
      body += element("p",
                      (limit.approvers == 0 ? "Blocked: " : "Above a limit: ") + shown(limit.name) +
                          ": " + std::to_string(limit.found) + " found, the limit is " +
                          std::to_string(limit.limit) + limit_effect(limit),
                      "bad");
  if (!plan.issues.empty())
    body += element(
        "p",
        "Not everything was looked at: " + count(plan.issues.size(), "place was", "places were") +
            " not evaluated (see Issues).",
        "bad");
  body += "<h2>Changes, in the order of work</h2>\n";
  if (plan.operations.empty()) body += "<p>None.</p>\n";
  for (const plan::Operation& operation : plan.operations) body += operation_html(plan, operation);
  body += rest_html(plan) + "<h2>How to go on</h2>\n" + html_steps(next_steps(plan, place.file));
  return html_page("Change request " + shown(plan.plan_id), body);
}

}  // namespace remediate::report
