#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "remediate/base/file_facts.h"

namespace remediate {

/// Seconds precision UTC, "2026-11-21T19:42:00Z": the only time format in any file.
/// Times outside the years 0000 to 9999 (a file can claim them) get a sign and at least six
/// digits of year; they are shown, never parsed.
[[nodiscard]] std::string format_utc(Timestamp time);
/// Nothing unless exactly in the format above and a real date.
[[nodiscard]] std::optional<Timestamp> parse_utc(std::string_view text);

}  // namespace remediate
