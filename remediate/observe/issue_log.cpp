#include "remediate/observe/issue_log.h"

#include <algorithm>
#include <tuple>

namespace remediate::observe {

void IssueLog::add(Issue::Kind kind, std::string where, std::string reason) {
  const std::lock_guard lock(mutex_);
  if (issues_.size() >= capacity) {
    ++dropped_;
    return;
  }
  issues_.push_back({.kind = kind, .where = std::move(where), .reason = std::move(reason)});
}

std::pair<std::vector<Issue>, std::uint64_t> IssueLog::take() {
  const std::lock_guard lock(mutex_);
  std::vector<Issue> issues = std::exchange(issues_, {});
  const std::uint64_t dropped = std::exchange(dropped_, 0);
  std::ranges::sort(issues, [](const Issue& a, const Issue& b) {
    return std::tie(a.where, a.kind, a.reason) < std::tie(b.where, b.kind, b.reason);
  });
  if (dropped > 0) {
    issues.push_back({.kind = Issue::Kind::not_evaluated,
                      .where = "(all scopes)",
                      .reason = std::to_string(dropped) + " more issues are not listed"});
  }
  return {std::move(issues), dropped};
}

}  // namespace remediate::observe
