#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "remediate/base/raw_path.h"
#include "remediate/host/directory.h"

namespace remediate::observe {

/// Where a symbolic link leads, seen from below the root: an absolute one begins there.
struct LinkTarget {
  enum class Kind : std::uint8_t { unknown, nothing, folder, file };
  Kind kind = Kind::unknown;  // unknown: by way of another link, or it could not be looked at
  std::string text = "an unknown place";  // for people: the target in display form
  RawPath place{};                        // of a folder or a file
};

/// `name` lies in `folder`, whose handle is `handle`. Reads the link and looks at its target's
/// entry; follows nothing.
[[nodiscard]] LinkTarget look_up_link(const host::Directory& root, const host::Directory& handle,
                                      const RawPath& folder, std::string_view name);

}  // namespace remediate::observe
