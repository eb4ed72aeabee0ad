#include "remediate/run/verify.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"
#include "remediate/crypto/signature.h"
#include "remediate/host/durable.h"
#include "remediate/plan/approval.h"
#include "remediate/run/setting_reset.h"
#include "remediate/run/store_check.h"

namespace remediate::run {
namespace {

constexpr std::uint64_t max_manifest_bytes = 256u << 20;
constexpr std::uint64_t max_signature_bytes = 1u << 20;

/// Reads a file with its signature by the store's signer; the bytes are only given when it holds.
Result<std::string> read_signed(const Store& store, const host::Directory& directory,
                                const std::string& name) {
  TRY_LET(std::string bytes, host::read_whole(directory, name, max_manifest_bytes));
  auto signature = host::read_whole(directory, name + ".p7s", max_signature_bytes);
  if (!signature)
    return fail(Code::signature, name + " has no signature: " + signature.error().text(),
                "a missing signature is an invalid one: take both from a backup");
  auto verified = crypto::verify_detached(*signature, bytes, {store.signer()});
  if (!verified)
    return std::unexpected(
        std::move(verified).error().wrapped("the signature of " + name + " does not hold"));
  if (verified->signers.empty())
    return fail(Code::signature, name + " is not signed by this store's signer",
                "it was replaced or signed by somebody else: take both from a backup");
  if (verified->signatures != 1 || verified->certificates != 1)
    return fail(Code::signature, "the signature of " + name + " is not one that this tool makes",
                "it was changed: take both from a backup");
  return bytes;
}

/// The head that the journal had with `length` records; empty when it has fewer.
std::string head_at(const journal::Contents& journal, std::uint64_t length) {
  if (length > journal.records.size()) return {};
  return length == journal.records.size() ? journal.head : journal.records[length].prev;
}

bool was_captured(const OperationState& operation) {
  const State state =
      operation.state == State::restoring ? operation.before_restore : operation.state;
  return state == State::captured || state == State::sealed || state == State::done ||
         state == State::restored || state == State::finalizing || state == State::finalized ||
         operation.held;
}

bool object_expected(const OperationState& operation) {
  return was_captured(operation) && !operation.entry.object.empty();
}

/// The manifest was signed when apply ended; the journal tells more since. What the manifest says
/// of an entry must be what the journal says.
Result<void> check_manifest(const Store& store, const Run& run, const journal::Contents& journal) {
  auto bytes = read_signed(store, *run.directory, "manifest.json");
  if (!bytes) {
    if (bytes.error().code == Code::not_found && !run.closed) return {};  // apply never ended
    return std::unexpected(std::move(bytes).error());
  }
  if (run.closed && run.manifest_sha256 != crypto::sha256_hex(*bytes))
    return fail(Code::corrupt, "manifest.json is not the one that the journal names",
                "it is of another time or run: take it from a backup");
  TRY_LET(const quarantine::Manifest manifest, quarantine::read_manifest(*bytes));
  if (manifest.run != run.name || manifest.plan_id != run.plan.plan.plan_id ||
      manifest.plan_sha256 != run.plan_sha256)
    return fail(Code::corrupt, "manifest.json is of another run or plan", "take it from a backup");
  if (manifest.plan_signature_sha256 != signature_digest(run.plan_signature))
    return fail(Code::corrupt, "plan.json.p7s is not the one that the manifest binds",
                "take it from a backup");
  if (head_at(journal, manifest.journal_length) != manifest.journal_head)
    return fail(Code::corrupt,
                "the journal's first " + std::to_string(manifest.journal_length) +
                    " records are not those that the manifest binds",
                "the journal was cut or changed: take it from a backup");
  if (manifest.copies != run.copies)
    return fail(Code::corrupt, "manifest and journal disagree about what was copied",
                "compare both with a witness or a backup");
  std::set<std::string> given_back;  // after the manifest was signed
  for (const journal::Record& record : journal.records)
    if (record.type == journal::type::not_done && record.sequence > manifest.journal_length)
      given_back.insert(record.operation);
  for (const quarantine::Entry& entry : manifest.entries) {
    const auto operation = std::ranges::find_if(
        run.operations, [&](const OperationState& one) { return one.operation->id == entry.id; });
    if (operation == run.operations.end() ||
        (!was_captured(*operation) && !given_back.contains(entry.id)))
      return fail(Code::corrupt,
                  "the manifest has entry " + display(entry.id) + ", the journal does not",
                  "compare both with a witness or a backup");
    if (quarantine::to_json(entry) != quarantine::to_json(operation->entry) &&
        !(entry.object.empty() && !operation->entry.object.empty()))
      return fail(Code::corrupt, "manifest and journal disagree about entry " + entry.id,
                  "compare both with a witness or a backup");
  }
  return {};
}

struct SignedHead {
  std::uint64_t length = 0;  // by its name
  std::string bytes;
};

/// What a head with a good signature says of the journal; true when it is of its very end.
Result<bool> compare_head(const SignedHead& signed_head, const Run& run,
                          const journal::Contents& journal) {
  const std::string name = "the signed head of " + run.name;
  TRY_LET(const Json json, parse_json(signed_head.bytes, name));
  JsonReader reader(json, "");
  TRY_LET(const std::int64_t version, reader.integer("format_version"));
  TRY_LET(const std::string of, reader.string("run"));
  TRY_LET(const std::uint64_t length, reader.unsigned_integer("length"));
  TRY_LET(const std::string head, reader.string("head"));
  TRY(reader.done());
  if (version != 1)
    return fail(Code::corrupt, name + " is of another format",
                "use the version of the tool that made it");
  if (of != run.name || length != signed_head.length)
    return fail(Code::corrupt, name + " is of another run or length than its name says",
                "take it from a backup");
  if (length > journal.records.size())
    return fail(Code::corrupt,
                "the journal has " + std::to_string(journal.records.size()) +
                    " records, its signed head is of " + std::to_string(length),
                "the journal was cut: take it from a backup");
  if (head_at(journal, length) != head)
    return fail(
        Code::corrupt,
        "the journal's record " + std::to_string(length) + " is not the one that was signed",
        "the journal was changed: take it from a backup");
  return length == journal.records.size();
}

/// The lengths that heads of the run are of, rising.
Result<std::vector<std::uint64_t>> head_lengths(const Store& store, const Run& run) {
  const std::string prefix = head_prefix(run.name);
  std::vector<std::uint64_t> lengths;
  TRY(store.journals().each_entry([&](std::string_view name, FileKind) {
    if (!name.starts_with(prefix) || !name.ends_with(".json")) return true;
    name.remove_prefix(prefix.size());
    name.remove_suffix(std::string_view(".json").size());
    std::uint64_t length = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), length);
    if (parsed.ptr == name.data() + name.size()) lengths.push_back(length);
    return true;
  }));
  std::ranges::sort(lengths);
  return lengths;
}

