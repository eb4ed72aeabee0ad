#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "remediate/base/error.h"

namespace remediate::setting {

/// Half-open byte range of the scanned text; 32 bits suffice below ScanLimits::max_bytes.
struct Span {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  [[nodiscard]] bool empty() const { return begin == end; }
  [[nodiscard]] std::string_view of(std::string_view bytes) const {
    return bytes.substr(begin, end - begin);
  }
  bool operator==(const Span&) const = default;
};

inline constexpr std::uint32_t no_element = std::numeric_limits<std::uint32_t>::max();

struct XmlAttribute {
  Span whole;  // the white space before the name up to the closing quote
  Span name;
  Span value;  // between the quotes, references unresolved
  char quote = '"';
};

struct XmlElement {
  Span range;      // first byte of the start tag to the last of the end tag
  Span start_tag;  // with its angle brackets; the whole of a self-closing element
  Span end_tag;    // empty for a self-closing element
  Span name;
  std::uint32_t parent = no_element;
  std::uint32_t subtree_end = 0;  // index after the last descendant
  std::uint32_t first_attribute = 0;
  std::uint32_t attribute_count = 0;
  std::uint32_t depth = 0;  // the root has 0
  bool has_text = false;    // character data other than white space directly inside
  [[nodiscard]] bool self_closing() const { return end_tag.empty(); }
};

/// Everything else that can carry words.
struct XmlOther {
  enum class Kind : std::uint8_t { comment, instruction, text, cdata } kind;
  Span range;
  std::uint32_t parent = no_element;  // no_element outside the root
};

/// A document as ranges over bytes it does not own: they must outlive it. Elements and others
/// are in document order. Bytes in no range are white space or punctuation of a range around them.
struct XmlTree {
  std::string_view bytes;
  std::vector<XmlElement> elements;  // the first one is the root
  std::vector<XmlAttribute> attributes;
  std::vector<XmlOther> others;

  [[nodiscard]] std::string_view text(Span span) const { return span.of(bytes); }
  /// Direct child elements in document order.
  [[nodiscard]] std::vector<std::uint32_t> children(std::uint32_t element) const;
};

struct ScanLimits {
  std::size_t max_bytes = 32u << 20;
  std::size_t max_depth = 256;
  std::size_t max_elements = 200'000;
  std::size_t max_attributes = 400'000;
  std::size_t max_others = 400'000;
  std::size_t max_name_bytes = 1024;
};

/// Strict, lossless and linear in time. Accepts well-formed XML 1.0 in UTF-8, with or without
/// byte order mark. bad_input with line and column (in characters, from 1) for anything else, and
/// for what configuration never needs and attackers like: document types, entities of one's own.
/// limit when a bound is reached.
[[nodiscard]] Result<XmlTree> scan_xml(std::string_view bytes, const ScanLimits& limits = {});

/// The value that a raw attribute of a scanned document stands for.
[[nodiscard]] std::string decode_attribute(std::string_view raw);
/// The character data directly inside an element, references resolved, white space at both ends
/// cut; nothing of comments and of elements inside.
[[nodiscard]] std::string text_of(const XmlTree& tree, std::uint32_t element);
/// `value` as it can stand between two `quote`; only what must be escaped is.
[[nodiscard]] std::string encode_attribute(std::string_view value, char quote);
/// Whether `text` can be an XML name, and whether XML 1.0 can hold every character of it.
[[nodiscard]] bool is_xml_name(std::string_view text);
[[nodiscard]] bool is_xml_text(std::string_view text);
/// 1-based line of a byte: LF, CR LF and CR alone end lines.
[[nodiscard]] std::size_t line_of(std::string_view bytes, std::size_t offset);

[[nodiscard]] inline bool is_xml_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

}  // namespace remediate::setting
