#include <algorithm>
#include <array>
#include <cstddef>

#include "remediate/base/encoding.h"
#include "remediate/match/engine.h"
#include "remediate/match/wide.h"

namespace remediate::match {
namespace {

constexpr std::size_t max_bytes = 1u << 20;
constexpr std::size_t min_fields = 10;
constexpr std::size_t max_fields = 4096;
constexpr std::size_t max_key = 64;
constexpr std::size_t min_telling = 2;
constexpr std::size_t max_stray_lines = 4;
constexpr std::array<std::string_view, 6> telling = {
    "MetabasePath", "InternalUrl", "ExternalUrl", "DistinguishedName", "Guid", "ObjectClass"};

bool is_blank(char c) { return c == ' ' || c == '\t'; }
bool is_space(char c) { return is_blank(c) || c == '\r' || c == '\n' || c == '\v' || c == '\f'; }
bool is_letter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

/// "Key<blanks>:" at the start of a line, then a blank or nothing; the value's offset or npos.
std::size_t value_offset(std::string_view line, std::string_view& key) {
  std::size_t i = 0;
  while (i < line.size() && (is_letter(line[i]) || (i > 0 && is_digit(line[i])))) ++i;
  if (i == 0 || i > max_key) return std::string_view::npos;
  key = line.substr(0, i);
  while (i < line.size() && is_blank(line[i])) ++i;
  if (i == line.size() || line[i] != ':') return std::string_view::npos;
  ++i;
  return i == line.size() || is_space(line[i]) ? i : std::string_view::npos;
}

/// A field's value in the text, continuation lines included.
struct Stretch {
  std::string_view key;
  std::size_t begin = 0;
  std::size_t end = 0;
};

bool is_url(std::string_view key) {
  return ascii_iequals(key, "InternalUrl") || ascii_iequals(key, "ExternalUrl");
}

/// The fields of `text`, or nothing when its lines are not those of a dump.
std::optional<std::vector<Stretch>> fields_of(std::string_view text) {
  std::vector<Stretch> fields;
  std::size_t strays = 0;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    const std::string_view line = text.substr(start, end - start);
    std::string_view key;
    if (const std::size_t value = value_offset(line, key); value != std::string_view::npos) {
      if (fields.size() == max_fields) return std::nullopt;
      fields.push_back({.key = key, .begin = start + value, .end = end});
    } else if (!trimmed(line).empty()) {
      if (fields.empty()) return std::nullopt;
      const bool continues = is_blank(line.front()) || is_url(fields.back().key);
      if (!continues && ++strays > max_stray_lines) return std::nullopt;
      if (continues) fields.back().end = end;
    }
    start = end + 1;
  }
  return fields;
}

bool is_dump(const std::vector<Stretch>& fields) {
  const auto has = [&](std::string_view name) {
    return std::ranges::any_of(
        fields, [&](const Stretch& field) { return ascii_iequals(field.key, name); });
  };
  return fields.size() >= min_fields && has("Name") &&
         static_cast<std::size_t>(std::ranges::count_if(telling, has)) >= min_telling;
}

/// The value in one line: line ends and the indentation after them are left out.
struct Flat {
  std::string text;
  std::vector<std::size_t> offsets;  // where each byte was
};

Flat flattened(std::string_view text, const Stretch& field) {
  Flat flat;
  for (std::size_t i = field.begin; i < field.end; ++i) {
    if (text[i] == '\n' || text[i] == '\r') {
      while (i + 1 < field.end && is_space(text[i + 1])) ++i;
      continue;
    }
    flat.text += text[i];
    flat.offsets.push_back(i);
  }
  return flat;
}

bool starts_without_case(std::string_view text, std::string_view word) {
  return text.size() >= word.size() && ascii_iequals(text.substr(0, word.size()), word);
}

std::size_t skip_space(std::string_view text, std::size_t at) {
  while (at < text.size() && is_space(text[at])) ++at;
  return at;
}

/// Where `value` has the start of a server-side script, or npos.
std::size_t script_in(std::string_view value) {
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value[i] == '<') {
      const std::string_view tag = value.substr(skip_space(value, i + 1));
      if (tag.starts_with('%') || starts_without_case(tag, "script")) return i;
    } else if (starts_without_case(value.substr(i), "runat")) {
      std::size_t after = skip_space(value, i + 5);
      if (after == value.size() || value[after] != '=') continue;
      after = skip_space(value, after + 1);
      if (after < value.size() && (value[after] == '"' || value[after] == '\'')) {
        after = skip_space(value, after + 1);
      }
      if (starts_without_case(value.substr(after), "server")) return i;
    }
  }
  return std::string_view::npos;
}

std::optional<std::size_t> script_of(std::string_view text, const Stretch& field) {
  const Flat flat = flattened(text, field);
  const std::size_t found = script_in(flat.text);
  if (found == std::string_view::npos) return std::nullopt;
  return flat.offsets[found];
}

/// Each line of the value without its indentation.
std::string value_of(std::string_view text, const Stretch& field) {
  std::string value;
  for (std::size_t start = field.begin; start <= field.end;) {
    const std::size_t end = std::min(text.find('\n', start), field.end);
    const std::string_view line = trimmed(text.substr(start, end - start));
    if (!value.empty() && !line.empty()) value += '\n';
    value += line;
    start = end + 1;
  }
  return value;
}

}  // namespace

std::optional<Dump> parse_dump(std::string_view bytes) {
  if (bytes.size() > max_bytes) return std::nullopt;
  std::size_t skipped = 0;
  std::size_t width = 1;
  std::string narrow;
  std::string_view text = bytes;
  if (bytes.starts_with("\xFF\xFE")) {
    skipped = 2;
    width = 2;
    narrow = narrowed(bytes.substr(skipped));
    text = narrow;
  } else if (bytes.starts_with("\xEF\xBB\xBF")) {
    skipped = 3;
    text.remove_prefix(skipped);
  }
  const auto fields = fields_of(text);
  if (!fields || !is_dump(*fields)) return std::nullopt;
  Dump dump;
  for (const Stretch& field : *fields) {
    dump.fields.push_back({.name = std::string(field.key), .value = value_of(text, field)});
    if (dump.script_in_url || !is_url(field.key)) continue;
    if (const auto found = script_of(text, field)) {
      dump.script_in_url = true;
      dump.script_offset = skipped + *found * width;
    }
  }
  return dump;
}

}  // namespace remediate::match
