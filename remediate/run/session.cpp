#include "remediate/run/session.h"

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"
#include "remediate/crypto/signature.h"
#include "remediate/host/durable.h"

namespace remediate::run {

bool is_another_place(const Error& error) {
  return error.code == Code::not_found || error.code == Code::changed ||
         error.code == Code::refused;
}

bool may_pass(const Error& error) {
  return error.code == Code::io || error.code == Code::no_space || error.code == Code::read_only;
}

Result<void> Session::record(OperationState& operation, std::string_view type, Json data) {
  journal.append(type, operation.operation->id, std::move(data));
  return advance(run, operation, journal.contents().records.back());
}

Result<void> Session::not_done(OperationState& operation, const std::string& outcome,
                               const std::string& reason, bool held) {
  return record(operation, journal::type::not_done,
                Json{{"outcome", outcome}, {"reason", reason}, {"held", held}});
}

Result<void> Session::guard(const RawPath& path) const {
  const auto found = refused.find(path);
  if (found == refused.end()) return {};
  return fail(Code::refused, found->second, "");
}

bool same_file_system(const FileId& a, const FileId& b) {
  return a.device == b.device || (a.volume != 0 && a.volume == b.volume);
}

bool same_file(const FileId& a, const FileId& b, bool same_boot) {
  if (a.inode != b.inode) return false;
  return same_boot ? a.device == b.device && a.mount == b.mount : same_file_system(a, b);
}

bool same_and_unwritten(const FileStat& seen, const FileStat& now) {
  return same_file(now.id, seen.id, false) && now.modified == seen.modified &&
         now.size == seen.size;
}

Result<std::unique_ptr<host::Directory>> Session::parent(const RawPath& path,
                                                         const FileId& expected) const {
  TRY_LET(auto directory, root.open_directory(path.parent(), host::Mounts::cross));
  TRY_LET(const FileStat stat, directory->stat());
  if (!same_file(stat.id, expected, same_boot() && !undoing))
    return fail(Code::changed,
                "the folder of " + path.display() + " is not the one that was recorded",
                "look who replaced it; nothing was done there");
  return directory;
}

Result<const quarantine::Vault::HoldDirectory*> Session::hold(const host::Directory& target) {
  TRY_LET(const FileStat stat, target.stat());
  const auto key = std::pair(stat.id.device, stat.id.mount);
  if (const auto known = holds_.find(key); known != holds_.end()) return &known->second;
  TRY_LET(auto made, store.vault().make_hold(target, run.name));
  return &holds_.emplace(key, std::move(made)).first->second;
}

Result<std::unique_ptr<host::Directory>> Session::hold_of(const quarantine::Entry& entry) const {
  return open_hold_of(store, root, run.name, entry);
}

Result<std::unique_ptr<host::Directory>> open_hold_of(const Store& store,
                                                      const host::Directory& root,
                                                      const std::string& run,
                                                      const quarantine::Entry& entry) {
  if (entry.hold == quarantine::HoldPlace::store)
    return store.vault().open_hold(entry.hold, store.root(), run);
  // The nearest folder that is still there is on the same mount.
  for (RawPath path = entry.path.parent();; path = path.parent()) {
    auto directory = root.open_directory(path, host::Mounts::cross);
    if (!directory && (path.is_root() || !is_another_place(directory.error())))
      return std::unexpected(std::move(directory).error());
    if (!directory) continue;
    TRY_LET(const FileStat stat, (*directory)->stat());
    if (!same_file_system(stat.id, entry.parent))
      return fail(Code::changed,
                  "the file system that " + entry.path.display() + " was on is not there",
                  "mount it where it was, and try again");
    return store.vault().open_hold(entry.hold, **directory, run);
  }
}

namespace {

/// The first bytes of a file, one more than are expected.
class AtMost final : public ByteSource {
 public:
  AtMost(const host::File& file, std::uint64_t most) : source_(file), left_(most) {}
  [[nodiscard]] Result<std::size_t> read(std::span<char> into) override {
    if (longer_) return 0;
    TRY_LET(const std::size_t count, source_.read(into.first(static_cast<std::size_t>(
                                         std::min<std::uint64_t>(into.size(), left_ + 1)))));
    longer_ = count > left_;
    left_ -= std::min<std::uint64_t>(count, left_);
    return count;
  }
  [[nodiscard]] bool longer() const { return longer_; }

