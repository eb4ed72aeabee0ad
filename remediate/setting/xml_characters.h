#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace remediate::setting {

/// One UTF-8 sequence; `length` 0 when there is none at `at`.
struct Character {
  char32_t code = 0;
  std::uint32_t length = 0;
};
[[nodiscard]] Character character_at(std::string_view bytes, std::size_t at);
void append_character(std::string& out, char32_t code);

/// Production Char of XML 1.0.
[[nodiscard]] bool is_xml_character(char32_t code);
/// Productions NameStartChar and NameChar of XML 1.0, fifth edition.
[[nodiscard]] bool is_name_start(char32_t code);
[[nodiscard]] bool is_name_character(char32_t code);

/// A reference that starts with the '&' at `at`: one of the five predefined entities or a
/// character reference to a character XML allows; `length` 0 for anything else.
[[nodiscard]] Character reference_at(std::string_view bytes, std::size_t at);

}  // namespace remediate::setting
