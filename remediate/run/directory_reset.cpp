#include "remediate/run/directory_reset.h"

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"

namespace remediate::run {
namespace {

using Value = std::optional<std::string>;

std::string shown(const Value& value) { return value ? display(*value, 300) : "absent"; }

Error no_connection() {
  return {Code::configuration, "no connection to the directory was given",
          "name the connection file with --directory"};
}

/// The value of the planned object as it is now. changed when it is no longer that object, or has
/// several values.
Result<Value> current_value(setting::DirectoryService& directory, const DirectoryValue& planned) {
  TRY_LET(const setting::DirectoryObject object, directory.read(planned.guid));
  if (!ascii_iequals(object.dn, planned.dn))
    return fail(Code::changed, "the object is now " + display(object.dn, 500),
                "look who renamed it; make a new plan");
  const auto* values = object.values(planned.attribute);
  if (values == nullptr || values->empty()) return Value();
  if (values->size() > 1)
    return fail(Code::changed, planned.attribute + " has several values now",
                "look who changed it; make a new plan");
  return Value(values->front());
}

/// How a swap ended, by what the directory says afterwards.
enum class Swapped : std::uint8_t { done, not_done, unknown };
struct SwapResult {
  Swapped how = Swapped::unknown;
  Error why{};
};

SwapResult swap(setting::DirectoryService& directory, const DirectoryValue& planned,
                const Value& from, const Value& to) {
  auto swapped = directory.compare_and_swap(planned.guid, planned.attribute, from, to);
  // Without an answer the server may do it yet, whatever it says now: who resumes looks again.
  if (!swapped && swapped.error().code == Code::io) return {Swapped::unknown, swapped.error()};
  if (!swapped) return {Swapped::not_done, swapped.error()};
  auto now = current_value(directory, planned);
  if (now && *now == to) return {Swapped::done};
  if (!now && now.error().code != Code::changed) return {Swapped::unknown, now.error()};
  // An attribute that takes several values got another one beside ours: ours goes again.
  Error why{Code::changed,
            "right after the change the value was " + (now ? shown(*now) : now.error().message) +
                ": somebody else changes it too",
            "look who does, then make a new plan"};
  if (to)
    if (auto back = directory.compare_and_swap(planned.guid, planned.attribute, to, from);
        !back && back.error().code == Code::io)
      return {Swapped::unknown, std::move(why)};
  return {Swapped::not_done, std::move(why)};
}

class DirectoryReset {
 public:
  DirectoryReset(Session& session, OperationState& operation)
      : session_(session),
        operation_(operation),
        planned_(*operation.operation->setting.directory) {}

  Result<void> run() {
    if (operation_.state != State::planned && operation_.state != State::intended) return {};
    if (session_.active_directory == nullptr) return leave(no_connection());
    auto now = current_value(*session_.active_directory, planned_);
    if (!now && (now.error().code == Code::io || operation_.state == State::intended) &&
        now.error().code != Code::changed && now.error().code != Code::not_found)
      return leave(now.error());
    if (!now) return give_up(now.error());
    if (operation_.state == State::intended && *now == planned_.after) return done();
    if (!session_.begins()) {
      TRY(session_.stays_undone(operation_));
      return session_.flush();
    }
    if (*now != planned_.before)
      return give_up({Code::changed,
                      planned_.attribute + " is now " + shown(*now) + ", approved was " +
                          shown(planned_.before) + ": somebody else changed it; nothing was done",
                      "make a new plan"});
    return change();
  }

 private:
  Result<void> change() {
    quarantine::Entry& entry = operation_.entry;
    entry = {};
    entry.id = operation_.operation->id;
    entry.action = plan::action_name(operation_.operation->action);
    entry.playbook = operation_.operation->playbook;
    entry.indicator = operation_.operation->indicator;
    entry.details = operation_.operation->details;
    entry.directory = planned_;
    TRY(session_.record(operation_, journal::type::intent,
                        Json{{"entry", quarantine::to_json(entry)}}));
    TRY(session_.flush());
    SwapResult swapped =
        swap(*session_.active_directory, planned_, planned_.before, planned_.after);
    switch (swapped.how) {
      case Swapped::done:
        return done();
      case Swapped::not_done:
        return give_up(swapped.why);
      case Swapped::unknown:
        break;
    }
    return leave(swapped.why);
  }

  Result<void> done() {
    TRY(session_.record(operation_, journal::type::done,
                        Json{{"outcome", "reset"}, {"reason", ""}}));
    return session_.flush();
  }

  /// Nothing is recorded: the next resume or rollback looks again.
  Result<void> leave(const Error& error) {
    operation_.outcome = "unknown";
    operation_.reason = reason_of(error);
    return {};
  }

  Result<void> give_up(const Error& error) {
    const char* outcome = error.code == Code::not_found ? "vanished"
                          : error.code == Code::changed ? "changed"
                          : error.code == Code::refused || error.code == Code::permission
                              ? "refused"
                              : "failed";
    TRY(session_.not_done(operation_, outcome, reason_of(error)));
    return session_.flush();
  }

  Session& session_;
  OperationState& operation_;
  const DirectoryValue& planned_;
};

std::string changed_since(const DirectoryValue& recorded, const Value& now) {
  return recorded.attribute + " is now " + shown(now) + ": somebody else changed it since";
}

Restored put_back(setting::DirectoryService& directory, const DirectoryValue& recorded) {
  auto now = current_value(directory, recorded);
  if (!now) {
    const bool conflict = now.error().code == Code::changed || now.error().code == Code::not_found;
    return {false, conflict ? "conflict" : "failed", reason_of(now.error())};
  }
  if (*now == recorded.before) return {true, "restored", ""};
  if (*now != recorded.after)
    return {false, "conflict", changed_since(recorded, *now) + "; nothing was done"};
  SwapResult swapped = swap(directory, recorded, recorded.after, recorded.before);
  if (swapped.how == Swapped::done) return {true, "restored", ""};
  const bool conflict = swapped.how == Swapped::not_done && swapped.why.code == Code::changed;
  return {false, conflict ? "conflict" : "failed", reason_of(swapped.why)};
}

}  // namespace

Result<std::vector<std::string>> directory_drift(setting::DirectoryService& directory,
                                                 const DirectoryValue& planned) {
  std::vector<std::string> reasons;
  auto now = current_value(directory, planned);
  if (!now && now.error().code != Code::changed) return std::unexpected(std::move(now).error());
  if (!now)
    reasons.push_back(now.error().text());
  else if (*now != planned.before)
    reasons.push_back(planned.attribute + " is now " + shown(*now) + ", approved was " +
                      shown(planned.before));
  return reasons;
}

std::string directory_obstacle(setting::DirectoryService& directory,
                               const DirectoryValue& recorded) {
  const auto now = current_value(directory, recorded);
  if (!now) return reason_of(now.error());
  return *now == recorded.before || *now == recorded.after ? "" : changed_since(recorded, *now);
}

Result<void> reset_directory_value(Session& session, OperationState& operation) {
  return DirectoryReset(session, operation).run();
}

Result<void> restore_directory_value(Session& session, OperationState& operation) {
  Restored restored{false, "failed", reason_of(no_connection())};
  if (session.active_directory != nullptr)
    restored = put_back(*session.active_directory, *operation.entry.directory);
  TRY(record_restored(session, operation, restored));
  return session.flush();
}

}  // namespace remediate::run
