#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "remediate/playbook/model.h"
#include "remediate/playbook/rules.h"

namespace remediate::playbook {

/// Why a path, glob or pattern was refused.
struct Refusal {
  const Rule* rule = nullptr;
  std::string message;
  std::string expected;
};

/// Nothing when the text is spelled neither way ("www", "..").
[[nodiscard]] std::optional<Spelling> spelling_of(std::string_view path);

/// A folder or file as a playbook spells it. `file` allows no trailing separator.
[[nodiscard]] std::optional<Refusal> check_path(std::string_view path, Spelling spelling,
                                                const std::vector<Variable>& variables, bool file);
/// A candidate value of a variable: an absolute Windows folder without variables.
[[nodiscard]] std::optional<Refusal> check_variable_value(std::string_view value);
/// The name between the percent signs at the start, empty when there is none.
[[nodiscard]] std::string_view variable_of(std::string_view path);
/// True for %SystemDrive% and the others that every host has, whatever the case.
[[nodiscard]] bool is_builtin_variable(std::string_view name);

/// Checks a glob and turns its separators into '/'.
[[nodiscard]] std::optional<Refusal> check_glob(std::string& glob, Spelling spelling);

/// Refuses what would match nearly every file, and what RE2 does not have.
[[nodiscard]] std::optional<Refusal> check_regex(std::string_view pattern);

}  // namespace remediate::playbook
