#pragma once

#include <string>
#include <string_view>

namespace remediate::match {

/// UTF-16LE text as one byte a unit: 0 to 0xFF stay, all others become NUL. An odd last byte is
/// left out. Byte i of the result was at 2 * i.
[[nodiscard]] std::string narrowed(std::string_view wide);

}  // namespace remediate::match
