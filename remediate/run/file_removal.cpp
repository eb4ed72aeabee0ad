#include "remediate/run/file_removal.h"

#include <algorithm>
#include <set>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/run/compiled_scan.h"

namespace remediate::run {
namespace {

using quarantine::NotCaptured;

/// One file on its way; the handles live as long as the batch.
struct Item {
  OperationState* operation = nullptr;
  std::unique_ptr<host::Directory> parent;    // null after a crash when it is gone
  std::unique_ptr<host::File> file;           // the original, opened before it is captured
  std::unique_ptr<host::Directory> own_hold;  // after a crash
  const host::Directory* hold = nullptr;
  quarantine::HoldPlace place = quarantine::HoldPlace::store;
  quarantine::PendingObject pending;

  [[nodiscard]] const RawPath& path() const { return operation->operation->path; }
  [[nodiscard]] std::string_view name() const { return path().name(); }
};

std::uint32_t protection(const Metadata& metadata) {
  return metadata.inode_flags & (host::flag_immutable | host::flag_append_only);
}

bool is_taken(const OperationState& operation) {
  return operation.state == State::captured || operation.state == State::sealed ||
         operation.state == State::done;
}

class Batch {
 public:
  explicit Batch(Session& session) : session_(session) {}

  Result<void> run(std::span<OperationState*> operations) {
    for (OperationState* operation : operations) TRY(prepare(*operation));
    TRY(session_.flush());
    for (Item& item : items_)
      if (item.operation->state == State::intended) TRY(capture(item));
    TRY(make_captures_durable());
    TRY(seal());
    return conclude();
  }

 private:
  Result<void> prepare(OperationState& operation) {
    Item item;
    item.operation = &operation;
    auto parent = session_.parent(item.path(), operation.operation->precondition.parent);
    if (parent) item.parent = std::move(*parent);
    if (operation.state != State::planned)
      return adopt(std::move(item), parent ? Error{} : parent.error());
    if (!parent) return give_up(operation, parent.error());
    auto hold = session_.hold(*item.parent);
    if (!hold) return give_up(operation, hold.error());
    item.hold = (*hold)->directory.get();
    item.place = (*hold)->place;
    return begin(std::move(item));
  }

  /// After a crash. The hold is looked at first: once the intent was durable the file may be there,
  /// whatever has become of its folder since.
  Result<void> adopt(Item item, const Error& no_parent) {
    OperationState& operation = *item.operation;
    auto hold = session_.hold_of(operation.entry);
    if (!hold && hold.error().code != Code::not_found) return unknown(operation, hold.error());
    if (hold) {
      item.own_hold = std::move(*hold);
      item.hold = item.own_hold.get();
      if (auto held = item.hold->stat_entry(operation.entry.hold_name);
          held && held->kind != FileKind::regular)
        return return_stranger(item);
      auto file = item.hold->open_file(operation.entry.hold_name, host::Access::read);
      if (file) return adopt_held(std::move(item), std::move(*file));
      if (file.error().code != Code::not_found) return unknown(operation, file.error());
    }
    if (!item.parent) return unknown(operation, no_parent);
    if (operation.state != State::intended) return adopt_missing(item);
    if (auto set = protect_original(*item.parent, operation.entry); !set)
      return may_pass(set.error())
                 ? unknown(operation, set.error())
                 : give_up(operation, std::move(set).error().wrapped(
                                          "cannot set its immutable or append-only flag again"));
    if (!session_.begins()) return session_.stays_undone(operation);
    auto fresh = session_.hold(*item.parent);
    if (!fresh) return unknown(operation, fresh.error());
    item.hold = (*fresh)->directory.get();
    item.place = (*fresh)->place;
    return begin(std::move(item));
  }

  Result<void> adopt_held(Item item, std::unique_ptr<host::File> file) {
    auto stat = file->stat();
    if (!stat) return unknown(*item.operation, stat.error());
    if (!same_file(stat->id, item.operation->entry.metadata.stat.id, false))
      return return_stranger(item);
    item.file = std::move(file);
    if (item.operation->state == State::intended) TRY(record_captured(item));
    items_.push_back(std::move(item));
    return {};
  }

