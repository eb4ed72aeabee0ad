#include <algorithm>
#include <array>

#include "remediate/match/pattern_set.h"

namespace remediate::match {
namespace {

constexpr std::string_view hexadecimal = "0123456789abcdefABCDEF";
constexpr std::string_view digits = "0123456789";
/// Of parts of an expression, with the counts of repetitions written out, as Hyperscan does.
constexpr std::size_t max_copies = 4096;
constexpr std::size_t max_length = 2000;

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// Where the two dialects differ: white space is five bytes to RE2 and six to PCRE; \v is a byte or
/// a class; case folding beyond ASCII; octal escapes or back-references; Unicode classes.
class Speller {
 public:
  explicit Speller(const Pattern& pattern)
      : text_(pattern.text), ignores_case_(pattern.ignore_case) {}

  std::optional<std::string> spell() {
    if (text_.size() > max_length) return std::nullopt;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '(') open_.push_back(copies_);
      const std::size_t before = copies_;
      const bool good = c == '\\'  ? escape(false)
                        : c == '[' ? character_class()
                        : c == '(' ? group()
                        : c == '{' ? repetition()
                                   : literal();
      if (!good || copies_ > max_copies) return std::nullopt;
      if (text_[at_ - 1] == ')' && (c == ')' || c == '(')) {  // of a group, or of flags
        if (open_.empty()) return std::nullopt;
        part_ = open_.back();
        open_.pop_back();
      } else if (c != '{') {
        part_ = before;
        ++copies_;
      }
    }
    if (ignores_case_ && high_) return std::nullopt;
    return std::move(spelled_);
  }

 private:
  [[nodiscard]] char next(std::size_t more = 1) const {
    return at_ + more < text_.size() ? text_[at_ + more] : '\0';
  }

  /// Hyperscan takes its patterns as C strings.
  bool literal() {
    constexpr std::string_view digit = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(text_[at_++]);
    high_ = high_ || byte >= 0x80;
    if (byte >= 0x20 && byte < 0x7f) {
      spelled_ += static_cast<char>(byte);
    } else {
      spelled_ += "\\x";
      spelled_ += digit[byte >> 4];
      spelled_ += digit[byte & 15];
    }
    return true;
  }

  bool escape(bool in_class) {
    const char c = next();
    const auto write = [&](std::string_view text) {
      spelled_ += text;
      at_ += 2;
      return true;
    };
    switch (c) {
      case 's':
        return write(in_class ? "\\t\\n\\f\\r " : "[\\t\\n\\f\\r ]");
      case 'S':
        return write(in_class ? "\\x00-\\x08\\x0b\\x0e-\\x1f\\x21-\\xff" : "[^\\t\\n\\f\\r ]");
      case 'v':
        return write("\\x0b");
      case 'x':
        if (hexadecimal.find(next(2)) == std::string_view::npos ||
            hexadecimal.find(next(3)) == std::string_view::npos || next(2) == '\0' ||
            next(3) == '\0')
          return false;
        high_ = high_ || digits.substr(0, 8).find(next(2)) == std::string_view::npos;
        spelled_ += text_.substr(at_, 4);
        at_ += 4;
        return true;
      case 'b':
      case 'B':
      case 'A':
      case 'z':
        return !in_class && write(text_.substr(at_, 2));
      case 'd':
      case 'D':
      case 'w':
      case 'W':
      case 'a':
      case 'f':
      case 't':
      case 'n':
      case 'r':
        return write(text_.substr(at_, 2));
      default:
        if (c <= ' ' || c >= 0x7f || is_alphanumeric(c)) return false;
        return write(text_.substr(at_, 2));
    }
  }

  bool character_class() {
    spelled_ += text_[at_++];
    if (at_ < text_.size() && text_[at_] == '^') spelled_ += text_[at_++];
    for (bool first = true; at_ < text_.size(); first = false) {
      const char c = text_[at_];
      if (c == ']' && !first) {
        spelled_ += text_[at_++];
        return true;
      }
      if (c == '[' && (next() == '.' || next() == '=')) return false;
      if (c == '[' && next() == ':') {
        const std::size_t end = text_.find(":]", at_ + 2);
        if (end == std::string::npos || end - at_ > 16) return false;
        spelled_ += text_.substr(at_, end + 2 - at_);
        at_ = end + 2;
        hyphen();
        continue;
      }
      const bool is_set = c == '\\' && std::string_view("sSdDwW").contains(next());
      if (c == '\\' ? !escape(true) : !literal()) return false;
      if (is_set) hyphen();
    }
    return false;
  }

  /// After a set within a class, it stands for itself: what a set is written as must not begin a
  /// range.
  void hyphen() {
    if (at_ >= text_.size() || text_[at_] != '-') return;
    spelled_ += "\\-";
    ++at_;
  }

  bool group() {
    if (next() != '?') return literal();
    const std::size_t end = text_.find_first_of(":)>", at_ + 2);
    if (end == std::string::npos) return false;
    if (next(2) == 'P' || next(2) == '<') {  // a name, which nobody asks for
      spelled_ += '(';
      at_ = end + 1;
      return text_[end] == '>';
    }
    const std::string flags = text_.substr(at_ + 2, end - at_ - 2);
    if (flags.find_first_not_of("ims-") != std::string::npos) return false;
    ignores_case_ = ignores_case_ || flags.find('i') != std::string::npos;
    spelled_ += text_.substr(at_, end + 1 - at_);
    at_ = end + 1;
    return true;
  }

  /// A brace that is no repetition stands for itself.
  bool repetition() {
    const std::size_t end = text_.find('}', at_);
    const std::string inside = end == std::string::npos ? "" : text_.substr(at_ + 1, end - at_ - 1);
    const bool repeats = !inside.empty() && digits.find(inside.front()) != std::string_view::npos &&
                         inside.find_first_not_of("0123456789,") == std::string::npos &&
                         std::ranges::count(inside, ',') <= 1;
    if (repeats) {
      const std::size_t comma = inside.rfind(',');
      const std::string last = inside.substr(comma == std::string::npos ? 0 : comma + 1);
      const std::string count = last.empty() ? inside.substr(0, comma) : last;
      if (count.size() > 4) return false;
      copies_ += (copies_ - part_) * std::max<std::size_t>(std::stoul(count), 1);
    } else {
      spelled_ += "\\{";
      ++at_;
      part_ = copies_++;
      return true;
    }
    spelled_ += text_.substr(at_, end + 1 - at_);
    at_ = end + 1;
    return true;
  }

  const std::string& text_;
  std::size_t at_ = 0;
  std::string spelled_;
  bool ignores_case_;
  bool high_ = false;  // names a byte above ASCII
  std::size_t copies_ = 0;
  std::size_t part_ = 0;           // copies_ before what a count would repeat
  std::vector<std::size_t> open_;  // the same of each group that is open
};

}  // namespace

std::optional<std::string> hyperscan_spelling(const Pattern& pattern) {
  return Speller(pattern).spell();
}

}  // namespace remediate::match
