#include <algorithm>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/setting/directives.h"

// PHP, Zend/zend_ini_scanner.l: a line ends with LF, CR LF or a lone CR; ';' starts a comment
// outside quotes; names differ by case; a value in quotes may go on over several lines.

namespace remediate::setting {
namespace {

constexpr std::size_t max_bytes = 4u << 20;

bool is_space(char c) { return c == ' ' || c == '\t'; }
bool ends_line(char c) { return c == '\n' || c == '\r'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::unexpected<Error> bad_line(std::size_t line, const std::string& what) {
  return fail(Code::bad_input, "line " + std::to_string(line) + ": " + what,
              "PHP refuses such a file: correct it by hand");
}

class Parser {
 public:
  explicit Parser(std::string_view bytes) { file_.bytes = bytes; }

  Result<DirectiveFile> run() {
    const std::string& bytes = file_.bytes;
    if (bytes.size() > max_bytes)
      return fail(Code::limit, "the file has more than 4 MiB", "look at it by hand");
    if (bytes.find('\0') != std::string::npos)
      return fail(Code::bad_input, "the file holds a NUL byte", "look at it by hand");
    while (at_ < bytes.size()) TRY(statement());
    name_directives(file_, user_ini_grammar());
    return std::move(file_);
  }

 private:
  /// To the end of the line, with its line end.
  void end_line() {
    const std::string& bytes = file_.bytes;
    while (at_ < bytes.size() && !ends_line(bytes[at_])) ++at_;
    if (at_ == bytes.size()) return;
    at_ += bytes[at_] == '\r' && at_ + 1 < bytes.size() && bytes[at_ + 1] == '\n' ? 2 : 1;
  }

  Result<void> statement() {
    const std::string& bytes = file_.bytes;
    const std::size_t begin = at_;
    file_.lines.push_back(begin);
    const std::size_t number = file_.lines.size();
    while (at_ < bytes.size() && is_space(bytes[at_])) ++at_;
    if (at_ == bytes.size() || ends_line(bytes[at_]) || bytes[at_] == ';') {
      end_line();
      return {};
    }
    if (bytes[at_] == '[') {
      const std::size_t stop = bytes.find_first_of("]\r\n", at_);
      if (stop == std::string::npos || bytes[stop] != ']')
        return bad_line(number, "a section's heading does not end with ']'");
      section_ = bytes.substr(at_ + 1, stop - at_ - 1);
      end_line();
      return {};
    }
    Directive made;
    made.line = number;
    made.begin = begin;
    const std::size_t name_begin = at_;
    while (at_ < bytes.size() && bytes[at_] != '=' && bytes[at_] != ';' && !ends_line(bytes[at_]))
      ++at_;
    made.name = trimmed(std::string_view(bytes).substr(name_begin, at_ - name_begin));
    if (made.name.empty()) return bad_line(number, "a value without a name");
    made.values_begin = made.values_end = at_;
    if (at_ < bytes.size() && bytes[at_] == '=') {
      ++at_;
      TRY(value(made, number));
    }
    end_line();
    made.end = at_;
    if (!section_.empty()) made.inside.push_back(section_);
    file_.directives.push_back(std::move(made));
    return {};
  }

  /// Up to the comment or the end of the line; quotes may span lines.
  Result<void> value(Directive& made, std::size_t number) {
    const std::string& bytes = file_.bytes;
    while (at_ < bytes.size() && is_space(bytes[at_])) ++at_;
    made.values_begin = at_;
    std::string quoted;
    std::size_t parts = 0;
    bool only_quotes = true;
    while (at_ < bytes.size() && !ends_line(bytes[at_]) && bytes[at_] != ';') {
      const char quote = bytes[at_];
      if (quote != '"' && quote != '\'') {
        only_quotes = only_quotes && is_space(quote);
        ++at_;
        continue;
      }
      ++parts;
      for (++at_; at_ < bytes.size() && bytes[at_] != quote; ++at_) {
        if (quote == '"' && bytes[at_] == '\\' && at_ + 1 < bytes.size() &&
            (bytes[at_ + 1] == '"' || bytes[at_ + 1] == '\\'))
          ++at_;
        else if (ends_line(bytes[at_]))
          line_inside(at_);
        quoted.push_back(bytes[at_]);
      }
      if (at_ == bytes.size()) return bad_line(number, "a quoted value does not end");
      ++at_;
    }
    made.values_end = at_;
    while (made.values_end > made.values_begin && is_space(bytes[made.values_end - 1]))
      --made.values_end;
    if (parts == 1 && only_quotes)
      made.arguments.push_back(std::move(quoted));
    else if (made.values_end > made.values_begin)
      made.arguments.push_back(
          bytes.substr(made.values_begin, made.values_end - made.values_begin));
    return {};
  }

  void line_inside(std::size_t at) {
    const std::string& bytes = file_.bytes;
    if (bytes[at] == '\r' && at + 1 < bytes.size() && bytes[at + 1] == '\n') return;
    if (at + 1 < bytes.size()) file_.lines.push_back(at + 1);
  }

  DirectiveFile file_;
  std::size_t at_ = 0;
  std::string section_;
};

Result<DirectiveFile> parse(std::string_view bytes) { return Parser(bytes).run(); }

Result<std::string> write_argument(std::string_view value) {
  if (std::ranges::any_of(value, [](char c) { return static_cast<unsigned char>(c) < 0x20; }))
    return fail(Code::bad_input, "the new value holds a control character", "leave it out");
  if (value.find('$') != std::string_view::npos || value.find('"') != std::string_view::npos ||
      value.ends_with('\\'))
    return fail(Code::bad_input, "the new value holds '$' or '\"', or ends with a backslash",
                "PHP would read it as something else: use another value");
  return "\"" + std::string(value) + "\"";
}

}  // namespace

const Grammar& user_ini_grammar() {
  static constexpr Grammar grammar{"php-user-ini", ".user.ini", false,         false,
                                   false,          parse,       write_argument};
  return grammar;
}

}  // namespace remediate::setting
