#include "remediate/interchange/path_pattern.h"

#include <algorithm>
#include <bitset>
#include <cstdint>
#include <optional>
#include <utility>

#include "remediate/base/encoding.h"

namespace remediate::interchange {

namespace {

constexpr std::size_t max_alternatives = 32;
constexpr std::size_t max_tokens = 512;
constexpr std::size_t max_repeats = 64;
constexpr int max_groups = 16;
constexpr std::size_t max_glob = 1024;
constexpr std::size_t least_letters = 3;

struct Token {
  enum class Kind : std::uint8_t { literal, any, dot, set, star, separator, folders, deep, end };
  Kind kind = Kind::literal;
  std::string text{};  // literal: one byte; set: as a glob writes it
};
using Kind = Token::Kind;
using Sequence = std::vector<Token>;
using Options = std::vector<Sequence>;

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Options read() {
    if (text_.starts_with("(?i)")) {
      at_ = 4;
      narrower_ = true;  // below a folder where the case counts
    }
    Options options = alternatives(0);
    if (at_ < text_.size()) give_up("it has a ')' without '('");
    return options;
  }
  [[nodiscard]] const std::string& fault() const { return fault_; }
  [[nodiscard]] bool narrower() const { return narrower_; }

 private:
  void give_up(std::string_view why) {
    if (fault_.empty()) fault_ = why;
    at_ = text_.size();
  }
  [[nodiscard]] bool more() const { return at_ < text_.size(); }
  bool skip(std::string_view text) {
    if (!text_.substr(at_).starts_with(text)) return false;
    at_ += text.size();
    return true;
  }

  Options alternatives(int depth) {
    if (depth > max_groups) {
      give_up("its groups are nested too deeply");
      return {};
    }
    Options all = sequence(depth);
    while (more() && skip("|")) {
      for (Sequence& one : sequence(depth)) all.push_back(std::move(one));
      if (all.size() > max_alternatives) give_up("it has too many alternatives");
    }
    return all;
  }

  Options sequence(int depth) {
    Options all(1);
    while (more() && text_[at_] != '|' && text_[at_] != ')') {
      const Options next = quantified(atom(depth));
      Options joined;
      if (all.size() * next.size() > max_alternatives) {
        give_up("it has too many alternatives");
        return {};
      }
      for (const Sequence& start : all)
        for (const Sequence& end : next) {
          joined.push_back(start);
          joined.back().insert(joined.back().end(), end.begin(), end.end());
          if (joined.back().size() > max_tokens) {
            give_up("it is too long");
            return {};
          }
        }
      all = std::move(joined);
    }
    return all;
  }

  static Options one(Kind kind, std::string text = {}) { return {{Token{kind, std::move(text)}}}; }

  Options atom(int depth) {
    const char c = text_[at_++];
    switch (c) {
      case '(':
        return group(depth);
      case '[':
        return character_set();
      case '\\':
        return escape();
      case '/':
        return one(Kind::separator);
      case '.':
        narrower_ = true;
        return one(Kind::dot);
      case '$':
        return one(Kind::end);
      case '^':
        give_up("it is bound to the start of the path");
        return {};
      case '*':
      case '+':
      case '?':
      case '{':
      case '}':
      case ']':
        give_up("it has a stray " + std::string(1, c));
        return {};
      default:
        return literal(c);
    }
  }

