#include "remediate/run/setting_reset.h"

#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"
#include "remediate/host/durable.h"
#include "remediate/run/setting_version.h"

namespace remediate::run {
namespace {

class Exchange {
 public:
  Exchange(Session& session, OperationState& operation)
      : session_(session), operation_(operation), plan_(*operation.operation) {}

  Result<void> run() {
    TRY_LET(const bool open, open_places());
    if (!open) return {};
    if (operation_.state == State::intended) {
      auto set = protect_original(*parent_, operation_.entry);
      if (!set && may_pass(set.error())) {
        unknown(set.error());
        return {};
      }
      TRY(adopt());
      if (!set) {
        const Error error =
            std::move(set).error().wrapped("cannot set its immutable or append-only flag again");
        if (operation_.state == State::intended) return give_up(error);
        session_.notices.push_back(plan_.path.display() + ": " + reason_of(error));
      }
    }
    if (operation_.state == State::intended && !session_.begins()) {
      TRY(session_.stays_undone(operation_));
      return session_.flush();
    }
    if (operation_.state == State::planned || operation_.state == State::intended) TRY(change());
    if (operation_.state == State::captured) {
      auto original = hold_->open_file(hold_name(), host::Access::read);
      if (!original) {
        operation_.outcome = "held";
        operation_.reason = reason_of(original.error());
        return {};
      }
      TRY(seal_held(session_, operation_, **original));
    }
    if (operation_.state != State::sealed) return {};
    return conclude();
  }

 private:
  [[nodiscard]] std::string hold_name() const { return plan_.id; }
  /// The new version until the exchange; what was displaced right after it.
  [[nodiscard]] std::string new_name() const { return plan_.id + ".new"; }
  [[nodiscard]] std::string_view name() const { return plan_.path.name(); }
  [[nodiscard]] std::uint32_t protection() const {
    return operation_.entry.metadata.inode_flags & (host::flag_immutable | host::flag_append_only);
  }

  [[nodiscard]] bool name_is_free() const {
    const auto taken = parent_->stat_entry(name());
    return !taken && taken.error().code == Code::not_found;
  }

  Result<bool> open_places() {
    auto parent = session_.parent(plan_.path, plan_.precondition.parent);
    if (parent) parent_ = std::move(*parent);
    if (!parent && operation_.state == State::planned) {
      TRY(give_up(parent.error()));
      return false;
    }
    if (operation_.state != State::planned) {
      auto hold = session_.hold_of(operation_.entry);
      if (hold) own_hold_ = std::move(*hold);
      place_ = operation_.entry.hold;  // a later intent names the same one
      if (!hold && hold.error().code != Code::not_found) return unknown(hold.error());
      hold_ = own_hold_.get();
    }
    if (!parent_ && operation_.state == State::intended) return unknown(parent.error());
    if (hold_ == nullptr && parent_) {
      auto made = session_.hold(*parent_);
      if (!made && operation_.state == State::planned) {
        TRY(give_up(made.error()));
        return false;
      }
      if (!made) return unknown(made.error());
      hold_ = (*made)->directory.get();
      place_ = (*made)->place;
    }
    if (hold_ == nullptr)
      return unknown({Code::not_found, "its folder and its hold are gone", "look who took them"});
    return true;
  }

  /// Nothing is recorded: the next resume or rollback looks again.
  bool unknown(const Error& error) {
    operation_.outcome = "unknown";
    operation_.reason = reason_of(error);
    return false;
  }

  /// After a crash between intent and captured: what is in the hold tells how far it came.
  Result<void> adopt() {
    TRY_LET(const Held held, look_into_hold(*hold_, operation_));
    switch (held.what) {
      case Held::What::nothing:
        return {};
      case Held::What::own_version: {
        TRY_LET(const bool gone, drop_if_untouched(held.name));
        if (gone) return {};
        return session_.not_done(operation_, "held",
                                 "others wrote to the version that was made for the exchange; it "
                                 "is in the hold",
                                 true);
      }
      case Held::What::stranger:
        break;
      case Held::What::original:
        if (held.name == new_name()) TRY(hold_->rename(new_name(), *hold_, hold_name()));
        return captured(own_version().get());
    }
    // A stranger was displaced: it goes back if our version is still what it was exchanged for.
    auto target = parent_->stat_entry(name());
    if (!target && target.error().code != Code::not_found)
      return std::unexpected(std::move(target).error());
    if (target && same_file(target->id, operation_.built, false)) {
      TRY(hold_->exchange(held.name, *parent_, name()));
      return abandon({Code::changed,
                      "another file took its place during the exchange; it was put "
                      "back",
                      "make a new plan"});
    }
    return session_.not_done(
        operation_, "held",
        "another file took its place during the exchange; what was displaced is in the hold", true);
  }