  /// Recorded as captured and not in the hold: the crash came after it was put back.
  Result<void> adopt_missing(Item& item) {
    auto file = item.parent->open_file(item.name(), host::Access::read);
    if (file) {
      auto stat = (*file)->stat();
      if (stat && same_file(stat->id, item.operation->entry.metadata.stat.id, false) &&
          item.operation->state == State::captured) {
        std::string why = "it is at its place again";
        protect_again(**file, item.operation->entry.metadata, why);
        return session_.not_done(*item.operation, "changed", why);
      }
    }
    return unknown(*item.operation,
                   {Code::not_found, "it is neither in the hold nor at its place",
                    "look for who took it; `remediate verify` tells what is left"});
  }

  /// Nothing is recorded: the next resume or rollback looks again.
  static Result<void> unknown(OperationState& operation, const Error& error) {
    operation.outcome = "unknown";
    operation.reason = reason_of(error);
    return {};
  }

  Result<void> begin(Item item) {
    const plan::Operation& operation = *item.operation->operation;
    auto file = item.parent->open_file(item.name(), host::Access::read);
    if (!file) return give_up(*item.operation, file.error());
    item.file = std::move(*file);
    if (auto free = session_.guard(item.path()); !free)
      return give_up(*item.operation, free.error());
    auto metadata = item.file->metadata();
    if (!metadata) return give_up(*item.operation, metadata.error());
    const Metadata& approved = operation.precondition.metadata;
    if (taken_by_another_name(*metadata)) metadata->inode_flags |= protection(approved);
    std::vector<std::string> reasons = metadata_differences(approved, *metadata);
    if (!same_file(approved.stat.id, metadata->stat.id, session_.same_boot()))
      reasons.insert(reasons.begin(), "another file has its name");
    if (metadata->stat.links != approved.stat.links)
      reasons.push_back("it now has " + std::to_string(metadata->stat.links) + " name(s)");
    if (!reasons.empty()) {
      Error error{Code::changed, "the file is no longer what was approved", "make a new plan"};
      error.causes = std::move(reasons);
      return give_up(*item.operation, error);
    }
    if (removes_assembly(operation))
      if (auto unshared = check_unshared(session_.root, item.path(), going()); !unshared)
        return give_up(*item.operation, unshared.error());
    auto parent = item.parent->stat();
    if (!parent) return give_up(*item.operation, parent.error());

    quarantine::Entry& entry = item.operation->entry;
    entry = {};
    entry.id = operation.id;
    entry.action = plan::action_name(operation.action);
    entry.playbook = operation.playbook;
    entry.indicator = operation.indicator;
    entry.path = operation.path;
    entry.sha256 = operation.precondition.sha256;
    entry.metadata = std::move(*metadata);
    entry.parent = parent->id;
    entry.parent_before = parent->modified;
    entry.parent_after = parent->modified;
    entry.hold = item.place;
    entry.hold_name = operation.id;
    entry.details = operation.details;
    TRY(session_.record(*item.operation, journal::type::intent,
                        Json{{"entry", quarantine::to_json(entry)}}));
    items_.push_back(std::move(item));
    return {};
  }

  /// What the run has removed or is about to.
  [[nodiscard]] std::set<RawPath> going() const {
    std::set<RawPath> paths;
    for (const OperationState& other : session_.run.operations)
      if (other.operation->action == plan::Action::quarantine && other.state != State::not_done)
        paths.insert(other.operation->path);
    return paths;
  }

  /// An earlier operation took this file under another of its names, and cleared its flags.
  [[nodiscard]] bool taken_by_another_name(const Metadata& metadata) const {
    return std::ranges::any_of(session_.run.operations, [&](const OperationState& other) {
      return is_taken(other) && metadata.stat.links > 1 &&
             same_file(other.entry.metadata.stat.id, metadata.stat.id, false);
    });
  }

  Result<void> capture(Item& item) {
    const quarantine::Entry& entry = item.operation->entry;
    const std::uint32_t flags = protection(entry.metadata);
    if (flags != 0) {
      if (auto cleared = item.file->set_protection_flags(0); !cleared)
        return give_up(*item.operation, std::move(cleared).error().wrapped(
                                            "cannot clear its immutable or append-only flag"));
      TRY(item.file->sync());  // else it may come up protected in the hold
    }
    // Several files of one folder: each records the folder's time just before and after itself.
    auto before = item.parent->stat();
    auto captured = session_.store.vault().capture(
        *item.parent, item.name(), entry.metadata.stat.id, *item.hold, entry.hold_name);
    if (!captured) {
      const bool held = captured.error().kind == NotCaptured::Kind::other_file_held;
      Error error = std::move(captured.error().error);
      if (captured.error().kind == NotCaptured::Kind::other_file_put_back) {
        TRY(item.parent->sync());
        TRY(item.hold->sync());
      }
      if (flags != 0)
        if (auto set = protect(*item.file, flags); !set)
          error.causes.push_back("its flags could not be set again: " + reason_of(set.error()));
      return give_up(*item.operation, error, held);
    }
    if (before) item.operation->entry.parent_before = before->modified;
    return record_captured(item);
  }

