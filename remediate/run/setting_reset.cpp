#include "remediate/run/setting_reset.h"

#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"
#include "remediate/host/durable.h"
#include "remediate/run/setting_version.h"

namespace remediate::run {
namespace {

class Reset {
 public:
  Reset(Session& session, OperationState& operation)
      : session_(session), operation_(operation), plan_(*operation.operation) {}

  Result<void> run() {
    TRY_LET(const bool open, open_places());
    if (!open) return {};
    if (operation_.state == State::intended) TRY(adopt());
    if (operation_.state == State::planned || operation_.state == State::intended) TRY(change());
    if (operation_.state == State::captured) {
      auto original = hold_->directory->open_file(hold_name(), host::Access::read);
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
  [[nodiscard]] std::string_view name() const { return plan_.path.name(); }

  Result<bool> open_places() {
    auto parent = session_.parent(plan_.path, plan_.precondition.parent);
    if (!parent) {
      TRY(give_up(parent.error()));
      return false;
    }
    parent_ = std::move(*parent);
    auto hold = session_.hold(*parent_);
    if (!hold) {
      TRY(give_up(hold.error()));
      return false;
    }
    hold_ = *hold;
    return true;
  }

  /// After a crash between intent and captured: the exchange happened, or the hold has at most the
  /// unfinished new version, which is ours to remove.
  Result<void> adopt() {
    auto held = hold_->directory->stat_entry(hold_name());
    if (!held && held.error().code == Code::not_found) return {};
    if (!held) return std::unexpected(std::move(held).error());
    if (same_file(held->id, operation_.entry.metadata.stat.id, false)) return captured();
    auto target = parent_->stat_entry(name());
    if (target && same_file(target->id, operation_.entry.metadata.stat.id, false))
      return hold_->directory->remove_file(hold_name());
    // Neither is the original: a stranger was displaced and not yet exchanged back.
    return session_.not_done(
        operation_, "held",
        "another file took its place during the exchange; what was displaced is in the hold", true);
  }

  Result<void> change() {
    auto file = parent_->open_file(name(), host::Access::read);
    if (!file) return give_up(file.error());
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
    auto parent = parent_->stat();
    if (!parent) return give_up(parent.error());

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
    entry.hold = hold_->place;
    entry.hold_name = hold_name();
    entry.after_sha256 = plan_.setting.after_sha256;
    TRY(session_.record(operation_, journal::type::intent,
                        Json{{"entry", quarantine::to_json(entry)}}));
    TRY(session_.flush());
    return exchange(**file, *edited);
  }

  Result<void> exchange(host::File& original, const std::string& bytes) {
    const Metadata& metadata = operation_.entry.metadata;
    auto built = build_version(session_.host, *hold_->directory, hold_name(), bytes, metadata);
    if (!built) return abandon(built.error());
    const std::uint32_t flags =
        metadata.inode_flags & (host::flag_immutable | host::flag_append_only);
    if (flags != 0)
      if (auto cleared = original.set_protection_flags(0); !cleared)
        return abandon(cleared.error());
    if (auto swapped = hold_->directory->exchange(hold_name(), *parent_, name()); !swapped) {
      if (flags != 0) TRY(original.set_protection_flags(flags));
      return abandon(swapped.error());
    }
    if (auto held = check_displaced(original); !held)
      return exchange_back(held.error(), original, flags);
    if (auto good = check_target(); !good) return exchange_back(good.error(), original, flags);
    if (flags != 0) TRY((*built)->set_protection_flags(flags));
    return captured();
  }

  /// Compare and swap: what came out must be what was approved.
  Result<void> check_displaced(const host::File& original) const {
    TRY_LET(const FileStat held, hold_->directory->stat_entry(hold_name()));
    if (!same_file(held.id, operation_.entry.metadata.stat.id, false))
      return fail(Code::changed, "another file took its place during the exchange",
                  "make a new plan");
    TRY_LET(const std::string digest, file_sha256(original));
    if (digest != operation_.entry.sha256)
      return fail(Code::changed, "the file was written to during the exchange", "make a new plan");
    return {};
  }

  /// The file that is now served, parsed again: its difference in meaning must be the plan's.
  Result<void> check_target() const {
    TRY_LET(const auto held, hold_->directory->open_file(hold_name(), host::Access::read));
    TRY_LET(const Version before, read_version(*held));
    TRY_LET(const auto target, parent_->open_file(name(), host::Access::read));
    TRY_LET(const Version after, read_version(*target));
    return check_difference(plan_, before.bytes, after.bytes);
  }

  Result<void> exchange_back(const Error& why, host::File& original, std::uint32_t flags) {
    TRY(hold_->directory->exchange(hold_name(), *parent_, name()));
    if (flags != 0) TRY(original.set_protection_flags(flags));
    return abandon(why);
  }

  /// Nothing was changed: the new version in the hold goes, if it is ours.
  Result<void> abandon(const Error& why) {
    auto removed = hold_->directory->remove_file(hold_name());
    if (!removed && removed.error().code != Code::not_found) return removed;
    return give_up(why);
  }

  Result<void> captured() {
    if (auto after = parent_->stat()) operation_.entry.parent_after = after->modified;
    TRY(parent_->sync());
    TRY(hold_->directory->sync());
    TRY(session_.record(operation_, journal::type::captured,
                        Json{{"parent_before", to_json(operation_.entry.parent_before)},
                             {"parent_after", to_json(operation_.entry.parent_after)},
                             {"open_for_writing", false}}));
    return session_.flush();
  }

  Result<void> conclude() {
    auto checked = check_target();
    const std::string outcome = checked ? "reset" : "unknown";
    TRY(session_.record(
        operation_, journal::type::done,
        Json{{"outcome", outcome}, {"reason", checked ? "" : reason_of(checked.error())}}));
    return session_.flush();
  }

  Result<void> give_up(const Error& error) {
    if (operation_.state == State::captured || operation_.state == State::sealed) {
      operation_.outcome = "held";
      operation_.reason = reason_of(error);
      return {};
    }
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
  const quarantine::Vault::HoldDirectory* hold_ = nullptr;
};

}  // namespace

Result<void> seal_held(Session& session, OperationState& operation, const host::File& original) {
  const auto keep_held = [&](const Error& error) -> Result<void> {
    operation.outcome = "held";
    operation.reason = "captured, not sealed: " + reason_of(error);
    return {};
  };
  if (session.hold_only)
    return keep_held({Code::no_space, "too little space in the store",
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

Result<void> reset_setting(Session& session, OperationState& operation) {
  return Reset(session, operation).run();
}

}  // namespace remediate::run
