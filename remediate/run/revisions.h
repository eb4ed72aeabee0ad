#pragma once

#include <string>
#include <vector>

#include "remediate/plan/plan.h"
#include "remediate/run/store.h"

namespace remediate::run {

/// refused when the plan comes from an older revision of a playbook than a run of this store did:
/// an old revision may hold a mistake that the later one corrected. The runs' own plans are the
/// memory, so it is as durable as they are. `allowed` are ids of playbooks that may go back.
[[nodiscard]] Result<void> check_revisions(const Store& store, const plan::Plan& plan,
                                           const std::vector<std::string>& allowed);

}  // namespace remediate::run
