#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/host/durable.h"
#include "remediate/run/restore.h"

namespace remediate::run {
namespace {

std::uint32_t protection(const Metadata& metadata) {
  return metadata.inode_flags & (host::flag_immutable | host::flag_append_only);
}

/// A later rollback may do better: the disk, its space or the memory, not what the host allows.
bool may_pass(const Error& error) {
  return error.code == Code::io || error.code == Code::no_space || error.code == Code::read_only;
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
    if (!hold && hold.error().code != Code::not_found) {
      end({false, "failed", reason_of(hold.error())});
      return {};
    }
    std::unique_ptr<host::File> held;
    if (hold_) {
      auto file = hold_->open_file(entry_.hold_name, host::Access::read);
      if (!file && file.error().code != Code::not_found) {
        end({false, "failed", reason_of(file.error())});
        return {};
      }
      if (file) held = std::move(*file);
    }
    auto parent = session_.parent(entry_.path, entry_.parent);
    if (!parent) {
      end(to_outbox(session_, options_, operation_, held.get(), reason_of(parent.error())));
      return {};
    }
    parent_ = std::move(*parent);
    TRY_LET(parent_stat_, parent_->stat());
    if (held) return place_held(*held);
    if (is_in_place()) {
      placed_ = true;
      return {};
    }
    return place_sealed();
  }

  [[nodiscard]] bool placed() const { return placed_; }
  [[nodiscard]] const host::Directory* hold() const { return hold_.get(); }
  [[nodiscard]] const host::Directory* parent() const { return parent_.get(); }

  /// After the flush: is it really there, and is it what it was? Its flags come last and are
  /// durable when this returns.
  Result<Restored> check() {
    if (!placed_) return result_;
    auto file = parent_->open_file(entry_.path.name(), host::Access::read);
    if (!file)
      return Restored{false, "failed",
                      "it was put back and is not there: " + reason_of(file.error())};
    if (stranger_)
      return Restored{true, "restored",
                      "another file than the approved one was held; it is at its place again"};
    auto digest = file_sha256(**file);
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
    if (!differences.empty()) {
      if (!told_.empty()) differences.push_back(told_);
      return Restored{true, "restored_degraded", joined(differences)};
    }
    return Restored{true, "restored", told_};
  }

 private:
  void end(Restored result) { result_ = std::move(result); }