Result<SignedHead> read_head(const Store& store, const Run& run, std::uint64_t length) {
  TRY_LET(std::string bytes, read_signed(store, store.journals(),
                                         head_prefix(run.name) + std::to_string(length) + ".json"));
  return SignedHead{length, std::move(bytes)};
}

/// The newest signed head; not_found when there is none.
Result<SignedHead> read_head(const Store& store, const Run& run) {
  TRY_LET(const std::vector<std::uint64_t> lengths, head_lengths(store, run));
  if (lengths.empty()) return fail(Code::not_found, "run " + run.name + " has no signed head");
  return read_head(store, run, lengths.back());
}

Result<void> check_head(const Store& store, const Run& run, const journal::Contents& journal) {
  auto bytes = read_head(store, run);
  if (!bytes) {
    // Before the first head is signed nothing but the start of the run is recorded.
    if (bytes.error().code == Code::not_found && journal.records.size() <= 1) return {};
    return std::unexpected(std::move(bytes).error());
  }
  TRY_LET(const bool last, compare_head(*bytes, run, journal));
  if (!last && run.closed)
    return fail(Code::corrupt, "the journal goes on after its signed head, to a closed end",
                "`remediate resume " + run.name + "` after a crash; else compare with a witness");
  return {};
}

Result<journal::Contents> read_contents(const Store& store, const Run& run) {
  TRY_LET(const std::string bytes,
          host::read_whole(store.journals(), journal_name(run.name), journal::max_journal_bytes));
  return journal::read_journal(bytes);
}

Result<std::string> sha256_at(const host::Directory& folder, std::string_view name) {
  TRY_LET(const auto file, folder.open_file(name, host::Access::read));
  return file_sha256(*file);
}

class Verifier {
 public:
  Verifier(host::Host& host, const Store& store, const VerifyOptions& options)
      : host_(host), store_(store), options_(options) {}

