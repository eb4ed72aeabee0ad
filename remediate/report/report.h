#pragma once

#include <string>
#include <vector>

#include "remediate/base/json.h"
#include "remediate/plan/plan_file.h"
#include "remediate/run/session.h"
#include "remediate/run/verify.h"

namespace remediate::report {

/// A plan for people: the change request in plain text, at most 100 columns where names allow.
/// Everything from the host or a playbook is display-safe. `colour` adds ANSI attributes. `place`:
/// where the plan lies and who signed it, as far as that is known.
struct PlanPlace {
  std::string file{};                  // display-safe, as a shell reads it; empty: in no file yet
  std::vector<std::string> signers{};  // a line each, display-safe; none: that was not looked at
};
[[nodiscard]] std::string plan_text(const plan::Plan& plan, bool colour,
                                    const PlanPlace& place = {});
/// The same as one self-contained HTML page: no script, no outside resource, strict CSP.
[[nodiscard]] std::string plan_html(const plan::Plan& plan, const PlanPlace& place = {});

/// A run as it stands now: what was found, copied, removed and reset, when, under whose approval,
/// how to get it back, and what was not done. `run_text` is also the notice to the owner.
[[nodiscard]] std::string run_text(const run::Run& run, bool colour);
[[nodiscard]] std::string run_html(const run::Run& run);
[[nodiscard]] Json run_json(const run::Run& run);

/// What apply, resume, rollback and finalize print when they end.
[[nodiscard]] std::string outcome_text(const run::RunReport& report, bool colour);
[[nodiscard]] Json outcome_json(const run::RunReport& report);

[[nodiscard]] std::string verify_text(const run::VerifyReport& report, bool colour);
[[nodiscard]] Json verify_json(const run::VerifyReport& report);

/// {"error": {"code", "message", "causes", "remedy"}}
[[nodiscard]] Json error_json(const Error& error);

/// OCSF 1.3.0 events of a run, one JSON object a line: 7002 File Remediation Activity for files
/// (Evict, Restore), 7001 Remediation Activity for settings (Restore). `tool_version` fills
/// metadata.product.
[[nodiscard]] std::string ocsf_lines(const run::Run& run, const std::string& tool_version);

}  // namespace remediate::report
