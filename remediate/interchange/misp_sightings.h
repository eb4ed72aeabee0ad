#pragma once

#include <string>

#include "remediate/run/run_state.h"

namespace remediate::interchange {

/// Bodies for MISP's /sightings/add, one a line and one for each digest: false positives (type
/// "1"), for files that the run took and a rollback gave back. Nothing in them names the host.
/// not_found when no file was given back.
[[nodiscard]] Result<std::string> misp_sightings(const run::Run& run);

}  // namespace remediate::interchange
