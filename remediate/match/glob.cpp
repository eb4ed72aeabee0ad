#include <algorithm>
#include <bit>
#include <bitset>
#include <memory>
#include <optional>
#include <utility>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/match/engine.h"

namespace remediate::match {
namespace {

constexpr std::size_t max_positions = 1024;
constexpr std::size_t max_nesting = 16;

using Bytes = std::bitset<256>;

std::size_t index_of(char c) { return static_cast<unsigned char>(c); }

/// A growing set of positions.
class Positions {
 public:
  void add(std::size_t position) {
    if (position / 64 >= words_.size()) words_.resize(position / 64 + 1);
    words_[position / 64] |= std::uint64_t{1} << (position % 64);
  }
  void add(const Positions& others) {
    if (others.words_.size() > words_.size()) words_.resize(others.words_.size());
    for (std::size_t i = 0; i < others.words_.size(); ++i) words_[i] |= others.words_[i];
  }
  [[nodiscard]] const std::vector<std::uint64_t>& words() const { return words_; }
  template <class Visit>
  void each(Visit visit) const {
    for (std::size_t i = 0; i < words_.size(); ++i) {
      for (std::uint64_t left = words_[i]; left != 0; left &= left - 1) {
        visit(i * 64 + static_cast<std::size_t>(std::countr_zero(left)));
      }
    }
  }

 private:
  std::vector<std::uint64_t> words_;
};

/// A part of the pattern as Glushkov's construction sees it.
struct Part {
  bool nullable = true;
  Positions first;
  Positions last;
};

/// Reads a pattern and collects its positions (each takes one byte) and which may follow which.
class Parser {
 public:
  Parser(std::string_view pattern, bool ignore_case) : text_(pattern), ignore_case_(ignore_case) {}

  Result<Part> parse() {
    if (text_.empty()) return bad("is empty");
    if (text_.size() > max_positions) return bad("has more than 1024 characters");
    if (text_.front() == '/') return bad("starts with a separator");
    if (text_.back() == '/') return bad("ends with a separator");
    if (text_.find('\0') != std::string_view::npos) return bad("holds a NUL byte");
    return sequence(0);
  }

  std::vector<Bytes> accepts;     // by position
  std::vector<Positions> follow;  // by position
  bool open_end = false;          // ends with '*' or '**'

 private:
  [[nodiscard]] std::unexpected<Error> bad(std::string_view why) const {
    return fail(Code::bad_input, "the glob \"" + display(text_, 200) + "\" " + std::string(why),
                "write names below the folder with *, ?, **, {a,b} or [a-z], such as "
                "**/*.{aspx,ashx}");
  }

  [[nodiscard]] bool at(char c) const { return next_ < text_.size() && text_[next_] == c; }

  Result<Part> sequence(std::size_t nesting) {
    Part whole;
    while (next_ < text_.size()) {
      if (nesting > 0 && (at(',') || at('}'))) break;
      TRY_LET(const Part part, element(nesting));
      append(whole, part);
    }
    return whole;
  }

  Result<Part> element(std::size_t nesting) {
    const char c = text_[next_++];
    open_end = c == '*';
    switch (c) {
      case '*':
        return at('*') ? spanning(nesting) : repeat(any_but_separator(), true);
      case '?':
        return single(any_but_separator());
      case '[':
        return byte_class();
      case '{':
        return alternatives(nesting + 1);
      case ']':
        return bad("has a ']' without '['");
      case '}':
        return bad("has a '}' without '{'");
      case '\\':
        if (next_ == text_.size()) return bad("ends with '\\'");
        return literal(text_[next_++]);
      case '/':
        if (at('/')) return bad("has an empty component");
        [[fallthrough]];
      default:
        return literal(c);
    }
  }

  /// '**' as a whole component: any number of components, or at the end anything.
  Result<Part> spanning(std::size_t nesting) {
    const bool starts = next_ == 1 || text_[next_ - 2] == '/';
    ++next_;
    const bool ends = next_ == text_.size() || text_[next_] == '/';
    if (nesting > 0 || !starts || !ends) return bad("has '**' beside other characters");
    if (next_ == text_.size()) return repeat(Bytes().set(), false);
    ++next_;
    open_end = false;
    Part components = repeat(Bytes().set(), true);
    append(components, single(Bytes().set(index_of('/'))));
    components.nullable = true;
    return components;
  }

  Result<Part> alternatives(std::size_t nesting) {
    if (nesting > max_nesting) return bad("nests braces too deep");
    Part either;
    either.nullable = false;
    do {
      TRY_LET(const Part branch, sequence(nesting));
      either.nullable = either.nullable || branch.nullable;
      either.first.add(branch.first);
      either.last.add(branch.last);
      if (next_ == text_.size()) return bad("has a '{' without '}'");
    } while (text_[next_++] == ',');
    open_end = false;
    return either;
  }

  Result<Part> byte_class() {
    const bool negated = at('!') || at('^');
    if (negated) ++next_;
    Bytes bytes;
    for (bool first = true; !at(']') || first; first = false) {
      TRY_LET(const char low, class_character());
      char high = low;
      if (at('-') && next_ + 1 < text_.size() && text_[next_ + 1] != ']') {
        ++next_;
        TRY_LET(high, class_character());
        if (index_of(high) < index_of(low)) return bad("has a range that runs backwards");
      }
      for (std::size_t i = index_of(low); i <= index_of(high); ++i) bytes.set(i);
    }
    ++next_;
    bytes = folded(bytes);
    if (negated) bytes.flip();
    bytes.reset(index_of('/'));
    return single(bytes);
  }

