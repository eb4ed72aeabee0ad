#include <map>

#include "remediate/base/try.h"
#include "remediate/run/restore.h"

namespace remediate::run {
namespace {

std::uint32_t protection(const Metadata& metadata) {
  return metadata.inode_flags & (host::flag_immutable | host::flag_append_only);
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : "; ") + part;
  return text;
}

class FileRestore {
 public:
  FileRestore(Session& session, const RollbackOptions& options, OperationState& operation)
      : session_(session), options_(options), operation_(operation), entry_(operation.entry) {}

  /// Puts the file in place; nothing is durable yet. Sets `result` when that is already the end.
  Result<void> place() {
    if (entry_.metadata.privileged() && options_.privileges == host::Privileges::strip) {
      end({false, "refused",
           "it carries setuid, setgid or capabilities: --with-privileges puts them back"});
      return {};
    }
    auto hold = session_.hold_of(entry_);
    if (hold) hold_ = std::move(*hold);
    const bool has_copy = !entry_.object.empty() && !options_.outbox.empty();
    const bool gone = !hold && (hold.error().code == Code::not_found ||
                                (hold.error().code == Code::changed && has_copy));
    if (!hold && !gone) {
      end({false, "failed", reason_of(hold.error())});
      return {};
    }
    std::unique_ptr<host::File> held;
    if (hold_ && !look_into_hold(held)) return {};
    auto parent = session_.parent(entry_.path, entry_.parent);
    if (!parent) {
      cannot_go_back(held.get(), reason_of(parent.error()));
      return {};
    }
    parent_ = std::move(*parent);
    TRY_LET(parent_stat_, parent_->stat());
    if (stranger_) return place_stranger(held.get());
    if (held) return place_held(*held);
    if (is_in_place()) {
      placed_ = true;
      return {};
    }
    return place_sealed();
  }

  /// Nothing was put in place.
  void fail(const Error& error) { end({false, "failed", reason_of(error)}); }

  [[nodiscard]] bool placed() const { return placed_; }
  [[nodiscard]] const host::Directory* hold() const { return hold_.get(); }
  [[nodiscard]] const host::Directory* parent() const { return parent_.get(); }
  [[nodiscard]] std::uint64_t device() const { return parent_stat_.id.device; }

  /// After the flush: is it really there, and is it what it was? Its flags come last and are
  /// durable when this returns.
  Result<Restored> check() {
    if (!placed_) return result_;
    if (stranger_) return check_stranger();
    auto file = parent_->open_file(entry_.path.name(), host::Access::read);
    if (!file)
      return Restored{false, "failed",
                      "it was put back and is not there: " + reason_of(file.error())};
    auto digest = file_sha256(**file, entry_.metadata.stat.size);
    if (!digest) return Restored{false, "failed", reason_of(digest.error())};
    if (*digest != entry_.sha256)
      return Restored{false, "failed", "what is at its place has sha256 " + *digest};
    std::vector<std::string> differences;
    if (const std::uint32_t flags = protection(entry_.metadata); flags != 0) {
      if (auto set = (*file)->set_protection_flags(flags); !set)
        differences.push_back("its flags could not be set: " + reason_of(set.error()));
      else
        TRY((*file)->sync());
    }
    auto metadata = (*file)->metadata();
    if (!metadata) return Restored{false, "failed", reason_of(metadata.error())};
    for (std::string& difference : metadata_differences(entry_.metadata, *metadata))
      differences.push_back(std::move(difference));
    if (parted_.empty()) parted_ = parted_from(metadata->stat.id);
    if (!parted_.empty()) differences.push_back(parted_);
    // Resolved anew: it is back in its folder, which may have been exchanged since it was opened.
    if (auto again = session_.parent(entry_.path, entry_.parent); !again) {
      if (!is_another_place(again.error()))
        return Restored{false, "failed", reason_of(again.error())};
      differences.push_back("it was put back, and its folder is gone or another one now: " +
                            reason_of(again.error()));
    }
    std::string told = told_;
    if (metadata->stat.links > entry_.metadata.stat.links)
      told += (told.empty() ? "" : "; ") + linked_elsewhere(metadata->stat.links);
    if (!differences.empty()) {
      if (!told.empty()) differences.push_back(std::move(told));
      return Restored{true, "restored_degraded", joined(differences)};
    }
    return Restored{true, "restored", std::move(told)};
  }

 private:
  void end(Restored result) { result_ = std::move(result); }

  /// No record says that what was captured is the approved file.
  [[nodiscard]] bool never_identified() const {
    return operation_.before_restore == State::intended ||
           operation_.before_restore == State::not_done;
  }

