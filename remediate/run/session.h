#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "remediate/plan/policy.h"
#include "remediate/run/control.h"
#include "remediate/run/probe.h"
#include "remediate/run/run_state.h"
#include "remediate/setting/directory/service.h"

namespace remediate::run {

struct OperationReport {
  std::string id;
  std::string action;
  std::string address;
  std::string outcome;
  std::string reason;
};

/// What apply, resume, rollback and finalize end with.
struct RunReport {
  std::string run;
  std::string plan_id;
  std::string phase;
  std::string status;  // done, partial, failed, nothing_to_do
  bool interrupted = false;
  std::string head;  // "LENGTH:SHA256" of the journal: note it elsewhere as a witness
  std::vector<OperationReport> operations;
  std::vector<std::string> notices;
  /// All that was asked for is done, but other originals of the run are held without a sealed copy.
  bool only_unsealed = false;
  /// A dry run: without the recovery key a rollback could not put back what is only sealed.
  bool lacks_key = false;
};

/// How an apply is staged; both outlive the run. Without a plan there is one stage.
struct ApplyStages {
  const plan::Stages* plan = nullptr;
  HealthProbe* probe = nullptr;  // none: a person looks between the stages
};

/// Everything a phase of a run works with; private to run/. The references outlive it.
class Session {
 public:
  Session(host::Host& the_host, const Store& the_store, const host::Directory& the_root,
          Run& the_run, journal::Journal& the_journal, Control& the_control)
      : host(the_host),
        store(the_store),
        root(the_root),
        run(the_run),
        journal(the_journal),
        control(the_control) {}

  host::Host& host;
  const Store& store;
  const host::Directory& root;
  Run& run;
  journal::Journal& journal;
  Control& control;
  std::vector<crypto::Certificate> recipients;
  std::uint64_t max_sealed_bytes = 0;
  std::string tool;
  std::map<RawPath, std::string> refused;  // targets that are not begun, with the reason
  ApplyStages stages;
  std::vector<std::string> notices{};                     // for the report
  setting::DirectoryService* active_directory = nullptr;  // none without a connection
  const std::uint64_t loaded_length = journal.length();   // records when the session began
  /// Not enough space to seal: how much is free and how much is needed. Empty: there is enough.
  std::string lack_of_space{};
  /// The journal ends in a wait whose report may never have come out: it is told again.
  bool untold = false;
  bool undoing = false;  // the tree may have been mounted again since: mounts are not compared

  /// Why a guard keeps this target out, now.
  [[nodiscard]] Result<void> guard(const RawPath& path) const;
  /// Appends a record and advances the state; nothing may act on it before flush().
  [[nodiscard]] Result<void> record(OperationState& operation, std::string_view type,
                                    Json data = Json::object());
  [[nodiscard]] Result<void> not_done(OperationState& operation, const std::string& outcome,
                                      const std::string& reason, bool held = false);
  /// An operation whose effect never came is begun again only while the run is being applied.
  [[nodiscard]] bool begins() const { return run.phase == "apply"; }
  [[nodiscard]] Result<void> stays_undone(OperationState& operation) {
    return not_done(operation, "not_started",
                    "it never came to its change, and the run is no longer being applied");
  }
  [[nodiscard]] bool hold_only() const { return !lack_of_space.empty(); }
  [[nodiscard]] Result<void> flush() { return journal.flush(); }

  /// The target's folder, resolved anew from the root, refused unless it is `expected`.
  [[nodiscard]] Result<std::unique_ptr<host::Directory>> parent(const RawPath& path,
                                                                const FileId& expected) const;
  /// The hold of this run on the target's mount, made on first use.
  [[nodiscard]] Result<const quarantine::Vault::HoldDirectory*> hold(const host::Directory& target);
  /// The hold where an entry was put, found without its folder; not_found when it is gone, changed
  /// when the file system that it was on is not there.
  [[nodiscard]] Result<std::unique_ptr<host::Directory>> hold_of(
      const quarantine::Entry& entry) const;
  /// Mount ids of the plan and of the run can be compared with today's.
  [[nodiscard]] bool same_boot() const {
    const std::string boot = host.identity().boot_id;
    return run.boot == boot && run.plan.plan.host.boot == boot;
  }

