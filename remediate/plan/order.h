#pragma once

#include <utility>
#include <vector>

#include "remediate/playbook/model.h"

namespace remediate::plan {

using PlaybookStep = std::pair<const playbook::Playbook*, const playbook::Step*>;

/// The steps in the order in which they are planned and done: that of the playbooks, but a step
/// that takes out settings by which a server loads code (setting::Loads) comes before the first one
/// that would leave a setting without what it names: what loads by name before what loads from a
/// file, and both before files. A rollback goes the other way.
[[nodiscard]] std::vector<PlaybookStep> working_order(
    const std::vector<playbook::Playbook>& playbooks);

}  // namespace remediate::plan
