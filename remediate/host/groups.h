#pragma once

#include <cstdint>
#include <vector>

namespace remediate::host {

/// The groups to which this process may give its files: the one that new files get first.
/// On Windows, which has no such thing, none.
[[nodiscard]] std::vector<std::uint32_t> own_groups();

}  // namespace remediate::host
