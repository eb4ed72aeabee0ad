#pragma once

#include <vector>

#include "remediate/run/session.h"

namespace remediate::run {

/// Where an apply has to stand still: ends of stages as indexes into the run's operations. The
/// last is the end of all, where a probe has the last word. An instruction that waits ends a stage
/// too, whatever the policy says; only a person gives leave there.
struct StageEnd {
  std::size_t index = 0;                  // of the first operation behind the stage
  std::uint64_t after = 0;                // so many operations that change something lie before it
  const plan::Operation* wait = nullptr;  // the instruction; none: a stage of the policy
};
[[nodiscard]] std::vector<StageEnd> stage_ends(const Session& session);

/// Asks for leave to go on behind a stage, unless it was given before. True when the run has to
/// stand still: the reason is in the session's notices and, but for a stop, in the journal,
/// durable. A probe is asked again by every resume; without one the first resume is the leave, but
/// for a run that was killed before it could tell that it waits: that stands still once more.
[[nodiscard]] Result<bool> stands_still(Session& session, const StageEnd& end);

/// refused, with what the probe said, when it fails before anything was done.
[[nodiscard]] Result<void> probe_before(const ApplyStages& stages, const Control& control);

}  // namespace remediate::run
