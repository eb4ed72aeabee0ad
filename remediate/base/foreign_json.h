#pragma once

#include "remediate/base/json.h"

namespace remediate {

/// parse_json_strict() for the documents of other tools: numbers with a fraction or an exponent
/// are read, as doubles. Nothing else is let through.
[[nodiscard]] std::expected<Json, JsonIssue> parse_foreign_json(std::string_view bytes,
                                                                const JsonLimits& limits);

}  // namespace remediate
