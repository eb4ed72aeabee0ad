#include "remediate/setting/xml_characters.h"

#include <array>
#include <utility>

#include "remediate/setting/xml_scan.h"

namespace remediate::setting {
namespace {

struct CodeRange {
  char32_t first, last;
};

constexpr std::array<CodeRange, 16> name_starts{{{':', ':'},
                                                 {'A', 'Z'},
                                                 {'_', '_'},
                                                 {'a', 'z'},
                                                 {0xC0, 0xD6},
                                                 {0xD8, 0xF6},
                                                 {0xF8, 0x2FF},
                                                 {0x370, 0x37D},
                                                 {0x37F, 0x1FFF},
                                                 {0x200C, 0x200D},
                                                 {0x2070, 0x218F},
                                                 {0x2C00, 0x2FEF},
                                                 {0x3001, 0xD7FF},
                                                 {0xF900, 0xFDCF},
                                                 {0xFDF0, 0xFFFD},
                                                 {0x10000, 0xEFFFF}}};
constexpr std::array<CodeRange, 5> name_others{
    {{'-', '.'}, {'0', '9'}, {0xB7, 0xB7}, {0x300, 0x36F}, {0x203F, 0x2040}}};

template <std::size_t n>
bool in_any(const std::array<CodeRange, n>& ranges, char32_t code) {
  for (const auto& range : ranges)
    if (code >= range.first && code <= range.last) return true;
  return false;
}

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return 99;
}

}  // namespace

Character character_at(std::string_view bytes, std::size_t at) {
  const auto byte = [&](std::size_t i) -> std::uint32_t {
    return at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0u;
  };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
  if (at >= bytes.size()) return {};
  const std::uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead >= 0xC2 && lead <= 0xDF && follows(1))
    return {((lead & 0x1Fu) << 6) | (byte(1) & 0x3Fu), 2};
  if (lead >= 0xE0 && lead <= 0xEF && follows(1) && follows(2)) {
    const char32_t code = ((lead & 0x0Fu) << 12) | ((byte(1) & 0x3Fu) << 6) | (byte(2) & 0x3Fu);
    if (code < 0x800 || (code >= 0xD800 && code <= 0xDFFF)) return {};
    return {code, 3};
  }
  if (lead >= 0xF0 && lead <= 0xF4 && follows(1) && follows(2) && follows(3)) {
    const char32_t code = ((lead & 0x07u) << 18) | ((byte(1) & 0x3Fu) << 12) |
                          ((byte(2) & 0x3Fu) << 6) | (byte(3) & 0x3Fu);
    if (code < 0x10000 || code > 0x10FFFF) return {};
    return {code, 4};
  }
  return {};
}

void append_character(std::string& out, char32_t code) {
  const auto put = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0u | (code >> 6));
    put(0x80u | (code & 0x3Fu));
  } else if (code < 0x10000) {
    put(0xE0u | (code >> 12));
    put(0x80u | ((code >> 6) & 0x3Fu));
    put(0x80u | (code & 0x3Fu));
  } else {
    put(0xF0u | (code >> 18));
    put(0x80u | ((code >> 12) & 0x3Fu));
    put(0x80u | ((code >> 6) & 0x3Fu));
    put(0x80u | (code & 0x3Fu));
  }
}

bool is_xml_character(char32_t code) {
  if (code < 0x20) return code == 0x9 || code == 0xA || code == 0xD;
  return code <= 0xD7FF || (code >= 0xE000 && code <= 0xFFFD) ||
         (code >= 0x10000 && code <= 0x10FFFF);
}

bool is_name_start(char32_t code) { return in_any(name_starts, code); }
bool is_name_character(char32_t code) { return is_name_start(code) || in_any(name_others, code); }

Character reference_at(std::string_view bytes, std::size_t at) {
  static constexpr std::array<std::pair<std::string_view, char>, 5> predefined{
      {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&apos;", '\''}}};
  const auto rest = bytes.substr(at, 64);
  for (const auto& [name, c] : predefined)
    if (rest.starts_with(name))
      return {static_cast<unsigned char>(c), static_cast<std::uint32_t>(name.size())};
  if (!rest.starts_with("&#")) return {};
  const bool hex = rest.size() > 2 && rest[2] == 'x';
  const int base = hex ? 16 : 10;
  const std::size_t first = hex ? 3 : 2;
  std::size_t i = first;
  char32_t code = 0;
  for (; i < rest.size() && digit_value(rest[i]) < base; ++i) {
    code = code * static_cast<char32_t>(base) + static_cast<char32_t>(digit_value(rest[i]));
    if (code > 0x10FFFF) return {};
  }
  if (i == first || i >= rest.size() || rest[i] != ';' || !is_xml_character(code)) return {};
  return {code, static_cast<std::uint32_t>(i + 1)};
}

bool is_xml_name(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto c = character_at(text, at);
    if (c.length == 0 || !(at == 0 ? is_name_start(c.code) : is_name_character(c.code)))
      return false;
    at += c.length;
  }
  return !text.empty();
}

bool is_xml_text(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto c = character_at(text, at);
    if (c.length == 0 || !is_xml_character(c.code)) return false;
    at += c.length;
  }
  return true;
}

}  // namespace remediate::setting
