#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace remediate::match {

enum class ByteOrder { little, big };

/// UTF-16 text as one byte a unit: 0 to 0xFF stay, all others become NUL. An odd last byte is
/// left out. Byte i of the result was at 2 * i.
[[nodiscard]] std::string narrowed(std::string_view wide, ByteOrder order = ByteOrder::little);

/// How a file that is UTF-16 text from its beginning is to be read.
struct Utf16Text {
  ByteOrder order = ByteOrder::little;
  std::size_t start = 0;  // behind the byte order mark
};
/// A byte order mark says so. Without one: of the pairs in the first 4 KiB (two pairs at least) at
/// least seven of eight have NUL as their high byte, and at most one of eight as their low one.
[[nodiscard]] std::optional<Utf16Text> utf16_text(std::string_view bytes);

}  // namespace remediate::match
