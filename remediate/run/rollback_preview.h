#pragma once

#include <vector>

#include "remediate/run/rollback.h"

namespace remediate::run {

/// What rolling back `selected` (the last first) would do as things look now: reads the places, the
/// held originals and, where a connection was given, the directory. Writes nothing. What only the
/// sealed copy or a directory that was not asked could tell is said as such.
[[nodiscard]] RunReport preview_rollback(const Store& store, const host::Directory& root,
                                         const Run& run,
                                         const std::vector<OperationState*>& selected,
                                         const RollbackOptions& options);

}  // namespace remediate::run
