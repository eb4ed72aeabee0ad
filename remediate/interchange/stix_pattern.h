#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "remediate/interchange/items.h"

namespace remediate::interchange {

struct StixPattern {
  std::vector<Way> ways;           // one has to hold; together never more than the pattern says
  std::vector<std::string> notes;  // alternatives that were left out
  std::string fault;               // not empty: why nothing can be taken
};

/// A STIX 2.1 pattern of one observation: AND, OR and parentheses over digests, the name, the
/// size and the folder of a file.
[[nodiscard]] StixPattern read_stix_pattern(std::string_view pattern);

}  // namespace remediate::interchange
