#include "remediate/run/run_state.h"

#include <array>
#include <map>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"
#include "remediate/host/durable.h"

namespace remediate::run {
namespace {

constexpr std::uint64_t max_plan_bytes = 256u << 20;
constexpr std::uint64_t max_signature_bytes = 1u << 20;

std::string text(const Json& data, const char* key) {
  const auto found = data.find(key);
  return found != data.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool flag(const Json& data, const char* key) {
  const auto found = data.find(key);
  return found != data.end() && found->is_boolean() && found->get<bool>();
}

Result<void> take_data(OperationState& operation, const journal::Record& record) {
  const Json& data = record.data;
  if (record.type == journal::type::intent) {
    operation.built = {};
    if (data.contains("built")) {
      TRY_LET(operation.built, file_id_from_json(data["built"], "/built"));
    }
    if (!data.contains("entry")) return fail(Code::corrupt, "an intent record has no entry");
    TRY_LET(operation.entry, quarantine::entry_from_json(data["entry"], "/entry"));
    const plan::Operation& planned = *operation.operation;
    if (operation.entry.directory != planned.setting.directory)
      return fail(Code::corrupt,
                  "the directory value of an intent is not that of operation " + planned.id);
    if (operation.entry.id != planned.id || operation.entry.path != planned.path ||
        operation.entry.action != plan::action_name(planned.action))
      return fail(Code::corrupt, "the entry of an intent is not that of operation " + planned.id);
  } else if (record.type == journal::type::captured) {
    if (!data.contains("parent_after"))
      return fail(Code::corrupt, "a captured record has no parent_after");
    TRY_LET(operation.entry.parent_after,
            timestamp_from_json(data["parent_after"], "/parent_after"));
    if (!record.data.contains("parent_before"))
      return fail(Code::corrupt, "a captured record has no parent_before");
    TRY_LET(operation.entry.parent_before,
            timestamp_from_json(data["parent_before"], "/parent_before"));
    operation.entry.open_for_writing = flag(data, "open_for_writing");
  } else if (record.type == journal::type::sealed) {
    JsonReader reader(data, "");
    TRY_LET(operation.entry.object, reader.string("object"));
    TRY_LET(operation.entry.object_size, reader.unsigned_integer("object_size"));
  } else if (record.type == journal::type::not_done) {
    operation.held = flag(data, "held");
    if (operation.held && operation.entry.id.empty())
      return fail(Code::corrupt, "something is held of an operation that has no intent");
  } else if (record.type == journal::type::restore_intent && data.contains("placing")) {
    TRY_LET(operation.built, file_id_from_json(data["placing"], "/placing"));
  }
  if (data.contains("outcome")) {
    operation.outcome = text(data, "outcome");
    operation.reason = text(data, "reason");
  }
  return {};
}

Result<void> take_stage(Run& run, const journal::Record& record) {
  JsonReader reader(record.data, "");
  StageState stage;
  stage.time = record.time;
  stage.operation = record.operation;
  TRY_LET(stage.after, reader.unsigned_integer("after"));
  TRY_LET(stage.of, reader.unsigned_integer("of"));
  TRY_LET(stage.outcome, reader.string("outcome"));
  TRY_LET(stage.reason, reader.string("reason"));
  TRY(reader.done());
  const auto of_operation = [&](const OperationState& operation) {
    return operation.operation->id == record.operation && operation.operation->waits;
  };
  const bool at_a_wait = std::ranges::any_of(run.operations, of_operation);
  if (at_a_wait == record.operation.empty() || run.phase != "apply" || stage.after == 0 ||
      (at_a_wait && stage.outcome == "failed") || stage.after > stage.of ||
      stage.of > run.operations.size() ||
      (stage.outcome != "passed" && stage.outcome != "failed" && stage.outcome != "waiting"))
    return fail(Code::corrupt, "a stage record does not fit the run");
  run.stages.push_back(std::move(stage));
  return {};
}

Result<void> take(Run& run, std::map<std::string, OperationState*>& by_id,
                  const journal::Record& record) {
  run.ended = record.time;
  run.closed = record.type == journal::type::closed;
  if (record.type == journal::type::run_started) {
    if (record.sequence != 1) return fail(Code::corrupt, "a run starts twice");
    if (text(record.data, "plan_id") != run.plan.plan.plan_id)
      return fail(Code::corrupt, "the journal is of another plan");
    run.started = record.time;
    run.boot = text(record.data, "boot");
    run.plan_sha256 = text(record.data, "plan_sha256");
    run.plan_signature_sha256 = text(record.data, "plan_signature_sha256");
    run.store_sha256 = text(record.data, "store_sha256");
    run.phase = "apply";
    if (record.data.contains("copies")) {
      TRY_LET(run.copies, quarantine::copies_from_json(record.data["copies"], "/copies"));
    }
    if (record.data.contains("approvers") && record.data["approvers"].is_array())
      for (const Json& approver : record.data["approvers"])
        if (approver.is_string()) run.approvers.push_back(approver.get<std::string>());
    return {};
  }
  if (record.sequence == 1)
    return fail(Code::corrupt, "the journal does not start with run_started");
  if (run.closed) {
    const std::string phase = text(record.data, "phase");
    if (phase != "apply" && phase != "rollback" && phase != "finalize")
      return fail(Code::corrupt, "a closed record does not say which phase it closes");
    run.status = text(record.data, "status");
    run.manifest_sha256 = text(record.data, "manifest_sha256");
    run.phase = phase;
    run.announcing = false;
    return {};
  }
  if (record.type == journal::type::stage) return take_stage(run, record);
  const auto found = by_id.find(record.operation);
  if (found == by_id.end())
    return fail(Code::corrupt, "operation " + display(record.operation) + " is not in the plan");
  return advance(run, *found->second, record);
}

/// Every rollback begins by announcing all that it is to bring back.
void take_selection(Run& run, OperationState& operation, const journal::Record& record) {
  const bool intent = record.type == journal::type::restore_intent;
  const bool announces = intent && !record.data.contains("placing");
  if (announces && !run.announcing)
    for (OperationState& other : run.operations) other.selected = false;
  run.announcing = announces;
  if (intent || record.type == journal::type::restored ||
      record.type == journal::type::not_restored)
    operation.selected = true;
}

/// A run without a record has left nothing: what comes first is the record that it started.
Result<void> check_never_began(const Store& store, const host::Directory& directory,
                               const std::string& name) {
  const auto absent = [&](const auto& found, const std::string& what) -> Result<void> {
    if (!found && found.error().code == Code::not_found) return {};
    if (!found) return std::unexpected(found.error());
    return fail(Code::corrupt,
                "run " + name + ": its journal is gone or empty, but the run has left " + what,
                "take the journal from a backup");
  };
  TRY(absent(directory.stat_entry("manifest.json"), "a manifest"));
  bool head = false;
  TRY(store.journals().each_entry([&](std::string_view entry, FileKind) {
    return !(head = entry.starts_with(name + ".head-"));
  }));
  if (head) return absent(Result<void>(), "a signed head");
  return absent(store.vault().open_hold(quarantine::HoldPlace::store, store.root(), name),
                "a hold");
}

}  // namespace

Result<void> advance(Run& run, OperationState& operation, const journal::Record& record) {
  take_selection(run, operation, record);
  if (record.type == journal::type::not_restored && operation.state == State::restoring) {
    operation.state = operation.before_restore;
    run.phase = "rollback";
    return take_data(operation, record);
  }
  const bool from_directory = operation.operation->setting.directory.has_value();
  auto next = next_state(operation.state, record.type);
  if (from_directory && operation.state == State::intended && record.type == journal::type::done)
    next = State::done;
  if (from_directory && (next == State::captured || next == State::finalizing)) next.reset();
  if (!next)
    return fail(Code::corrupt, "operation " + record.operation + " goes from " +
                                   std::string(state_name(operation.state)) + " by " + record.type +
                                   ", which is no step of a run");
  if (*next == State::restoring && operation.state != State::restoring)
    operation.before_restore = operation.state;
  if (*next == State::restoring || *next == State::restored) run.phase = "rollback";
  if (*next == State::finalizing || *next == State::finalized) run.phase = "finalize";
  operation.state = *next;
  return take_data(operation, record);
}

std::string_view state_name(State state) {
  constexpr std::array<std::string_view, 10> names = {
      "planned",  "intended",  "captured", "sealed",     "done",
      "not_done", "restoring", "restored", "finalizing", "finalized"};
  return names.at(static_cast<std::size_t>(state));
}

std::string journal_name(const std::string& run) { return run + ".jsonl"; }

std::string signature_digest(const std::string& signature) {
  return signature.empty() ? std::string() : crypto::sha256_hex(signature);
}

Result<Run> fold(plan::PlanFile plan, const journal::Contents& journal) {
  Run run;
  run.plan = std::move(plan);
  for (const plan::Operation& operation : run.plan.plan.operations) {
    OperationState state;
    state.operation = &operation;
    run.operations.push_back(std::move(state));
  }
  std::map<std::string, OperationState*> by_id;
  for (OperationState& operation : run.operations) by_id[operation.operation->id] = &operation;
  for (const journal::Record& record : journal.records)
    if (auto taken = take(run, by_id, record); !taken)
      return std::unexpected(std::move(taken).error().wrapped(
          "record " + std::to_string(record.sequence) + " of the journal"));
  for (OperationState& operation : run.operations)
    if (went_past(run, *operation.operation)) operation.outcome = "resumed";
  return run;
}

Result<std::string> find_run(const Store& store, const std::string& name) {
  TRY_LET(const std::vector<std::string> names, store.run_names());
  std::vector<std::string> fits;
  for (const std::string& candidate : names) {
    if (candidate == name) return candidate;
    if (!name.empty() && candidate.starts_with(name)) fits.push_back(candidate);
  }
  if (fits.size() == 1) return fits.front();
  if (fits.size() > 1)
    return fail(Code::ambiguous, "several runs begin with " + display(name),
                "give more of the name: `remediate list`");
  return fail(Code::not_found,
              "there is no run " + display(name) + " in the store " + display(store.path()),
              "`remediate list` shows the runs; --store names another store");
}

Result<Run> load_run(const Store& store, const std::string& name) {
  TRY_LET(const std::string full, find_run(store, name));
  TRY_LET(const RawPath path, RawPath::parse(full));
  TRY_LET(auto directory, store.runs().open_directory(path, host::Mounts::stay));
  TRY_LET(std::string plan_bytes, host::read_whole(*directory, "plan.json", max_plan_bytes));
  const std::string plan_sha256 = crypto::sha256_hex(plan_bytes);
  TRY_LET(plan::PlanFile plan,
          plan::read_plan(std::move(plan_bytes), "runs/" + full + "/plan.json"));
  std::string signature;
  if (auto read = host::read_whole(*directory, "plan.json.p7s", max_signature_bytes))
    signature = std::move(*read);
  else if (read.error().code != Code::not_found)
    return std::unexpected(std::move(read).error());

  journal::Contents contents;
  auto bytes = host::read_whole(store.journals(), journal_name(full), journal::max_journal_bytes);
  if (bytes) {
    auto read = journal::read_journal(*bytes);
    if (!read) return std::unexpected(std::move(read).error().wrapped("run " + full));
    contents = std::move(*read);
  } else if (bytes.error().code != Code::not_found) {
    return std::unexpected(std::move(bytes).error());
  }
  auto run = fold(std::move(plan), contents);
  if (!run) return std::unexpected(std::move(run).error().wrapped("run " + full));
  if (contents.records.empty()) {
    TRY(check_never_began(store, *directory, full));
  } else {
    if (run->plan_sha256 != plan_sha256)
      return fail(Code::corrupt,
                  "run " + full + ": plan.json is not the plan that the journal names",
                  "take it from a backup");
    if (run->plan_signature_sha256 != signature_digest(signature))
      return fail(Code::corrupt,
                  "run " + full + ": plan.json.p7s is not the one that the journal names",
                  "take it from a backup");
    if (run->store_sha256 != store.sha256())
      return fail(Code::corrupt,
                  "run " + full + ": store.json is not the one that the journal names",
                  "take it from a backup, or the run from its own store");
  }
  run->plan_sha256 = plan_sha256;
  run->name = full;
  run->directory = std::move(directory);
  run->plan_signature = std::move(signature);
  return run;
}

bool went_past(const Run& run, const plan::Operation& operation) {
  return operation.waits && std::ranges::any_of(run.stages, [&](const StageState& stage) {
           return stage.operation == operation.id && stage.outcome == "passed";
         });
}

const StageState* stands_at(const Run& run) {
  const bool stands = run.phase == "apply" && !run.closed && !run.stages.empty() &&
                      run.stages.back().outcome == "waiting";
  return stands ? &run.stages.back() : nullptr;
}

std::size_t held_unsealed(const Run& run) {
  return static_cast<std::size_t>(
      std::ranges::count_if(run.operations, [&](const OperationState& operation) {
        return operation.state == State::captured &&
               !(run.phase == "rollback" && operation.selected);
      }));
}

std::string status_of(const Run& run, const std::string& phase) {
  std::size_t wanted = 0, good = 0, in_part = 0;
  for (const OperationState& operation : run.operations) {
    if (operation.operation->action == plan::Action::instruct) continue;
    const State state = operation.state;
    if (phase == "rollback") {
      if (!operation.selected) continue;
      ++wanted;
      if (state == State::restored && operation.outcome == "restored") ++good;
    } else if (phase == "finalize") {
      if (operation.entry.directory) continue;  // nothing of it is held
      const bool held = state == State::captured || state == State::sealed ||
                        (state == State::not_done && operation.held);
      if (!held && state != State::finalized && state != State::finalizing && state != State::done)
        continue;
      ++wanted;
      if (state == State::finalized) ++good;
      // Too large to be sealed: that it stays held is what the plan said.
      if (state == State::done && operation.entry.object.empty()) ++in_part;
    } else {
      ++wanted;
      if (state == State::done && (operation.outcome == "quarantined" ||
                                   operation.outcome == "reset" || operation.outcome == "replaced"))
        ++good;
      // It is out of the way, with less than was wanted.
      else if (state == State::captured || state == State::sealed || state == State::done)
        ++in_part;
    }
  }
  if (wanted == 0) return "nothing_to_do";
  if (good == wanted) return "done";
  return good + in_part == 0 ? "failed" : "partial";
}

}  // namespace remediate::run
