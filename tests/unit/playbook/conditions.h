#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "remediate/playbook/model.h"

namespace remediate::playbook {

/// Conditions as a playbook's reader makes them.
[[nodiscard]] inline Condition leaf(Condition::Kind kind, std::vector<std::string> values = {}) {
  Condition condition;
  condition.kind = kind;
  condition.values = std::move(values);
  return condition;
}

[[nodiscard]] inline Condition node(Condition::Kind kind, std::vector<Condition> children) {
  Condition condition;
  condition.kind = kind;
  condition.children = std::move(children);
  return condition;
}

[[nodiscard]] inline Condition regex(const std::string& pattern, bool wide = false,
                                     bool ignore_case = false) {
  Condition condition = leaf(Condition::Kind::regex);
  condition.pattern = pattern;
  condition.ignore_case = ignore_case;
  condition.encodings = {wide ? Encoding::utf16le : Encoding::ascii};
  return condition;
}

[[nodiscard]] inline Condition yara(const std::string& rules, std::int64_t min_score = 0) {
  Condition condition = leaf(Condition::Kind::yara);
  condition.rules = rules;
  condition.min_score = min_score;
  return condition;
}

}  // namespace remediate::playbook
