#include <algorithm>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/setting/directives.h"

// Apache httpd, server/config.c and util.c: a line ends with LF or CR LF, a backslash right before
// that joins the next line, '#' starts a comment only as the first character of a line, names do
// not differ by case, arguments are words or are quoted with ' or ", where a backslash takes the
// quote or another backslash as it is. A byte order mark at the start of the file is skipped.

namespace remediate::setting {
namespace {

constexpr std::size_t max_bytes = 4u << 20;
constexpr std::size_t max_depth = 32;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f'; }

/// A line with what continues it: its text, and where each of its characters stands in the file.
struct Line {
  std::string text;
  std::vector<std::size_t> places;
  std::size_t begin = 0;
  std::size_t end = 0;
};

std::unexpected<Error> bad_line(std::size_t line, const std::string& what) {
  return fail(Code::bad_input, "line " + std::to_string(line) + ": " + what,
              "Apache refuses such a file: correct it by hand");
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
    at_ = bytes.starts_with(byte_order_mark) ? 3 : 0;
    while (at_ < bytes.size()) {
      const std::size_t number = file_.lines.size() + 1;
      const Line line = next();
      TRY(take(line, number));
    }
    if (!open_.empty()) {
      const Directive& section = file_.directives[open_.back()];
      return bad_line(section.line, "<" + display(section.name, 80) + "> is not closed");
    }
    name_directives(file_, htaccess_grammar());
    return std::move(file_);
  }

 private:
  Line next() {
    const std::string& bytes = file_.bytes;
    Line line;
    line.begin = at_;
    while (at_ < bytes.size()) {
      file_.lines.push_back(file_.lines.empty() ? 0 : at_);  // a byte order mark is of line 1
      const std::size_t feed = bytes.find('\n', at_);
      const bool ended = feed != std::string::npos;
      std::size_t stop = ended ? feed : bytes.size();
      const std::size_t following = ended ? feed + 1 : bytes.size();
      if (ended && stop > at_ && bytes[stop - 1] == '\r') --stop;
      const bool goes_on = ended && stop > at_ && bytes[stop - 1] == '\\';
      if (goes_on) --stop;
      for (; at_ < stop; ++at_) {
        line.text.push_back(bytes[at_]);
        line.places.push_back(at_);
      }
      at_ = following;
      if (!goes_on) break;
    }
    line.end = at_;
    return line;
  }

  Result<void> take(const Line& line, std::size_t number) {
    const std::string& text = line.text;
    std::size_t from = 0;
    while (from < text.size() && is_space(text[from])) ++from;
    std::size_t to = text.size();
    while (to > from && is_space(text[to - 1])) --to;
    if (from == to || text[from] == '#') return {};
    if (text[from] == '<' && from + 1 < to && text[from + 1] == '/')
      return close(text.substr(from + 2, to - from - 2), line, number);

    Directive made;
    made.line = number;
    made.begin = line.begin;
    made.end = line.end;
    if (text[from] == '<') {
      made.kind = Directive::Kind::section;
      ++from;
      if (text[to - 1] != '>') return bad_line(number, "a section's heading does not end with '>'");
      --to;
      while (to > from && is_space(text[to - 1])) --to;
    }
    std::size_t name_end = from;
    while (name_end < to && !is_space(text[name_end])) ++name_end;
    made.name = text.substr(from, name_end - from);
    if (made.name.empty()) return bad_line(number, "a section without a name");
    std::size_t values = name_end;
    while (values < to && is_space(text[values])) ++values;
    made.values_begin = place(line, values);
    made.values_end = to > values ? line.places[to - 1] + 1 : made.values_begin;
    made.arguments = words(std::string_view(text).substr(values, to - values));
    for (const std::size_t open : open_) made.inside.push_back(heading(file_.directives[open]));
    file_.directives.push_back(std::move(made));
    if (file_.directives.back().kind == Directive::Kind::section) {
      if (open_.size() == max_depth) return bad_line(number, "sections lie too deep");
      open_.push_back(file_.directives.size() - 1);
    }
    return {};
  }

  Result<void> close(std::string_view name, const Line& line, std::size_t number) {
    if (name.ends_with('>')) name.remove_suffix(1);
    while (!name.empty() && is_space(name.back())) name.remove_suffix(1);
    if (open_.empty()) return bad_line(number, "</" + display(name, 80) + "> closes nothing");
    Directive& section = file_.directives[open_.back()];
    if (!ascii_iequals(section.name, name))
      return bad_line(
          number, "</" + display(name, 80) + "> where </" + display(section.name, 80) + "> is due");
    section.end = line.end;
    open_.pop_back();
    return {};
  }

  [[nodiscard]] static std::size_t place(const Line& line, std::size_t index) {
    if (index < line.places.size()) return line.places[index];
    return line.places.empty() ? line.begin : line.places.back() + 1;
  }

  [[nodiscard]] static std::string heading(const Directive& section) {
    std::string text = ascii_lower(section.name);
    for (const std::string& argument : section.arguments) text += " " + argument;
    return text;
  }

  [[nodiscard]] static std::vector<std::string> words(std::string_view text) {
    std::vector<std::string> out;
    while (true) {
      while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
      if (text.empty()) return out;
      const char quote = text.front() == '"' || text.front() == '\'' ? text.front() : '\0';
      std::string word;
      std::size_t at = quote != '\0' ? 1 : 0;
      for (; at < text.size(); ++at) {
        if (quote != '\0' ? text[at] == quote : is_space(text[at])) break;
        if (quote != '\0' && text[at] == '\\' && at + 1 < text.size() &&
            (text[at + 1] == quote || text[at + 1] == '\\'))
          ++at;
        word.push_back(text[at]);
      }
      if (quote != '\0' && at < text.size()) ++at;
      out.push_back(std::move(word));
      text.remove_prefix(at);
    }
  }

  DirectiveFile file_;
  std::size_t at_ = 0;
  std::vector<std::size_t> open_;  // indices of the sections around the place
};

Result<DirectiveFile> parse(std::string_view bytes) { return Parser(bytes).run(); }

Result<std::string> write_argument(std::string_view value) {
  if (std::ranges::any_of(value, [](char c) { return static_cast<unsigned char>(c) < 0x20; }))
    return fail(Code::bad_input, "the new value holds a control character", "leave it out");
  const bool plain = !value.empty() && value.find_first_of(" \"'\\#<>") == std::string_view::npos;
  if (plain) return std::string(value);
  std::string out = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + "\"";
}

}  // namespace

const Grammar& htaccess_grammar() {
  static constexpr Grammar grammar{"apache-htaccess", ".htaccess", true, true, true, parse,
                                   write_argument};
  return grammar;
}

}  // namespace remediate::setting