  Result<void> record_captured(Item& item) {
    quarantine::Entry& entry = item.operation->entry;
    if (auto writers = item.file->has_other_writers()) entry.open_for_writing = *writers;
    if (item.parent)
      if (auto after = item.parent->stat()) entry.parent_after = after->modified;
    return session_.record(*item.operation, journal::type::captured,
                           Json{{"parent_before", to_json(entry.parent_before)},
                                {"parent_after", to_json(entry.parent_after)},
                                {"open_for_writing", entry.open_for_writing}});
  }

  /// The names in parents and hold first, then the records that tell of them. The hold is on the
  /// targets' file system, so one flush of it covers both.
  Result<void> make_captures_durable() {
    std::set<const host::Directory*> flushed;
    for (const Item& item : items_)
      if (item.operation->state == State::captured && flushed.insert(item.hold).second)
        TRY(item.hold->sync_filesystem());
    return session_.flush();
  }

  Result<void> seal() {
    std::vector<quarantine::PendingObject> objects;
    std::vector<Item*> owners;
    for (Item& item : items_) {
      if (item.operation->state != State::captured) continue;
      OperationState& operation = *item.operation;
      if (operation.entry.metadata.stat.size > session_.max_sealed_bytes || session_.hold_only()) {
        TRY(check_unsealed(item));
        continue;
      }
      auto pending = session_.store.vault().seal(*item.file, session_.recipients);
      if (!pending) {
        keep_held(operation, pending.error());
      } else if (pending->sealed.plain_sha256 != operation.entry.sha256) {
        TRY(put_back(item, "its content changed after the plan was made: sha256 is now " +
                               pending->sealed.plain_sha256));
      } else {
        objects.push_back(std::move(*pending));
        owners.push_back(&item);
      }
    }
    if (auto kept = session_.store.vault().keep(objects); !kept) {
      for (Item* item : owners) keep_held(*item->operation, kept.error());
      return {};
    }
    for (std::size_t index = 0; index < owners.size(); ++index) {
      const crypto::Sealed& sealed = objects[index].sealed;
      TRY(session_.record(
          *owners[index]->operation, journal::type::sealed,
          Json{{"object", sealed.sealed_sha256}, {"object_size", sealed.sealed_size}}));
    }
    return session_.flush();
  }

  /// Without a sealed copy the digest is still checked, so that nothing else was taken.
  Result<void> check_unsealed(Item& item) {
    OperationState& operation = *item.operation;
    auto digest = file_sha256(*item.file, operation.entry.metadata.stat.size);
    if (digest && *digest != operation.entry.sha256)
      return put_back(item,
                      "its content changed after the plan was made: sha256 is now " + *digest);
    if (!digest) {
      keep_held(operation, digest.error());
    } else if (session_.hold_only()) {
      operation.outcome = "held";
      operation.reason =
          "captured, not sealed: too little space in the store: " + session_.lack_of_space +
          "; free some, then `remediate resume " + session_.run.name + "`";
    }
    return {};
  }

  Result<void> conclude() {
    for (Item& item : items_) {
      OperationState& operation = *item.operation;
      const bool held_only = operation.state == State::captured && operation.outcome != "held";
      if (operation.state != State::sealed && !held_only) continue;
      std::string outcome = "quarantined";
      std::string reason = held_only ? "held only: larger than the limit for sealing" : "";
      if (operation.entry.open_for_writing)
        reason += std::string(reason.empty() ? "" : "; ") +
                  "a process has it open for writing: find and stop it";
      if (auto stat = item.file->stat(); stat && stat->links > operation.entry.metadata.stat.links)
        reason += std::string(reason.empty() ? "" : "; ") + linked_elsewhere(stat->links);
      // Resolved anew: the folder may have been exchanged since it was opened.
      auto parent = session_.parent(item.path(), operation.entry.parent);
      auto again = parent ? (*parent)->stat_entry(item.name())
                          : Result<FileStat>(std::unexpected(parent.error()));
      if (!parent && parent.error().code == Code::not_found)
        parent.error().code = Code::changed;  // gone with its folder is not seen to be absent
      if (!parent) again = std::unexpected(parent.error());
      if (again) {
        outcome = "respawned";
        reason =
            "the original is held and sealed, but something put a new file at its place: find what "
            "does, then plan again";
      } else if (again.error().code != Code::not_found) {
        outcome = "unknown";
        reason = "captured, but its absence could not be checked: " + reason_of(again.error());
      }
      TRY(session_.record(operation, journal::type::done,
                          Json{{"outcome", outcome}, {"reason", reason}}));
    }
    return session_.flush();
  }

