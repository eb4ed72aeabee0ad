#pragma once

#include "remediate/run/session.h"

namespace remediate::run {

/// Puts another version of one file at its place by compare and swap: of a configuration file the
/// edited one, of a replaced file the known good one. The new version is built in the hold and
/// exchanged with the target; what was displaced must be the approved version, else it is
/// exchanged back. The displaced original stays in the hold and is sealed. Any state from planned
/// to sealed is continued.
[[nodiscard]] Result<void> exchange_file(Session& session, OperationState& operation);

/// What the hold has for an operation that exchanges a file.
struct Held {
  enum class What : std::uint8_t { nothing, original, own_version, stranger } what = What::nothing;
  std::string name;
};
[[nodiscard]] Result<Held> look_into_hold(const host::Directory& hold,
                                          const OperationState& operation);

/// A held original sealed and the object durable: captured -> sealed. no_space and the like leave
/// it captured, with the reason in its outcome.
[[nodiscard]] Result<void> seal_held(Session& session, OperationState& operation,
                                     const host::File& original);

}  // namespace remediate::run
