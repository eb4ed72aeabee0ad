#include "remediate/base/encoding.h"
#include "remediate/playbook/spelling.h"

// Reads just enough of RE2 syntax to tell what a match must contain at the least. Whether a
// pattern compiles is the engine's to say.

namespace remediate::playbook {

namespace {

constexpr std::size_t shortest = 3;
constexpr std::size_t longest = 4096;
constexpr int deepest = 64;

class Reader {
 public:
  explicit Reader(std::string_view pattern) : text_(pattern) {}

  /// True when every match holds at least one character that the pattern names.
  bool specific() {
    const bool result = alternatives(0);
    if (fault_.empty() && at_ < text_.size()) fault_ = "has a ')' without '('";
    return result;
  }
  [[nodiscard]] std::string_view fault() const { return fault_; }

 private:
  [[nodiscard]] bool more() const { return at_ < text_.size() && fault_.empty(); }
  [[nodiscard]] bool ahead(std::string_view text) const {
    return text_.substr(at_).starts_with(text);
  }

  bool alternatives(int depth) {
    if (depth > deepest) {
      fault_ = "nests groups too deeply";
      return false;
    }
    bool every = sequence(depth);
    while (more() && text_[at_] == '|') {
      ++at_;
      every = sequence(depth) && every;
    }
    return every;
  }

  bool sequence(int depth) {
    bool any = false;
    while (more() && text_[at_] != '|' && text_[at_] != ')') {
      const bool atom_specific = atom(depth);
      any = quantified(atom_specific) || any;
    }
    return any;
  }

  bool atom(int depth) {
    switch (text_[at_]) {
      case '(':
        return group(depth);
      case '[':
        return character_class();
      case '\\':
        return escape();
      case '.':
      case '^':
      case '$':
        ++at_;
        return false;
      case '*':
      case '+':
      case '?':
        fault_ = "repeats nothing";
        return false;
      default:
        ++at_;
        return true;
    }
  }

  bool group(int depth) {
    ++at_;
    if (ahead("?=") || ahead("?!") || ahead("?<=") || ahead("?<!") || ahead("?>")) {
      fault_ = "looks around or is atomic, which RE2 does not have";
      return false;
    }
    if (ahead("?P<") || ahead("?<")) {
      const auto end = text_.find('>', at_);
      if (end == std::string_view::npos) {
        fault_ = "has a group name without '>'";
        return false;
      }
      at_ = end + 1;
    } else if (ahead("?")) {
      while (at_ < text_.size() && text_[at_] != ':' && text_[at_] != ')') ++at_;
      if (at_ < text_.size() && text_[at_] == ':') {
        ++at_;
      } else if (at_ < text_.size()) {
        ++at_;  // flags for what follows: "(?i)"
        return false;
      }
    }
    const bool inside = alternatives(depth + 1);
    if (!fault_.empty()) return false;
    if (at_ >= text_.size()) {
      fault_ = "has a '(' without ')'";
      return false;
    }
    ++at_;
    return inside;
  }

  /// A class is specific unless it is the union of a class and its opposite ([\s\S]).
  bool character_class() {
    const std::size_t start = at_++;
    const bool negated = ahead("^");
    if (negated) ++at_;
    bool first = true;
    while (at_ < text_.size() && (text_[at_] != ']' || first)) {
      first = false;
      if (ahead("[:")) {
        const auto end = text_.find(":]", at_);
        at_ = end == std::string_view::npos ? at_ + 1 : end + 2;
      } else {
        at_ += text_[at_] == '\\' ? 2 : 1;
      }
    }
    if (at_ >= text_.size()) {
      fault_ = "has a '[' without ']'";
      return false;
    }
    const std::string_view inside = text_.substr(start, ++at_ - start);
    const auto both = [&](std::string_view a, std::string_view b) {
      return inside.find(a) != std::string_view::npos && inside.find(b) != std::string_view::npos;
    };
    return !negated && !both("\\s", "\\S") && !both("\\d", "\\D") && !both("\\w", "\\W") &&
           inside != "[\\x00-\\xff]" && inside != "[\\x00-\\xFF]";
  }

  bool escape() {
    if (at_ + 1 >= text_.size()) {
      fault_ = "ends with a '\\'";
      return false;
    }
    const char c = text_[at_ + 1];
    if ((c >= '1' && c <= '9') || c == 'k') {
      fault_ = "refers back to a group, which RE2 does not have";
      return false;
    }
    if (c == 'Q') {
      const auto end = text_.find("\\E", at_ + 2);
      const bool content = (end == std::string_view::npos ? text_.size() : end) > at_ + 2;
      at_ = end == std::string_view::npos ? text_.size() : end + 2;
      return content;
    }
    at_ += 2;
    if ((c == 'x' || c == 'p' || c == 'P') && at_ < text_.size() && text_[at_] == '{') {
      const auto end = text_.find('}', at_);
      at_ = end == std::string_view::npos ? text_.size() : end + 1;
    } else if (c == 'x') {
      at_ = std::min(at_ + 2, text_.size());
    } else if (c == 'p' || c == 'P') {
      at_ = std::min(at_ + 1, text_.size());
    }
    // Zero width, any byte, and the opposites of small classes name nothing.
    return std::string_view("AzbBCSDWP").find(c) == std::string_view::npos;
  }

  bool quantified(bool inside) {
    while (more()) {
      if (text_[at_] == '*' || text_[at_] == '?') {
        inside = false;
        ++at_;
        if (more() && text_[at_] == '?') ++at_;
      } else if (text_[at_] == '+') {
        ++at_;
        if (more() && text_[at_] == '?') ++at_;
      } else if (text_[at_] == '{' && at_ + 1 < text_.size() && text_[at_ + 1] >= '0' &&
                 text_[at_ + 1] <= '9') {
        const auto end = text_.find('}', at_);
        if (end == std::string_view::npos) return inside;
        const std::string_view count = text_.substr(at_ + 1, end - at_ - 1);
        const std::string_view least = count.substr(0, count.find(','));
        if (least.find_first_not_of('0') == std::string_view::npos) inside = false;
        at_ = end + 1;
        if (more() && text_[at_] == '?') ++at_;
      } else {
        return inside;
      }
    }
    return inside;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string_view fault_;
};

}  // namespace

std::optional<Refusal> check_regex(std::string_view pattern) {
  if (pattern.size() < shortest || pattern.size() > longest) {
    return Refusal{&rule::regex_length,
                   "the pattern is " + std::to_string(pattern.size()) + " bytes long",
                   "3 to 4096 bytes"};
  }
  Reader reader(pattern);
  const bool specific = reader.specific();
  const std::string shown = "the pattern \"" + display(pattern, 120) + "\" ";
  if (!reader.fault().empty()) {
    return Refusal{&rule::regex_syntax, shown + std::string(reader.fault()), "RE2 syntax"};
  }
  if (!specific) {
    return Refusal{&rule::regex_matches_all, shown + "can match without any particular character",
                   "a pattern of which every match holds something the malware must contain"};
  }
  return std::nullopt;
}

}  // namespace remediate::playbook
