#pragma once

#include <map>
#include <utility>
#include <vector>

#include "remediate/plan/guards.h"
#include "remediate/plan/planner.h"
#include "remediate/setting/needed.h"
#include "remediate/setting/provider.h"

namespace remediate::plan {

/// A playbook's condition in a provider's terms.
[[nodiscard]] setting::Query query_of(const playbook::SettingCondition& condition);

struct SettingPlan {
  std::vector<Operation> operations;  // without ids
  std::vector<Exclusion> exclusions;
  std::vector<IssueReport> issues;
};

/// Plans the changes of configuration files. Several operations may change one file: each is
/// planned on the bytes that the one before it will leave.
class SettingPlanner {
 public:
  /// Both must outlive the planner. What the guards keep out is excluded, and later operations are
  /// planned as if it had never been found.
  SettingPlanner(const Survey& survey, const Guards& guards) : survey_(survey), guards_(guards) {}
  [[nodiscard]] Result<SettingPlan> plan(const playbook::Playbook& playbook,
                                         const playbook::Step& step,
                                         const playbook::Indicator& indicator);
  /// What an indicator that authorises nothing finds. Files that cannot be read go to `issues`.
  [[nodiscard]] Result<std::vector<Review>> review(const playbook::Playbook& playbook,
                                                   const playbook::Indicator& indicator,
                                                   std::vector<IssueReport>& issues) const;
  /// What the surveyed files will still have the server run with every page, once they are changed
  /// as planned so far; each with the file that says so.
  [[nodiscard]] std::vector<std::pair<RawPath, setting::NeededFile>> still_needed() const;
  /// The same as the files are now.
  [[nodiscard]] std::vector<std::pair<RawPath, setting::NeededFile>> needed_at_first() const;
  /// The surveyed files of which this cannot be told.
  [[nodiscard]] std::vector<UnreadSetting> unread() const;

 private:
  template <class Bytes>
  [[nodiscard]] std::vector<std::pair<RawPath, setting::NeededFile>> needed(Bytes bytes_of) const;
  struct Version {
    std::string bytes;
    std::string sha256;
  };
  const Survey& survey_;
  const Guards& guards_;
  std::map<RawPath, Version> current_;  // files that earlier operations of this plan change
};

}  // namespace remediate::plan
