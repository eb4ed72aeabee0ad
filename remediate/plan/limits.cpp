#include "remediate/plan/limits.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace remediate::plan {
namespace {

/// What a plan would remove or replace, counted the ways in which a limit asks.
struct Counts {
  using Scope = std::pair<std::string, std::string>;                // playbook, scope
  using Share = std::tuple<std::string, std::string, std::string>;  // and indicator
  std::uint64_t files = 0, settings = 0;
  std::map<std::string, std::uint64_t> by_indicator;
  std::map<Scope, std::uint64_t> by_scope;
  std::map<Share, std::uint64_t> by_indicator_and_scope;

  explicit Counts(const Plan& plan) {
    for (const Operation& operation : plan.operations) {
      if (operation.action == Action::reset_setting) settings += operation.setting.edits.size();
      if (operation.action != Action::quarantine && operation.action != Action::replace_file)
        continue;
      ++files;
      ++by_indicator[operation.indicator];
      ++by_scope[{operation.playbook, operation.scope}];
      ++by_indicator_and_scope[{operation.playbook, operation.scope, operation.indicator}];
    }
  }
};

bool lies_below(const std::string& folder, const std::string& other) {
  return folder != other && (other == "/" || folder.starts_with(other + "/"));
}

/// A scope may be several folders; what lies in two of them counts once. A scope that the plan does
/// not list counts as empty.
std::uint64_t files_in(const Plan& plan, const std::string& playbook, const std::string& scope) {
  std::vector<const ScopeReport*> folders;
  for (const ScopeReport& report : plan.scopes)
    if (report.playbook == playbook && report.scope == scope) folders.push_back(&report);
  std::uint64_t files = 0;
  for (const ScopeReport* one : folders)
    if (std::ranges::none_of(folders, [&](const ScopeReport* other) {
          return lies_below(one->folder, other->folder);
        }))
      files += one->files;
  return files;
}

}  // namespace

std::vector<LimitReport> limits_of(const Plan& plan, const Policy& policy) {
  const Counts counts(plan);
  std::vector<LimitReport> limits;
  const auto report = [&](std::string name, std::uint64_t limit, std::uint64_t found) {
    limits.push_back({std::move(name), limit, found, found > limit, policy.approvers_above_limit});
  };
  report("files removed by a plan", policy.max_files, counts.files);
  report("settings changed by a plan", policy.max_settings, counts.settings);
  for (const auto& [indicator, count] : counts.by_indicator)
    if (count > policy.max_files_per_indicator)
      report("files removed by indicator " + indicator, policy.max_files_per_indicator, count);

  const auto share = [&](std::uint64_t files) {
    return std::max(files / 100 * policy.max_percent + files % 100 * policy.max_percent / 100,
                    policy.small_scope_files);
  };
  const auto in_words = [&](std::uint64_t files) {
    return "as " + std::to_string(policy.max_percent) + " % of the " + std::to_string(files) +
           " files scanned (at least " + std::to_string(policy.small_scope_files) + ")";
  };
  report("files removed, " + in_words(plan.files_scanned), share(plan.files_scanned), counts.files);
  for (const auto& [scope, count] : counts.by_scope) {
    const std::uint64_t files = files_in(plan, scope.first, scope.second);
    if (count > share(files))
      report("files removed in scope " + scope.second + ", " + in_words(files), share(files),
             count);
  }
  for (const auto& [where, count] : counts.by_indicator_and_scope) {
    const auto& [playbook, scope, indicator] = where;
    const std::uint64_t files = files_in(plan, playbook, scope);
    if (count > share(files))
      report(
          "files removed by indicator " + indicator + " in scope " + scope + ", " + in_words(files),
          share(files), count);
  }
  return limits;
}

}  // namespace remediate::plan
