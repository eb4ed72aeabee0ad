#pragma once

#include <map>
#include <string>
#include <vector>

#include "remediate/plan/approval.h"
#include "remediate/run/session.h"

namespace remediate::run {

struct ApplyOptions {
  std::vector<crypto::Certificate> recipients;  // who can open sealed objects; at least one
  std::uint64_t max_sealed_bytes = 256u << 20;
  std::string tool;
  ApplyStages stages{};
  std::vector<std::string> older_revisions_allowed{};  // playbook ids; see check_revisions()
  /// Targets that a guard keeps out now, with the reason: not begun, outcome refused. What was
  /// begun before is finished.
  std::map<RawPath, std::string> refused{};
  setting::DirectoryService* directory = nullptr;  // for plans that change a directory
};

/// Does the plan and nothing else, in its order. Before the first effect every target is compared
/// with its precondition: if one is no longer what was approved the whole plan is refused
/// (stale_plan, every failed precondition named); a target that is merely gone is reported and
/// the rest is done. After that each operation has its own outcome. Everything in the report is
/// durable when it returns. stale_plan when the plan was applied before, refused when it comes from
/// an older revision of a playbook than was applied before or when the health probe fails before
/// anything was done. In stages the run stands still, interrupted, where it must not go on.
/// An Error after the first effect leaves a run that resume() continues.
[[nodiscard]] Result<RunReport> apply(host::Host& host, const Store& store,
                                      const host::Directory& root,
                                      const plan::ApprovedPlan& approved,
                                      const ApplyOptions& options, Control control);

/// Continues what was interrupted: every operation that was begun is finished or taken back, those
/// that were not begun are done, held originals are sealed; then the run is closed. Idempotent.
/// When a rollback or a finalize was interrupted, that is what is continued (see rollback.h).
[[nodiscard]] Result<RunReport> resume(host::Host& host, const Store& store,
                                       const host::Directory& root, const std::string& run,
                                       const ApplyOptions& options, Control control);

/// Removes what is left of runs that were interrupted before they began (of the one, where `only`
/// names it), and gives their names. Only under the store's lock. Durable when it returns.
[[nodiscard]] Result<std::vector<std::string>> discard_unstarted(const Store& store,
                                                                 const std::string& only = {});

/// What keeps an operation from being done now; empty when its target is as approved.
struct Drift {
  bool vanished = false;
  std::vector<std::string> reasons;
};
[[nodiscard]] Result<Drift> drift_of(const host::Directory& root, const plan::Operation& operation,
                                     bool same_boot);

/// The run's name for a plan.
[[nodiscard]] std::string run_name(const plan::Plan& plan);

}  // namespace remediate::run
