#pragma once

#include <map>
#include <vector>

#include "remediate/plan/guards.h"
#include "remediate/plan/planner.h"

namespace remediate::plan {

/// The detail that names the page in an operation on a compiled form.
inline constexpr const char* compiled_from = "compiled from";

/// Adds to a plan what ASP.NET keeps of the pages that it removes: behind each page's removal its
/// record where it fits no page that stays, behind the records their assembly, when no page that
/// stays is compiled into it. What is left alone is an exclusion or a review.
void plan_compiled(const PlanRequest& request, const Survey& survey, const Guards& guards,
                   Plan& plan);

/// Whether the virtual path can be that of the file: it ends the file's path, and says more than a
/// name unless the file lies in a folder wwwroot.
[[nodiscard]] bool serves(std::string_view virtual_path, const RawPath& page);

}  // namespace remediate::plan
