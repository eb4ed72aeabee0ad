#pragma once

#include <string>
#include <vector>

#include "quarantine/vault.h"
#include "remediate/host/directory.h"
#include "remediate/plan/plan.h"

namespace remediate::run {

/// What a run copies before its first change, sealed; `objects` are not named yet (Vault::keep).
struct Copies {
  std::vector<quarantine::SealedCopy> files;
  std::vector<quarantine::PendingObject> objects;  // of the same file each
};

/// Copies what the edits of the plan would push out: of every configuration file that it changes,
/// the old versions that the provider knows of (setting::OldVersions). What cannot be read is told
/// in `notices`; what cannot be sealed is an error, and so is too little space for all of it
/// (no_space, before the first is written).
[[nodiscard]] Result<Copies> copy_old_versions(const host::Directory& root, const plan::Plan& plan,
                                               const quarantine::Vault& vault,
                                               const std::vector<crypto::Certificate>& recipients,
                                               std::vector<std::string>& notices);

}  // namespace remediate::run
