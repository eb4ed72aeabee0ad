#include "remediate/interchange/stix_pattern.h"

#include <algorithm>
#include <charconv>

#include "remediate/base/encoding.h"
#include "remediate/interchange/path_pattern.h"

namespace remediate::interchange {

namespace {

constexpr std::size_t max_pattern = 65'536;
constexpr int max_nesting = 16;
constexpr std::size_t max_ways = 1000;

struct Token {
  enum class Kind : std::uint8_t { word, text, number, symbol, end, bad };
  Kind kind = Kind::end;
  std::string value;
  std::size_t at = 0;
};
using Kind = Token::Kind;

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Token next() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != text_.npos) ++at_;
    const std::size_t start = at_;
    if (at_ == text_.size()) return {Kind::end, "", start};
    const char c = text_[at_];
    if (c == '\'') return quoted(start);
    for (const std::string_view symbol :
         {"!=", "<>", "<=", ">=", "==", "=", "<", ">", "[", "]", "(", ")", ","})
      if (text_.substr(at_).starts_with(symbol)) {
        at_ += symbol.size();
        return {Kind::symbol, std::string(symbol), start};
      }
    const bool digit = c == '-' || (c >= '0' && c <= '9');
    if (!digit && !is_word(c)) return {Kind::bad, "", start};
    // A path may hold keys in quotes: file:hashes.'SHA-256'
    std::string value;
    while (at_ < text_.size() && (is_word(text_[at_]) || (text_[at_] == '\'' && follows_dot()))) {
      if (text_[at_] != '\'') {
        value += text_[at_++];
        continue;
      }
      const std::size_t close = text_.find('\'', at_ + 1);
      if (close == std::string_view::npos) return {Kind::bad, "", at_};
      value += text_.substr(at_ + 1, close - at_ - 1);
      at_ = close + 1;
    }
    return {digit ? Kind::number : Kind::word, std::move(value), start};
  }

 private:
  static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_-.:*").find(c) != std::string_view::npos;
  }
  [[nodiscard]] bool follows_dot() const { return at_ > 0 && text_[at_ - 1] == '.'; }

  Token quoted(std::size_t start) {
    std::string value;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\'') {
        ++at_;
        return {Kind::text, std::move(value), start};
      }
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      value += text_[at_];
    }
    return {Kind::bad, "", start};
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

/// What a part of the pattern comes to: no ways means that none of it can be said.
struct Part {
  std::vector<Way> ways;
  std::vector<std::string> missing;
};

/// Sets `mine` to what both ask for; false when no file can have both.
bool join(std::string& mine, const std::string& other) {
  if (mine.empty()) mine = other;
  return other.empty() || mine == other;
}

bool join(Way& way, const Way& other) {
  if (!way.globs.empty() && !other.globs.empty() && way.globs != other.globs) return false;
  if (way.globs.empty()) way.globs = other.globs;
  if (other.min_size) way.min_size = std::max(way.min_size.value_or(0), *other.min_size);
  if (other.max_size) way.max_size = std::min(way.max_size.value_or(UINT64_MAX), *other.max_size);
  if (way.min_size && way.max_size && *way.min_size > *way.max_size) return false;
  return join(way.sha256, other.sha256) && join(way.sha1, other.sha1) && join(way.md5, other.md5) &&
         join(way.folder, other.folder);
}

class Parser {
 public:
  explicit Parser(std::string_view text) : lexer_(text), token_(lexer_.next()) {}

