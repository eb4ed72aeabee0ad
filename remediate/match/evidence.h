#pragma once

#include <string_view>

#include "remediate/match/condition.h"
#include "remediate/playbook/evidence.h"

namespace remediate::match {

/// For a condition that is true of a complete content: what the strongest way rests on in which it
/// is. `evaluation` then has the reasons of that way and no others; `beside` may say why there
/// could be a stronger one.
[[nodiscard]] playbook::Rests strongest_way(const CompiledCondition& condition,
                                            std::string_view below_scope, bool ignore_case,
                                            Content& content, Evaluation& evaluation);

}  // namespace remediate::match
