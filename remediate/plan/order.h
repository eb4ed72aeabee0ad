#pragma once

#include <utility>
#include <vector>

#include "remediate/playbook/model.h"

namespace remediate::plan {

using PlaybookStep = std::pair<const playbook::Playbook*, const playbook::Step*>;

/// The steps in the order in which they are planned and done: that of the playbooks, but a step
/// that takes out entries by which IIS loads a DLL comes before the first one that would leave an
/// entry without what it names. So `modules` go before `globalModules`, and these and ISAPI filters
/// before files. A rollback goes the other way.
[[nodiscard]] std::vector<PlaybookStep> working_order(
    const std::vector<playbook::Playbook>& playbooks);

}  // namespace remediate::plan
