#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"
#include "remediate/host/durable.h"
#include "remediate/run/line_order.h"
#include "remediate/run/restore.h"
#include "remediate/run/setting_version.h"

namespace remediate::run {
namespace {

constexpr std::string_view removed_since =
    "the file is gone: somebody removed it since, and its name is free; nothing was done";

constexpr std::string_view written_to =
    "others wrote to the version that was displaced: it stays in the hold";

class VersionRestore {
 public:
  VersionRestore(Session& session, const RollbackOptions& options, OperationState& operation)
      : session_(session),
        options_(options),
        operation_(operation),
        entry_(operation.entry),
        plan_(*operation.operation) {}

  Result<void> run() {
    auto restored = attempt();
    if (restored) return record_restored(session_, operation_, with_copy(std::move(*restored)));
    // Only a new look at the disk tells what is where: resume takes it.
    if (unsure_) return std::unexpected(std::move(restored).error());
    const Code code = restored.error().code;
    const char* outcome = code == Code::conflict || code == Code::changed || code == Code::ambiguous
                              ? "conflict"
                              : "failed";
    return record_restored(session_, operation_,
                           with_copy({false, outcome, reason_of(restored.error())}));
  }

 private:
  [[nodiscard]] std::string_view name() const { return entry_.path.name(); }
  /// A further name of the held original, which is what is exchanged: so it cannot be lost.
  [[nodiscard]] std::string back_name() const { return entry_.hold_name + ".back"; }
  [[nodiscard]] const FileId& original() const { return entry_.metadata.stat.id; }

  /// Where a replaced file cannot go back its copy may go to the outbox.
  Restored with_copy(Restored restored) const {
    if (plan_.action != plan::Action::replace_file || restored.outcome != "conflict")
      return restored;
    std::unique_ptr<host::File> held;
    if (hold_ != nullptr)
      if (auto file = hold_->open_file(entry_.hold_name, host::Access::read))
        held = std::move(*file);
    return to_outbox(session_, options_, operation_, held.get(), restored.reason);
  }

  /// The hold is found without the folder, for a copy in the outbox.
  Result<Restored> without_folder(const Error& error) {
    if (error.code != Code::not_found && error.code != Code::changed) return std::unexpected(error);
    if (auto hold = session_.hold_of(entry_)) {
      own_hold_ = std::move(*hold);
      hold_ = own_hold_.get();
    }
    return Restored{
        false, "conflict",
        error.code == Code::not_found ? "its folder is gone: nothing was done" : reason_of(error)};
  }

  [[nodiscard]] bool name_is_free() const {
    const auto taken = parent_->stat_entry(name());
    return !taken && taken.error().code == Code::not_found;
  }

  Result<Restored> attempt() {
    auto parent = session_.parent(entry_.path, entry_.parent);
    if (!parent) return without_folder(parent.error());
    parent_ = std::move(*parent);
    TRY_LET(parent_stat_, parent_->stat());
    TRY_LET(const quarantine::Vault::HoldDirectory* hold, session_.hold(*parent_));
    hold_ = hold->directory.get();

    auto target = parent_->open_file(name(), host::Access::read);
    if (!target && target.error().code == Code::not_found)
      return Restored{false, "conflict", std::string(removed_since)};
    if (!target) return std::unexpected(std::move(target).error());
    TRY_LET(const Version current, read_version(**target));
    TRY_LET(const FileStat stat, (*target)->stat());
    // Once the original was removed, another file may have got its inode number.
    const bool removed = operation_.before_restore == State::finalizing ||
                         operation_.before_restore == State::finalized;
    if (same_file(stat.id, entry_.metadata.stat.id, false) &&
        (!removed || current.sha256 == entry_.sha256))
      return never_changed(**target, current);
    if (plan_.action == plan::Action::replace_file && entry_.metadata.privileged() &&
        options_.privileges == host::Privileges::strip)
      return Restored{
          false, "refused",
          "it carries setuid, setgid or capabilities: --with-privileges puts them back"};

    TRY_LET(const bool held, holds_original());
    if (held && current.sha256 == entry_.after_sha256) {
      TRY_LET(const std::string why, breaks_pages(held));
      if (!why.empty()) return Restored{false, "failed", why};
      return exchange_original(**target);
    }
    return merge(**target, current, held);
  }