 private:
  std::map<std::pair<std::uint64_t, std::uint64_t>, quarantine::Vault::HoldDirectory> holds_{};
};

/// Session::hold_of() for who only looks.
[[nodiscard]] Result<std::unique_ptr<host::Directory>> open_hold_of(const Store& store,
                                                                    const host::Directory& root,
                                                                    const std::string& run,
                                                                    const quarantine::Entry& entry);

/// Same device, or same volume where the device number has changed with a mount or a boot.
[[nodiscard]] bool same_file_system(const FileId& a, const FileId& b);
/// Same inode of the same file system; with `same_boot` of the same device and mount.
[[nodiscard]] bool same_file(const FileId& a, const FileId& b, bool same_boot);

/// The same file, and nobody wrote to it since it was `seen`, as far as its time and size tell.
[[nodiscard]] bool same_and_unwritten(const FileStat& seen, const FileStat& now);

/// Free space of the store that is left to the server.
inline constexpr std::uint64_t space_margin = 64u << 20;
/// The most space that the sealed copy of so many bytes takes.
[[nodiscard]] constexpr std::uint64_t sealed_at_most(std::uint64_t size) {
  return size + size / 10;
}

/// Signs the journal as it stands: RUN.head-LENGTH.json with its signature, then the older heads
/// go. There is always one that verifies. Durable when it returns.
[[nodiscard]] Result<void> sign_head(const Session& session);
/// "RUN.head-", what the names of a run's heads begin with.
[[nodiscard]] std::string head_prefix(const std::string& run);

/// Ends a phase: for apply writes and signs the manifest, then closes the journal and signs its
/// head. Durable when it returns.
[[nodiscard]] Result<RunReport> close_phase(Session& session, const std::string& phase,
                                            bool interrupted);

/// Reads the journal of a run to go on with it. Durable when it returns: the run's name and every
/// record that was read, whatever a process that was killed left unflushed.
[[nodiscard]] Result<journal::Journal> reopen_journal(const Store& store, const std::string& run,
                                                      host::Host& host);
/// Sets exactly the immutable and append-only bits of `flags`. Durable when it returns: no record
/// may say that a file is as it was while a power cut can still take its flags.
[[nodiscard]] Result<void> protect(host::File& file, std::uint32_t flags);
/// After a crash between an intent and its effect: the file at the entry's place gets the flags
/// that may have been cleared, if it is the one that was recorded. Durable when it returns.
[[nodiscard]] Result<void> protect_original(const host::Directory& parent,
                                            const quarantine::Entry& entry);
/// Somebody has it open for writing, as far as that can be told: what they write after the last
/// look would go with the file.
[[nodiscard]] bool is_being_written(const host::File& file);
/// The thing that was to be opened is gone, or others put something else there; any other error
/// says nothing of what is there.
[[nodiscard]] bool is_another_place(const Error& error);
/// A later try may do better: the disk or its space, not what the host allows.
[[nodiscard]] bool may_pass(const Error& error);
/// The SHA-256 of an open file from its start.
/// What is no digest, and so equals none, for a file of more than `most` bytes: whoever has a file
/// open can make it as long as they like.
[[nodiscard]] Result<std::string> file_sha256(const host::File& file,
                                              std::uint64_t most = UINT64_MAX);
/// "why: cause" for an outcome's reason, with the remedy.
[[nodiscard]] std::string reason_of(const Error& error);
/// A captured file has more names than it had: who had it open, or reached it, kept one. What is
/// removed here is not gone then.
[[nodiscard]] std::string linked_elsewhere(std::uint64_t names);

}  // namespace remediate::run
