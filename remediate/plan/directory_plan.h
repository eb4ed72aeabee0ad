#pragma once

#include <optional>
#include <set>
#include <vector>

#include "remediate/plan/setting_plan.h"
#include "remediate/setting/directory/query.h"

namespace remediate::plan {

/// Whether an indicator is about objects of a directory.
[[nodiscard]] bool in_directory(const playbook::Indicator& indicator);

/// Plans the changes of values in a directory: one operation a value, bound to the object's GUID
/// and to the very value that was read.
class DirectoryPlanner {
 public:
  /// The survey must outlive the planner.
  explicit DirectoryPlanner(const Survey& survey) : survey_(survey) {}
  [[nodiscard]] Result<SettingPlan> plan(const playbook::Playbook& playbook,
                                         const playbook::Step& step,
                                         const playbook::Indicator& indicator);
  [[nodiscard]] Result<std::vector<Review>> review(const playbook::Playbook& playbook,
                                                   const playbook::Indicator& indicator,
                                                   std::vector<IssueReport>& issues) const;
  /// The object that a settings dump on the disk was made of, as the directory has it now.
  [[nodiscard]] std::optional<Reason> origin_of(const match::FileMatch& match) const;

 private:
  [[nodiscard]] Result<std::vector<setting::DirectoryMatch>> find(
      const playbook::Indicator& indicator, std::vector<IssueReport>& issues) const;
  /// The value that a change gives; an error is why it gives none.
  [[nodiscard]] Result<std::optional<std::string>> wanted(
      const playbook::Change& change, const setting::DirectoryObject& object,
      const std::vector<setting::DirectoryMatch>& found) const;
  void add_dumps(const setting::DirectoryObject& object, Operation& operation) const;

  const Survey& survey_;
  std::set<std::pair<std::string, std::string>> changed_;  // GUID and attribute
};

}  // namespace remediate::plan
