#include "remediate/base/encoding.h"

#include <array>
#include <cstdint>

namespace remediate {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kBase64Digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::uint8_t byte_of(char c) { return static_cast<std::uint8_t>(c); }

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

constexpr std::array<std::int8_t, 256> make_base64_values() {
  std::array<std::int8_t, 256> values{};
  values.fill(-1);
  for (std::size_t i = 0; i < kBase64Digits.size(); ++i) {
    values[static_cast<std::uint8_t>(kBase64Digits[i])] = static_cast<std::int8_t>(i);
  }
  return values;
}
constexpr auto kBase64Values = make_base64_values();

struct CodePoint {
  char32_t value = 0;
  std::size_t length = 0;  // 0: the bytes are not UTF-8
};

/// The code point at the start of `bytes`, which is not empty.
CodePoint next_code_point(std::string_view bytes) {
  const std::uint8_t lead = byte_of(bytes[0]);
  if (lead < 0x80) return {lead, 1};
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || bytes.size() < length) return {};
  char32_t value = lead & (0x7fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    const std::uint8_t next = byte_of(bytes[i]);
    if ((next & 0xc0) != 0x80) return {};
    value = (value << 6) | (next & 0x3fu);
  }
  if (length == 3 && (value < 0x800 || (value >= 0xd800 && value <= 0xdfff))) return {};
  if (length == 4 && (value < 0x10000 || value > 0x10ffff)) return {};
  return {value, length};
}

struct Range {
  char32_t first;
  char32_t last;
};

/// Code points that show nothing of their own or change how their neighbours are shown.
constexpr Range kFormatControls[] = {
    {0x0080, 0x009f},    // C1 controls
    {0x00ad, 0x00ad},    // soft hyphen
    {0x034f, 0x034f},    // combining grapheme joiner
    {0x0600, 0x0605},    // Arabic number signs
    {0x061c, 0x061c},    // Arabic letter mark
    {0x070f, 0x070f},    // Syriac abbreviation mark
    {0x115f, 0x1160},    // Hangul fillers
    {0x17b4, 0x17b5},    // Khmer inherent vowels
    {0x180b, 0x180f},    // Mongolian selectors and separator
    {0x200b, 0x200f},    // zero-width characters, left-to-right and right-to-left marks
    {0x2028, 0x202e},    // line and paragraph separator, bidirectional embeddings and overrides
    {0x2060, 0x206f},    // word joiner, invisible operators, bidirectional isolates
    {0x3164, 0x3164},    // Hangul filler
    {0xfdd0, 0xfdef},    // noncharacters
    {0xfe00, 0xfe0f},    // variation selectors
    {0xfeff, 0xfeff},    // byte order mark
    {0xffa0, 0xffa0},    // half-width Hangul filler
    {0xfff0, 0xfffb},    // interlinear annotations and the unassigned before them
    {0x110bd, 0x110bd},  // Kaithi number sign
    {0x1bca0, 0x1bca3},  // shorthand format controls
    {0x1d173, 0x1d17a},  // musical format controls
    {0xe0000, 0xe0fff},  // tags and variation selectors supplement
};

bool is_format_control(char32_t value) {
  if ((value & 0xfffe) == 0xfffe) return true;  // noncharacters of every plane
  for (const Range& range : kFormatControls) {
    if (value < range.first) return false;
    if (value <= range.last) return true;
  }
  return false;
}

std::string escaped_byte(char c) {
  const std::uint8_t byte = byte_of(c);
  return {'\\', 'x', kHexDigits[byte >> 4], kHexDigits[byte & 0xf]};
}

std::string escaped_code_point(char32_t value) {
  std::string digits;
  for (; value != 0 || digits.size() < 4; value >>= 4) {
    digits.insert(digits.begin(), kHexDigits[value & 0xf]);
  }
  return "\\u{" + digits + "}";
}

std::string shown(std::string_view bytes, const CodePoint& point) {
  if (point.length == 0) return escaped_byte(bytes[0]);
  if (point.value == '\n') return "\\n";
  if (point.value == '\t') return "\\t";
  if (point.value == '\\') return "\\\\";
  if (point.value < 0x20 || point.value == 0x7f) return escaped_byte(bytes[0]);
  if (is_format_control(point.value)) return escaped_code_point(point.value);
  return std::string(bytes.substr(0, point.length));
}

}  // namespace

std::string hex_encode(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    text += kHexDigits[byte_of(c) >> 4];
    text += kHexDigits[byte_of(c) & 0xf];
  }
  return text;
}

std::optional<std::string> hex_decode(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]);
    const int low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes += static_cast<char>(high << 4 | low);
  }
  return bytes;
}

std::string base64_encode(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::string_view group = bytes.substr(i, 3);
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      bits = bits << 8 | (k < group.size() ? byte_of(group[k]) : 0u);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      text += k <= group.size() ? kBase64Digits[bits >> (18 - 6 * k) & 0x3f] : '=';
    }
  }
  return text;
}

std::optional<std::string> base64_decode(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  const std::string_view digits = text.substr(0, text.size() - padding);
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  std::uint32_t bits = 0;
  unsigned held = 0;
  for (const char c : digits) {
    const int value = kBase64Values[byte_of(c)];
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    held += 6;
    if (held >= 8) {
      held -= 8;
      bytes += static_cast<char>(bits >> held & 0xff);
      bits &= (1u << held) - 1;
    }
  }
  if (bits != 0) return std::nullopt;  // set bits that no encoder writes
  return bytes;
}

std::string display(std::string_view raw, std::size_t max_bytes) {
  std::string text;
  for (std::size_t at = 0; at < raw.size();) {
    const std::string_view rest = raw.substr(at);
    const CodePoint point = next_code_point(rest);
    const std::string piece = shown(rest, point);
    if (text.size() + piece.size() > max_bytes) {
      // No escape begins with a dot, so the mark is not to be confused with a name.
      return text + "\\...[" + std::to_string(rest.size()) + " more bytes]";
    }
    text += piece;
    at += point.length == 0 ? 1 : point.length;
  }
  return text;
}

std::size_t utf8_prefix(std::string_view bytes) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::size_t length = next_code_point(bytes.substr(at)).length;
    if (length == 0) break;
    at += length;
  }
  return at;
}

bool is_utf8(std::string_view bytes) { return utf8_prefix(bytes) == bytes.size(); }

std::string ascii_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

bool ascii_iequals(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ascii_lower(a) == ascii_lower(b);
}

}  // namespace remediate