  /// Opens what is held, or finds that it is a stranger, which may be of any kind. False when that
  /// is already the end.
  bool look_into_hold(std::unique_ptr<host::File>& held) {
    const auto found = hold_->stat_entry(entry_.hold_name);
    if (!found && found.error().code == Code::not_found) return true;
    if (!found) {
      fail(found.error());
      return false;
    }
    if (found->kind != FileKind::regular) {
      if (never_identified()) {
        stranger_ = *found;
        return true;
      }
      end({false, "tampered",
           "the hold has a " + std::string(kind_name(found->kind)) +
               " in place of what was captured, in " + held_at() + ": look who put it there"});
      return false;
    }
    auto file = hold_->open_file(entry_.hold_name, host::Access::read);
    auto stat = file ? (*file)->stat() : std::unexpected(file.error());
    if (!stat) {
      fail(stat.error());
      return false;
    }
    // What apply gave up and could not put back is not the approved file, whatever its identity.
    if (operation_.before_restore == State::not_done ||
        (never_identified() && !same_file(stat->id, entry_.metadata.stat.id, false)))
      stranger_ = *stat;
    held = std::move(*file);
    return true;
  }

  [[nodiscard]] std::string held_at() const { return hold_->location() + "/" + entry_.hold_name; }

  /// `held` is null where nothing is, or what is held is no regular file.
  void cannot_go_back(const host::File* held, const std::string& why) {
    if (stranger_ && held == nullptr)
      end({false, "conflict",
           why + "; the " + std::string(kind_name(stranger_->kind)) +
               " that was captured by mistake stays in " + held_at() +
               ": free its place, then roll back again"});
    else
      end(to_outbox(session_, options_, operation_, held, why));
  }

  /// The end of every way to its place: it has its name there, or could not get it.
  void arrived(const Result<void>& named, const host::File* held) {
    if (!named) {
      cannot_go_back(held, named.error().code == Code::already_exists
                               ? "its name is taken by another file"
                               : reason_of(named.error()));
      return;
    }
    restore_parent_time(*parent_, entry_, parent_stat_);
    placed_ = true;
  }

  /// Durable before another inode than the approved one gets the name: after a crash it is known
  /// by its identity.
  Result<void> announce(FileId id) {
    if (id.volume == 0) id.volume = parent_stat_.id.volume;  // a name alone does not tell it
    TRY(session_.record(operation_, journal::type::restore_intent, Json{{"placing", to_json(id)}}));
    return session_.flush();
  }

  /// What an earlier rollback had announced is at the place: it was cut off right after.
  bool announced_is_in_place() {
    const auto there = parent_->stat_entry(entry_.path.name());
    if (!there || !same_file(there->id, operation_.built, false)) return false;
    if (never_identified()) {
      stranger_ = *there;
      return true;
    }
    // An inode number that was freed may be another file's today.
    const auto file = parent_->open_file(entry_.path.name(), host::Access::read);
    if (!file) return false;
    const auto digest = file_sha256(**file, entry_.metadata.stat.size);
    return digest && *digest == entry_.sha256;
  }

  /// A crash came after the file was put back and before that was recorded, or it never left.
  bool is_in_place() {
    if (announced_is_in_place()) return true;
    auto file = parent_->open_file(entry_.path.name(), host::Access::read);
    if (!file) return false;
    auto stat = (*file)->stat();
    if (!stat) return false;
    const bool from_object = operation_.before_restore == State::finalized ||
                             operation_.before_restore == State::finalizing;
    if (!from_object && same_file(stat->id, entry_.metadata.stat.id, false)) return true;
    auto digest = file_sha256(**file, entry_.metadata.stat.size);
    auto metadata = (*file)->metadata();
    if (!from_object || !digest || *digest != entry_.sha256 || !metadata) return false;
    Metadata wanted = entry_.metadata;  // check() sets its protection flags, which come last
    wanted.inode_flags = metadata->inode_flags;
    return metadata_differences(wanted, *metadata).empty();
  }

  Result<void> place_stranger(host::File* held) {
    TRY(announce(stranger_->id));
    std::uint32_t cleared = 0;
    if (held != nullptr) {
      TRY_LET(cleared, unprotect(*held));
    }
    const auto moved = hold_->rename(entry_.hold_name, *parent_, entry_.path.name());
    if (!moved && cleared != 0) TRY(held->set_protection_flags(cleared));
    arrived(moved, held);
    return {};
  }

  /// It may be the approved one, written to since: then it had the flags.
  [[nodiscard]] Result<Restored> check_stranger() const {
    const auto there = parent_->stat_entry(entry_.path.name());
    if (!there)
      return Restored{false, "failed",
                      "it was put back and is not there: " + reason_of(there.error())};
    if (!same_file(there->id, stranger_->id, false))
      return Restored{false, "failed", "it was put back, and something else is there now"};
    TRY(protect_original(*parent_, entry_));
    return Restored{true, "restored",
                    "another file than the approved one was held; it is at its place again"};
  }

