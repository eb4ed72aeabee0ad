#include "remediate/plan/plan.h"

#include <algorithm>

namespace remediate::plan {

std::string_view action_name(Action action) {
  switch (action) {
    case Action::quarantine:
      return "quarantine";
    case Action::reset_setting:
      return "reset_setting";
    case Action::replace_file:
      return "replace_file";
    case Action::instruct:
      return "instruct";
  }
  return "unknown";
}

SettingChange directory_change(DirectoryValue value) {
  SettingChange change;
  change.provider = "exchange-directory";
  change.edits.push_back({value.dn, value.after ? "set_attribute" : "remove_attribute",
                          value.attribute, value.after.value_or(""), RawPath(), ""});
  change.differences.push_back({!value.before  ? "added"
                                : !value.after ? "removed"
                                               : "changed",
                                value.dn, value.attribute, value.before.value_or(""),
                                value.after.value_or("")});
  change.directory = std::move(value);
  return change;
}

bool exchanges_file(const Operation& operation) {
  return operation.action == Action::replace_file ||
         (operation.action == Action::reset_setting && !operation.setting.directory);
}

const std::string& exchanged_sha256(const Operation& operation) {
  return operation.action == Action::replace_file ? operation.replacement.sha256
                                                  : operation.setting.after_sha256;
}

std::string operation_id(std::size_t number) {
  std::string digits = std::to_string(number);
  return "op-" + std::string(digits.size() < 4 ? 4 - digits.size() : 0, '0') + digits;
}

bool Plan::blocked() const {
  return std::ranges::any_of(
      limits, [](const LimitReport& limit) { return limit.fired && limit.approvers == 0; });
}

std::uint64_t Plan::approvers_above_limit() const {
  std::uint64_t most = 0;
  for (const LimitReport& limit : limits)
    if (limit.fired) most = std::max(most, limit.approvers);
  return blocked() ? 0 : most;
}

bool Plan::has_changes() const {
  return std::ranges::any_of(operations,
                             [](const Operation& o) { return o.action != Action::instruct; });
}

}  // namespace remediate::plan
