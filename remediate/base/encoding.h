#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace remediate {

[[nodiscard]] std::string hex_encode(std::string_view bytes);
/// Nothing unless `text` is an even number of hexadecimal digits.
[[nodiscard]] std::optional<std::string> hex_decode(std::string_view text);

/// RFC 4648 base64 with padding, no line breaks.
[[nodiscard]] std::string base64_encode(std::string_view bytes);
/// Nothing unless `text` is exactly what base64_encode would have written.
[[nodiscard]] std::optional<std::string> base64_decode(std::string_view text);

/// Raw bytes made safe for terminals, logs and text files: printable UTF-8 stays, all
/// else (controls, ESC, invalid UTF-8, bidirectional and other format controls, the
/// backslash itself) becomes \n \t \\ \xHH or \u{HHHH}. Never longer than
/// `max_bytes` plus a visible mark of truncation. '<', '&' and quotes are printable: HTML
/// and the like still need their own escaping after it.
[[nodiscard]] std::string display(std::string_view raw, std::size_t max_bytes = 4096);

/// True when the whole of `bytes` is valid UTF-8 (RFC 3629, no surrogates).
[[nodiscard]] bool is_utf8(std::string_view bytes);
/// The length of the longest valid UTF-8 start of `bytes`.
[[nodiscard]] std::size_t utf8_prefix(std::string_view bytes);

/// ASCII only: the case rule of Windows names as far as playbooks need it.
[[nodiscard]] std::string ascii_lower(std::string_view text);
[[nodiscard]] bool ascii_iequals(std::string_view a, std::string_view b);

}  // namespace remediate
