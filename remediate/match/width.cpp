#include "remediate/match/width.h"

#include <algorithm>
#include <cstdint>

namespace remediate::match {
namespace {

constexpr int max_nesting = 200;
constexpr std::size_t fewest_bytes = 3;  // of a part: less is in every file
constexpr std::uint64_t no_bound = max_width + 1;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::uint64_t capped(std::uint64_t bytes) { return std::min(bytes, no_bound); }

/// How many bytes a match has: at least and at most.
struct Bytes {
  std::uint64_t least = 0;
  std::uint64_t most = 0;
  [[nodiscard]] Bytes then(Bytes next) const {
    return {capped(least + next.least), capped(most + next.most)};
  }
};

/// Walks RE2 syntax. Where it understands less than RE2 it says more bytes at most, fewer at least.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Bytes read() {
    const Bytes all = alternatives(0);
    // A ')' alone would not have compiled.
    if (at_ < text_.size()) unclear_ = true;
    return unclear_ ? Bytes{0, no_bound} : all;
  }
  [[nodiscard]] std::optional<BoundedPart> part() const { return unclear_ ? std::nullopt : best_; }

 private:
  [[nodiscard]] bool ahead(std::string_view text) const {
    return text_.substr(at_).starts_with(text);
  }

  Bytes alternatives(int nesting) {
    if (nesting > max_nesting) {
      unclear_ = true;
      at_ = text_.size();
      return {0, no_bound};
    }
    Bytes all = sequence(nesting);
    while (at_ < text_.size() && text_[at_] == '|') {
      if (nesting == 0) several_ = true;
      ++at_;
      const Bytes other = sequence(nesting);
      all = {std::min(all.least, other.least), std::max(all.most, other.most)};
    }
    if (several_) best_.reset();
    return all;
  }

  Bytes sequence(int nesting) {
    Bytes all;
    Run run;
    std::string flags;
    while (at_ < text_.size() && text_[at_] != '|' && text_[at_] != ')') {
      const std::size_t start = at_;
      const Bytes once = atom(nesting);
      const std::string_view unit = text_.substr(start, at_ - start);
      if (only_flags_) flags += unit;
      only_flags_ = false;
      // To RE2 what repeats nothing repeats the one before: a(?i)* is a*.
      const bool repeats = at_ < text_.size() && std::string_view("*+?{").contains(text_[at_]);
      if (once.most == 0 && repeats) unclear_ = true;
      const Bytes one = repeated(once);
      all = all.then(one);
      if (run.bytes.then(one).most < no_bound) {
        run.add(text_.substr(start, at_ - start), one);
        continue;
      }
      // Of what is there at least once, the first copy ends a part, and the last begins the next.
      const bool there = once.least > 0 && one.least >= once.least;
      if (there && run.bytes.then(once).most < no_bound) run.add(unit, once);
      end(run, nesting);
      run = {flags, {}};
      if (there && once.most < no_bound && !unit.starts_with("\\Q")) run.add(unit, once);
    }
    end(run, nesting);
    return all;
  }

  /// What stands side by side with a bound, and the flags that hold there.
  struct Run {
    std::string text;
    Bytes bytes;
    void add(std::string_view more, Bytes with) {
      text += more;
      bytes = bytes.then(with);
    }
  };
  void end(const Run& run, int nesting) {
    if (nesting > 0 || run.bytes.least < fewest_bytes || run.bytes.least <= best_least_) return;
    best_least_ = run.bytes.least;
    best_ = {run.text, static_cast<std::size_t>(run.bytes.most)};
  }

  Bytes atom(int nesting) {
    switch (text_[at_]) {
      case '(':
        return group(nesting);
      case '[':
        character_class();
        return {1, 1};
      case '\\':
        return escape();
      case '^':
      case '$':
        ++at_;
        return {0, 0};
      default:
        ++at_;
        return {1, 1};
    }
  }