  Result<VerifyReport> run(const std::string& wanted) {
    if (const auto locked = store_.root().locked("lock"); locked && *locked) working_ = true;
    if (working_)
      notice("store",
             "another instance works on it now, so what it is about may change while it is "
             "checked: verify again when that one has ended");
    std::vector<std::string> names;
    if (wanted.empty()) {
      TRY_LET(names, store_.run_names());
    } else {
      TRY_LET(std::string name, find_run(store_, wanted));
      names.push_back(std::move(name));
    }
    for (const std::string& name : names) check_run(name);
    TRY_LET(const std::vector<std::string> all, store_.run_names());
    check_store(store_, host_.user(), all, wanted.empty() ? wanted : names.front(),
                report_.findings);
    if (wanted.empty()) TRY(check_unreferenced());
    check_witness();
    return std::move(report_);
  }

 private:
  void error(std::string where, std::string what) {
    report_.findings.push_back({Finding::Level::error, std::move(where), std::move(what)});
  }
  void notice(std::string where, std::string what) {
    report_.findings.push_back({Finding::Level::notice, std::move(where), std::move(what)});
  }

  void check_run(const std::string& name) {
    report_.runs.push_back(name);
    auto run = load_run(store_, name);
    if (!run) {
      error(name, reason_of(run.error()));
      incomplete_ = true;
      return;
    }
    if (run->phase.empty()) {
      notice(name, working_ ? "it has no record yet: nothing was done"
                            : "it was interrupted before its first record: nothing was done");
      return;
    }
    if (auto contents = read_contents(store_, *run)) {
      if (contents->torn && !working_)
        notice(name, "the journal ends in a torn record, as after a crash: `remediate resume " +
                         name + "`");
      if (auto head = check_head(store_, *run, *contents); !head)
        error(name + " journal", reason_of(head.error()));
      for (const journal::Record& record : contents->records)
        chain_.emplace(std::to_string(record.sequence - 1) + ":" + record.prev);
      chain_.emplace(std::to_string(contents->records.size()) + ":" + contents->head);
      if (auto manifest = check_manifest(store_, *run, *contents); !manifest)
        error(name + " manifest", reason_of(manifest.error()));
      check_older_heads(*run, *contents);
    } else {
      error(name + " journal", reason_of(contents.error()));
    }
    if (!run->closed && working_)
      notice(name,
             "it is not ended: the instance that works now does it, or it was interrupted before");
    else if (!run->closed)
      notice(name, "it was interrupted: `remediate resume " + name + "` or `remediate rollback " +
                       name + "`");
    if (const std::size_t unsealed = held_unsealed(*run); run->closed && unsealed != 0)
      notice(name, std::to_string(unsealed) +
                       " original(s) are held and unsealed: there is no copy of them but the hold. "
                       "`remediate resume " +
                       name + "` seals them, where the store has space");
    check_approval(*run);
    check_entries(*run);
  }

  /// A crash can leave the head of an earlier moment beside the newest.
  void check_older_heads(const Run& run, const journal::Contents& journal) {
    auto lengths = head_lengths(store_, run);
    if (!lengths) return error(run.name + " journal", reason_of(lengths.error()));
    for (const std::uint64_t length : *lengths) {
      if (length == lengths->back()) break;  // the newest was checked
      const std::string name = head_prefix(run.name) + std::to_string(length) + ".json";
      const auto signature = store_.journals().stat_entry(name + ".p7s");
      if (!signature && signature.error().code == Code::not_found) {
        notice("journal/" + name, "an older head whose signature is gone, as after a power cut");
        continue;
      }
      auto head = read_head(store_, run, length);
      auto compared = head ? compare_head(*head, run, journal) : std::unexpected(head.error());
      if (!compared) error(run.name + " journal", reason_of(compared.error()));
    }
  }

  void check_approval(const Run& run) {
    const std::uint64_t needed =
        options_.policy != nullptr ? plan::approvals_needed(run.plan.plan, *options_.policy) : 0;
    if (needed == 0) return;
    auto verified = crypto::verify_detached(run.plan_signature, run.plan.bytes, options_.approvers);
    if (!verified)
      error(run.name + " plan.json.p7s", reason_of(verified.error()));
    else if (verified->signers.size() < needed)
      error(run.name + " plan.json.p7s", "the policy asks for " + std::to_string(needed) +
                                             " approvals, " +
                                             std::to_string(verified->signers.size()) + " hold");
  }

