#pragma once

#include <span>

#include "remediate/run/rollback.h"

namespace remediate::run {

/// How one restore ended; private to run/.
struct Restored {
  bool ok = false;
  std::string outcome;
  std::string reason;
};

/// Quarantined files of one batch, each in state restoring: all are put in place, flushed
/// together, then checked and recorded.
[[nodiscard]] Result<void> restore_files(Session& session, const RollbackOptions& options,
                                         std::span<OperationState*> batch);
/// One file whose version was exchanged, in state restoring.
[[nodiscard]] Result<void> restore_exchanged(Session& session, const RollbackOptions& options,
                                             OperationState& operation);

/// A copy of the original in the operator's outbox, from the hold or the sealed object.
[[nodiscard]] Restored to_outbox(Session& session, const RollbackOptions& options,
                                 const OperationState& operation, const host::File* held,
                                 const std::string& why);
/// Puts a folder's modification time back when nobody changed the folder since the capture.
void restore_parent_time(const host::Directory& parent, const quarantine::Entry& entry,
                         const FileStat& before);
/// Writes the outcome as restored or not_restored.
[[nodiscard]] Result<void> record_restored(Session& session, OperationState& operation,
                                           const Restored& restored);

}  // namespace remediate::run
