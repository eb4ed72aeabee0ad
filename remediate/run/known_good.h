#pragma once

#include <string>
#include <vector>

#include "remediate/host/host.h"
#include "remediate/plan/planner.h"

namespace remediate::run {

/// Files of the responder's folders whose name a replace_file step gives digests for. Links are not
/// followed and mounts below not crossed. What cannot be read, is too large or goes beyond a bound
/// is an issue. Error for a folder that cannot be opened.
[[nodiscard]] Result<plan::GoodFiles> read_known_good(
    host::Host& host, const std::vector<std::string>& folders,
    const std::vector<playbook::Playbook>& playbooks, std::vector<plan::IssueReport>& issues);

}  // namespace remediate::run
