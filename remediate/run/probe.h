#pragma once

#include <atomic>
#include <string>

#include "remediate/base/error.h"

namespace remediate::run {

struct ProbeAnswer {
  bool passed = false;
  std::string said;  // "status 500, expected 200"; safe to print
};

/// Whether the server still does its work. Asked before the first operation of a staged apply,
/// between its stages, and after the last.
class HealthProbe {
 public:
  virtual ~HealthProbe() = default;
  /// Ends within a bound of its own. An Error is a probe that failed, but for interrupted: `stop`
  /// was set.
  [[nodiscard]] virtual Result<ProbeAnswer> ask(const std::atomic<bool>& stop) = 0;
  /// What it asks, for people.
  [[nodiscard]] virtual std::string name() const = 0;
};

}  // namespace remediate::run
