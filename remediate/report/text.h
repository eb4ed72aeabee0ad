#pragma once

// Plain text within 100 columns; private to report/.

#include <string>
#include <string_view>
#include <vector>

namespace remediate::report {

enum class Style { plain, strong, good, bad, faint };

/// Builds a text of lines. Everything given to it must be safe to show.
class TextPage {
 public:
  explicit TextPage(bool colour) : colour_(colour) {}

  void blank() { text_ += "\n"; }
  /// A line as it is, whatever its length.
  void line(std::string_view words, Style style = Style::plain);
  void heading(std::string_view words);
  /// Wrapped at spaces, every line indented; a word that is too long stays whole.
  void paragraph(std::string_view words, std::size_t indent = 2, Style style = Style::plain);
  /// "  label     value", the value wrapped beside the label.
  void field(std::string_view label, std::string_view value, Style style = Style::plain);
  /// "  - words", wrapped behind the dash.
  void item(std::string_view words, Style style = Style::plain);
  /// A unified diff, coloured by its marks.
  void diff(const std::vector<std::string>& lines);
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  void wrapped(std::string_view first, std::string_view rest, std::string_view words, Style style);
  [[nodiscard]] std::string styled(std::string_view words, Style style) const;
  bool colour_;
  std::string text_;
};

}  // namespace remediate::report