  /// A crash came after the file was put back and before that was recorded, or it never left.
  bool is_in_place() {
    auto file = parent_->open_file(entry_.path.name(), host::Access::read);
    if (!file) return false;
    auto stat = (*file)->stat();
    if (!stat) return false;
    const bool from_object = operation_.before_restore == State::finalized ||
                             operation_.before_restore == State::finalizing;
    // An inode number that was freed may be another file's today.
    if (!from_object && same_file(stat->id, entry_.metadata.stat.id, false)) return true;
    auto digest = file_sha256(**file);
    auto metadata = (*file)->metadata();
    if (!from_object || !digest || *digest != entry_.sha256 || !metadata) return false;
    Metadata wanted = entry_.metadata;  // check() sets its protection flags, which come last
    wanted.inode_flags = metadata->inode_flags;
    return metadata_differences(wanted, *metadata).empty();
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
    stranger_ = operation_.before_restore == State::not_done &&
                !same_file(stat->id, entry_.metadata.stat.id, false);
    if (!stranger_) {
      auto digest = file_sha256(held);
      if (!digest) digest = file_sha256(held);  // a copy is worse than the file: read it once more
      if (!digest || *digest != entry_.sha256 ||
          !same_file(stat->id, entry_.metadata.stat.id, false)) {
        const std::string why =
            digest ? "the held file is not what was captured (sha256 " + *digest + ")"
                   : "the held file cannot be read: " + reason_of(digest.error());
        if (options_.recovery && !entry_.object.empty()) {
          told_ = why + "; it stays in the hold and its sealed copy is in place";
          return place_sealed();
        }
        end({false, digest ? "tampered" : "failed",
             why + "; --recovery-key restores the sealed copy"});
        return {};
      }
      // Who had it open before can still change its mode; what could not be set shows in check().
      if (auto changed = metadata_changed(held); !changed || *changed) {
        if (auto set = held.restore_metadata(entry_.metadata, options_.privileges); !set) {
          end({false, "failed", reason_of(set.error())});
          return {};
        }
        TRY(held.sync());  // flushing the folders covers names only
      }
    }
    std::uint32_t cleared = 0;
    if (!stranger_) {
      TRY_LET(cleared, unprotect(held));
    }
    if (auto moved = hold_->rename(entry_.hold_name, *parent_, entry_.path.name()); !moved) {
      const bool taken = moved.error().code == Code::already_exists;
      if (cleared != 0) TRY(held.set_protection_flags(cleared));
      end(to_outbox(session_, options_, operation_, &held,
                    taken ? "its name is taken by another file" : reason_of(moved.error())));
      return {};
    }
    restore_parent_time(*parent_, entry_, parent_stat_);
    placed_ = true;
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
    TRY_LET(const quarantine::Vault::HoldDirectory* workplace, session_.hold(*parent_));
    const std::string name = entry_.hold_name + ".restore";
    if (auto removed = workplace->directory->remove_file(name);
        !removed && removed.error().code != Code::not_found)
      return std::unexpected(std::move(removed).error());
    auto built = build(*workplace->directory, name);
    if (!built) {
      TRY(discard(*workplace->directory, name));
      end({false, "failed", reason_of(built.error())});
      return {};
    }
    if (auto moved = workplace->directory->rename(name, *parent_, entry_.path.name()); !moved) {
      TRY(discard(*workplace->directory, name));
      const bool taken = moved.error().code == Code::already_exists;
      end(to_outbox(session_, options_, operation_, nullptr,
                    taken ? "its name is taken by another file" : reason_of(moved.error())));
      return {};
    }
    if (!hold_) {
      TRY_LET(hold_, workplace->directory->open_directory(RawPath(), host::Mounts::stay));
    }
    restore_parent_time(*parent_, entry_, parent_stat_);
    placed_ = true;
    return {};
  }

  /// The twin is not there, or somebody put another thing there; all else is an error.
  static bool may_differ(const Error& error) {
    return error.code == Code::not_found || error.code == Code::changed ||
           error.code == Code::refused;
  }

