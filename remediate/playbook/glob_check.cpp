#include <algorithm>

#include "remediate/base/encoding.h"
#include "remediate/playbook/spelling.h"

namespace remediate::playbook {

namespace {

constexpr std::string_view glob_form =
    "names below the folder with *, ?, **, {a,b} or [a-z], such as **/*.{aspx,ashx}";

constexpr std::size_t longest_glob = 1024;  // the matcher's bound

Refusal bad(std::string_view glob, std::string_view reason) {
  return {&rule::bad_glob, "the glob \"" + display(glob, 120) + "\" " + std::string(reason),
          std::string(glob_form)};
}

/// The position after the class that starts at `at`, or nothing when it is malformed.
std::optional<std::size_t> skip_class(std::string_view text, std::size_t at) {
  std::size_t i = at + 1;
  if (i < text.size() && (text[i] == '!' || text[i] == '^')) ++i;
  const std::size_t first = i;
  for (; i < text.size(); ++i) {
    if (text[i] == ']' && i > first) return i + 1;
    if (text[i] == '[' || text[i] == '{' || text[i] == '}') return std::nullopt;
    if (text[i] == '-' && i > first && i + 1 < text.size() && text[i + 1] != ']' &&
        text[i + 1] < text[i - 1]) {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

std::optional<std::string_view> component_fault(std::string_view component) {
  if (component.empty()) return "has an empty component";
  if (component == "." || component == "..") return "has a '.' or '..' component";
  if (component != "**" && component.find("**") != std::string_view::npos) {
    return "has '**' beside other characters";
  }
  bool in_braces = false;
  for (std::size_t i = 0; i < component.size();) {
    const char c = component[i];
    if (c == '[') {
      const auto next = skip_class(component, i);
      if (!next) return "has a malformed [...]";
      i = *next;
      continue;
    }
    if (c == ']') return "has a ']' without '['";
    if (c == '{') {
      if (in_braces) return "has nested braces";
      in_braces = true;
    } else if (c == '}') {
      if (!in_braces) return "has a '}' without '{'";
      in_braces = false;
    }
    ++i;
  }
  if (in_braces) return "has a '{' without '}' in the same component";
  return std::nullopt;
}

}  // namespace

std::optional<Refusal> check_glob(std::string& glob, Spelling spelling) {
  if (spelling == Spelling::windows) {
    std::ranges::replace(glob, '\\', '/');
    if (glob.find(':') != std::string::npos) return bad(glob, "holds a ':'");
  } else if (glob.find('\\') != std::string::npos) {
    return bad(glob, "holds a '\\', which is a separator below Windows folders only");
  }
  if (glob.size() > longest_glob) return bad(glob, "is longer than 1024 bytes");
  if (glob.starts_with('/')) return bad(glob, "starts with a separator");
  std::string_view rest = glob;
  while (true) {
    const std::size_t end = std::min(rest.find('/'), rest.size());
    if (const auto fault = component_fault(rest.substr(0, end))) return bad(glob, *fault);
    if (end == rest.size()) return std::nullopt;
    rest.remove_prefix(end + 1);
  }
}

}  // namespace remediate::playbook
