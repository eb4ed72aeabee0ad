#pragma once

#include <optional>
#include <string>
#include <vector>

#include "remediate/run/rollback.h"
#include "remediate/run/run_state.h"

namespace remediate::run {

struct Finding {
  enum class Level : std::uint8_t { error, notice } level;
  std::string where;  // "run-.../manifest.json", "op-0003 /path"
  std::string what;
};

struct VerifyReport {
  std::vector<std::string> runs;
  std::uint64_t objects_checked = 0;
  std::uint64_t held_checked = 0;
  std::vector<Finding> findings;
  [[nodiscard]] bool ok() const;  // no finding of level error
};

struct VerifyOptions {
  std::string witness;  // "LENGTH:SHA256" noted when a run ended; empty: none
  std::vector<crypto::Certificate> approvers;  // of the policy
  /// How many approvals it asks for, as it stands now; null: plan signatures are not checked.
  const plan::Policy* policy = nullptr;
  std::optional<Recovery> recovery;  // opens every object when given
};

/// Checks one run, or all of them: plan, plan signature, journal chain and signed head, signed
/// manifest, every sealed object and every held file, and that what was removed is still gone.
/// Changes nothing. `root` may be null when the run's root cannot be opened: then holds outside the
/// store and targets are not checked and a finding says so.
[[nodiscard]] Result<VerifyReport> verify(host::Host& host, const Store& store,
                                          const std::string& run, const VerifyOptions& options);

/// What rollback and finalize stand on: signed manifest, chain and head. signature or corrupt,
/// naming what does not hold.
[[nodiscard]] Result<void> require_evidence(const Store& store, const Run& run);

/// Whether the newest signed head covers less than `length` records.
[[nodiscard]] Result<bool> ends_unsigned(const Store& store, const Run& run, std::uint64_t length);

/// For resume, which signs anew what a crash left unsigned: a head that verifies must be of this
/// journal or its beginning, and once the journal is closed the manifest must hold. Else an end
/// that somebody cut off or damaged would be signed again.
[[nodiscard]] Result<void> require_resumable(const Store& store, const Run& run);

}  // namespace remediate::run