  /// The original was another name of a file that is already back: a hard link again, not a copy.
  Result<bool> link_to_twin() {
    if (entry_.metadata.stat.links < 2) return false;
    for (const OperationState& other : session_.run.operations) {
      if (&other == &operation_ || other.operation->action != plan::Action::quarantine ||
          !same_file(other.entry.metadata.stat.id, entry_.metadata.stat.id, false))
        continue;
      auto folder = session_.parent(other.entry.path, other.entry.parent);
      if (!folder && may_differ(folder.error())) continue;
      if (!folder) return std::unexpected(std::move(folder).error());
      auto twin = (*folder)->open_file(other.entry.path.name(), host::Access::read);
      if (!twin && may_differ(twin.error())) continue;
      if (!twin) return std::unexpected(std::move(twin).error());
      TRY_LET(const std::string digest, file_sha256(**twin));
      TRY_LET(const Metadata metadata, (*twin)->metadata());
      Metadata wanted = entry_.metadata;  // the flags come last, in check()
      wanted.inode_flags = metadata.inode_flags;
      if (digest != entry_.sha256 || !metadata_differences(wanted, metadata).empty()) {
        parted_ = "it is a copy and no longer a hard link to " + other.entry.path.display() +
                  ", which is not quite as it was";
        continue;
      }
      TRY_LET(const std::uint32_t cleared, unprotect(**twin));
      if (auto linked = parent_->link_file(**twin, entry_.path.name()); !linked) {
        if (cleared != 0) TRY((*twin)->set_protection_flags(cleared));
        if (may_pass(linked.error())) return std::unexpected(std::move(linked).error());
        if (linked.error().code == Code::already_exists)
          end(to_outbox(session_, options_, operation_, nullptr,
                        "its name is taken by another file"));
        return linked.error().code == Code::already_exists;
      }
      restore_parent_time(*parent_, entry_, parent_stat_);
      placed_ = true;
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
  Result<void> build(const host::Directory& directory, const std::string& name) {
    TRY_LET(const auto file, directory.create_file(name, 0600));
    TRY(session_.store.vault().unseal(entry_.object, entry_.sha256, *file,
                                      options_.recovery->certificate, options_.recovery->key,
                                      &entry_.metadata));
    TRY(file->restore_metadata(entry_.metadata,
                               options_.privileges));  // what failed shows in check()
    return file->sync();
  }

  Session& session_;
  const RollbackOptions& options_;
  OperationState& operation_;
  const quarantine::Entry& entry_;
  std::unique_ptr<host::Directory> parent_, hold_;
  FileStat parent_stat_;
  Restored result_;
  bool placed_ = false;
  std::string parted_;  // why a hard link did not come back
  std::string told_;    // why the sealed copy was taken and not the held file
  bool stranger_ = false;
};

}  // namespace

Result<void> restore_files(Session& session, const RollbackOptions& options,
                           std::span<OperationState*> batch) {
  std::vector<std::unique_ptr<FileRestore>> restores;
  for (OperationState* operation : batch) {
    restores.push_back(std::make_unique<FileRestore>(session, options, *operation));
    TRY(restores.back()->place());
  }
  for (const auto& restore : restores)
    if (restore->placed()) {
      TRY(restore->parent()->sync_filesystem());
      break;
    }
  for (const auto& restore : restores) {
    if (!restore->placed()) continue;
    TRY(restore->parent()->sync());
    if (restore->hold() != nullptr) TRY(restore->hold()->sync());
  }
  for (std::size_t index = 0; index < batch.size(); ++index) {
    TRY_LET(const Restored restored, restores[index]->check());
    TRY(record_restored(session, *batch[index], restored));
  }
  return session.flush();
}

Restored to_outbox(Session& session, const RollbackOptions& options,
                   const OperationState& operation, const host::File* held,
                   const std::string& why) {
  if (options.outbox.empty())
    return {false, "conflict", why + "; nothing was overwritten (--outbox DIR puts a copy there)"};
  const auto copy = [&]() -> Result<std::string> {
    TRY_LET(const auto outbox, session.host.make_root(options.outbox));
    const std::string name = session.run.name + "-" + operation.entry.id;
    TRY_LET(const auto file, outbox->create_file(name, 0600));
    if (held != nullptr) {
      host::FileSource source(*held);
      host::FileSink sink(*file);
      std::vector<char> buffer(1u << 20);
      for (;;) {
        TRY_LET(const std::size_t count, source.read(buffer));
        if (count == 0) break;
        TRY(sink.write(std::string_view(buffer.data(), count)));
      }
    } else if (options.recovery && !operation.entry.object.empty()) {
      TRY(session.store.vault().unseal(operation.entry.object, operation.entry.sha256, *file,
                                       options.recovery->certificate, options.recovery->key));
    } else {
      TRY(outbox->remove_file(name));
      return fail(Code::not_found,
                  "it is not in the hold, and its sealed copy needs --recovery-key");
    }
    // From the hold it may be a file that nobody approved: then it is its own measure.
    std::string wanted = operation.entry.sha256;
    if (held != nullptr) {
      TRY_LET(wanted, file_sha256(*held));
    }
    TRY_LET(const std::string digest, file_sha256(*file));
    if (digest != wanted) {
      TRY(outbox->remove_file(name));
      return fail(Code::changed, "the copy in the outbox has another digest");
    }
    Metadata metadata = operation.entry.metadata;
    if (held != nullptr) {
      TRY_LET(metadata, held->metadata());
    }
    TRY(file->restore_metadata(metadata, host::Privileges::strip));
    TRY(file->sync());
    TRY(outbox->sync());
    return options.outbox + "/" + name;
  };
  auto copied = copy();
  if (!copied)
    return {false, "conflict", why + "; no copy in the outbox: " + reason_of(copied.error())};
  return {false, "in_outbox", why + "; a copy is in " + display(*copied)};
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