  /// Interrupted between intent and capture: the original may be at its place or in the hold.
  void check_intended(const Run& run, const OperationState& operation) {
    const quarantine::Entry& entry = operation.entry;
    if (entry.hold != quarantine::HoldPlace::store) return;
    auto hold = store_.vault().open_hold(entry.hold, store_.root(), run.name);
    if (hold && (*hold)->stat_entry(entry.hold_name))
      notice(entry.id + " " + entry.path.display(),
             "it was interrupted while it was captured; a file is in the hold");
  }

  void check_entries(const Run& run) {
    auto root = host_.open_root(run.plan.plan.host.root);
    if (!root)
      notice(run.name,
             "its root cannot be opened, so targets are not checked: " + reason_of(root.error()));
    for (const quarantine::SealedCopy& copy : run.copies)
      check_object(copy, run.name + " copy of " + copy.path.display() + " object");
    for (const OperationState& operation : run.operations) {
      // Its record is all that there is; journal, head and manifest were compared.
      if (operation.entry.directory) continue;
      if (object_expected(operation))
        check_object(operation.entry,
                     operation.entry.id + " " + operation.entry.path.display() + " object");
      if (operation.state == State::intended) check_intended(run, operation);
      if (was_captured(operation)) check_held(run, operation, root ? root->get() : nullptr);
    }
  }

  /// Of an entry or of a copy.
  template <class Sealed>
  void check_object(const Sealed& entry, const std::string& where) {
    referenced_.insert(entry.object + ".p7m");
    auto size = store_.vault().check_object(entry.object);
    if (!size) return error(where, reason_of(size.error()));
    if (*size != entry.object_size)
      return error(where, "it has " + std::to_string(*size) + " bytes, recorded were " +
                              std::to_string(entry.object_size));
    ++report_.objects_checked;
    if (!options_.recovery) return;
    if (auto opened = store_.vault().open_object(
            entry.object, entry.sha256, options_.recovery->certificate, options_.recovery->key);
        !opened)
      error(where, reason_of(opened.error()));
  }

  static bool is_at_its_place(const host::Directory& parent, const quarantine::Entry& entry) {
    auto file = parent.open_file(entry.path.name(), host::Access::read);
    if (!file) return false;
    const auto stat = (*file)->stat();
    const auto digest = file_sha256(**file, entry.metadata.stat.size);
    return stat && same_file(stat->id, entry.metadata.stat.id, false) && digest &&
           *digest == entry.sha256;
  }

  void check_held(const Run& run, const OperationState& operation, const host::Directory* root) {
    const quarantine::Entry& entry = operation.entry;
    const std::string where = entry.id + " " + entry.path.display();
    std::unique_ptr<host::Directory> parent;
    if (root != nullptr)
      if (auto opened = root->open_directory(entry.path.parent(), host::Mounts::cross))
        parent = std::move(*opened);
    if (parent && entry.action == "quarantine" &&
        (operation.state == State::done || operation.state == State::finalized))
      if (parent->stat_entry(entry.path.name()))
        notice(where,
               "something is at its place again: it came back, or something new has its name");
    if (parent && operation.operation->action == plan::Action::replace_file &&
        (operation.state == State::done || operation.state == State::finalized))
      if (auto now = sha256_at(*parent, entry.path.name()); !now || *now != entry.after_sha256)
        notice(where, "the known good version is no longer at its place: " +
                          (now ? "sha256 " + *now : reason_of(now.error())));
    const bool gone = operation.state == State::restored || operation.state == State::finalized ||
                      operation.state == State::finalizing || operation.state == State::restoring;
    if (gone) return;
    if (!parent && entry.hold == quarantine::HoldPlace::mount_top)
      return notice(where, "its hold cannot be reached, so it is not checked");
    auto hold = store_.vault().open_hold(entry.hold, parent ? *parent : store_.root(), run.name);
    if (!hold) return error(where + " hold", reason_of(hold.error()));
    if (operation.state == State::not_done)
      if (const auto stranger = (*hold)->stat_entry(entry.hold_name))
        return notice(where, "a file that was not approved is in the hold (" +
                                 std::string(kind_name(stranger->kind)) +
                                 "): `remediate rollback` puts it back");
    auto file = (*hold)->open_file(entry.hold_name, host::Access::read);
    if (!file && run.phase == "rollback" && operation.outcome == "failed" && parent &&
        is_at_its_place(*parent, entry))
      return notice(where,
                    "it is at its place, where a rollback could not check it: `remediate "
                    "rollback " +
                        run.name + "` ends that");
    if (!file && operation.state == State::not_done && file.error().code == Code::not_found)
      if (const auto held = look_into_hold(**hold, operation);
          held && held->what != Held::What::nothing)
        return notice(
            where, "what others put at its place during the exchange is held as " + held->name +
                       ": look at it" +
                       (parent && is_at_its_place(*parent, entry) ? "; the original is at its place"
                                                                  : ""));
    if (!file) return error(where + " hold", reason_of(file.error()));
    auto digest = file_sha256(**file, entry.metadata.stat.size);
    if (!digest) return error(where + " hold", reason_of(digest.error()));
    if (*digest != entry.sha256)
      return error(where + " hold",
                   "the held file has sha256 " + *digest + ", recorded was " + entry.sha256);
    auto metadata = (*file)->metadata();
    if (!metadata) return error(where + " hold", reason_of(metadata.error()));
    Metadata wanted = entry.metadata;  // its protection flags were cleared on purpose
    wanted.inode_flags = metadata->inode_flags;
    for (const std::string& difference : metadata_differences(wanted, *metadata))
      error(where + " hold", difference);
    // What was exchanged may have a further name of ours in the hold.
    if (!plan::exchanges_file(*operation.operation) &&
        metadata->stat.links > entry.metadata.stat.links)
      error(where + " hold", linked_elsewhere(metadata->stat.links));
    ++report_.held_checked;
  }