  /// The version that was made, when it is at its place and has to be protected.
  std::unique_ptr<host::File> own_version() const {
    if (protection() == 0) return nullptr;
    auto made = parent_->open_file(name(), host::Access::read);
    auto stat = made ? (*made)->stat() : std::unexpected(made.error());
    if (!stat || !same_file(stat->id, operation_.built, false)) return nullptr;
    return std::move(*made);
  }

  Result<void> change() {
    auto file = parent_->open_file(name(), host::Access::read);
    if (!file) return give_up(file.error());
    if (auto free = session_.guard(plan_.path); !free) return give_up(free.error());
    auto current = read_version(**file);
    if (!current) return give_up(current.error());
    // The first operation on a file finds the very file that was approved; later ones find what
    // the one before left, which only its bytes can tell.
    if (current->sha256 != plan_.precondition.sha256)
      return give_up(
          {Code::changed,
           "the file is no longer what was approved: its sha256 is now " + current->sha256,
           "make a new plan"});
    auto edited = edit_version(session_.root, plan_, current->bytes);
    if (!edited) return give_up(edited.error());
    auto metadata = (*file)->metadata();
    if (!metadata) return give_up(metadata.error());
    if (const std::string why = unlike_approved(*metadata); !why.empty())
      return give_up(
          {Code::changed, "the file is no longer what was approved: " + why, "make a new plan"});
    auto parent = parent_->stat();
    if (!parent) return give_up(parent.error());

    // The new version is made before the intent, so that the record can tell it from all others;
    // it has no name until then.
    auto built =
        build_version(session_.host, *hold_, *edited, metadata_of_version(plan_, *metadata));
    if (!built) return give_up(built.error());
    built_ = std::move(*built);
    TRY_LET(const FileStat made, built_->stat());

    quarantine::Entry& entry = operation_.entry;
    entry = {};
    entry.id = plan_.id;
    entry.action = plan::action_name(plan_.action);
    entry.playbook = plan_.playbook;
    entry.indicator = plan_.indicator;
    entry.path = plan_.path;
    entry.sha256 = current->sha256;
    entry.metadata = std::move(*metadata);
    entry.parent = parent->id;
    entry.parent_before = parent->modified;
    entry.parent_after = parent->modified;
    entry.hold = place_;
    entry.hold_name = hold_name();
    entry.details = plan_.details;
    entry.after_sha256 = plan::exchanged_sha256(plan_);
    TRY(session_.record(operation_, journal::type::intent,
                        Json{{"entry", quarantine::to_json(entry)}, {"built", to_json(made.id)}}));
    TRY(session_.flush());
    if (auto named = hold_->link_file(*built_, new_name()); !named) return abandon(named.error());
    return exchange(**file);
  }

  /// The first change of a file finds the very file that was approved; a later one finds what the
  /// change before it left, which only its bytes can tell.
  std::string unlike_approved(const Metadata& now) const {
    for (const OperationState& other : session_.run.operations) {
      if (&other == &operation_) break;
      if (other.operation->path == plan_.path && other.state != State::planned &&
          other.state != State::not_done)
        return {};
    }
    const Metadata& approved = plan_.precondition.metadata;
    if (!same_file(now.stat.id, approved.stat.id, session_.same_boot()))
      return "another file has its name";
    if (now.stat.links != approved.stat.links)
      return "it has " + std::to_string(now.stat.links) + " name(s)";
    const std::vector<std::string> differences = metadata_differences(approved, now);
    return differences.empty() ? "" : differences.front();
  }

