#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "remediate/run/apply.h"
#include "remediate/run/session.h"

namespace remediate::run {

/// Both halves of a recovery identity.
struct Recovery {
  crypto::Certificate certificate;
  crypto::PrivateKey key;
};

struct RollbackOptions {
  std::vector<std::string> only;  // operation ids or indicator ids; empty: the whole run
  bool dry_run = false;           // says what would happen, changes and records nothing
  std::string outbox;             // a folder for what cannot go back to its place
  std::optional<Recovery> recovery;
  host::Privileges privileges =
      host::Privileges::strip;  // keep: setuid and capabilities may come back
  std::string tool;
  setting::DirectoryService* directory = nullptr;  // for runs that changed a directory
};

/// Puts back what a run took, the last first. From the hold (the same inode; no key), or from the
/// sealed object. Never overwrites: a taken name, a replaced folder, a held file that is not what
/// was recorded, a setting that others changed since are each an outcome of their own. Refused
/// when the run's evidence does not verify. not_found for a selection that fits nothing.
[[nodiscard]] Result<RunReport> rollback(host::Host& host, const Store& store,
                                         const host::Directory& root, const std::string& run,
                                         const RollbackOptions& options, Control control);

/// Ends the undo window: re-hashes each sealed object (and opens it, when the store has the key),
/// then removes the held original. What was not sealed stays held. Refused when the run's evidence
/// does not verify.
[[nodiscard]] Result<RunReport> finalize(host::Host& host, const Store& store,
                                         const host::Directory& root, const std::string& run,
                                         const ApplyOptions& options, Control control);

/// A rollback tells of the operations that it was to take back, and of no others but `also`.
[[nodiscard]] RunReport only_selected(RunReport report, const Run& run,
                                      std::set<std::string> also = {});

/// An interrupted rollback or finalize.
[[nodiscard]] bool undo_pending(const Run& run);
[[nodiscard]] Result<RunReport> resume_undo(host::Host& host, const Store& store,
                                            const host::Directory& root, Run& run,
                                            const ApplyOptions& options, Control control);

}  // namespace remediate::run