  Result<bool> metadata_changed(const host::File& held) const {
    TRY_LET(const Metadata now, held.metadata());
    Metadata recorded = entry_.metadata;  // its protection flags were cleared on purpose
    recorded.inode_flags = now.inode_flags;
    return !metadata_differences(recorded, now).empty();
  }

  /// A further name that is back already gave the file its flags again, and they would keep this
  /// name from moving; check() sets them once more.
  static Result<std::uint32_t> unprotect(host::File& file) {
    TRY_LET(const Metadata now, file.metadata());
    const std::uint32_t flags = protection(now);
    if (flags != 0) TRY(file.set_protection_flags(0));
    return flags;
  }

  Result<void> place_held(host::File& held) {
    auto stat = held.stat();
    if (!stat) {
      end({false, "failed", reason_of(stat.error())});
      return {};
    }
    auto digest = file_sha256(held, entry_.metadata.stat.size);
    if (!digest)
      digest = file_sha256(
          held, entry_.metadata.stat.size);  // a copy is worse than the file: read it once more
    if (!digest || *digest != entry_.sha256 || !same_file(stat->id, entry_.metadata.stat.id, false))
      return place_instead_of_held(
          digest ? "the held file is not what was captured (sha256 " + *digest + ")"
                 : "the held file cannot be read: " + reason_of(digest.error()),
          digest.has_value());
    // Who had it open before can still change its mode; what could not be set shows in check().
    if (auto changed = metadata_changed(held); !changed || *changed) {
      if (auto set = held.restore_metadata(entry_.metadata, options_.privileges); !set) {
        fail(set.error());
        return {};
      }
      TRY(held.sync());  // flushing the folders covers names only
    }
    TRY_LET(const std::uint32_t cleared, unprotect(held));
    const auto moved = hold_->rename(entry_.hold_name, *parent_, entry_.path.name());
    if (!moved && cleared != 0) TRY(held.set_protection_flags(cleared));
    arrived(moved, &held);
    return {};
  }

  /// Its sealed copy takes the place of a held file that is damaged.
  Result<void> place_instead_of_held(const std::string& why, bool readable) {
    told_ = why + "; it stays in the hold and its sealed copy is in place";
    if (announced_is_in_place()) {
      placed_ = true;
      return {};
    }
    if (options_.recovery && !entry_.object.empty()) return place_sealed();
    end({false, readable ? "tampered" : "failed",
         why + (entry_.object.empty() ? "; it was not sealed, so it stays in " + held_at()
                                      : "; --recovery-key restores the sealed copy")});
    return {};
  }

  Result<void> place_sealed() {
    if (entry_.object.empty() || !options_.recovery) {
      end({false, "failed",
           entry_.object.empty() ? "it is neither in the hold nor sealed"
                                 : "only its sealed copy is left: give --recovery-key"});
      return {};
    }
    auto linked = link_to_twin();
    if (!linked) end({false, "failed", reason_of(linked.error())});
    if (!linked || *linked) return {};
    auto made = session_.hold(*parent_);
    if (!made) {
      if (options_.outbox.empty())
        fail(made.error());
      else
        cannot_go_back(nullptr, reason_of(made.error()));
      return {};
    }
    const host::Directory& workplace = *(*made)->directory;
    if (!hold_) {
      TRY_LET(hold_, workplace.open_directory(RawPath(), host::Mounts::stay));
    }
    const std::string name = entry_.hold_name + ".restore";
    TRY(discard(workplace, name));
    auto built = build(workplace, name);
    if (!built) {
      TRY(discard(workplace, name));
      fail(built.error());
      return {};
    }
    TRY(announce(*built));
    const auto moved = workplace.rename(name, *parent_, entry_.path.name());
    if (!moved) TRY(discard(workplace, name));
    arrived(moved, nullptr);
    return {};
  }

  /// The original was another name of a file that is already back: a hard link again, not a copy.
  Result<bool> link_to_twin() {
    if (entry_.metadata.stat.links < 2) return false;
    for (const OperationState& other : session_.run.operations) {
      if (&other == &operation_ || other.operation->action != plan::Action::quarantine ||
          !same_file(other.entry.metadata.stat.id, entry_.metadata.stat.id, false))
        continue;
      auto folder = session_.parent(other.entry.path, other.entry.parent);
      if (!folder && is_another_place(folder.error())) continue;
      if (!folder) return std::unexpected(std::move(folder).error());
      auto twin = (*folder)->open_file(other.entry.path.name(), host::Access::read);
      if (!twin && is_another_place(twin.error())) continue;
      if (!twin) return std::unexpected(std::move(twin).error());
      TRY_LET(const std::string digest, file_sha256(**twin, entry_.metadata.stat.size));
      TRY_LET(const Metadata metadata, (*twin)->metadata());
      Metadata wanted = entry_.metadata;  // the flags come last, in check()
      wanted.inode_flags = metadata.inode_flags;
      if (digest != entry_.sha256 || !metadata_differences(wanted, metadata).empty()) {
        parted_ = "it is a copy and no longer a hard link to " + other.entry.path.display() +
                  ", which is not quite as it was";
        continue;
      }
      TRY(announce(metadata.stat.id));
      TRY_LET(const std::uint32_t cleared, unprotect(**twin));
      auto linked = parent_->link_file(**twin, entry_.path.name());
      if (!linked) {
        if (cleared != 0) TRY((*twin)->set_protection_flags(cleared));
        if (may_pass(linked.error())) return std::unexpected(std::move(linked).error());
        if (linked.error().code != Code::already_exists) return false;
      }
      arrived(linked, nullptr);
      return true;
    }
    return false;
  }