 private:
  host::FileSource source_;
  std::uint64_t left_;
  bool longer_ = false;
};

}  // namespace

Result<std::string> file_sha256(const host::File& file, std::uint64_t most) {
  AtMost source(file, std::min<std::uint64_t>(most, INT64_MAX));
  TRY_LET(crypto::StreamDigest digest, crypto::sha256_stream(source));
  if (source.longer()) return "unknown: it has more than " + std::to_string(most) + " bytes";
  return std::move(digest.sha256);
}

Result<journal::Journal> reopen_journal(const Store& store, const std::string& run,
                                        host::Host& host) {
  TRY(store.runs().sync());
  return journal::Journal::reopen(store.journals(), journal_name(run), host);
}

Result<void> protect(host::File& file, std::uint32_t flags) {
  TRY(file.set_protection_flags(flags));
  return file.sync();
}

Result<void> protect_original(const host::Directory& parent, const quarantine::Entry& entry) {
  const std::uint32_t flags =
      entry.metadata.inode_flags & (host::flag_immutable | host::flag_append_only);
  if (flags == 0) return {};
  const auto file = parent.open_file(entry.path.name(), host::Access::read);
  if (!file && is_another_place(file.error())) return {};
  if (!file) return std::unexpected(file.error());
  TRY_LET(const FileStat stat, (*file)->stat());
  if (!same_file(stat.id, entry.metadata.stat.id, false)) return {};
  return protect(**file, flags);
}

bool is_being_written(const host::File& file) { return file.has_other_writers().value_or(false); }

std::string linked_elsewhere(std::uint64_t names) {
  return "it has " + std::to_string(names) + " names now: somebody linked it elsewhere";
}

std::string reason_of(const Error& error) { return error.text(); }

namespace {

quarantine::Manifest manifest_of(const Session& session) {
  const Run& run = session.run;
  const plan::Plan& plan = run.plan.plan;
  quarantine::Manifest manifest;
  manifest.run = run.name;
  manifest.plan_id = plan.plan_id;
  manifest.plan_sha256 = run.plan_sha256;
  if (!run.plan_signature.empty())
    manifest.plan_signature_sha256 = crypto::sha256_hex(run.plan_signature);
  manifest.host_id = plan.host.id;
  manifest.host_name = plan.host.name;
  manifest.boot = run.boot;
  manifest.root = plan.host.root;
  manifest.tool = session.tool;
  manifest.created = {session.host.now().seconds, 0};
  manifest.approvers = run.approvers;
  manifest.signer = session.store.signer().fingerprint();
  for (const crypto::Certificate& recipient : session.recipients)
    manifest.recovery.push_back(recipient.fingerprint());
  manifest.journal_head = session.journal.head();
  manifest.journal_length = session.journal.length();
  manifest.copies = run.copies;
  for (const OperationState& operation : run.operations) {
    const State state =
        operation.state == State::restoring ? operation.before_restore : operation.state;
    const bool captured =
        state != State::planned && state != State::intended && state != State::not_done;
    if (captured || operation.held) manifest.entries.push_back(operation.entry);
    manifest.outcomes.push_back(
        {operation.operation->id, std::string(plan::action_name(operation.operation->action)),
         operation.operation->address, operation.outcome, operation.reason});
  }
  return manifest;
}

/// The signature first: where there is a document there is its signature.
Result<void> sign_into(const host::Directory& directory, const std::string& name,
                       const std::string& bytes, const Store& store) {
  TRY_LET(const crypto::PrivateKey key, store.signer_key());
  TRY_LET(const std::string signature, crypto::sign_detached(bytes, store.signer(), key));
  if (auto old = directory.remove_file(name); old)
    TRY(directory.sync());
  else if (old.error().code != Code::not_found)
    return old;
  TRY(host::write_durable(directory, name + ".p7s", signature, 0600));
  return host::write_durable(directory, name, bytes, 0600);
}

}  // namespace

std::string head_prefix(const std::string& run) { return run + ".head-"; }

Result<void> sign_head(const Session& session) {
  const host::Directory& journals = session.store.journals();
  const std::string prefix = head_prefix(session.run.name);
  const std::string name = prefix + std::to_string(session.journal.length()) + ".json";
  const Json head{{"format_version", 1},
                  {"run", session.run.name},
                  {"length", session.journal.length()},
                  {"head", session.journal.head()}};
  std::vector<std::string> older;
  TRY(journals.each_entry([&](std::string_view entry, FileKind) {
    if (entry.starts_with(prefix) && !entry.starts_with(name)) older.emplace_back(entry);
    return true;
  }));
  auto present = journals.stat_entry(name);
  if (!present && present.error().code != Code::not_found)
    return std::unexpected(std::move(present).error());
  if (!present) TRY(sign_into(journals, name, write_json(head), session.store));
  // Documents before their signatures, so that none is ever left without.
  for (const bool signatures : {false, true})
    for (const std::string& entry : older)
      if (entry.ends_with(".p7s") == signatures) TRY(journals.remove_file(entry));
  return journals.sync();
}

Result<RunReport> close_phase(Session& session, const std::string& phase, bool interrupted) {
  Run& run = session.run;
  RunReport report;
  report.run = run.name;
  report.plan_id = run.plan.plan.plan_id;
  report.phase = phase;
  report.status = status_of(run, phase);
  report.interrupted = interrupted;
  for (OperationState& operation : run.operations) {
    if (operation.operation->action == plan::Action::instruct) {
      operation.outcome = went_past(run, *operation.operation) ? "resumed" : "to_do";
      operation.reason = operation.operation->instruction;
    } else if (operation.state == State::captured && !(phase == "rollback" && operation.selected)) {
      operation.outcome = "held";
      if (operation.reason.empty())
        operation.reason = "captured, not sealed: `remediate resume " + run.name + "` seals it";
    } else if (operation.state == State::planned) {
      operation.outcome = "not_started";
      if (operation.reason.empty())
        operation.reason =
            phase == "apply"
                ? "stopped before it began: `remediate resume " + run.name + "` continues"
                : "the run was taken back before it began: make a new plan";
    }
    report.operations.push_back(
        {operation.operation->id, std::string(plan::action_name(operation.operation->action)),
         operation.operation->address, operation.outcome, operation.reason});
  }
  TRY(session.flush());
  Json closing{{"phase", phase}, {"status", report.status}};
  // A rollback may end a run whose apply never ended: it needs its manifest as well.
  auto manifest = run.directory->stat_entry("manifest.json");
  if (!manifest && manifest.error().code != Code::not_found)
    return std::unexpected(std::move(manifest).error());
  // Closed before and nothing done since: the signed manifest stays as it is.
  const bool unchanged = run.closed && session.journal.length() == session.loaded_length;
  if ((phase == "apply" && !unchanged) || !manifest) {
    const std::string bytes = quarantine::write_manifest(manifest_of(session));
    TRY(sign_into(*run.directory, "manifest.json", bytes, session.store));
    closing["manifest_sha256"] = crypto::sha256_hex(bytes);
  } else {
    TRY_LET(const auto file, run.directory->open_file("manifest.json", host::Access::read));
    TRY_LET(closing["manifest_sha256"], file_sha256(*file));
  }
  if (!interrupted && !unchanged) {
    session.journal.append(journal::type::closed, "", std::move(closing));
    TRY(session.flush());
    run.closed = true;
    run.status = report.status;
  }
  TRY(sign_head(session));
  report.head = std::to_string(session.journal.length()) + ":" + session.journal.head();
  return report;
}

}  // namespace remediate::run