  Result<void> exchange(host::File& original) {
    const std::uint32_t flags = protection();
    if (flags != 0) {
      if (auto cleared = original.set_protection_flags(0); !cleared)
        return abandon(cleared.error());
      TRY(original.sync());  // else it may come up protected in the hold
    }
    if (auto swapped = hold_->exchange(new_name(), *parent_, name()); !swapped) {
      if (flags != 0) TRY(protect(original, flags));
      if (!name_is_free()) return abandon(swapped.error());
      return abandon({Code::not_found, "the file was removed right before the exchange",
                      "look who removed it; nothing was put at its place"});
    }
    if (auto held = check_displaced(original); !held)
      return exchange_back(held.error(), original, flags);
    TRY(hold_->rename(new_name(), *hold_, hold_name()));
    if (auto good = check_target(); !good) {
      if (name_is_free()) return captured(built_.get());  // the original is held; conclude() tells
      TRY(hold_->rename(hold_name(), *hold_, new_name()));
      return exchange_back(good.error(), original, flags);
    }
    return captured(built_.get());
  }

  /// Compare and swap: what came out must be what was approved.
  Result<void> check_displaced(const host::File& original) const {
    TRY_LET(const FileStat held, hold_->stat_entry(new_name()));
    if (!same_file(held.id, operation_.entry.metadata.stat.id, false))
      return fail(Code::changed, "another file took its place during the exchange",
                  "make a new plan");
    TRY_LET(const std::string digest, file_sha256(original, max_setting_bytes));
    if (digest != operation_.entry.sha256)
      return fail(Code::changed, "the file was written to during the exchange", "make a new plan");
    return {};
  }

  /// The file that is now served, parsed again: its difference in meaning must be the plan's.
  Result<void> check_target() const {
    TRY_LET(const auto held, hold_->open_file(hold_name(), host::Access::read));
    TRY_LET(const Version before, read_version(*held));
    TRY_LET(const auto target, parent_->open_file(name(), host::Access::read));
    TRY_LET(const Version after, read_version(*target));
    return check_difference(plan_, before.bytes, after.bytes);
  }

  Result<void> exchange_back(const Error& why, host::File& original, std::uint32_t flags) {
    auto back = hold_->exchange(new_name(), *parent_, name());
    if (!back && name_is_free()) back = hold_->rename(new_name(), *parent_, name());
    TRY(std::move(back));
    TRY(parent_->sync());
    TRY(hold_->sync());
    if (flags != 0) TRY(protect(original, flags));
    return abandon(why);
  }

  /// Nothing was changed. What is in the hold goes only if it is the version that was made here;
  /// what others put at the place between two exchanges stays held.
  Result<void> abandon(const Error& why) {
    TRY(parent_->sync());
    TRY(hold_->sync());
    built_.reset();  // else this process would be one that has it open for writing
    TRY_LET(const Held held, look_into_hold(*hold_, operation_));
    bool gone = held.what == Held::What::nothing;
    if (held.what == Held::What::own_version) {
      TRY_LET(gone, drop_if_untouched(held.name));
    }
    if (gone) return give_up(why);
    TRY(session_.not_done(operation_, "held",
                          reason_of(why) + "; a version that others put at its place meanwhile is "
                                           "in the hold",
                          true));
    return session_.flush();
  }

  /// Protected only once it is durably at its place: coming up protected in the hold it could not
  /// be moved by recovery.
  Result<void> captured(host::File* served) {
    if (auto after = parent_->stat()) operation_.entry.parent_after = after->modified;
    TRY(parent_->sync());
    TRY(hold_->sync());
    if (served != nullptr && protection() != 0) TRY(protect(*served, protection()));
    TRY(session_.record(operation_, journal::type::captured,
                        Json{{"parent_before", to_json(operation_.entry.parent_before)},
                             {"parent_after", to_json(operation_.entry.parent_after)},
                             {"open_for_writing", false}}));
    return session_.flush();
  }

  /// The version that was made here goes; what others wrote into it while it was served stays.
  Result<bool> drop_if_untouched(const std::string& held_name) const {
    TRY_LET(const auto file, hold_->open_file(held_name, host::Access::read));
    TRY_LET(const FileStat seen, file->stat());
    TRY_LET(const std::string digest, file_sha256(*file, max_setting_bytes));
    if (digest != operation_.entry.after_sha256 || is_being_written(*file)) return false;
    TRY_LET(const FileStat now, hold_->stat_entry(held_name));
    if (!same_and_unwritten(seen, now)) return false;
    TRY(hold_->remove_file(held_name));
    return true;
  }

