#pragma once

#include "remediate/run/restore.h"
#include "remediate/run/session.h"

namespace remediate::run {

/// Changes one value in a directory by compare and swap. The record with the value that was there
/// is durable before the modification is sent. Any state from planned to intended is continued:
/// after a crash the value itself tells whether the modification came through.
[[nodiscard]] Result<void> reset_directory_value(Session& session, OperationState& operation);

/// Puts the recorded value back where the directory still has ours; what others wrote since is a
/// conflict, and nothing is done then. The operation is in state restoring.
[[nodiscard]] Result<void> restore_directory_value(Session& session, OperationState& operation);

/// What keeps a change of a directory from being done now; empty when all is as approved.
[[nodiscard]] Result<std::vector<std::string>> directory_drift(setting::DirectoryService& directory,
                                                               const DirectoryValue& planned);

/// What keeps a change from being taken back as the directory looks now; empty when nothing does.
[[nodiscard]] std::string directory_obstacle(setting::DirectoryService& directory,
                                             const DirectoryValue& recorded);

}  // namespace remediate::run