  Result<char> class_character() {
    if (at('\\')) ++next_;
    if (next_ >= text_.size()) return bad("has a '[' without ']'");
    if (text_[next_] == '/') return bad("has a separator within [...]");
    return text_[next_++];
  }

  Part literal(char c) { return single(folded(Bytes().set(index_of(c)))); }

  [[nodiscard]] Bytes folded(const Bytes& bytes) const {
    if (!ignore_case_) return bytes;
    Bytes all = bytes;
    for (std::size_t upper = 'A', lower = 'a'; upper <= 'Z'; ++upper, ++lower) {
      if (bytes[upper] || bytes[lower]) all.set(upper).set(lower);
    }
    return all;
  }

  static Bytes any_but_separator() { return Bytes().set().reset(index_of('/')); }

  Part single(const Bytes& bytes) {
    const std::size_t position = accepts.size();
    accepts.push_back(bytes);
    follow.emplace_back();
    Part part;
    part.nullable = false;
    part.first.add(position);
    part.last.add(position);
    return part;
  }

  Part repeat(const Bytes& bytes, bool nullable) {
    Part part = single(bytes);
    follow.back().add(accepts.size() - 1);
    part.nullable = nullable;
    return part;
  }

  void append(Part& whole, const Part& part) {
    whole.last.each([&](std::size_t position) { follow[position].add(part.first); });
    if (whole.nullable) whole.first.add(part.first);
    if (!part.nullable) whole.last = {};
    whole.last.add(part.last);
    whole.nullable = whole.nullable && part.nullable;
  }

  std::string_view text_;
  bool ignore_case_;
  std::size_t next_ = 0;
};

}  // namespace

/// A position automaton, run from the end of a path where the pattern's end is the more telling
/// one: most paths are then refused at their last bytes.
struct Glob::Node {
  std::size_t words = 0;
  bool backwards = false;
  bool nullable = false;
  std::vector<std::uint64_t> first;
  std::vector<std::uint64_t> last;
  std::vector<std::uint64_t> follow;  // words for each position
  std::vector<std::uint64_t> takes;   // words for each byte

  [[nodiscard]] bool small(std::string_view path) const {
    std::uint64_t next = first[0];
    std::uint64_t now = 0;
    for (std::size_t i = 0; i < path.size(); ++i) {
      now = next & takes[index_of(backwards ? path[path.size() - 1 - i] : path[i])];
      if (now == 0) return false;
      next = 0;
      for (std::uint64_t left = now; left != 0; left &= left - 1) {
        next |= follow[static_cast<std::size_t>(std::countr_zero(left))];
      }
    }
    return (now & last[0]) != 0;
  }

  [[nodiscard]] bool large(std::string_view path) const {
    std::vector<std::uint64_t> next = first;
    std::vector<std::uint64_t> now(words);
    for (std::size_t i = 0; i < path.size(); ++i) {
      const std::size_t byte = index_of(backwards ? path[path.size() - 1 - i] : path[i]);
      for (std::size_t w = 0; w < words; ++w) now[w] = next[w] & takes[byte * words + w];
      std::ranges::fill(next, 0);
      bool alive = false;
      for (std::size_t w = 0; w < words; ++w) {
        for (std::uint64_t left = now[w]; left != 0; left &= left - 1) {
          alive = true;
          const auto position = w * 64 + static_cast<std::size_t>(std::countr_zero(left));
          for (std::size_t v = 0; v < words; ++v) next[v] |= follow[position * words + v];
        }
      }
      if (!alive) return false;
    }
    for (std::size_t w = 0; w < words; ++w) {
      if ((now[w] & last[w]) != 0) return true;
    }
    return false;
  }
};

Result<Glob> Glob::parse(std::string_view pattern, bool ignore_case) {
  Parser parser(pattern, ignore_case);
  TRY_LET(const Part whole, parser.parse());
  auto node = std::make_shared<Node>();
  const std::size_t count = parser.accepts.size();
  node->words = std::max<std::size_t>(1, (count + 63) / 64);
  node->backwards = !parser.open_end;
  node->nullable = whole.nullable;
  node->first.resize(node->words);
  node->last.resize(node->words);
  node->follow.resize(node->words * std::max<std::size_t>(1, count));
  node->takes.resize(node->words * 256);
  std::ranges::copy(whole.first.words(), node->first.begin());
  std::ranges::copy(whole.last.words(), node->last.begin());
  if (node->backwards) std::swap(node->first, node->last);
  const auto bit = [](std::size_t position) { return std::uint64_t{1} << (position % 64); };
  for (std::size_t from = 0; from < count; ++from) {
    parser.follow[from].each([&](std::size_t to) {
      const std::size_t source = node->backwards ? to : from;
      const std::size_t target = node->backwards ? from : to;
      node->follow[source * node->words + target / 64] |= bit(target);
    });
    for (std::size_t byte = 0; byte < 256; ++byte) {
      if (parser.accepts[from][byte]) {
        node->takes[byte * node->words + from / 64] |= bit(from);
      }
    }
  }
  Glob glob;
  glob.node_ = std::move(node);
  return glob;
}

bool Glob::matches(std::string_view path) const {
  if (!node_) return false;
  if (path.empty()) return node_->nullable;
  return node_->words == 1 ? node_->small(path) : node_->large(path);
}

Result<std::vector<Glob>> Glob::parse_all(const std::vector<std::string>& patterns,
                                          bool ignore_case) {
  std::vector<Glob> globs;
  for (const std::string& pattern : patterns) {
    TRY_LET(Glob glob, parse(pattern, ignore_case));
    globs.push_back(std::move(glob));
  }
  return globs;
}

}  // namespace remediate::match
