#include "remediate/run/rollback_preview.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "remediate/base/try.h"
#include "remediate/host/durable.h"
#include "remediate/run/directory_reset.h"
#include "remediate/run/line_order.h"
#include "remediate/run/setting_version.h"

namespace remediate::run {
namespace {

constexpr std::uint64_t max_manifest_bytes = 256u << 20;

struct Outlook {
  bool conflict = false;
  std::string reason;
};

Outlook would_restore(std::string how) { return {false, std::move(how) + "; not tried now"}; }

class Preview {
 public:
  Preview(const Store& store, const host::Directory& root, const Run& run,
          const RollbackOptions& options)
      : store_(store), root_(root), run_(run), options_(options), key_words_(key_words(run)) {}

  [[nodiscard]] bool lacks_key() const { return lacks_key_; }

  [[nodiscard]] Outlook of(const OperationState& operation) {
    const std::string how = operation.state == State::finalized
                                ? "from the sealed object, with the recovery key"
                                : "from the hold";
    Outlook outlook;
    const bool key = options_.recovery.has_value();
    if (operation.entry.directory) {
      outlook = of_directory(*operation.entry.directory);
    } else if (operation.state == State::finalized && !key) {
      lacks_key_ = true;
      return {true, "only the sealed copy is left, and it needs --recovery-key FILE" + key_words_};
    } else if (operation.operation->action != plan::Action::reset_setting &&
               operation.entry.metadata.privileged() &&
               options_.privileges == host::Privileges::strip) {
      outlook = {true,
                 "it carries setuid, setgid or capabilities: --with-privileges puts them back"};
    } else if (operation.operation->action == plan::Action::quarantine) {
      const std::string obstacle = in_the_way(operation);
      outlook = obstacle.empty() ? would_restore(how) : Outlook{true, obstacle};
    } else {
      auto known = of_version(operation, how);
      outlook = known ? std::move(*known) : Outlook{true, reason_of(known.error())};
    }
    const bool is_file = operation.operation->action == plan::Action::quarantine ||
                         operation.operation->action == plan::Action::replace_file;
    if (outlook.conflict && is_file) outlook.reason += "; --outbox DIR would put a copy there";
    return outlook;
  }

 private:
  /// Whose key opens the run's objects, by the manifest; the evidence was checked before.
  static std::string key_words(const Run& run) {
    const auto bytes = host::read_whole(*run.directory, "manifest.json", max_manifest_bytes);
    if (!bytes) return {};
    const auto manifest = quarantine::read_manifest(*bytes);
    if (!manifest || manifest->recovery.empty()) return {};
    std::string words;
    for (const std::string& fingerprint : manifest->recovery)
      words += (words.empty() ? "" : " or ") + fingerprint;
    return ": the private key of the recovery certificate with the fingerprint (sha256) " + words;
  }

  /// Why a file could not go back to its place as it looks now; empty when it could.
  std::string in_the_way(const OperationState& operation) const {
    const quarantine::Entry& entry = operation.entry;
    const auto folder = root_.open_directory(entry.path.parent(), host::Mounts::cross);
    if (!folder) return "its folder cannot be opened: " + reason_of(folder.error());
    const auto facts = (*folder)->stat();
    if (facts && !same_file(facts->id, entry.parent, false))
      return "its folder is not the one that was recorded";
    const auto taken = (*folder)->stat_entry(entry.path.name());
    if (taken && !same_file(taken->id, entry.metadata.stat.id, false) &&
        !same_file(taken->id, operation.built, false))
      return "its name is taken by another file";
    return {};
  }

  Outlook of_directory(const DirectoryValue& recorded) const {
    if (options_.directory == nullptr)
      return would_restore(
          "in the directory, where it still has our value (--directory FILE would look)");
    const std::string obstacle = directory_obstacle(*options_.directory, recorded);
    return obstacle.empty()
               ? would_restore("in the directory, which has our value or the old one already")
               : Outlook{true, obstacle};
  }

  /// A file whose version was exchanged. Later changes of the same file were asked before this one:
  /// versions_ has what they would leave.
  Result<Outlook> of_version(const OperationState& operation, const std::string& how) {
    const quarantine::Entry& entry = operation.entry;
    auto known = versions_.find(entry.path);
    if (known == versions_.end()) {
      TRY_LET(const auto folder, root_.open_directory(entry.path.parent(), host::Mounts::cross));
      TRY_LET(const FileStat facts, folder->stat());
      if (!same_file(facts.id, entry.parent, false))
        return Outlook{true, "its folder is not the one that was recorded"};
      TRY_LET(const auto file, folder->open_file(entry.path.name(), host::Access::read));
      TRY_LET(Version now, read_version(*file));
      known = versions_.emplace(entry.path, std::move(now)).first;
    }
    Version& current = known->second;
    if (current.sha256 == entry.sha256) return would_restore("it has the original's bytes already");
    auto before = held_original(entry);
    const bool has_copy = options_.recovery && !entry.object.empty();
    if (!before && !has_copy) return std::unexpected(std::move(before).error());
    if (!before && current.sha256 == entry.after_sha256) {
      current = {{}, entry.sha256};
      return would_restore("from the sealed object, with the recovery key");
    }
    if (!before)
      return would_restore(
          "others changed it since, and whether our change can be taken out of it is seen when the "
          "sealed copy of the original is opened");
    const bool ours = current.sha256 == entry.after_sha256;
    std::string undone = *before;
    if (!ours) {
      TRY_LET(const std::string after, edit_version(root_, *operation.operation, *before));
      TRY_LET(undone, undo_version(*operation.operation, *before, after, current.bytes));
    }
    current = {undone, crypto::sha256_hex(undone)};
    return would_restore(ours ? how : how + ", and what others changed since would be kept");
  }

  Result<std::string> held_original(const quarantine::Entry& entry) const {
    TRY_LET(const auto hold, open_hold_of(store_, root_, run_.name, entry));
    TRY_LET(std::string bytes, host::read_whole(*hold, entry.hold_name, max_setting_bytes));
    if (crypto::sha256_hex(bytes) != entry.sha256)
      return fail(Code::corrupt, "the held original is not what was captured",
                  "--recovery-key uses the sealed copy");
    return bytes;
  }

  const Store& store_;
  const host::Directory& root_;
  const Run& run_;
  const RollbackOptions& options_;
  std::string key_words_;
  bool lacks_key_ = false;
  std::map<RawPath, Version> versions_;
};

}  // namespace

RunReport preview_rollback(const Store& store, const host::Directory& root, const Run& run,
                           const std::vector<OperationState*>& selected,
                           const RollbackOptions& options) {
  RunReport report{run.name,   run.plan.plan.plan_id,
                   "rollback", selected.empty() ? "nothing_to_do" : "planned",
                   false,      "",
                   {},         {}};
  Preview preview(store, root, run, options);
  for (const OperationState* operation : selected) {
    Outlook outlook = preview.of(*operation);
    report.operations.push_back(
        {operation->operation->id, std::string(plan::action_name(operation->operation->action)),
         operation->operation->address, outlook.conflict ? "would_conflict" : "would_restore",
         std::move(outlook.reason)});
  }
  report.lacks_key = preview.lacks_key();
  auto without_files = lines_without_files(run, [&](const OperationState& one) {
    return std::ranges::find(selected, &one) != selected.end();
  });
  std::ranges::move(without_files, std::back_inserter(report.notices));
  report.notices.emplace_back("dry run: nothing was changed");
  return report;
}

}  // namespace remediate::run