  static void keep_held(OperationState& operation, const Error& error) {
    operation.outcome = "held";
    operation.reason = "captured, not sealed: " + reason_of(error);
  }

  static Result<void> rename_back(const Item& item) {
    if (!item.parent) return fail(Code::changed, "its folder is gone or another one");
    return item.hold->rename(item.operation->entry.hold_name, *item.parent, item.name());
  }

  static void protect_again(host::File& file, const Metadata& as, std::string& why) {
    if (protection(as) != 0)
      if (auto set = protect(file, protection(as)); !set)
        why += "; its flags could not be set again: " + reason_of(set.error());
  }

  Result<void> put_back(Item& item, std::string why) {
    const quarantine::Entry& entry = item.operation->entry;
    // Another name of it that was put back has given it its flags, which would hold this one.
    TRY_LET(const Metadata now, item.file->metadata());
    if (protection(now) != 0) TRY(item.file->set_protection_flags(0));
    auto back = rename_back(item);
    if (!back) {
      why += "; it could not be put back: " + reason_of(back.error());
      if (protection(now) != 0) protect_again(*item.file, now, why);
      return session_.not_done(*item.operation, "held", why, true);
    }
    TRY(item.parent->sync());
    TRY(item.hold->sync());
    protect_again(*item.file, entry.metadata, why);
    return session_.not_done(*item.operation, "changed", why + "; it was put back");
  }

  /// The hold has something that was never approved: the crash came before it could be put back.
  Result<void> return_stranger(Item& item) {
    if (item.operation->state != State::intended)  // the approved file was seen there
      return unknown(*item.operation,
                     {Code::changed,
                      "the hold has another file under the name " + item.operation->entry.hold_name,
                      "look who put it there; it was left alone"});
    auto back = rename_back(item);
    if (!back)
      return session_.not_done(
          *item.operation, "held",
          "another file was captured and could not be put back: " + reason_of(back.error()), true);
    TRY(item.parent->sync());
    TRY(item.hold->sync());
    return session_.not_done(*item.operation, "changed",
                             "another file had its name; it was put back");
  }

  Result<void> give_up(OperationState& operation, const Error& error, bool held = false) {
    const char* outcome = held                            ? "held"
                          : error.code == Code::not_found ? "vanished"
                          : error.code == Code::changed   ? "changed"
                          : error.code == Code::refused   ? "refused"
                                                          : "failed";
    return session_.not_done(operation, outcome, reason_of(error), held);
  }

  Session& session_;
  std::vector<Item> items_;
};

}  // namespace

std::vector<std::string> unprotected_names(const Session& session) {
  std::vector<std::string> told;
  std::set<std::uint64_t> seen;
  for (const OperationState& operation : session.run.operations) {
    const quarantine::Entry& entry = operation.entry;
    if (operation.operation->action != plan::Action::quarantine || !is_taken(operation) ||
        protection(entry.metadata) == 0 || entry.metadata.stat.links < 2 ||
        !seen.insert(entry.metadata.stat.id.inode).second)
      continue;
    const auto hold = session.hold_of(entry);
    const auto file = hold ? (*hold)->open_file(entry.hold_name, host::Access::read)
                           : std::unexpected(hold.error());
    const auto now = file ? (*file)->metadata() : std::unexpected(file.error());
    if (!now || protection(*now) == protection(entry.metadata)) continue;
    const auto taken = std::ranges::count_if(session.run.operations, [&](const auto& other) {
      return is_taken(other) && same_file(other.entry.metadata.stat.id, now->stat.id, false);
    });
    if (now->stat.links <= static_cast<std::uint64_t>(taken)) continue;
    told.push_back(
        operation.operation->id + " " + operation.operation->address +
        ": its immutable or append-only flag is cleared, and " +
        std::to_string(now->stat.links - static_cast<std::uint64_t>(taken)) +
        " other name(s) of the file stay without it: a rollback sets it again, and after "
        "finalize you can");
  }
  return told;
}

Result<void> remove_files(Session& session, std::span<OperationState*> batch) {
  return Batch(session).run(batch);
}

}  // namespace remediate::run