  Bytes group(int nesting) {
    ++at_;
    if (ahead("?")) {
      const std::size_t end = text_.find_first_of(":)>", at_);
      if (end == std::string_view::npos) {
        unclear_ = true;
        at_ = text_.size();
        return {0, no_bound};
      }
      at_ = end + 1;
      if (text_[end] == ')') {  // "(?i)": for what follows
        only_flags_ = true;
        return {0, 0};
      }
    }
    const Bytes inside = alternatives(nesting + 1);
    if (at_ < text_.size()) ++at_;  // the ')'
    return inside;
  }

  void character_class() {
    ++at_;
    if (ahead("^")) ++at_;
    for (bool first = true; at_ < text_.size() && (text_[at_] != ']' || first); first = false) {
      const std::size_t end = ahead("[:") ? text_.find(":]", at_ + 2) : std::string_view::npos;
      at_ = end == std::string_view::npos ? at_ + (text_[at_] == '\\' ? 2 : 1) : end + 2;
    }
    at_ = std::min(at_ + 1, text_.size());
  }

  Bytes escape() {
    const char c = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
    at_ = std::min(at_ + 2, text_.size());
    if (c == 'Q') {
      const std::size_t end = text_.find("\\E", at_);
      const std::size_t length = std::min(end, text_.size()) - at_;
      at_ = end == std::string_view::npos ? text_.size() : end + 2;
      unclear_ = unclear_ || ahead("{");                      // a count is of its last byte only
      return {length == 0 ? 0 : length - 1, capped(length)};  // what follows repeats the last one
    }
    if (c == 'A' || c == 'z' || c == 'b' || c == 'B') return {0, 0};
    const bool braced = (c == 'x' || c == 'p' || c == 'P') && ahead("{");
    if (braced) {
      at_ = std::min(text_.find('}', at_), text_.size() - 1) + 1;
    } else if (c == 'x') {
      at_ = std::min(at_ + 2, text_.size());
    } else if (c == 'p' || c == 'P') {
      at_ = std::min(at_ + 1, text_.size());
    } else if (c >= '0' && c <= '7') {
      for (int more = 0; more < 2 && at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '7';
           ++more)
        ++at_;
    }
    return {1, 1};
  }

  Bytes repeated(Bytes one) {
    for (bool more = true; more;) {
      more = at_ < text_.size();
      const char c = more ? text_[at_] : '\0';
      if (c == '*' || c == '+') {
        one = {c == '*' ? 0 : one.least, one.most == 0 ? 0 : no_bound};
      } else if (c == '?') {  // or "the fewest" after another one
        one.least = 0;
      } else {
        more = more && c == '{' && counted(one);
        continue;
      }
      ++at_;
    }
    return one;
  }

  /// False for a brace that stands for itself.
  bool counted(Bytes& one) {
    std::size_t at = at_ + 1;
    const auto number = [&]() -> std::optional<std::uint64_t> {
      if (at >= text_.size() || !is_digit(text_[at])) return std::nullopt;
      std::uint64_t value = 0;
      for (; at < text_.size() && is_digit(text_[at]); ++at)
        value = capped(value * 10 + static_cast<std::uint64_t>(text_[at] - '0'));
      return value;
    };
    const auto least = number();
    if (!least) return false;
    auto most = least;
    bool open = false;
    if (at < text_.size() && text_[at] == ',') {
      ++at;
      most = number();
      open = !most;
    }
    if (at >= text_.size() || text_[at] != '}') return false;
    at_ = at + 1;
    one.least = capped(one.least * *least);
    one.most = open && one.most > 0 ? no_bound : capped(one.most * most.value_or(0));
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool only_flags_ = false;
  bool unclear_ = false;
  bool several_ = false;  // alternatives at the top level
  std::optional<BoundedPart> best_;
  std::uint64_t best_least_ = 0;
};

}  // namespace

std::optional<std::size_t> longest_match(std::string_view pattern) {
  const Bytes all = Reader(pattern).read();
  if (all.most >= no_bound) return std::nullopt;
  return static_cast<std::size_t>(all.most);
}

std::optional<BoundedPart> bounded_part(std::string_view pattern) {
  Reader reader(pattern);
  const Bytes all = reader.read();
  if (all.most < no_bound)
    return BoundedPart{std::string(pattern), static_cast<std::size_t>(all.most)};
  return reader.part();
}

}  // namespace remediate::match
