#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace remediate::interchange {

/// What a regular expression over whole paths says, as globs below any folder.
struct PathPattern {
  std::vector<std::string> globs;  // every path that one of them matches, the expression matches
  bool narrower = false;           // the expression matches more than the globs do
  std::string fault;               // not empty: why it cannot be said with globs
};

/// Python or PCRE syntax, searched anywhere in the path, both separators, as LOKI and THOR use
/// it.
[[nodiscard]] PathPattern translate_path_regex(std::string_view regex);

/// A glob that matches exactly this name in any folder. Nothing when a glob cannot say it.
[[nodiscard]] std::string name_glob(std::string_view name);

}  // namespace remediate::interchange