  /// The original is at its place: the exchange never happened, was taken back, or a crash came
  /// after it was put back.
  Result<Restored> never_changed(host::File& target, const Version& current) {
    if (current.sha256 != entry_.sha256)
      return Restored{false, "conflict",
                      "the original file is at its place, but others changed it since"};
    // It may have got there by an exchange that nobody flushed: then the hold's name is its last.
    TRY(parent_->sync());
    TRY(hold_->sync());
    bool kept = false;
    for (const std::string& name : {entry_.hold_name, entry_.hold_name + ".new", back_name()}) {
      TRY_LET(const bool stays, drop_if_ours(name));
      kept = kept || stays;
    }
    if (const std::uint32_t flags = protection(entry_.metadata); flags != 0)
      TRY(protect(target, flags));
    TRY(hold_->sync());
    return Restored{true, "restored",
                    kept ? "what others wrote meanwhile is kept in the hold" : ""};
  }

  /// Removes a name from the hold when it is a further name of the original that is back at its
  /// place, or the version that this tool made and nobody wrote to. True when it is something else
  /// and stays.
  Result<bool> drop_if_ours(const std::string& name) {
    auto held = hold_->open_file(name, host::Access::read);
    if (!held && held.error().code == Code::not_found) return false;
    if (!held) return std::unexpected(std::move(held).error());
    TRY_LET(const FileStat stat, (*held)->stat());
    const bool is_original = same_file(stat.id, original(), false);
    if (!is_original && !same_file(stat.id, operation_.built, false)) return true;
    // An immutable file cannot lose a name: who calls sets the flags of the original again.
    if (protection(entry_.metadata) != 0) TRY(protect(**held, 0));
    return drop_if_still(name, stat.id, is_original ? "" : entry_.after_sha256);
  }

  /// A name cannot be removed by what it is of, so the look comes right before: time has passed
  /// since it was displaced, and who had it open can have written to it, or does yet (no digest: it
  /// has another name). True when it stays.
  Result<bool> drop_if_still(const std::string& name, const FileId& id,
                             const std::string& sha256) const {
    TRY_LET(const auto file, hold_->open_file(name, host::Access::read));
    TRY_LET(const FileStat seen, file->stat());
    TRY_LET(const std::string digest,
            sha256.empty() ? sha256 : file_sha256(*file, max_setting_bytes));
    if (!same_file(seen.id, id, false) || digest != sha256) return true;
    if (!sha256.empty() && is_being_written(*file)) return true;
    TRY_LET(const FileStat now, hold_->stat_entry(name));
    if (!same_and_unwritten(seen, now)) return true;
    TRY(hold_->remove_file(name));
    return false;
  }

  Result<bool> holds_original() {
    // A crash may have come before the displaced original got its own name.
    auto early = hold_->stat_entry(entry_.hold_name + ".new");
    if (early && early->id.inode == original().inode)
      TRY(hold_->rename(entry_.hold_name + ".new", *hold_, entry_.hold_name));
    auto held = hold_->open_file(entry_.hold_name, host::Access::read);
    if (!held && held.error().code == Code::not_found) return false;
    if (!held) return std::unexpected(std::move(held).error());
    TRY_LET(const FileStat stat, (*held)->stat());
    TRY_LET(const std::string digest, file_sha256(**held, max_setting_bytes));
    if (digest == entry_.sha256 && same_file(stat.id, entry_.metadata.stat.id, false)) return true;
    if (options_.recovery && !entry_.object.empty()) return false;
    return fail(Code::corrupt, "the held original is not what was captured (sha256 " + digest + ")",
                "--recovery-key uses the sealed copy");
  }

