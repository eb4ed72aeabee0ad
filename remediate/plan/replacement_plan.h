#pragma once

#include <expected>
#include <string>

#include "remediate/plan/planner.h"

namespace remediate::plan {

/// The bytes of one good file, and of all in one plan: they are part of the plan file.
inline constexpr std::uint64_t max_known_good_bytes = 4u << 20;
inline constexpr std::uint64_t max_known_good_total = 64u << 20;
/// A larger file is not replaced: both versions are compared in memory.
inline constexpr std::uint64_t max_replaced_bytes = 32u << 20;

/// Whether two file names are the same where letters may differ in case.
[[nodiscard]] bool same_name(std::string_view a, std::string_view b, bool ignore_case);

/// The good version for a matched file out of what the responder's folders hold; else why there is
/// none, told to whoever reads the plan.
[[nodiscard]] std::expected<Replacement, std::string> choose_replacement(
    const Survey& survey, const playbook::Playbook& playbook, const playbook::Step& step,
    const match::FileMatch& match);

}  // namespace remediate::plan