  /// Names of one original are one file again, unless one was held and another only sealed.
  std::string parted_from(const FileId& id) const {
    if (entry_.metadata.stat.links < 2) return {};
    for (const OperationState& other : session_.run.operations) {
      if (&other == &operation_ || other.operation->action != plan::Action::quarantine ||
          !same_file(other.entry.metadata.stat.id, entry_.metadata.stat.id, false))
        continue;
      auto folder = session_.parent(other.entry.path, other.entry.parent);
      auto twin =
          folder ? (*folder)->stat_entry(other.entry.path.name()) : std::unexpected(folder.error());
      if (twin && !same_file(twin->id, id, false))
        return "it is no longer a hard link to " + other.entry.path.display();
    }
    return {};
  }

  static Result<void> discard(const host::Directory& directory, const std::string& name) {
    auto removed = directory.remove_file(name);
    if (!removed && removed.error().code != Code::not_found) return removed;
    return {};
  }

  /// Private until it is whole: bytes, digest, then owner, mode, attributes and times.
  Result<FileId> build(const host::Directory& directory, const std::string& name) {
    TRY_LET(const auto file, directory.create_file(name, 0600));
    TRY(session_.store.vault().unseal(entry_.object, entry_.sha256, *file,
                                      options_.recovery->certificate, options_.recovery->key,
                                      &entry_.metadata));
    TRY(file->restore_metadata(entry_.metadata,
                               options_.privileges));  // what failed shows in check()
    TRY(file->sync());
    TRY_LET(const FileStat stat, file->stat());
    return stat.id;
  }

  Session& session_;
  const RollbackOptions& options_;
  OperationState& operation_;
  const quarantine::Entry& entry_;
  std::unique_ptr<host::Directory> parent_, hold_;
  FileStat parent_stat_;
  Restored result_;
  bool placed_ = false;
  std::string parted_;                // why a hard link did not come back
  std::string told_;                  // why the sealed copy was taken and not the held file
  std::optional<FileStat> stranger_;  // what was captured and is not the approved file
};

}  // namespace

Result<void> restore_files(Session& session, const RollbackOptions& options,
                           std::span<OperationState*> batch) {
  std::vector<std::unique_ptr<FileRestore>> restores;
  for (OperationState* operation : batch) {
    restores.push_back(std::make_unique<FileRestore>(session, options, *operation));
    if (auto placed = restores.back()->place(); !placed) restores.back()->fail(placed.error());
  }
  // What cannot be flushed or looked at stays in restoring, for resume; the rest is recorded.
  std::optional<Error> unsure;
  const auto sure = [&unsure](const Result<void>& done) {
    if (!done && !unsure) unsure = done.error();
    return done.has_value();
  };
  std::map<std::uint64_t, bool> flushed;  // by device
  for (std::size_t index = 0; index < batch.size(); ++index) {
    FileRestore& restore = *restores[index];
    if (restore.placed()) {
      const auto [known, first] = flushed.try_emplace(restore.device(), false);
      if (first) known->second = sure(restore.parent()->sync_filesystem());
      if (!known->second || !sure(restore.parent()->sync()) ||
          (restore.hold() != nullptr && !sure(restore.hold()->sync())))
        continue;
    }
    auto restored = restore.check();
    if (!restored) {
      (void)sure(std::unexpected(std::move(restored).error()));
      continue;
    }
    TRY(record_restored(session, *batch[index], *restored));
  }
  TRY(session.flush());
  if (unsure) return std::unexpected(std::move(*unsure));
  return {};
}

void restore_parent_time(const host::Directory& parent, const quarantine::Entry& entry,
                         const FileStat& before) {
  if (before.modified == entry.parent_after)
    (void)parent.set_times(before.accessed, entry.parent_before);
}

Result<void> record_restored(Session& session, OperationState& operation,
                             const Restored& restored) {
  return session.record(operation,
                        restored.ok ? journal::type::restored : journal::type::not_restored,
                        Json{{"outcome", restored.outcome}, {"reason", restored.reason}});
}

}  // namespace remediate::run