  StixPattern read() {
    StixPattern pattern;
    if (!symbol("[")) {
      pattern.fault = token_.value == "(" ? "it joins several observations"
                                          : "its pattern does not begin with '['";
      return pattern;
    }
    Part part = alternatives(0);
    if (fault_.empty() && !symbol("]")) expected("]");
    if (fault_.empty() && token_.kind != Kind::end) {
      const bool joined = token_.kind == Kind::word;
      fault_ = joined ? "it joins several observations or qualifies one" : "";
      if (!joined) expected("the end");
    }
    pattern.fault = fault_;
    if (!fault_.empty()) return pattern;
    for (std::string& missing : part.missing) {
      if (part.ways.empty())
        pattern.fault = pattern.fault.empty() ? std::move(missing) : pattern.fault;
      else
        pattern.notes.push_back("in part only: " + missing);
    }
    // A size alone would be true of half the files of a server.
    const auto says_little = [](const Way& way) {
      return way.sha256.empty() && way.sha1.empty() && way.md5.empty() && way.globs.empty() &&
             way.folder.empty();
    };
    if (std::erase_if(part.ways, says_little) > 0) {
      if (part.ways.empty())
        pattern.fault = "a size alone says nothing about a file";
      else
        pattern.notes.emplace_back("in part only: a size alone says nothing about a file");
    }
    pattern.ways = std::move(part.ways);
    return pattern;
  }

 private:
  void advance() { token_ = lexer_.next(); }
  bool symbol(std::string_view text) {
    if (token_.kind != Kind::symbol || token_.value != text) return false;
    advance();
    return true;
  }
  bool word(std::string_view text) {
    if (token_.kind != Kind::word || token_.value != text) return false;
    advance();
    return true;
  }
  void expected(std::string_view what) {
    if (fault_.empty())
      fault_ = "its pattern is malformed at byte " + std::to_string(token_.at) + ": " +
               std::string(what) + " should stand there";
  }

  Part alternatives(int depth) {
    Part all = conjunction(depth);
    while (fault_.empty() && word("OR")) {
      Part next = conjunction(depth);
      all.ways.insert(all.ways.end(), next.ways.begin(), next.ways.end());
      all.missing.insert(all.missing.end(), next.missing.begin(), next.missing.end());
      bound(all);
    }
    return all;
  }

  Part conjunction(int depth) {
    Part all = term(depth);
    while (fault_.empty() && word("AND")) {
      const Part next = term(depth);
      if (all.ways.size() * next.ways.size() > max_ways) {
        fault_ = "its pattern has more than 1000 alternatives";
        return {};
      }
      Part joined;
      for (const Way& one : all.ways)
        for (const Way& other : next.ways) {
          Way both = one;
          if (join(both, other))
            joined.ways.push_back(std::move(both));
          else
            joined.missing.emplace_back("two of its conditions exclude each other");
        }
      joined.missing.insert(joined.missing.end(), all.missing.begin(), all.missing.end());
      joined.missing.insert(joined.missing.end(), next.missing.begin(), next.missing.end());
      bound(joined);
      all = std::move(joined);
    }
    return all;
  }

  void bound(const Part& part) {
    if (part.ways.size() > max_ways || part.missing.size() > max_ways)
      fault_ = "its pattern has more than 1000 alternatives";
  }

  Part term(int depth) {
    if (depth > max_nesting) {
      fault_ = "its pattern is nested too deeply";
      return {};
    }
    if (symbol("(")) {
      Part inside = alternatives(depth + 1);
      if (fault_.empty() && !symbol(")")) expected("')'");
      return inside;
    }
    return comparison();
  }

  static Part missing(std::string why) { return {{}, {std::move(why)}}; }

  Part comparison() {
    if (word("EXISTS")) {
      if (token_.kind != Kind::word) expected("a path");
      advance();
      return missing("it asks whether a property exists");
    }
    if (token_.kind != Kind::word || token_.value.find(':') == std::string::npos) {
      expected("a path such as file:name");
      return {};
    }
    const std::string path = token_.value;
    advance();
    const bool negated = word("NOT");
    if (token_.kind != Kind::symbol && token_.kind != Kind::word) {
      expected("an operator");
      return {};
    }
    const std::string comparison = token_.value;
    advance();
    const std::vector<Token> values = operands(comparison == "IN");
    if (!fault_.empty()) return {};
    if (negated || comparison == "!=" || comparison == "<>")
      return missing("it asks what a file is not");
    return judge(path, comparison, values);
  }

