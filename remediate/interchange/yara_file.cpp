#include <algorithm>
#include <set>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/interchange/items.h"
#include "remediate/match/yara_matcher.h"

namespace remediate::interchange {

namespace {

constexpr std::size_t max_rules = 1u << 20;
constexpr std::size_t most_licences = 3;

/// The values of `license = "..."` lines.
std::string licences_in(std::string_view text) {
  std::set<std::string> found;
  for (std::string_view line : lines_of(text)) {
    line = trimmed(line);
    const std::string start = ascii_lower(line.substr(0, 7));
    if (start != "license" && start != "licence") continue;
    const std::size_t open = line.find('"');
    const std::size_t close = line.rfind('"');
    if (line.substr(7, open - std::min<std::size_t>(open, 7)).find('=') == line.npos ||
        close <= open)
      continue;
    found.insert(std::string(line.substr(open + 1, close - open - 1)));
  }
  std::string all;
  std::size_t count = 0;
  for (const std::string& one : found)
    if (count++ < most_licences) all += (all.empty() ? "" : "; ") + one;
  return all.empty() ? all : short_text(all);
}

}  // namespace

std::string yara_fault(const std::string& rules) {
  if (rules.size() > max_rules) return "its rules are longer than 1 MiB";
  if (!is_utf8(rules)) return "its rules are not UTF-8";
  if (rules.contains('\0')) return "its rules hold a NUL byte";
  bool has_rule = false;
  for (std::string_view line : lines_of(rules)) {
    line = trimmed(line);
    if (line.starts_with("include \"")) return "its rules include another file";
    has_rule = has_rule || line.starts_with("rule ") || line.find(" rule ") != line.npos;
  }
  if (!has_rule) return "there is no rule in it";
  const auto compiled = match::compile_rules(rules);
  return compiled ? std::string() : "its rules do not compile: " + compiled.error().text();
}

Result<void> read_yara(const ImportFile& file, Collected& collected) {
  TRY(collected.begin());
  const std::string place = display(file.name);
  std::string rules = file.bytes;
  if (rules.starts_with("\xEF\xBB\xBF")) rules.erase(0, 3);
  if (std::string fault = yara_fault(rules); !fault.empty()) {
    collected.leave_out(place, file.name.substr(file.name.rfind('/') + 1), std::move(fault));
    return {};
  }
  Item item;
  item.place = place;
  item.name = "YARA rules of " + file.name.substr(file.name.rfind('/') + 1);
  item.source.format = "yara";
  item.source.id = short_text(file.name, "rules");
  item.source.licence = licences_in(rules);
  Way way;
  way.yara = std::move(rules);
  item.ways.push_back(std::move(way));
  collected.take(std::move(item));
  return {};
}

}  // namespace remediate::interchange
