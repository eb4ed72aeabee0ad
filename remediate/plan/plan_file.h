#pragma once

#include <string>
#include <string_view>

#include "remediate/base/error.h"
#include "remediate/base/json.h"
#include "remediate/plan/plan.h"

namespace remediate::plan {

/// A plan and the exact bytes it was read from or is written as. The bytes are what is signed
/// and hashed; they are never produced a second time from the value.
struct PlanFile {
  Plan plan;
  std::string bytes;
};

/// Of a plan's file, for whoever writes or reads it.
inline constexpr JsonLimits plan_limits{256u << 20, 32, 20'000'000};

/// Gives the plan its id: the first 32 hexadecimal digits of the SHA-256 of its file with 32
/// zeros in the id's place. So the id that a person confirms binds every byte.
/// limit when read_plan would refuse so large a file.
[[nodiscard]] Result<PlanFile> write_plan(Plan plan, const JsonLimits& limits = plan_limits);

/// Strict reading. bad_input when it is not a plan of this format, stale_plan when its bytes are
/// not the ones its id was made from.
[[nodiscard]] Result<PlanFile> read_plan(std::string bytes, std::string_view what);

/// The document of `plan --format json` and of the file; also embedded in HTML and reports.
[[nodiscard]] Json to_json(const Plan& plan);
[[nodiscard]] Json to_json(const Reason& reason);
/// {"display": ..., "raw": base64}
[[nodiscard]] Json path_to_json(const RawPath& path);
[[nodiscard]] Result<RawPath> path_from_json(const Json& json, const std::string& pointer);

}  // namespace remediate::plan
