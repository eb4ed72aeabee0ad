#include "remediate/plan/limits.h"

#include <algorithm>
#include <map>

namespace remediate::plan {

std::vector<LimitReport> limits_of(const Plan& plan, const Policy& policy) {
  std::uint64_t files = 0, settings = 0;
  std::map<std::string, std::uint64_t> per_indicator;
  for (const Operation& operation : plan.operations) {
    if (operation.action == Action::quarantine) {
      ++files;
      ++per_indicator[operation.indicator];
    } else if (operation.action == Action::reset_setting) {
      settings += operation.setting.edits.size();
    }
  }
  std::vector<LimitReport> limits;
  const auto report = [&](std::string name, std::uint64_t limit, std::uint64_t found) {
    limits.push_back({std::move(name), limit, found, found > limit});
  };
  report("files removed by a plan", policy.max_files, files);
  report("settings changed by a plan", policy.max_settings, settings);
  for (const auto& [indicator, count] : per_indicator)
    if (count > policy.max_files_per_indicator)
      report("files removed by indicator " + indicator, policy.max_files_per_indicator, count);
  const std::uint64_t share =
      std::max(plan.files_scanned * policy.max_percent / 100, policy.small_scope_files);
  report("files removed, as " + std::to_string(policy.max_percent) + " % of the " +
             std::to_string(plan.files_scanned) + " files scanned (at least " +
             std::to_string(policy.small_scope_files) + ")",
         share, files);
  return limits;
}

}  // namespace remediate::plan
