#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace remediate::setting {

/// Unified diff of two texts by lines, three lines around each change, headed "--- before" and
/// "+++ after"; empty when they are equal. Bounded: where the texts have too little in common the
/// differing middle is shown as replaced, and very long lines are cut when they are printed.
[[nodiscard]] std::string unified_diff(std::string_view before, std::string_view after);

/// Pairs of equal items, rising in both, of a shortest edit from `a` to `b`; nothing where the two
/// have too little in common to be compared within bounds.
[[nodiscard]] std::optional<std::vector<std::pair<std::size_t, std::size_t>>> matching_items(
    const std::vector<std::string_view>& a, const std::vector<std::string_view>& b);

}  // namespace remediate::setting
