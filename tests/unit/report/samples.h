#pragma once

#include <string>

#include "remediate/plan/plan.h"
#include "remediate/run/run_state.h"

namespace remediate::report::test {

/// A plan with one operation of every action, a review, an exclusion, limits, scopes and an issue.
[[nodiscard]] plan::Plan sample_plan();
/// A run of that plan (or another) in which everything was planned only.
[[nodiscard]] run::Run run_of(plan::Plan plan);
/// The same after apply: files and settings captured, sealed and done.
[[nodiscard]] run::Run applied_run(plan::Plan plan);
/// Text that tries to end an element, an attribute, a comment and a line, and to move a terminal.
[[nodiscard]] std::string hostile();
/// Puts hostile() into every text of a plan.
[[nodiscard]] plan::Plan hostile_plan();
/// Whether python3 reads the file `name` of the test's folder with a strict XML parser.
[[nodiscard]] bool well_formed(const std::string& html, const std::string& name);
[[nodiscard]] std::size_t occurrences(const std::string& text, const std::string& of);

}  // namespace remediate::report::test
