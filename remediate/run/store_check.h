#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "remediate/run/verify.h"

namespace remediate::run {

/// What can be said of the store's files by their names, kinds, owners and modes: everything is
/// private to `user`, nothing is of a run that is not among `runs`, nothing is there that the tool
/// does not make. With `only` nothing is said of what belongs to other runs. Adds findings; changes
/// nothing.
void check_store(const Store& store, std::uint32_t user, const std::vector<std::string>& runs,
                 const std::string& only, std::vector<Finding>& findings);

}  // namespace remediate::run
