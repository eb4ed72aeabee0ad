#pragma once

#include <span>
#include <string_view>

namespace remediate::playbook {

/// One rule of the playbook format. The code never changes its meaning; a rule that is
/// dropped leaves its code unused.
struct Rule {
  std::string_view code;
  std::string_view summary;
};

/// Every code that parse_playbook can report, in the order of docs/playbook-diagnostics.md.
[[nodiscard]] std::span<const Rule> rules();

}  // namespace remediate::playbook
