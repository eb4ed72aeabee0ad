#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "remediate/playbook/diagnostics.h"
#include "remediate/playbook/parse.h"

namespace {

using namespace remediate::playbook;

void require(bool holds) {
  if (!holds) std::abort();
}

bool is_known(const Diagnostic& diagnostic) {
  return std::ranges::any_of(rules(),
                             [&](const Rule& rule) { return rule.code == diagnostic.code; }) &&
         !diagnostic.message.empty() && diagnostic.text().find('\n') == std::string::npos;
}

std::size_t depth(const Condition& condition) {
  std::size_t deepest = 0;
  for (const Condition& part : condition.children) deepest = std::max(deepest, depth(part));
  return deepest + 1;
}

void check(const Playbook& playbook) {
  require(!playbook.indicators.empty() && !playbook.steps.empty() && playbook.revision > 0);
  for (const Scope& scope : playbook.scopes) {
    require(!scope.folders.empty() && !scope.include.empty());
    for (const SpelledPath& folder : scope.folders) {
      require(folder.text.find("..\\") == std::string::npos &&
              folder.text.find("../") == std::string::npos && folder.text != "/");
    }
  }
  for (const Indicator& indicator : playbook.indicators) {
    require(indicator.match.has_value() != indicator.setting.has_value());
    require(indicator.match.has_value() != indicator.scopes.empty());
    if (indicator.match) require(depth(*indicator.match) <= 16);
    for (const std::string& id : indicator.scopes) {
      require(std::ranges::find(playbook.scopes, id, &Scope::id) != playbook.scopes.end());
    }
  }
  for (const Step& step : playbook.steps) {
    for (const std::string& id : step.indicators) {
      const auto found = std::ranges::find(playbook.indicators, id, &Indicator::id);
      require(found != playbook.indicators.end());
      if (step.action == Action::instruct) continue;
      require(found->authorises == Authorises::remove);
      require((step.action != Action::reset_setting) == found->match.has_value());
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto parsed = parse_playbook(bytes, "fuzz.json");
  if (parsed) {
    check(parsed->playbook);
    require(std::ranges::all_of(parsed->warnings, is_known));
  } else {
    require(!parsed.error().empty() && parsed.error().size() <= 100);
    require(std::ranges::all_of(parsed.error(), is_known));
  }
  return 0;
}