  Options literal(char c) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) give_up("it holds a control character");
    if (c == ':') give_up("it names a drive");
    if (c == '%') give_up("it holds a variable of the environment");
    if (c == '[' || c == ']' || c == '{' || c == '}')
      give_up("it names a character that globs use: " + std::string(1, c));
    if (c == '*' || c == '?') return one(Kind::set, std::string("[") + c + "]");
    return one(Kind::literal, std::string(1, c));
  }

  Options group(int depth) {
    if (skip("?") && !skip(":")) {
      give_up("it has a group that looks around, is named or carries flags");
      return {};
    }
    Options inside = alternatives(depth + 1);
    if (!skip(")")) give_up("it has a '(' without ')'");
    return inside;
  }

  Options escape() {
    if (!more()) {
      give_up("it ends with a '\\'");
      return {};
    }
    const char c = text_[at_++];
    if (c == '\\' || c == '/') return one(Kind::separator);
    if (c == 'd') return one(Kind::set, "[0-9]");
    if (c == 'w') return one(Kind::set, "[0-9A-Z_a-z]");
    if (c == 'Z' || c == 'z') return one(Kind::end);
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      give_up("it uses \\" + std::string(1, c));
      return {};
    }
    return literal(c);
  }

  /// A byte of a set, or nothing with the class it stands for added.
  std::optional<unsigned char> member(std::bitset<256>& set) {
    char c = text_[at_++];
    if (c == '\\' && more()) {
      c = text_[at_++];
      if (c == 'd' || c == 'w') {
        for (int i = '0'; i <= '9'; ++i) set.set(static_cast<std::size_t>(i));
        if (c == 'd') return std::nullopt;
        for (int i = 'a'; i <= 'z'; ++i) set.set(static_cast<std::size_t>(i));
        for (int i = 'A'; i <= 'Z'; ++i) set.set(static_cast<std::size_t>(i));
        set.set('_');
        return std::nullopt;
      }
      if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        give_up("a set of it uses \\" + std::string(1, c));
    }
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f) give_up("a set of it holds a character that is not ASCII");
    return byte;
  }

  Options character_set() {
    std::bitset<256> set;
    const bool negated = skip("^");
    for (bool first = true; more() && (first || text_[at_] != ']'); first = false) {
      const std::optional<unsigned char> low = member(set);
      if (!low) continue;
      std::optional<unsigned char> high = low;
      if (at_ + 1 < text_.size() && text_[at_] == '-' && text_[at_ + 1] != ']') {
        ++at_;
        high = member(set);
        if (!high || *high < *low) {
          give_up("it has a malformed range");
          return {};
        }
      }
      for (std::size_t i = *low; i <= *high; ++i) set.set(i);
    }
    if (!skip("]")) give_up("it has a '[' without ']'");
    if (!fault_.empty()) return {};
    return written(set, negated);
  }

  Options written(std::bitset<256> set, bool negated) {
    const bool separators = set.test('/') || set.test('\\');
    set.reset('/');
    set.reset('\\');
    if (negated && set.none()) return one(Kind::any);
    if (!negated && set.none()) return one(Kind::separator);
    if (negated != separators) narrower_ = true;
    for (const char c : {'[', ']', '{', '}', ':'})
      if (set.test(static_cast<unsigned char>(c))) {
        give_up("a set of it holds a character that globs use: " + std::string(1, c));
        return {};
      }
    if (!negated && set.count() == 1) {
      std::size_t only = 0;
      while (!set.test(only)) ++only;
      return literal(static_cast<char>(only));
    }
    std::string text;
    std::string last;  // what would mean something else at the start or between two others
    for (std::size_t i = 0x20; i < 0x7f; ++i) {
      if (!set.test(i)) continue;
      const char c = static_cast<char>(i);
      if (c == '!' || c == '^' || c == '-') {
        last += c;
        continue;
      }
      std::size_t end = i;
      while (end + 1 < 0x7f && set.test(end + 1) && end + 1 != '^') ++end;
      text += c;
      if (end > i + 1) text += '-';
      if (end > i) text += static_cast<char>(end);
      i = end;
    }
    // '-' has to be the last of all.
    std::ranges::sort(last, std::greater<>());
    if (const std::size_t dash = last.find('-'); dash != std::string::npos) {
      last.erase(dash, 1);
      last += '-';
    }
    if (text.empty() && !negated) {
      give_up("a set of it holds only characters that globs use");
      return {};
    }
    return one(Kind::set, std::string(negated ? "[!" : "[") + text + last + "]");
  }

  std::optional<std::size_t> number() {
    if (!more() || text_[at_] < '0' || text_[at_] > '9') return std::nullopt;
    std::size_t value = 0;
    while (more() && text_[at_] >= '0' && text_[at_] <= '9' && value <= max_repeats)
      value = value * 10 + static_cast<std::size_t>(text_[at_++] - '0');
    return value;
  }

  Options quantified(Options atom) {
    if (!more()) return atom;
    std::size_t least = 1;
    std::optional<std::size_t> most = 1;
    if (skip("*")) {
      least = 0;
      most.reset();
    } else if (skip("+")) {
      most.reset();
    } else if (skip("?")) {
      least = 0;
    } else if (skip("{")) {
      const auto low = number();
      if (!low) {
        give_up("it has a malformed count");
        return {};
      }
      least = *low;
      most = least;
      if (skip(",")) most = number();
      if (!skip("}") || least > max_repeats || (most && (*most > max_repeats || *most < least))) {
        give_up("it has a malformed or a large count");
        return {};
      }
    } else {
      return atom;
    }
    skip("?");  // lazy: the same paths
    if (more() && (text_[at_] == '*' || text_[at_] == '+' || text_[at_] == '{')) {
      give_up("it repeats a repetition");
      return {};
    }
    return repeated(atom, least, most);
  }

  Options repeated(const Options& atom, std::size_t least, std::optional<std::size_t> most) {
    if (!fault_.empty() || atom.size() != 1) {
      if (least == 0 && most == 1U && fault_.empty()) {
        Options all = atom;
        all.emplace_back();
        return all;
      }
      give_up("it repeats a group with alternatives");
      return {};
    }
    Sequence start;
    const auto grow = [&] {
      start.insert(start.end(), atom.front().begin(), atom.front().end());
      if (start.size() > max_tokens) give_up("it is too long");
    };
    for (std::size_t i = 0; i < least && fault_.empty(); ++i) grow();
    if (!most) {
      const bool single = atom.front().size() == 1;
      if (single && atom.front().front().kind == Kind::dot) {
        start.push_back({Kind::deep});
      } else if (single && atom.front().front().kind == Kind::any) {
        start.push_back({Kind::star});
      } else {
        give_up("it repeats something without end");
        return {};
      }
      return {start};
    }
    Options all;
    for (std::size_t i = least; i <= *most && fault_.empty(); ++i) {
      all.push_back(start);
      if (all.size() > max_alternatives) give_up("it has too many alternatives");
      grow();
    }
    return all;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string fault_;
  bool narrower_ = false;
};

