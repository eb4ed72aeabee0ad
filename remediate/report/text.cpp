#include "remediate/report/text.h"

#include <algorithm>
#include <utility>

namespace remediate::report {
namespace {

constexpr std::size_t columns = 100;
constexpr std::size_t label_columns = 12;

/// Code points; the text is valid UTF-8.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) >> 6) != 2; }));
}

}  // namespace

std::string TextPage::styled(std::string_view words, Style style) const {
  const char* code = "";
  switch (style) {
    case Style::plain:
      return std::string(words);
    case Style::strong:
      code = "1";
      break;
    case Style::good:
      code = "32";
      break;
    case Style::bad:
      code = "1;31";
      break;
    case Style::faint:
      code = "2";
      break;
  }
  if (!colour_ || words.empty()) return std::string(words);
  return "\x1b[" + std::string(code) + "m" + std::string(words) + "\x1b[0m";
}

void TextPage::line(std::string_view words, Style style) { text_ += styled(words, style) + "\n"; }

void TextPage::heading(std::string_view words) {
  blank();
  line(words, Style::strong);
}

void TextPage::wrapped(std::string_view first, std::string_view rest, std::string_view words,
                       Style style) {
  std::string prefix(first), current;
  const auto flush = [&] {
    text_ += prefix + styled(current, style) + "\n";
    prefix = rest;
    current.clear();
  };
  // More than one space is part of a name: it is kept, and no line is broken there.
  const auto word_end = [&] {
    for (std::size_t at = words.find_first_not_of(' ');;) {
      at = words.find(' ', at);
      if (at == std::string_view::npos) return words.size();
      const std::size_t next = words.find_first_not_of(' ', at);
      if (next == std::string_view::npos || next == at + 1) return at;
      at = next;
    }
  };
  while (!words.empty()) {
    const std::size_t end = word_end();
    const std::string_view word = words.substr(0, end);
    words.remove_prefix(std::min(end + 1, words.size()));
    if (!current.empty() && width(prefix) + width(current) + 1 + width(word) > columns) flush();
    if (!current.empty()) current += " ";
    current += word;
  }
  flush();
}

void TextPage::paragraph(std::string_view words, std::size_t indent, Style style) {
  const std::string prefix(indent, ' ');
  wrapped(prefix, prefix, words, style);
}

void TextPage::field(std::string_view label, std::string_view value, Style style) {
  std::string first = "  " + std::string(label);
  first.resize(std::max(first.size() + 1, label_columns), ' ');
  wrapped(first, std::string(label_columns, ' '), value, style);
}

void TextPage::item(std::string_view words, Style style) { wrapped("  - ", "    ", words, style); }

void TextPage::diff(const std::vector<std::string>& lines) {
  for (const std::string& one : lines) {
    const Style style = one.starts_with("---") || one.starts_with("+++") ? Style::strong
                        : one.starts_with("-")                           ? Style::bad
                        : one.starts_with("+")                           ? Style::good
                        : one.starts_with("@@")                          ? Style::faint
                                                                         : Style::plain;
    text_ += "    " + styled(one, style) + "\n";
  }
}

}  // namespace remediate::report
