#pragma once

#include <string>

#include "remediate/plan/plan.h"

namespace remediate::plan {

/// The words of a plan that say what is done to what. They follow from the fields that apply works
/// by, and a plan whose words do not is refused when it is read: what people approve is what is
/// done.
[[nodiscard]] std::string address_of(const Operation& operation);
[[nodiscard]] std::string before_of(const Operation& operation);
/// `sealed`: false for a file too large to be sealed.
[[nodiscard]] std::string after_of(const Operation& operation, bool sealed);
[[nodiscard]] std::string inverse_of(const Operation& operation, bool sealed = true);

/// bad_input, naming the member, when a word does not follow.
[[nodiscard]] Result<void> check_words(const Operation& operation, const std::string& pointer);

}  // namespace remediate::plan
