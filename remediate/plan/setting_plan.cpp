#include "remediate/plan/setting_plan.h"

#include <algorithm>
#include <set>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"
#include "remediate/plan/wording.h"
#include "remediate/setting/provider.h"

namespace remediate::plan {
namespace {

constexpr std::size_t max_found = 500;

Result<setting::ChangeKind> change_kind(const std::string& name) {
  if (name == "remove_element") return setting::ChangeKind::remove_element;
  if (name == "remove_attribute") return setting::ChangeKind::remove_attribute;
  if (name == "set_attribute") return setting::ChangeKind::set_attribute;
  if (name == "reset_to_baseline") return setting::ChangeKind::reset_to_baseline;
  return fail(Code::internal, "unknown change " + name, "run `remediate check`");
}

std::string_view difference_name(setting::Difference::Kind kind) {
  switch (kind) {
    case setting::Difference::Kind::removed:
      return "removed";
    case setting::Difference::Kind::added:
      return "added";
    case setting::Difference::Kind::changed:
      return "changed";
  }
  return "changed";
}

}  // namespace

setting::Query query_of(const playbook::SettingCondition& condition) {
  setting::Query query{condition.kind, condition.path, {}};
  for (const playbook::AttributeTest& test : condition.where)
    query.where.push_back({test.name, test.equals, test.matches, test.absent, test.ignore_case});
  return query;
}

Result<SettingPlan> SettingPlanner::plan(const playbook::Playbook& playbook,
                                         const playbook::Step& step,
                                         const playbook::Indicator& indicator) {
  SettingPlan result;
  const playbook::SettingCondition& condition = *indicator.setting;
  const setting::FileProvider* provider = setting::find_provider(condition.provider);
  if (provider == nullptr)
    return fail(Code::bad_input,
                display(playbook.file) + ": no provider is named " + display(condition.provider),
                "run `remediate check`");
  TRY_LET(const setting::ChangeKind kind, change_kind(step.change->kind));

  for (const SettingObservation& file : survey_.settings) {
    if (file.playbook != playbook.id || file.indicator != indicator.id) continue;
    const auto earlier = current_.find(file.path);
    const Version version =
        earlier != current_.end() ? earlier->second : Version{file.bytes, file.sha256};
    const auto exclude = [&](const Error& error) {
      result.exclusions.push_back({file.path.display(), playbook.id, indicator.id, error.text()});
    };

    auto found = provider->find(version.bytes, query_of(condition));
    if (!found) {
      result.issues.push_back({"not_evaluated", file.path.display(), found.error().text()});
      exclude(found.error());
      continue;
    }
    if (found->empty()) continue;
    if (!file.refusal.empty()) {
      exclude({Code::refused, file.refusal, ""});
      continue;
    }
    if (found->size() > max_found) {
      exclude({Code::limit,
               std::to_string(found->size()) + " settings fit, more than one operation may change",
               "narrow the indicator"});
      continue;
    }

    Operation operation;
    std::vector<setting::Edit> edits;
    setting::Change change{kind, step.change->attribute, step.change->value, ""};
    RawPath baseline_path;
    std::string baseline_sha256;
    if (kind == setting::ChangeKind::reset_to_baseline) {
      const auto baseline =
          std::ranges::find_if(survey_.baselines, [&](const BaselineObservation& candidate) {
            return candidate.playbook == playbook.id && candidate.step == step.id;
          });
      if (baseline == survey_.baselines.end()) {
        exclude({Code::not_found,
                 "the baseline that step " + step.id + " names is not on this host",
                 "put a clean copy there, or use a default value in the playbook"});
        continue;
      }
      change.baseline = baseline->bytes;
      baseline_path = baseline->path;
      baseline_sha256 = baseline->sha256;
    }
    for (const setting::Setting& one : *found) {
      edits.push_back({one.address, change});
      operation.setting.edits.push_back({one.address, step.change->kind, change.attribute,
                                         change.value, baseline_path, baseline_sha256});
      operation.why.push_back({"setting",
                               "line " + std::to_string(one.line) + ": " + display(one.address) +
                                   ": " + display(one.reason),
                               one.offset, ""});
    }
    auto edited = provider->edit(version.bytes, edits);
    if (!edited) {
      exclude(edited.error());
      continue;
    }
    if (edited->bytes == version.bytes) continue;

    operation.action = Action::reset_setting;
    operation.path = file.path;
    operation.address = address_of(operation);
    operation.playbook = playbook.id;
    operation.indicator = indicator.id;
    operation.step = step.id;
    operation.precondition = {version.sha256, file.facts.metadata, file.facts.parent.id,
                              file.facts.parent.modified, file.facts.filesystem};
    operation.setting.provider = condition.provider;
    operation.setting.after_sha256 = crypto::sha256_hex(edited->bytes);
    operation.setting.diff = edited->diff;
    for (const setting::Difference& difference : edited->differences)
      operation.setting.differences.push_back({std::string(difference_name(difference.kind)),
                                               difference.address, difference.attribute,
                                               difference.before, difference.after});
    operation.before = before_of(operation);
    operation.after = after_of(operation, true);
    operation.inverse = inverse_of(operation);
    operation.not_restorable = {"inode number and birth time of the file, change time (ctime)"};
    if (const auto reason = guards_.against_edit(operation)) {
      result.exclusions.push_back({operation.address, playbook.id, indicator.id, *reason});
      continue;
    }
    current_[file.path] = {std::move(edited->bytes), operation.setting.after_sha256};
    result.operations.push_back(std::move(operation));
  }
  return result;
}

std::vector<std::pair<RawPath, setting::NeededFile>> SettingPlanner::still_needed() const {
  return needed([this](const SettingObservation& file) -> const std::string& {
    const auto changed = current_.find(file.path);
    return changed != current_.end() ? changed->second.bytes : file.bytes;
  });
}

std::vector<std::pair<RawPath, setting::NeededFile>> SettingPlanner::needed_at_first() const {
  return needed([](const SettingObservation& file) -> const std::string& { return file.bytes; });
}

template <class Bytes>
std::vector<std::pair<RawPath, setting::NeededFile>> SettingPlanner::needed(Bytes bytes_of) const {
  std::vector<std::pair<RawPath, setting::NeededFile>> needed;
  std::set<RawPath> seen;  // several indicators look at one file
  for (const SettingObservation& file : survey_.settings) {
    if (!seen.insert(file.path).second) continue;
    if (auto found = setting::needed_files(file.path.name(), bytes_of(file)))
      for (setting::NeededFile& one : *found) needed.emplace_back(file.path, std::move(one));
  }
  return needed;
}

std::vector<UnreadSetting> SettingPlanner::unread() const {
  std::vector<UnreadSetting> unread = survey_.unread_settings;
  std::set<RawPath> seen;
  for (const SettingObservation& file : survey_.settings) {
    if (!seen.insert(file.path).second) continue;
    if (const auto found = setting::needed_files(file.path.name(), file.bytes); !found)
      unread.push_back({file.path, file.path.parent(), found.error().text(), file.bytes});
  }
  return unread;
}

Result<std::vector<Review>> SettingPlanner::review(const playbook::Playbook& playbook,
                                                   const playbook::Indicator& indicator,
                                                   std::vector<IssueReport>& issues) const {
  const setting::FileProvider* provider = setting::find_provider(indicator.setting->provider);
  if (provider == nullptr)
    return fail(
        Code::bad_input,
        display(playbook.file) + ": no provider is named " + display(indicator.setting->provider),
        "run `remediate check`");
  std::vector<Review> reviews;
  for (const SettingObservation& file : survey_.settings) {
    if (file.playbook != playbook.id || file.indicator != indicator.id) continue;
    auto found = provider->find(file.bytes, query_of(*indicator.setting));
    if (!found) {
      issues.push_back({"not_evaluated", file.path.display(), found.error().text()});
      continue;
    }
    for (const setting::Setting& one : *found)
      reviews.push_back(
          {file.path.display() + " " + display(one.address),
           playbook.id,
           indicator.id,
           file.sha256,
           {{"setting", "line " + std::to_string(one.line) + ": " + display(one.reason), one.offset,
             ""}}});
  }
  return reviews;
}

}  // namespace remediate::plan
