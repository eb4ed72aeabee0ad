#include "remediate/playbook/spelling.h"

#include <algorithm>
#include <array>

#include "remediate/base/encoding.h"

namespace remediate::playbook {

namespace {

constexpr std::array<std::string_view, 6> builtin_variables = {
    "SystemDrive", "SystemRoot", "windir", "ProgramFiles", "CommonProgramFiles", "ProgramData"};

constexpr std::string_view absolute_windows =
    "an absolute path such as C:\\inetpub\\wwwroot or %SystemDrive%\\inetpub";
constexpr std::string_view absolute_posix = "an absolute path such as /var/www";

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

Refusal refuse(const Rule& rule, std::string message, std::string_view expected) {
  return {&rule, std::move(message), std::string(expected)};
}

std::string in_quotes(std::string_view text) { return "\"" + display(text, 120) + "\""; }

/// `rest` is what follows the drive, variable or leading '/', with '/' as only separator.
std::optional<Refusal> check_components(std::string_view rest, std::string_view whole,
                                        std::string_view forbidden, bool file) {
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('/'), rest.size());
    const std::string_view component = rest.substr(0, end);
    const bool last = end == rest.size();
    if (component.empty() || component == "." || component == "..") {
      return refuse(rule::dot_component,
                    in_quotes(whole) + " has the component " + in_quotes(component),
                    "plain names between single separators");
    }
    if (const auto at = component.find_first_of(forbidden); at != std::string_view::npos) {
      return refuse(rule::folder_character,
                    in_quotes(whole) + " holds " + in_quotes(component.substr(at, 1)),
                    file ? "the exact name of a file"
                         : "the exact name of a folder; wildcards belong into include");
    }
    rest.remove_prefix(last ? end : end + 1);
    if (!last && rest.empty() && file) {
      return refuse(rule::dot_component, in_quotes(whole) + " ends with a separator",
                    "the name of a file");
    }
  }
  return std::nullopt;
}

std::string with_slashes(std::string_view path) {
  std::string result(path);
  std::ranges::replace(result, '\\', '/');
  return result;
}

/// What follows the drive of a Windows path, or a refusal.
std::optional<Refusal> check_windows(std::string_view path, bool file) {
  std::string text = with_slashes(path);
  if (text.starts_with("//?/") && text.size() > 5 && text[5] == ':') text.erase(0, 4);
  if (text.starts_with("//")) {
    return refuse(rule::network_folder, in_quotes(path) + " is a network or device path",
                  absolute_windows);
  }
  if (text.size() < 2 || !is_letter(text[0]) || text[1] != ':' ||
      (text.size() > 2 && text[2] != '/')) {
    return refuse(rule::relative_folder, in_quotes(path) + " is not absolute", absolute_windows);
  }
  if (text.size() <= 3) {
    return refuse(rule::root_folder, in_quotes(path) + " is a whole drive",
                  "a folder below the root, as narrow as the indicators allow");
  }
  return check_components(std::string_view(text).substr(3), path, "*?[]{}<>|\":%", file);
}

std::optional<Refusal> check_posix(std::string_view path, bool file) {
  if (path.find_first_not_of('/') == std::string_view::npos) {
    return refuse(rule::root_folder, in_quotes(path) + " is the whole file system",
                  "a folder below the root, as narrow as the indicators allow");
  }
  if (path.find('\\') != std::string_view::npos) {
    return refuse(rule::mixed_spelling, in_quotes(path) + " mixes '/' at the start with '\\'",
                  absolute_posix);
  }
  return check_components(path.substr(1), path, "*?[]{}", file);
}

}  // namespace

std::optional<Spelling> spelling_of(std::string_view path) {
  if (path.starts_with('/')) return Spelling::posix;
  if (path.starts_with('%') || path.find('\\') != std::string_view::npos) return Spelling::windows;
  if (path.size() >= 2 && is_letter(path[0]) && path[1] == ':') return Spelling::windows;
  return std::nullopt;
}

std::string_view variable_of(std::string_view path) {
  if (!path.starts_with('%')) return {};
  const std::size_t end = path.find('%', 1);
  return end == std::string_view::npos ? std::string_view{} : path.substr(1, end - 1);
}

bool is_builtin_variable(std::string_view name) {
  return std::ranges::any_of(builtin_variables,
                             [&](std::string_view known) { return ascii_iequals(known, name); });
}

std::optional<Refusal> check_variable_value(std::string_view value) {
  auto refusal = check_windows(value, false);
  if (refusal) {
    refusal->rule = &rule::bad_variable_value;
    refusal->expected = "an absolute Windows folder such as C:\\Program Files\\App\\";
  }
  return refusal;
}

std::optional<Refusal> check_path(std::string_view path, Spelling spelling,
                                  const std::vector<Variable>& variables, bool file) {
  if (spelling == Spelling::posix) return check_posix(path, file);
  if (!path.starts_with('%')) return check_windows(path, file);

  const std::string_view name = variable_of(path);
  if (name.empty()) {
    return refuse(rule::unknown_variable, in_quotes(path) + " has no closing percent sign",
                  "%Name% at the start of the path");
  }
  const std::string_view rest = path.substr(name.size() + 2);
  if (is_builtin_variable(name)) {
    if (rest.find_first_not_of("\\/") == std::string_view::npos &&
        (file || ascii_iequals(name, "SystemDrive"))) {
      return refuse(rule::root_folder, in_quotes(path) + " is a whole drive",
                    "a folder below the root, as narrow as the indicators allow");
    }
    if (!rest.empty() && rest.front() != '\\' && rest.front() != '/') {
      return refuse(rule::variable_joined,
                    in_quotes(path) + " has no separator after %" + std::string(name) + "%",
                    "a separator, since the host's value does not end with one");
    }
    const std::string below = with_slashes(rest.empty() ? rest : rest.substr(1));
    return check_components(below, path, "*?[]{}<>|\":%", file);
  }
  const auto variable = std::ranges::find_if(
      variables, [&](const Variable& known) { return ascii_iequals(known.name, name); });
  if (variable == variables.end()) {
    return refuse(rule::unknown_variable, "the variable " + in_quotes(name) + " is not defined",
                  "a name under variables, or one of %SystemDrive%, %SystemRoot%, %windir%, "
                  "%ProgramFiles%, %CommonProgramFiles%, %ProgramData%");
  }
  for (const std::string& value : variable->values) {
    if (check_variable_value(value)) continue;  // reported at the variable
    const bool ends = value.ends_with('\\') || value.ends_with('/');
    const bool begins = rest.starts_with('\\') || rest.starts_with('/');
    if (!rest.empty() && ends == begins) {
      return refuse(rule::variable_joined,
                    in_quotes(path) + " becomes " + in_quotes(value + std::string(rest)),
                    "exactly one separator where the value of %" + std::string(name) + "% ends");
    }
    if (auto refusal = check_windows(value + std::string(rest), file)) {
      refusal->message += ", which " + in_quotes(path) + " becomes";
      return refusal;
    }
  }
  return std::nullopt;
}

}  // namespace remediate::playbook