  /// Exchanges `prepared` (in the hold) with the target. True: what came out is the very file that
  /// was read, so nobody wrote in between. Else it is exchanged back, and what others put there
  /// between the two exchanges stays in the hold under a name of its own.
  Result<bool> swap_in(const std::string& prepared, const FileId& prepared_id, host::File& target,
                       const std::string& read_sha256, std::uint32_t flags) {
    TRY_LET(const FileStat read, target.stat());
    if (flags != 0) {
      TRY(target.set_protection_flags(0));
      unsure_ = true;
      TRY(target.sync());  // else it may come up protected in the hold
      unsure_ = false;
    }
    if (auto swapped = hold_->exchange(prepared, *parent_, name()); !swapped) {
      if (flags != 0) TRY(protect(target, flags));
      if (name_is_free()) return fail(Code::conflict, std::string(removed_since));
      return std::unexpected(std::move(swapped).error());
    }
    unsure_ = true;
    auto displaced = hold_->open_file(prepared, host::Access::read);
    if (displaced) {
      TRY_LET(const FileStat stat, (*displaced)->stat());
      TRY_LET(const std::string digest, file_sha256(**displaced, max_setting_bytes));
      if (same_file(stat.id, read.id, false) && digest == read_sha256) return true;
    }
    // Nothing there, or no file: others did that. Any other error says nothing of others.
    const bool known = displaced || displaced.error().code == Code::not_found ||
                       displaced.error().code == Code::refused;
    auto returned = hold_->exchange(prepared, *parent_, name());
    if (!returned && name_is_free()) returned = hold_->rename(prepared, *parent_, name());
    TRY(std::move(returned));
    auto back = hold_->stat_entry(prepared);
    if (!back && back.error().code != Code::not_found)
      return std::unexpected(std::move(back).error());
    if (back && back->id.inode != prepared_id.inode) {
      TRY_LET(const std::string free, free_name(prepared + ".found"));
      TRY(hold_->rename(prepared, *hold_, free));
    }
    TRY(parent_->sync());
    TRY(hold_->sync());
    if (flags != 0) TRY(protect(target, flags));
    unsure_ = false;
    if (!known) return std::unexpected(std::move(displaced).error());
    return false;
  }

  Result<std::string> free_name(const std::string& stem) const {
    for (int number = 1; number <= 1000; ++number) {
      std::string name = stem + "-" + std::to_string(number);
      auto stat = hold_->stat_entry(name);
      if (!stat && stat.error().code == Code::not_found) return name;
      if (!stat) return std::unexpected(std::move(stat).error());
    }
    return fail(Code::limit, "the hold has a thousand versions of this file", "look who writes it");
  }

  static Restored written_meanwhile() {
    return {false, "conflict",
            "the file was written to during the exchange; it was exchanged back, and what others "
            "wrote is at its place or in the hold"};
  }

  /// Nobody touched the file since: the very inode goes back. The hold keeps its own name of it
  /// until it is seen at its place.
  Result<Restored> exchange_original(host::File& target) {
    const std::uint32_t flags = protection(entry_.metadata);
    TRY_LET(const auto held, hold_->open_file(entry_.hold_name, host::Access::read));
    auto linked = hold_->link_file(*held, back_name());
    if (!linked && linked.error().code != Code::already_exists)
      return std::unexpected(std::move(linked).error());
    TRY_LET(const FileStat back, hold_->stat_entry(back_name()));
    if (back.id.inode != original().inode)
      return fail(Code::conflict, "the hold has another file under the name " + back_name(),
                  "look what it is, and move it away");
    // Who had it open before can still change its mode.
    TRY_LET(const Metadata now, held->metadata());
    Metadata recorded = entry_.metadata;  // its protection flags were cleared on purpose
    recorded.inode_flags = now.inode_flags;
    if (!metadata_differences(recorded, now).empty()) {
      TRY(held->restore_metadata(entry_.metadata, options_.privileges));  // finish() compares
      TRY(held->sync());
    }
    TRY_LET(const FileStat made, target.stat());
    TRY_LET(const bool clean, swap_in(back_name(), original(), target, entry_.after_sha256, flags));
    if (!clean) return written_meanwhile();
    TRY_LET(Restored restored, finish(entry_.sha256, entry_.metadata, original(), flags));
    if (!restored.ok) return restored;
    // The version that this tool made, as it was read in swap_in().
    TRY_LET(const bool strange, drop_if_still(back_name(), made.id, entry_.after_sha256));
    TRY_LET(const bool stays, drop_if_ours(entry_.hold_name));
    if (flags != 0) TRY(protect(*held, flags));
    if (stays || strange)
      restored.reason += (restored.reason.empty() ? "" : "; ") + std::string(written_to);
    TRY(hold_->sync());
    return restored;
  }

