#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "remediate/base/error.h"

namespace remediate::run {

/// The bytes of a playbook or baseline that the operator names; "-" is the standard input. `noun`
/// says what it is in errors. limit when it has more than `max_bytes`.
[[nodiscard]] Result<std::string> read_named_file(const std::string& file, std::string_view noun,
                                                  std::uint64_t max_bytes);

/// The bytes of FILE.p7s; empty where there is none.
[[nodiscard]] Result<std::string> read_signature_of(const std::string& file, std::string_view noun);

}  // namespace remediate::run
