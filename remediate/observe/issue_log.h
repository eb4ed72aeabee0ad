#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "remediate/observe/observation.h"

namespace remediate::observe {

/// A bounded list of issues that several threads add to. What does not fit is counted and
/// told by one last issue.
class IssueLog {
 public:
  static constexpr std::size_t capacity = 10'000;

  void add(Issue::Kind kind, std::string where, std::string reason);
  /// Sorted by place and kind; empties the log. Second: how many were dropped.
  [[nodiscard]] std::pair<std::vector<Issue>, std::uint64_t> take();

 private:
  std::mutex mutex_;
  std::vector<Issue> issues_;
  std::uint64_t dropped_ = 0;
};

}  // namespace remediate::observe