  /// Others changed the file since, or the held original is gone: take only our change back.
  Result<Restored> merge(host::File& target, const Version& current, bool held) {
    TRY_LET(const std::string before, original_bytes(held));
    TRY_LET(const std::string after, edit_version(session_.root, plan_, before));
    TRY_LET(const std::string undone, undo_version(plan_, before, after, current.bytes));
    // An undo that was interrupted around its exchange may have left the file without them.
    const std::uint32_t flags = protection(entry_.metadata);
    if (undone == current.bytes) {
      TRY_LET(const Metadata metadata, target.metadata());
      if ((protection(metadata) | flags) != protection(metadata))
        TRY(protect(target, protection(metadata) | flags));
      TRY(drop_derivable(before, after, current.bytes));
      if (current.sha256 == entry_.sha256) return same_bytes(target, held);
      return Restored{true, "restored", "the change was already taken back"};
    }

    TRY_LET(const std::string why, needs_missing_file(session_, entry_.path, undone));
    if (!why.empty()) return Restored{false, "failed", why};
    const bool exact = undone == before;
    TRY_LET(Metadata metadata, target.metadata());
    if (exact) metadata = entry_.metadata;
    metadata.inode_flags |= flags;
    TRY_LET(const std::string prepared, free_name(entry_.hold_name + ".undo"));
    TRY_LET(const auto built, build_version(session_.host, *hold_, undone, metadata));
    if (exact) TRY(built->set_times(metadata.stat.accessed, metadata.stat.modified));
    TRY(built->sync());
    TRY(hold_->link_file(*built, prepared));
    TRY_LET(const FileStat made, built->stat());
    TRY_LET(const FileStat displaced, target.stat());
    const std::uint32_t wanted = protection(metadata);
    TRY_LET(const bool clean, swap_in(prepared, made.id, target, current.sha256, wanted));
    if (!clean) {
      auto left = hold_->stat_entry(prepared);
      if (left && left->id.inode == made.id.inode) TRY(hold_->remove_file(prepared));
      return written_meanwhile();
    }
    TRY_LET(Restored restored, finish(crypto::sha256_hex(undone), metadata, made.id, wanted));
    if (!restored.ok) return restored;
    // What is left there was read before: every edit of others in it lives on in the merged
    // version.
    TRY_LET(const bool stays, drop_if_still(prepared, displaced.id, current.sha256));
    TRY(drop_derivable(before, after, undone));
    if (!exact) restored.reason = "merged: later edits by others were kept";
    if (stays) restored.reason += (restored.reason.empty() ? "" : "; ") + std::string(written_to);
    return restored;
  }

  /// What is there has the original's bytes and is not the original.
  Result<Restored> same_bytes(const host::File& target, bool held) const {
    TRY_LET(const Metadata metadata, target.metadata());
    std::string reason =
        std::string(
            "a file with the original's bytes is at its place already; it is another file "
            "than the original") +
        (held ? ", which stays in the hold" : "");
    const std::vector<std::string> differences = metadata_differences(entry_.metadata, metadata);
    for (const std::string& difference : differences) reason += "; " + difference;
    return Restored{true, differences.empty() ? "restored" : "restored_degraded", reason};
  }