  /// Somebody may have linked the original elsewhere while it was at its place.
  [[nodiscard]] std::string further_names() const {
    const auto held = hold_->stat_entry(hold_name());
    if (!held || held->links <= operation_.entry.metadata.stat.links) return {};
    return linked_elsewhere(held->links);
  }

  Result<void> conclude() {
    // Resolved anew: the folder may have been exchanged since it was opened.
    auto again = session_.parent(plan_.path, plan_.precondition.parent);
    if (again) parent_ = std::move(*again);
    auto checked = again ? check_target()
                         : fail(Code::changed,
                                "its folder is gone or another one: " + reason_of(again.error()));
    if (again && !checked && name_is_free())
      checked = fail(Code::changed, "what was put at its place was removed since: its name is free",
                     "look who removed it; the original is held");
    const std::string outcome = !checked                                     ? "unknown"
                                : plan_.action == plan::Action::replace_file ? "replaced"
                                                                             : "reset";
    TRY(session_.record(operation_, journal::type::done,
                        Json{{"outcome", outcome},
                             {"reason", checked ? further_names() : reason_of(checked.error())}}));
    return session_.flush();
  }

  Result<void> give_up(const Error& error) {
    const char* outcome = error.code == Code::not_found                                 ? "vanished"
                          : error.code == Code::changed || error.code == Code::conflict ? "changed"
                          : error.code == Code::refused                                 ? "refused"
                                                                                        : "failed";
    TRY(session_.not_done(operation_, outcome, reason_of(error)));
    return session_.flush();
  }

  Session& session_;
  OperationState& operation_;
  const plan::Operation& plan_;
  std::unique_ptr<host::Directory> parent_;
  std::unique_ptr<host::Directory> own_hold_;  // after a crash
  std::unique_ptr<host::File> built_;          // the new version, until it is given up
  const host::Directory* hold_ = nullptr;
  quarantine::HoldPlace place_ = quarantine::HoldPlace::store;
};

}  // namespace

Result<Held> look_into_hold(const host::Directory& hold, const OperationState& operation) {
  for (const std::string& name : {operation.entry.id, operation.entry.id + ".new"}) {
    auto file = hold.open_file(name, host::Access::read);
    if (!file && file.error().code == Code::not_found) continue;
    if (!file) return std::unexpected(std::move(file).error());
    TRY_LET(const FileStat stat, (*file)->stat());
    if (same_file(stat.id, operation.entry.metadata.stat.id, false))
      return Held{Held::What::original, name};
    const bool own = same_file(stat.id, operation.built, false);
    return Held{own ? Held::What::own_version : Held::What::stranger, name};
  }
  return Held{};
}

Result<void> seal_held(Session& session, OperationState& operation, const host::File& original) {
  const auto keep_held = [&](const Error& error) -> Result<void> {
    operation.outcome = "held";
    operation.reason = "captured, not sealed: " + reason_of(error);
    return {};
  };
  if (session.hold_only())
    return keep_held({Code::no_space, "too little space in the store: " + session.lack_of_space,
                      "free some, then `remediate resume " + session.run.name + "`"});
  auto pending = session.store.vault().seal(original, session.recipients);
  if (!pending) return keep_held(pending.error());
  if (pending->sealed.plain_sha256 != operation.entry.sha256)
    return keep_held({Code::changed, "the held file no longer has the digest that was recorded",
                      "a process still has it open: find it"});
  std::vector<quarantine::PendingObject> objects;
  objects.push_back(std::move(*pending));
  if (auto kept = session.store.vault().keep(objects); !kept) return keep_held(kept.error());
  TRY(session.record(operation, journal::type::sealed,
                     Json{{"object", objects.front().sealed.sealed_sha256},
                          {"object_size", objects.front().sealed.sealed_size}}));
  return session.flush();
}

Result<void> exchange_file(Session& session, OperationState& operation) {
  return Exchange(session, operation).run();
}

}  // namespace remediate::run
