#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"
#include "remediate/host/durable.h"
#include "remediate/run/restore.h"
#include "remediate/run/setting_version.h"
#include "remediate/setting/provider.h"

namespace remediate::run {
namespace {

class SettingRestore {
 public:
  SettingRestore(Session& session, const RollbackOptions& options, OperationState& operation)
      : session_(session),
        options_(options),
        operation_(operation),
        entry_(operation.entry),
        plan_(*operation.operation) {}

  Result<void> run() {
    auto restored = attempt();
    if (restored) return record_restored(session_, operation_, *restored);
    const Code code = restored.error().code;
    const char* outcome = code == Code::conflict || code == Code::changed || code == Code::ambiguous
                              ? "conflict"
                              : "failed";
    return record_restored(session_, operation_, {false, outcome, reason_of(restored.error())});
  }

 private:
  [[nodiscard]] std::string_view name() const { return entry_.path.name(); }
  [[nodiscard]] std::string undo_name() const { return entry_.hold_name + ".undo"; }

  Result<Restored> attempt() {
    TRY_LET(parent_, session_.parent(entry_.path, entry_.parent));
    TRY_LET(parent_stat_, parent_->stat());
    TRY_LET(const quarantine::Vault::HoldDirectory* hold, session_.hold(*parent_));
    hold_ = hold->directory.get();

    auto target = parent_->open_file(name(), host::Access::read);
    if (!target && target.error().code == Code::not_found)
      return Restored{false, "conflict",
                      "the file is gone: somebody removed it since; nothing was done"};
    if (!target) return std::unexpected(std::move(target).error());
    TRY_LET(const Version current, read_version(**target));
    TRY_LET(const FileStat stat, (*target)->stat());
    if (same_file(stat.id, entry_.metadata.stat.id, false)) return never_changed(current);

    TRY_LET(const bool held, holds_original());
    if (held && current.sha256 == entry_.after_sha256) return exchange_original(**target);
    return merge(**target, current, held);
  }

  /// The original is at its place: the exchange never happened or was taken back before a crash.
  Result<Restored> never_changed(const Version& current) {
    if (current.sha256 != entry_.sha256)
      return Restored{false, "conflict",
                      "the original file is at its place, but others changed it since"};
    if (auto removed = hold_->remove_file(entry_.hold_name);
        !removed && removed.error().code != Code::not_found)
      return std::unexpected(std::move(removed).error());
    return Restored{true, "restored", ""};
  }

  Result<bool> holds_original() {
    auto held = hold_->open_file(entry_.hold_name, host::Access::read);
    if (!held && held.error().code == Code::not_found) return false;
    if (!held) return std::unexpected(std::move(held).error());
    TRY_LET(const FileStat stat, (*held)->stat());
    TRY_LET(const std::string digest, file_sha256(**held));
    if (digest == entry_.sha256 && same_file(stat.id, entry_.metadata.stat.id, false)) return true;
    if (options_.recovery && !entry_.object.empty()) return false;
    return fail(Code::corrupt, "the held original is not what was captured (sha256 " + digest + ")",
                "--recovery-key uses the sealed copy");
  }

  /// Nobody touched the file since: the very inode goes back.
  Result<Restored> exchange_original(host::File& target) {
    const std::uint32_t flags = protection(entry_.metadata);
    if (flags != 0) TRY(target.set_protection_flags(0));
    TRY(hold_->exchange(entry_.hold_name, *parent_, name()));
    auto displaced = hold_->open_file(entry_.hold_name, host::Access::read);
    auto digest = displaced ? file_sha256(**displaced)
                            : Result<std::string>(std::unexpected(displaced.error()));
    if (!digest || *digest != entry_.after_sha256) {
      TRY(hold_->exchange(entry_.hold_name, *parent_, name()));
      if (flags != 0) TRY(target.set_protection_flags(flags));
      return Restored{false, "conflict",
                      "the file was written to during the exchange; it was exchanged back"};
    }
    TRY(hold_->remove_file(
        entry_.hold_name));  // what is left there is the version that this tool made
    return finish(entry_.sha256, entry_.metadata, flags);
  }

  /// Others changed the file since, or the held original is gone: take only our change back.
  Result<Restored> merge(host::File& target, const Version& current, bool held) {
    TRY_LET(const std::string before, original_bytes(held));
    TRY_LET(const std::string after, edit_version(session_.root, plan_, before));
    const setting::FileProvider* provider = setting::find_provider(plan_.setting.provider);
    if (provider == nullptr)
      return fail(Code::unsupported, "no provider is named " + plan_.setting.provider,
                  "use the version of the tool that made the run");
    TRY_LET(const setting::Edited undone, provider->undo(before, after, current.bytes));
    if (undone.bytes == current.bytes)
      return Restored{true, "restored", "the change was already taken back"};

    const bool exact = undone.bytes == before;
    TRY_LET(Metadata metadata, target.metadata());
    if (exact) metadata = entry_.metadata;
    if (auto removed = hold_->remove_file(undo_name());
        !removed && removed.error().code != Code::not_found)
      return std::unexpected(std::move(removed).error());
    TRY_LET(const auto built,
            build_version(session_.host, *hold_, undo_name(), undone.bytes, metadata));
    if (exact) TRY(built->set_times(metadata.stat.accessed, metadata.stat.modified));
    TRY(built->sync());
    const std::uint32_t flags = protection(metadata);
    if (flags != 0) TRY(target.set_protection_flags(0));
    TRY(hold_->exchange(undo_name(), *parent_, name()));
    TRY_LET(const auto displaced, hold_->open_file(undo_name(), host::Access::read));
    TRY_LET(const std::string digest, file_sha256(*displaced));
    if (digest != current.sha256) {
      TRY(hold_->exchange(undo_name(), *parent_, name()));
      if (flags != 0) TRY(target.set_protection_flags(flags));
      TRY(hold_->remove_file(undo_name()));
      return Restored{false, "conflict",
                      "the file was written to during the exchange; it was exchanged back"};
    }
    TRY(hold_->remove_file(
        undo_name()));  // every edit of others in it lives on in the merged version
    TRY_LET(Restored restored, finish(crypto::sha256_hex(undone.bytes), metadata, flags));
    if (restored.ok && !exact) restored.reason = "merged: later edits by others were kept";
    return restored;
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

  Result<Restored> finish(const std::string& sha256, const Metadata& wanted, std::uint32_t flags) {
    restore_parent_time(*parent_, entry_, parent_stat_);
    TRY(parent_->sync());
    TRY(hold_->sync());
    TRY_LET(const auto file, parent_->open_file(name(), host::Access::read));
    if (flags != 0) TRY(file->set_protection_flags(flags));
    TRY_LET(const Version version, read_version(*file));
    if (version.sha256 != sha256)
      return Restored{false, "failed", "what is at its place has sha256 " + version.sha256};
    TRY_LET(const Metadata metadata, file->metadata());
    std::string reason;
    if (wanted.stat.id == metadata.stat.id)
      for (const std::string& difference : metadata_differences(wanted, metadata))
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
  const host::Directory* hold_ = nullptr;
};

}  // namespace

Result<void> restore_setting(Session& session, const RollbackOptions& options,
                             OperationState& operation) {
  TRY(SettingRestore(session, options, operation).run());
  return session.flush();
}

}  // namespace remediate::run
