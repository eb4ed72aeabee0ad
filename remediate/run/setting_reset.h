#pragma once

#include "remediate/run/session.h"

namespace remediate::run {

/// Changes one configuration file by compare and swap: the new version is built in the hold and
/// exchanged with the target; what was displaced must be the approved version, else it is
/// exchanged back. The displaced original stays in the hold and is sealed. Any state from planned
/// to sealed is continued.
[[nodiscard]] Result<void> reset_setting(Session& session, OperationState& operation);

/// What the hold has for an operation on a setting.
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
