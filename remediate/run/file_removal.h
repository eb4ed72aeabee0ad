#pragma once

#include <span>
#include <string>
#include <vector>

#include "remediate/run/session.h"

namespace remediate::run {

/// Quarantines a batch of files in the order that docs/threat-model.md proves: intent, capture by
/// rename, seal, check; one flush for the whole batch at each step. `batch` holds operations in
/// state planned, intended (after a crash), captured or sealed; each ends with an outcome. An Error
/// means that what is durable is unknown: stop and resume in a new process.
[[nodiscard]] Result<void> remove_files(Session& session, std::span<OperationState*> batch);

/// Of files that were taken by one of their names: which lost their immutable or append-only flag
/// and have a name that stays, where the flag belonged as well.
[[nodiscard]] std::vector<std::string> unprotected_names(const Session& session);

inline constexpr std::size_t batch_files = 128;
inline constexpr std::uint64_t batch_bytes = 64u << 20;

}  // namespace remediate::run
