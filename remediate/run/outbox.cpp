#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/host/durable.h"
#include "remediate/run/restore.h"

namespace remediate::run {
namespace {

/// A copy that nobody can take for a whole one: without a name, or under a temporary one where the
/// file system has no unnamed files.
struct Draft {
  std::unique_ptr<host::File> file;
  std::string temporary;
};

Result<void> discard(const host::Directory& outbox, const std::string& temporary) {
  auto removed = outbox.remove_file(temporary);
  if (!removed && removed.error().code != Code::not_found) return removed;
  return {};
}

Result<Draft> begin_draft(const host::Directory& outbox, const std::string& name) {
  auto unnamed = outbox.create_unnamed(0600);
  if (unnamed) return Draft{std::move(*unnamed), ""};
  if (unnamed.error().code != Code::unsupported) return std::unexpected(std::move(unnamed).error());
  Draft draft{nullptr, name + ".writing"};
  TRY(discard(outbox, draft.temporary));  // of a copy that a crash cut off
  TRY_LET(draft.file, outbox.create_file(draft.temporary, 0600));
  return draft;
}

/// already_exists when the name is taken.
Result<void> give_name(const host::Directory& outbox, const Draft& draft, const std::string& name) {
  if (draft.temporary.empty()) return outbox.link_file(*draft.file, name);
  auto moved = outbox.rename(draft.temporary, outbox, name);
  if (moved || moved.error().code != Code::unsupported) return moved;
  TRY(outbox.link_file(*draft.file, name));  // network file systems cannot rename so
  return outbox.remove_file(draft.temporary);
}

class OutboxCopy {
 public:
  OutboxCopy(Session& session, const RollbackOptions& options, const OperationState& operation,
             const host::File* held)
      : session_(session),
        options_(options),
        entry_(operation.entry),
        held_(held),
        never_identified_(operation.before_restore == State::intended ||
                          operation.before_restore == State::not_done) {}

  /// The path of the copy, which is whole and durable.
  Result<std::string> make() {
    if (held_ == nullptr && entry_.object.empty())
      return fail(Code::not_found, "it is neither in the hold nor sealed");
    if (held_ == nullptr && !options_.recovery)
      return fail(Code::not_found,
                  "it is not in the hold, and its sealed copy needs --recovery-key");
    wanted_ = entry_.sha256;
    if (held_ != nullptr) TRY(judge_held());
    TRY_LET(const auto outbox, session_.host.make_root(options_.outbox));
    const std::string name = session_.run.name + "-" + entry_.id;
    TRY_LET(const bool there, is_there(*outbox, name));
    if (!there) TRY(add(*outbox, name));
    TRY(outbox->sync());
    return options_.outbox + "/" + name;
  }

 private:
  /// What nobody identified is its own measure. What was captured and is another file now was
  /// written to in the hold: then only the sealed copy is evidence.
  Result<void> judge_held() {
    if (never_identified_) {
      TRY_LET(wanted_, file_sha256(*held_));
      return {};
    }
    TRY_LET(const std::string digest, file_sha256(*held_, entry_.metadata.stat.size));
    if (digest == entry_.sha256) return {};
    if (!options_.recovery || entry_.object.empty())
      return fail(Code::corrupt, "the held file is not what was captured (sha256 " + digest + ")",
                  entry_.object.empty() ? "" : "--recovery-key takes the sealed copy");
    held_ = nullptr;
    return {};
  }

  /// An earlier rollback put it there; anything else under that name is an error.
  Result<bool> is_there(const host::Directory& outbox, const std::string& name) const {
    const auto file = outbox.open_file(name, host::Access::read);
    if (!file && file.error().code == Code::not_found) return false;
    if (!file) return std::unexpected(file.error());
    TRY_LET(const std::string digest, file_sha256(**file));
    if (digest != wanted_)
      return fail(Code::already_exists,
                  "the outbox has another file under the name " + display(name) + " (sha256 " +
                      digest + ")",
                  "move it away or name another folder, then roll back again");
    TRY((*file)->sync());
    return true;
  }

  Result<void> add(const host::Directory& outbox, const std::string& name) const {
    TRY_LET(const Draft draft, begin_draft(outbox, name));
    auto added = fill(*draft.file);
    if (added) added = give_name(outbox, draft, name);
    if (added) return {};
    if (!draft.temporary.empty())
      if (auto removed = discard(outbox, draft.temporary); !removed)
        added.error().causes.push_back(removed.error().text());
    if (added.error().code != Code::already_exists) return added;
    TRY_LET(const bool there, is_there(outbox, name));
    return there ? Result<void>() : added;
  }

  Result<void> fill(host::File& file) const {
    Metadata metadata = entry_.metadata;
    if (held_ != nullptr) {
      TRY(copy_held(file));
      TRY_LET(metadata, held_->metadata());
    } else {
      TRY(session_.store.vault().unseal(entry_.object, entry_.sha256, file,
                                        options_.recovery->certificate, options_.recovery->key));
    }
    TRY_LET(const std::string digest, file_sha256(file));
    if (digest != wanted_)
      return fail(Code::changed, "the copy in the outbox has another digest",
                  "look who writes to it, then roll back again");
    TRY(file.restore_metadata(metadata, host::Privileges::strip));
    return file.sync();
  }

  Result<void> copy_held(host::File& file) const {
    host::FileSource source(*held_);
    host::FileSink sink(file);
    std::vector<char> buffer(1u << 20);
    for (;;) {
      TRY_LET(const std::size_t count, source.read(buffer));
      if (count == 0) return {};
      TRY(sink.write(std::string_view(buffer.data(), count)));
    }
  }

  Session& session_;
  const RollbackOptions& options_;
  const quarantine::Entry& entry_;
  const host::File* held_;
  bool never_identified_;
  std::string wanted_;  // sha256
};

}  // namespace

Restored to_outbox(Session& session, const RollbackOptions& options,
                   const OperationState& operation, const host::File* held,
                   const std::string& why) {
  if (options.outbox.empty())
    return {false, "conflict", why + "; nothing was overwritten (--outbox DIR puts a copy there)"};
  auto copied = OutboxCopy(session, options, operation, held).make();
  if (!copied)
    return {false, "conflict", why + "; no copy in the outbox: " + reason_of(copied.error())};
  return {false, "in_outbox", why + "; a copy is in " + display(*copied)};
}

}  // namespace remediate::run
