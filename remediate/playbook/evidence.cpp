#include "remediate/playbook/evidence.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace remediate::playbook {

namespace {

using Kind = Condition::Kind;

/// Beside a wildcard fewer characters fit by chance.
constexpr std::size_t least_named = 3;
/// What alternatives spell out in one component; more say nothing.
constexpr std::size_t max_spellings = 1024;

/// "{a,b}.{x,y}" as "a.x", "a.y", "b.x", "b.y"; none when they are too many.
std::vector<std::string> spellings(std::string_view component) {
  std::vector<std::string> spelled = {""};
  while (!component.empty()) {
    const std::size_t open = std::min(component.find('{'), component.size());
    for (std::string& one : spelled) one += component.substr(0, open);
    component.remove_prefix(open);
    if (component.empty()) break;
    const std::size_t close = std::min(component.find('}'), component.size());
    std::string_view group = component.substr(1, close - 1);
    component.remove_prefix(std::min(close + 1, component.size()));
    std::vector<std::string> longer;
    for (bool more = true; more;) {
      const std::size_t end = std::min(group.find(','), group.size());
      if (longer.size() + spelled.size() > max_spellings) return {};
      for (const std::string& one : spelled) longer.push_back(one + std::string(group, 0, end));
      more = end < group.size();
      group.remove_prefix(std::min(end + 1, group.size()));
    }
    spelled = std::move(longer);
  }
  return spelled;
}

/// A name without wildcards is one; beside a wildcard it takes some characters.
/// The first member of a class may be its own closing bracket.
std::size_t end_of_class(std::string_view text, std::size_t open) {
  std::size_t first = open + 1;
  if (first < text.size() && (text[first] == '!' || text[first] == '^')) ++first;
  return std::min(text.find(']', first + 1), text.size() - 1);
}

bool names(std::string_view text) {
  std::size_t characters = 0;
  bool wildcard = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '*' || text[i] == '?' || text[i] == '[') {
      wildcard = true;
      if (text[i] == '[') i = end_of_class(text, i);
    } else {
      if (text[i] == '\\') ++i;
      ++characters;
    }
  }
  return characters >= (wildcard ? least_named : 1);
}

/// A file's name without what tells its type; a dot in front begins a name.
std::string_view stem(std::string_view name) { return name.substr(0, name.find('.', 1)); }

bool component_names(std::string_view component, bool is_file) {
  const std::vector<std::string> spelled = spellings(component);
  return !spelled.empty() && std::ranges::all_of(spelled, [&](const std::string& one) {
    return names(is_file ? stem(one) : std::string_view(one));
  });
}

/// A set of values of Rests.
using Ways = std::array<bool, 4>;

void add(Ways& ways, Rests rests) { ways[static_cast<std::size_t>(rests)] = true; }

template <class Visit>
void each(const Ways& ways, Visit visit) {
  for (std::size_t i = 0; i < ways.size(); ++i)
    if (ways[i]) visit(static_cast<Rests>(i));
}

Ways ways_of(const Condition& condition) {
  Ways ways{};
  switch (condition.kind) {
    case Kind::all:
      add(ways, Rests::nothing);
      for (const Condition& child : condition.children) {
        const Ways below = ways_of(child);
        Ways both{};
        each(ways, [&](Rests a) { each(below, [&](Rests b) { add(both, together(a, b)); }); });
        ways = both;
      }
      break;
    case Kind::any:
      for (const Condition& child : condition.children)
        each(ways_of(child), [&](Rests rests) { add(ways, rests); });
      break;
    case Kind::path:
      if (condition.values.empty()) add(ways, Rests::nothing);
      for (const std::string& glob : condition.values)
        add(ways, names_a_place(glob) ? Rests::place : Rests::nothing);
      break;
    case Kind::negation:
    case Kind::size:
      add(ways, Rests::nothing);
      break;
    case Kind::magic:
      add(ways, condition.bytes.size() >= least_magic ? Rests::content : Rests::nothing);
      break;
    case Kind::regex:
    case Kind::yara:
      add(ways, Rests::content);
      break;
    case Kind::sha256:
    case Kind::sha1:
    case Kind::md5:
    case Kind::structure:
      add(ways, Rests::exact);
      break;
  }
  return ways;
}

bool can_be(const Ways& ways, Rests rests) { return ways[static_cast<std::size_t>(rests)]; }

}  // namespace

Rests together(Rests a, Rests b) {
  if (a == b || b == Rests::nothing) return a;
  if (a == Rests::nothing) return b;
  return Rests::exact;  // one of them is, or they are content and its place
}

bool names_a_place(std::string_view glob) {
  while (true) {
    const std::size_t end = glob.find('/');
    const bool is_file = end == std::string_view::npos;
    if (component_names(glob.substr(0, end), is_file)) return true;
    if (is_file) return false;
    glob.remove_prefix(end + 1);
  }
}

bool may_rest_on_generic_content(const Condition& condition) {
  return can_be(ways_of(condition), Rests::content);
}

bool has_evidence(const Condition& condition) {
  const Ways ways = ways_of(condition);
  return !can_be(ways, Rests::nothing) && !can_be(ways, Rests::place) &&
         (can_be(ways, Rests::content) || can_be(ways, Rests::exact));
}

}  // namespace remediate::playbook