/// With the ends opened and runs of wildcards made one; nothing for an anchor in the middle.
std::optional<Sequence> completed(const Sequence& sequence) {
  Sequence whole = {{Kind::deep}};
  const bool anchored = !sequence.empty() && sequence.back().kind == Kind::end;
  for (std::size_t i = 0; i < sequence.size(); ++i) {
    const Token& token = sequence[i];
    if (token.kind == Kind::end) {
      if (i + 1 != sequence.size()) return std::nullopt;
      continue;
    }
    const bool wild = token.kind == Kind::deep || token.kind == Kind::star;
    if (wild && whole.back().kind == Kind::deep) continue;
    if (token.kind == Kind::star && whole.back().kind == Kind::star) continue;
    if (token.kind == Kind::deep && whole.back().kind == Kind::star) whole.pop_back();
    whole.push_back(token);
  }
  if (!anchored && whole.back().kind == Kind::star) whole.pop_back();
  if (!anchored && whole.back().kind != Kind::deep) whole.push_back({Kind::deep});
  return whole;
}

/// Without `deep`: each stands for some of the paths that it may be.
Options spread(const Sequence& whole) {
  Options all(1);
  const auto append = [&](std::initializer_list<Kind> kinds, Options& to) {
    for (Sequence& one : to)
      for (const Kind kind : kinds) one.push_back({kind});
  };
  for (std::size_t i = 0; i < whole.size(); ++i) {
    if (whole[i].kind != Kind::deep) {
      for (Sequence& one : all) one.push_back(whole[i]);
      continue;
    }
    const bool start = i == 0;
    const bool end = i + 1 == whole.size();
    const bool after = !start && whole[i - 1].kind == Kind::separator;
    const bool before = !end && whole[i + 1].kind == Kind::separator;
    if (start && before) {
      append({Kind::folders}, all);
    } else if (after && before) {
      append({Kind::star, Kind::separator, Kind::folders}, all);
    } else if (start || after) {
      append({Kind::folders, Kind::separator, Kind::star}, all);
    } else if (before) {
      append({Kind::star, Kind::separator, Kind::folders}, all);
    } else {
      Options further = all;
      append({Kind::star}, all);
      append({Kind::star, Kind::separator, Kind::folders, Kind::separator, Kind::star}, further);
      all.insert(all.end(), further.begin(), further.end());
      if (all.size() > max_alternatives) return {};
    }
  }
  return all;
}