  std::vector<Token> operands(bool set) {
    std::vector<Token> values;
    const auto one = [&] {
      const bool constant =
          token_.kind == Kind::text || token_.kind == Kind::number || token_.kind == Kind::word;
      if (!constant) return expected("a value");
      const bool typed = token_.kind == Kind::word && token_.value.size() == 1;
      values.push_back(token_);
      advance();
      if (typed && token_.kind == Kind::text) advance();  // b'..', h'..', t'..'
    };
    if (!set) {
      one();
      return values;
    }
    if (!symbol("(")) {
      expected("'('");
      return values;
    }
    do one();
    while (fault_.empty() && values.size() <= max_ways && symbol(","));
    if (fault_.empty() && !symbol(")")) expected("')'");
    return values;
  }

  Part judge(const std::string& path, const std::string& comparison,
             const std::vector<Token>& values) const {
    if (!path.starts_with("file:")) return missing("it asks for something else than a file");
    const std::string property = path.substr(5);
    if (property == "size") return size(comparison, values);
    if (comparison != "=" && comparison != "==" && comparison != "IN")
      return missing("it compares with " + display(comparison, 20));
    Part all;
    for (const Token& token : values) {
      Part one = token.kind == Kind::text ? equal(property, token.value)
                                          : missing("it compares a text with something else");
      all.ways.insert(all.ways.end(), one.ways.begin(), one.ways.end());
      all.missing.insert(all.missing.end(), one.missing.begin(), one.missing.end());
    }
    return all;
  }

  static Part equal(const std::string& property, const std::string& value) {
    Way way;
    if (property == "name") {
      const std::string glob = name_glob(value);
      if (glob.empty()) return missing("it has a name that a glob cannot say");
      way.globs = {glob};
      return {{std::move(way)}, {}};
    }
    if (property == "parent_directory_ref.path") {
      if (value.empty() || value.find_first_of("*?[]{}") != std::string::npos)
        return missing("it has a folder that a glob cannot say");
      way.folder = value;
      return {{std::move(way)}, {}};
    }
    if (!property.starts_with("hashes."))
      return missing(
          "it asks for a property of files other "
          "than digests, name, size and folder");
    std::string kind = ascii_lower(property.substr(7));
    std::erase(kind, '-');
    if (kind != "md5" && kind != "sha1" && kind != "sha256")
      return missing("no indicator has digests of this kind: SHA-256, SHA-1 and MD5");
    if (digest_kind(value) != kind) return missing("it has a digest of the wrong length");
    return {{digest_way(value)}, {}};
  }

  static Part size(const std::string& comparison, const std::vector<Token>& values) {
    if (values.size() != 1 || values.front().kind != Kind::number)
      return missing("it compares a size with something else");
    const std::string& text = values.front().value;
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number >= INT64_MAX)
      return missing("it has a size that is no whole number");
    Way way;
    if (comparison == "=" || comparison == "==" || comparison == ">=") way.min_size = number;
    if (comparison == "=" || comparison == "==" || comparison == "<=") way.max_size = number;
    if (comparison == ">") way.min_size = number + 1;
    if (comparison == "<" && number > 0) way.max_size = number - 1;
    if (!way.min_size && !way.max_size) return missing("it has a size that no file has");
    return {{std::move(way)}, {}};
  }

  Lexer lexer_;
  Token token_;
  std::string fault_;
};

}  // namespace

StixPattern read_stix_pattern(std::string_view pattern) {
  if (pattern.size() > max_pattern) return {{}, {}, "its pattern is longer than 64 KiB"};
  StixPattern read = Parser(pattern).read();
  if (!read.fault.empty()) read.ways.clear();
  std::ranges::sort(read.notes);
  const auto repeated = std::ranges::unique(read.notes);
  read.notes.erase(repeated.begin(), repeated.end());
  return read;
}

}  // namespace remediate::interchange
