#pragma once

#include <vector>

#include "remediate/plan/plan.h"
#include "remediate/plan/policy.h"

namespace remediate::plan {

/// Every limit of the policy against what the plan's operations would do. The planner writes them
/// into the plan; who applies it counts again and does not believe the file.
[[nodiscard]] std::vector<LimitReport> limits_of(const Plan& plan, const Policy& policy);

}  // namespace remediate::plan