  Result<void> check_unreferenced() {
    if (incomplete_) return {};
    return store_.vault().objects().each_entry([&](std::string_view name, FileKind) {
      if (!referenced_.contains(std::string(name)))
        notice("objects/" + display(name), "no run refers to it, as after an interrupted run");
      return true;
    });
  }

  void check_witness() {
    if (!options_.witness.empty() && !chain_.contains(options_.witness))
      error("witness", "no journal contains the head " + display(options_.witness) +
                           " that was noted: records were removed or rewritten");
  }

  host::Host& host_;
  const Store& store_;
  const VerifyOptions& options_;
  VerifyReport report_;
  std::set<std::string> referenced_, chain_;
  bool incomplete_ = false;
  bool working_ = false;  // somebody holds the store's lock
};

}  // namespace

bool VerifyReport::ok() const {
  return std::ranges::none_of(
      findings, [](const Finding& finding) { return finding.level == Finding::Level::error; });
}

Result<VerifyReport> verify(host::Host& host, const Store& store, const std::string& run,
                            const VerifyOptions& options) {
  return Verifier(host, store, options).run(run);
}

Result<void> require_evidence(const Store& store, const Run& run) {
  if (run.phase.empty()) return {};
  const auto refused = [&](Error error) {
    return std::unexpected(std::move(error).wrapped(
        "run " + run.name + " does not verify, so nothing is done with it"));
  };
  auto contents = read_contents(store, run);
  if (!contents) return refused(std::move(contents).error());
  if (auto head = check_head(store, run, *contents); !head) return refused(std::move(head).error());
  if (auto manifest = check_manifest(store, run, *contents); !manifest)
    return refused(std::move(manifest).error());
  return {};
}

Result<bool> ends_unsigned(const Store& store, const Run& run, std::uint64_t length) {
  TRY_LET(const std::vector<std::uint64_t> lengths, head_lengths(store, run));
  return lengths.empty() || lengths.back() < length;
}

Result<void> require_resumable(const Store& store, const Run& run) {
  const auto refused = [&](Error error) {
    error.remedy += std::string(error.remedy.empty() ? "" : "; ") +
                    "after a crash `remediate resume " + run.name + "` comes first";
    return std::unexpected(
        std::move(error).wrapped("run " + run.name + " does not verify, so it is not continued"));
  };
  auto contents = read_contents(store, run);
  if (!contents) return refused(std::move(contents).error());
  auto head = read_head(store, run);
  if (!head && (head.error().code != Code::not_found || contents->records.size() > 1))
    return refused(std::move(head).error());
  if (head)
    if (auto compared = compare_head(*head, run, *contents); !compared)
      return refused(std::move(compared).error());
  if (!run.closed) return {};
  if (auto manifest = check_manifest(store, run, *contents); !manifest)
    return refused(std::move(manifest).error());
  return {};
}

}  // namespace remediate::run
