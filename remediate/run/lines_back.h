#pragma once

#include <functional>
#include <string>
#include <vector>

#include "remediate/run/run_state.h"

namespace remediate::run {

/// A line that has the server run a file with every page is back while that file stays removed:
/// then every page fails. One warning for each such line and file, a few at most; `is_back` says
/// which operations are taken back, or would be.
[[nodiscard]] std::vector<std::string> lines_without_files(
    const Run& run, const std::function<bool(const OperationState&)>& is_back);

}  // namespace remediate::run
