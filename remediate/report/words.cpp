#include "remediate/report/words.h"

#include <algorithm>

#include "remediate/base/clock.h"
#include "remediate/base/encoding.h"
#include "remediate/plan/approval.h"

namespace remediate::report {
namespace {

constexpr std::size_t whole = std::size_t{64} << 20;  // larger than any text of a plan file

/// An expression as it is spelled in a playbook: in display form each of its backslashes is two.
std::string one_backslash(std::string_view text) {
  std::string typed;
  for (std::size_t at = 0; at < text.size(); ++at) {
    typed += text[at];
    if (text.substr(at, 2) == "\\\\") ++at;
  }
  return typed;
}

std::string or_none(const std::string& text, std::string_view none) {
  return text.empty() ? std::string(none) : shown(text);
}

}  // namespace

std::string shown(std::string_view text) {
  std::string safe;
  while (true) {
    const std::size_t end = text.find('\\');
    safe += display(text.substr(0, end), whole);
    if (end == std::string_view::npos) return safe;
    safe += '\\';
    text.remove_prefix(end + 1);
  }
}

std::vector<std::string> shown_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(shown(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string count(std::uint64_t number, std::string_view singular, std::string_view plural) {
  std::string words = std::to_string(number) + " ";
  if (number == 1) return words + std::string(singular);
  return words + (plural.empty() ? std::string(singular) + "s" : std::string(plural));
}

PlanCounts count_operations(const plan::Plan& plan) {
  PlanCounts counts;
  for (const plan::Operation& operation : plan.operations) {
    if (operation.action == plan::Action::quarantine) ++counts.files;
    if (operation.action == plan::Action::replace_file) ++counts.replaced;
    if (operation.action == plan::Action::reset_setting) {
      counts.settings += std::max<std::uint64_t>(operation.setting.edits.size(), 1);
    }
    if (operation.action == plan::Action::instruct) ++counts.instructions;
  }
  return counts;
}

std::string summary(const plan::Plan& plan) {
  const PlanCounts counts = count_operations(plan);
  return count(counts.files, "file") + " quarantined, " +
         (counts.replaced == 0 ? "" : count(counts.replaced, "file") + " replaced, ") +
         count(counts.settings, "setting") + " reset, " +
         count(counts.instructions, "instruction") + ", " + std::to_string(plan.reviews.size()) +
         " for review, " + std::to_string(plan.exclusions.size()) + " excluded, " +
         count(plan.issues.size(), "issue");
}

std::string playbook_name(const plan::Plan& plan, const std::string& id) {
  const auto found = std::ranges::find(plan.playbooks, id, &plan::PlaybookReport::id);
  return shown(found == plan.playbooks.end() || found->name.empty() ? id : found->name);
}

std::string found_by(const plan::Plan& plan, const std::string& playbook,
                     const std::string& indicator) {
  if (playbook.empty() && indicator.empty()) return "comparison with a baseline";
  const std::string name = "playbook " + playbook_name(plan, playbook);
  return indicator.empty() ? name : "indicator " + shown(indicator) + " of " + name;
}

std::string baseline_text(const plan::BaselineReport& baseline) {
  std::string text =
      shown(baseline.name) + (baseline.product.empty() ? "" : ", " + shown(baseline.product)) +
      ", " + count(baseline.files, "known file") + " (sha256 " + shown(baseline.sha256) +
      (baseline.signer.empty() ? ", NOT SIGNED" : ", signed by " + shown(baseline.signer)) + "): ";
  bool anywhere = false;
  for (const plan::BaselineReport::Folder& folder : baseline.folders) anywhere |= folder.found;
  if (!anywhere) return text + "none of its folders is below this root, only digests were compared";
  text += std::to_string(baseline.compared) + " compared, " + std::to_string(baseline.known) +
          " known good, " + std::to_string(baseline.other_content) + " with other content, " +
          std::to_string(baseline.not_listed) + " not listed";
  if (baseline.left_off != 0)
    text += "; " + std::to_string(baseline.left_off) + " of these are left off the list for review";
  return text;
}

std::vector<std::pair<std::string, std::string>> plan_facts(const plan::Plan& plan,
                                                            const PlanPlace& place) {
  std::vector<std::pair<std::string, std::string>> facts{
      {"plan", shown(plan.plan_id)},
      {"host", shown(plan.host.name) + " (id " + shown(plan.host.id) + ")"},
      {"root", display(plan.host.root)},
      {"made", format_utc(plan.created) + " by " + shown(plan.tool) + ", " +
                   count(plan.files_scanned, "file") + " scanned"},
      {"expires", format_utc(plan.expires)},
      {"policy", plan::policy_name(plan.policy, plan.policy_sha256)}};
  if (!place.file.empty()) facts.insert(facts.begin() + 1, {"file", place.file});
  for (const std::string& signer : place.signers) facts.emplace_back("signed", signer);
  for (const plan::PlaybookReport& playbook : plan.playbooks)
    facts.emplace_back(
        "playbook", shown(playbook.name) + ", revision " + std::to_string(playbook.revision) +
                        " (" + shown(playbook.id) + ", sha256 " + shown(playbook.sha256) +
                        (playbook.signer.empty() ? "" : ", signed by " + shown(playbook.signer)) +
                        ")");
  for (const plan::BaselineReport& baseline : plan.baselines)
    facts.emplace_back("baseline", baseline_text(baseline));
  return facts;
}

std::string reason_text(const plan::Reason& reason) {
  const bool expression = reason.kind == "regex";
  std::string text =
      shown(reason.kind) + ": " + shown(expression ? one_backslash(reason.text) : reason.text);
  if (reason.excerpt.empty() && reason.offset == 0) return text;
  text += " [at byte " + std::to_string(reason.offset);
  if (!reason.excerpt.empty()) text += ": " + display(reason.excerpt, whole);
  return text + "]";
}

std::string difference_text(const plan::SettingDifference& difference) {
  std::string text = shown(difference.kind) + " " + shown(difference.address);
  if (!difference.attribute.empty()) text += " @" + shown(difference.attribute);
  if (!difference.before.empty() || !difference.after.empty())
    text += ": " + or_none(difference.before, "(nothing)") + " -> " +
            or_none(difference.after, "(nothing)");
  return text;
}

std::vector<std::string> baselines_of(const plan::SettingChange& change) {
  std::vector<std::string> texts;
  for (const plan::SettingEdit& edit : change.edits) {
    if (edit.baseline.is_root()) continue;
    std::string text = edit.baseline.display() + ", sha256 " + shown(edit.baseline_sha256);
    if (std::ranges::find(texts, text) == texts.end()) texts.push_back(std::move(text));
  }
  return texts;
}

std::string action_text(plan::Action action) {
  if (action == plan::Action::reset_setting) return "reset setting";
  if (action == plan::Action::replace_file) return "replace file";
  return std::string(plan::action_name(action));
}

std::string shared_files(const plan::Plan& plan) {
  std::uint64_t sum = 0;
  for (const plan::ScopeReport& scope : plan.scopes) sum += scope.files;
  if (sum <= plan.files_scanned) return {};
  return "Together " + count(plan.files_scanned, "file") +
         ": one that lies in several of these places is counted in each.";
}

std::string limit_remedy(const plan::LimitReport& limit) {
  const bool settings = limit.name.starts_with("settings");
  const bool indicator = limit.name.starts_with("files removed by indicator");
  const bool percent = limit.name.find(" % of the ") != std::string::npos;
  const std::string key = settings    ? "max_settings"
                          : percent   ? "max_percent"
                          : indicator ? "max_files_per_indicator"
                                      : "max_files";
  return "Look first whether the indicator is too broad: a rule that is wrong hits many good " +
         std::string(settings ? "settings" : "files") +
         ". If every one is right, split the work (fewer playbooks or a narrower scope), or let "
         "whoever owns the host policy raise " +
         key + ", then make a new plan." +
         (limit.approvers == 0
              ? ""
              : " The policy also lets " + count(limit.approvers, "approver") + " go above it.");
}

std::string limit_effect(const plan::LimitReport& limit) {
  if (limit.approvers == 0) return ". This plan cannot be applied.";
  return ". The policy lets " + count(limit.approvers, "approver") + " go above it.";
}

std::string issue_text(const plan::IssueReport& issue) {
  return "not evaluated (" + shown(issue.kind) + "): " + or_none(issue.where, "(no single place)") +
         ": " + shown(issue.reason);
}

std::vector<NextStep> next_steps(const plan::Plan& plan, const std::string& file) {
  const std::string name = file.empty() ? "plan.json" : file;
  if (plan.blocked())
    return {
        {"",
         "This plan cannot be applied: a limit was exceeded (see LIMITS). Making it and reading "
         "it changed nothing."}};
  if (const std::uint64_t approvers = plan.approvers_above_limit(); approvers != 0)
    return {
        {"remediate approve " + name + " --cert CERTIFICATE --key KEY",
         "A limit was exceeded (see LIMITS). The host policy lets " + count(approvers, "approver") +
             " go above it. Each of them reads this, "
             "asks whether an indicator is too broad, and signs:"},
        {"remediate apply " + name, "Then, before " + format_utc(plan.expires) + ", apply it:"}};
  if (!plan.has_changes())
    return {
        {"", plan.operations.empty()
                 ? "There is nothing to apply. That says only that these playbooks found nothing "
                   "to act on in the scopes above."
                 : "There is nothing to apply: only the instructions above remain, for a person."}};
  return {
      file.empty()
          ? NextStep{"remediate plan ... -o plan.json",
                     "Keep this plan in a file: -o writes it. Every command needs the same --store "
                     "and --policy."}
          : NextStep{"", "Every command needs the same --store and --policy."},
      {"remediate approve " + name + " --cert CERTIFICATE --key KEY",
       "Where the host policy names approvers, each of them reads this and signs:"},
      {"remediate apply " + name + " --confirm " + shown(plan.plan_id),
       "Then, before " + format_utc(plan.expires) +
           ", apply it. Nothing else than the above is done, and only to targets that are still "
           "what is described here:"},
      {"remediate rollback RUN",
       "Undo it all later, or a part with --only (an operation or an indicator). `remediate list` "
       "names the run:"},
      {"remediate finalize RUN",
       "When nobody will need the undo any more: the held originals are removed, the sealed copies "
       "stay:"}};
}

}  // namespace remediate::report
