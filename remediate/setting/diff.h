#pragma once

#include <string>
#include <string_view>

namespace remediate::setting {

/// Unified diff of two texts by lines, three lines around each change, headed "--- before" and
/// "+++ after"; empty when they are equal. Bounded: where the texts have too little in common the
/// differing middle is shown as replaced, and very long lines are cut when they are printed.
[[nodiscard]] std::string unified_diff(std::string_view before, std::string_view after);

}  // namespace remediate::setting
