#include "remediate/setting/needed.h"

#include <algorithm>

#include "remediate/base/encoding.h"
#include "remediate/setting/directives.h"

namespace remediate::setting {
namespace {

bool runs_with_every_page(std::string_view name) {
  return ascii_iequals(name, "auto_prepend_file") || ascii_iequals(name, "auto_append_file");
}

/// The file that a directive names; empty for other directives and for "none".
std::string named_by(const Grammar& grammar, const Directive& directive) {
  const std::vector<std::string>& arguments = directive.arguments;
  std::string name;
  if (!grammar.sections && runs_with_every_page(directive.name)) {
    name = joined(arguments, " ");
  } else if (grammar.sections && arguments.size() > 1 &&
             (ascii_iequals(directive.name, "php_value") ||
              ascii_iequals(directive.name, "php_admin_value")) &&
             runs_with_every_page(arguments.front())) {
    name = arguments[1];
  }
  return ascii_iequals(name, "none") ? "" : name;
}

/// Whether the server puts the name together, or reads it through a wrapper: quotes in the middle,
/// variables, constants and operators of PHP, "php://filter".
bool is_computed(std::string_view name) {
  return name.find_first_of("\"'\\$|&~^!(") != std::string_view::npos ||
         name.find("://") != std::string_view::npos;
}

bool speaks_of_it(std::string_view bytes) {
  const std::string bare = ascii_lower(unquoted(bytes));
  return bare.find("auto_prepend_file") != std::string::npos ||
         bare.find("auto_append_file") != std::string::npos;
}

/// Components without "." and without what ".." takes back; a relative name may begin above.
std::vector<std::string_view> components(std::string_view name) {
  std::vector<std::string_view> parts;
  while (!name.empty()) {
    const std::string_view part = name.substr(0, name.find('/'));
    name.remove_prefix(std::min(name.size(), part.size() + 1));
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.push_back(part);
    }
  }
  return parts;
}

}  // namespace

bool may_need_files(std::string_view file_name) {
  return ascii_iequals(htaccess_grammar().file_name, file_name) ||
         ascii_iequals(user_ini_grammar().file_name, file_name);
}

std::string unquoted(std::string_view bytes) {
  std::string bare;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    const char c = bytes[at];
    if (c == '\\') {
      if (bytes.substr(at + 1).starts_with("\r\n"))
        at += 2;
      else if (bytes.substr(at + 1).starts_with('\n'))
        ++at;
    } else if (c != '"' && c != '\'') {
      bare.push_back(c);
    }
  }
  return bare;
}

Result<std::vector<NeededFile>> needed_files(std::string_view file_name, std::string_view bytes) {
  std::vector<NeededFile> needed;
  for (const Grammar* grammar : {&htaccess_grammar(), &user_ini_grammar()}) {
    if (!ascii_iequals(grammar->file_name, file_name)) continue;
    auto parsed = grammar->parse(bytes);
    if (!parsed) {
      if (!speaks_of_it(bytes)) continue;
      return std::unexpected(std::move(parsed).error());
    }
    for (const Directive& directive : parsed->directives)
      if (std::string name = named_by(*grammar, directive); is_computed(name))
        return fail(Code::bad_input,
                    "line " + std::to_string(directive.line) + ": " + display(name, 200) +
                        " is computed by the server",
                    "write the plain path of the file");
      else if (!name.empty())
        needed.push_back({std::move(name), directive.address, directive.line});
  }
  return needed;
}

bool may_be(const NeededFile& needed, const RawPath& path) {
  const std::vector<std::string_view> wanted = components(needed.name);
  const std::vector<std::string_view> have = components(path.bytes());
  if (wanted.empty() || wanted.size() > have.size()) return false;
  if (needed.name.starts_with('/') && wanted.size() != have.size()) return false;
  return std::equal(wanted.rbegin(), wanted.rend(), have.rbegin());
}

}  // namespace remediate::setting
