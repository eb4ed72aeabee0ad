#include "remediate/match/wide.h"

namespace remediate::match {

std::string narrowed(std::string_view wide) {
  std::string narrow(wide.size() / 2, '\0');
  for (std::size_t i = 0; i < narrow.size(); ++i) {
    if (wide[2 * i + 1] == '\0') narrow[i] = wide[2 * i];
  }
  return narrow;
}

}  // namespace remediate::match