  /// What a crash of an earlier undo left in the hold goes when nothing in it is lost: it is the
  /// version that is now at the place, or taking our change out of it gives that version.
  Result<void> drop_derivable(const std::string& before, const std::string& after,
                              const std::string& placed) {
    std::vector<std::string> left;
    const std::string stem = entry_.hold_name + ".undo-";
    TRY(hold_->each_entry([&](std::string_view name, FileKind) {
      if (name.starts_with(stem) && name.find(".found") == std::string_view::npos)
        left.emplace_back(name);
      return true;
    }));
    for (const std::string& name : left) {
      const auto file = hold_->open_file(name, host::Access::read);
      const auto stat = file ? (*file)->stat() : std::unexpected(file.error());
      const auto version = stat ? read_version(**file) : std::unexpected(stat.error());
      if (!version) continue;  // it stays: what cannot be read may be anything
      auto undone = undo_version(plan_, before, after, version->bytes);
      if (version->bytes == placed || (undone && *undone == placed))
        TRY(drop_if_still(name, stat->id, version->sha256));
    }
    return hold_->sync();
  }

  /// Why the original may not come back yet; other files than configurations have no such lines.
  Result<std::string> breaks_pages(bool held) {
    if (plan_.action != plan::Action::reset_setting) return std::string();
    TRY_LET(const std::string bytes, original_bytes(held));
    return needs_missing_file(session_, entry_.path, bytes);
  }

  Result<std::string> original_bytes(bool held) {
    if (held) return host::read_whole(*hold_, entry_.hold_name, max_setting_bytes);
    if (entry_.object.empty() || !options_.recovery)
      return fail(Code::not_found, "only the sealed copy of the original is left",
                  "give --recovery-key");
    TRY_LET(const auto file, hold_->create_unnamed(0600));
    TRY(session_.store.vault().unseal(entry_.object, entry_.sha256, *file,
                                      options_.recovery->certificate, options_.recovery->key));
    return host::read_whole(*file, max_setting_bytes);
  }

  Result<Restored> finish(const std::string& sha256, const Metadata& wanted, const FileId& placed,
                          std::uint32_t flags) {
    restore_parent_time(*parent_, entry_, parent_stat_);
    TRY(parent_->sync());
    TRY(hold_->sync());
    // Resolved anew: the folder may have been exchanged since it was opened.
    if (auto again = session_.parent(entry_.path, entry_.parent); !again)
      return Restored{false, "conflict",
                      "it was put back, and its folder is gone or another one now: " +
                          reason_of(again.error())};
    TRY_LET(const auto file, parent_->open_file(name(), host::Access::read));
    TRY_LET(const FileStat stat, file->stat());
    if (!same_file(stat.id, placed, false))
      return Restored{false, "conflict", "somebody replaced the file right after it was put back"};
    if (flags != 0) TRY(protect(*file, flags));
    TRY_LET(const Version version, read_version(*file));
    if (version.sha256 != sha256)
      return Restored{false, "failed", "what is at its place has sha256 " + version.sha256};
    TRY_LET(const Metadata metadata, file->metadata());
    Metadata expected = wanted;
    // A merged version is new, and says so by its time and size.
    if (sha256 != entry_.sha256) {
      expected.stat.modified = metadata.stat.modified;
      expected.stat.size = metadata.stat.size;
    }
    std::string reason;
    for (const std::string& difference : metadata_differences(expected, metadata))
      reason += (reason.empty() ? "" : "; ") + difference;
    return Restored{true, reason.empty() ? "restored" : "restored_degraded", reason};
  }

  static std::uint32_t protection(const Metadata& metadata) {
    return metadata.inode_flags & (host::flag_immutable | host::flag_append_only);
  }

  Session& session_;
  const RollbackOptions& options_;
  OperationState& operation_;
  const quarantine::Entry& entry_;
  const plan::Operation& plan_;
  std::unique_ptr<host::Directory> parent_;
  FileStat parent_stat_;
  std::unique_ptr<host::Directory> own_hold_;  // without the folder
  const host::Directory* hold_ = nullptr;
  bool unsure_ = false;
};

}  // namespace

Result<void> restore_exchanged(Session& session, const RollbackOptions& options,
                               OperationState& operation) {
  TRY(VersionRestore(session, options, operation).run());
  return session.flush();
}

}  // namespace remediate::run