/// Empty when it is no good glob or names too little.
std::string written(const Sequence& sequence) {
  std::string glob;
  std::size_t letters = 0;
  for (const Token& token : sequence) {
    switch (token.kind) {
      case Kind::literal:
        ++letters;
        glob += token.text;
        break;
      case Kind::set:
        glob += token.text;
        break;
      case Kind::any:
      case Kind::dot:
        glob += '?';
        break;
      case Kind::star:
        glob += '*';
        break;
      case Kind::separator:
        glob += '/';
        break;
      case Kind::folders:
        glob += "**";
        break;
      case Kind::deep:
      case Kind::end:
        return {};
    }
  }
  std::string_view rest = glob;
  while (true) {
    const std::size_t end = std::min(rest.find('/'), rest.size());
    const std::string_view part = rest.substr(0, end);
    if (part.empty() || part == "." || part == "..") return {};
    if (part != "**" && part.find("**") != std::string_view::npos) return {};
    if (end == rest.size()) break;
    rest.remove_prefix(end + 1);
  }
  return letters >= least_letters && glob.size() <= max_glob ? glob : std::string();
}

}  // namespace

PathPattern translate_path_regex(std::string_view regex) {
  PathPattern pattern;
  Reader reader(regex);
  const Options options = reader.read();
  pattern.fault = reader.fault();
  pattern.narrower = reader.narrower();
  if (pattern.fault.empty() && !is_utf8(regex)) pattern.fault = "it is not UTF-8";
  for (const Sequence& option : options) {
    if (!pattern.fault.empty()) break;
    const std::optional<Sequence> whole = completed(option);
    if (!whole) {
      pattern.fault = "it has an anchor in its middle";
      break;
    }
    const Options all = spread(*whole);
    if (all.empty()) pattern.fault = "it has too many alternatives";
    for (const Sequence& one : all) {
      std::string glob = written(one);
      if (glob.empty())
        pattern.fault = "it names less than three letters, or no path as a playbook has them";
      if (std::ranges::find(pattern.globs, glob) == pattern.globs.end())
        pattern.globs.push_back(std::move(glob));
    }
    if (pattern.globs.size() > max_alternatives) pattern.fault = "it has too many alternatives";
  }
  if (!pattern.fault.empty()) pattern.globs.clear();
  return pattern;
}

std::string name_glob(std::string_view name) {
  if (name.empty() || name == "." || name == ".." || name.size() > 255 || !is_utf8(name) ||
      name.find_first_of("/\\:[]{}") != std::string_view::npos)
    return {};
  std::string glob = "**/";
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return {};
    if (c == '*' || c == '?')
      glob += std::string("[") + c + "]";
    else
      glob += c;
  }
  return glob;
}

}  // namespace remediate::interchange
