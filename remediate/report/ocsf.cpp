#include <algorithm>
#include <limits>
#include <string_view>

#include "remediate/base/encoding.h"
#include "remediate/plan/plan_file.h"
#include "remediate/report/report.h"
#include "remediate/report/words.h"

namespace remediate::report {
namespace {

using run::State;

struct Status {
  int id;
  const char* name;
};
constexpr Status success{1, "Success"};
constexpr Status failure{2, "Failure"};
constexpr Status does_not_exist{3, "Does Not Exist"};
constexpr Status partial{4, "Partial"};
constexpr Status error{6, "Error"};

struct Activity {
  int id;
  const char* name;
  const char* technique;
  const char* technique_name;
};
constexpr Activity evict_file{2, "Evict", "D3-FEV", "File Eviction"};
constexpr Activity restore_file{3, "Restore", "D3-RF", "Restore File"};
constexpr Activity restore_setting{3, "Restore", "D3-RC", "Restore Configuration"};

std::int64_t milliseconds(Timestamp time) {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max() / 1000 - 1;
  if (time.seconds > most || time.seconds < -most) return 0;
  return time.seconds * 1000 + static_cast<std::int64_t>(time.nanoseconds / 1'000'000);
}

/// How the removal or the reset ended, whatever came after it.
Status apply_status(const run::OperationState& operation) {
  if (operation.state == State::not_done) {
    if (operation.outcome == "vanished") return does_not_exist;
    return failure;
  }
  if (operation.state == State::intended) return error;
  if (operation.state == State::captured || operation.state == State::sealed) return partial;
  if (operation.state == State::done && operation.outcome == "unknown") return error;
  if (operation.state == State::done && operation.outcome == "respawned") return partial;
  return success;
}

Status rollback_status(const run::OperationState& operation) {
  if (operation.state == State::restored)
    return operation.outcome == "restored" ? success : partial;
  if (operation.state == State::restoring) return error;
  return operation.outcome == "in_outbox" ? partial : failure;
}

/// Whether a rollback was tried; one that failed leaves the operation where it was, with a word of
/// its own.
bool rolled_back(const run::OperationState& operation) {
  if (operation.state == State::restored || operation.state == State::restoring) return true;
  if (operation.state == State::not_done) return false;
  constexpr std::string_view words[] = {"conflict", "in_outbox", "tampered", "failed", "refused"};
  return std::ranges::find(words, operation.outcome) != std::end(words);
}

Json file_json(const plan::Plan& plan, const run::OperationState& state) {
  const plan::Operation& operation = *state.operation;
  const Metadata& metadata = operation.precondition.metadata;
  const std::string name = display(operation.path.name());
  std::string root = display(plan.host.root);
  if (!root.ends_with('/')) root += '/';
  Json file{{"name", name},
            {"type", "Regular File"},
            {"type_id", 1},
            {"path", root + operation.path.display()},
            {"parent_folder", root + operation.path.parent().display()},
            {"size", metadata.stat.size},
            {"modified_time", milliseconds(metadata.stat.modified)}};
  if (const std::size_t dot = name.rfind('.'); dot != std::string::npos && dot + 1 < name.size())
    file["ext"] = name.substr(dot + 1);
  if (!operation.precondition.sha256.empty())
    file["hashes"] = Json::array({Json{{"algorithm", "SHA-256"},
                                       {"algorithm_id", 3},
                                       {"value", shown(operation.precondition.sha256)}}});
  return file;
}

struct Event {
  const char* phase;
  Activity activity;
  Status status;
};

Json event_json(const run::Run& run, const run::OperationState& state, const Event& event,
                const std::string& version) {
  const plan::Plan& plan = run.plan.plan;
  const plan::Operation& operation = *state.operation;
  const bool is_file = operation.action != plan::Action::reset_setting;
  const bool replaced = operation.action == plan::Action::replace_file;
  const int class_uid = is_file ? 7002 : 7001;
  const char* class_name = is_file ? "File Remediation Activity" : "Remediation Activity";
  const std::string command = run.name + "/" + operation.id + "/" + event.phase;
  const bool undo = std::string_view(event.phase) == "rollback";
  const bool last = undo || (run.phase == event.phase && !rolled_back(state));
  const bool informational = event.status.id == success.id;
  // The last step's word and reason belong to the event of that step only.
  const bool own = undo || !rolled_back(state);
  const std::string what = undo       ? (is_file ? "Put back " : "Took back the reset of ")
                           : replaced ? "Replaced by the known good version "
                                      : (is_file ? "Quarantined " : "Reset the setting ");

  Json json{{"activity_id", event.activity.id},
            {"activity_name", event.activity.name},
            {"category_uid", 7},
            {"category_name", "Remediation"},
            {"class_uid", class_uid},
            {"class_name", class_name},
            {"type_uid", class_uid * 100 + event.activity.id},
            {"type_name", std::string(class_name) + ": " + event.activity.name},
            {"severity_id", informational ? 1 : 3},
            {"severity", informational ? "Informational" : "Medium"},
            {"status_id", event.status.id},
            {"status", event.status.name},
            {"time", milliseconds(last ? run.ended : run.started)},
            {"start_time", milliseconds(run.started)},
            {"timezone_offset", 0},
            {"message", what + shown(operation.address) + ": " + event.status.name},
            {"command_uid", shown(command)}};
  if (own) {
    json["status_code"] = outcome_of(state);
    json["status_detail"] = state.reason.empty() ? present_state(state) : shown(state.reason);
  }
  json["metadata"] =
      Json{{"version", "1.3.0"},
           {"product",
            Json{{"name", "remediate"}, {"vendor_name", "remediate"}, {"version", shown(version)}}},
           {"profiles", Json::array({"host"})},
           {"uid", shown(command)},
           {"correlation_uid", shown(run.name)},
           {"log_name", "journal"}};
  json["device"] = Json{{"uid", shown(plan.host.id)}, {"type", "Unknown"}, {"type_id", 0}};
  if (!plan.host.name.empty()) json["device"]["hostname"] = shown(plan.host.name);
  json["countermeasures"] =
      Json::array({Json{{"version", "1.2.0"},
                        {"d3f_tactic", Json{{"name", event.activity.name}}},
                        {"d3f_technique", Json{{"uid", event.activity.technique},
                                               {"name", event.activity.technique_name}}}}});
  Json observables = Json::array();
  if (!plan.host.name.empty())
    observables.push_back(Json{{"name", "device.hostname"},
                               {"type", "Hostname"},
                               {"type_id", 1},
                               {"value", shown(plan.host.name)}});
  if (is_file) {
    json["file"] = file_json(plan, state);
    observables.push_back(Json{{"name", "file.name"},
                               {"type", "File Name"},
                               {"type_id", 7},
                               {"value", json["file"]["name"]}});
    if (json["file"].contains("hashes"))
      observables.push_back(Json{{"name", "file.hashes.value"},
                                 {"type", "Hash"},
                                 {"type_id", 8},
                                 {"value", json["file"]["hashes"][0]["value"]}});
  }
  json["observables"] = std::move(observables);
  json["unmapped"] = Json{{"plan_id", shown(plan.plan_id)},
                          {"operation", shown(operation.id)},
                          {"phase", event.phase},
                          {"playbook", shown(operation.playbook)},
                          {"indicator", shown(operation.indicator)},
                          {"object", shown(state.entry.object)}};
  if (!operation.setting.directory) json["unmapped"]["path"] = plan::path_to_json(operation.path);
  if (!is_file) {
    Json changes = Json::array();
    for (const plan::SettingDifference& difference : operation.setting.differences)
      changes.push_back(difference_text(difference));
    json["unmapped"]["setting"] = Json{{"provider", shown(operation.setting.provider)},
                                       {"address", shown(operation.address)},
                                       {"changes", std::move(changes)}};
  }
  return json;
}

}  // namespace

std::string ocsf_lines(const run::Run& run, const std::string& tool_version) {
  std::string lines;
  const auto add = [&](const run::OperationState& operation, const Event& event) {
    lines += event_json(run, operation, event, tool_version)
                 .dump(-1, ' ', false, Json::error_handler_t::replace) +
             "\n";
  };
  for (const run::OperationState& operation : run.operations) {
    if (operation.operation->action == plan::Action::instruct || operation.state == State::planned)
      continue;
    const plan::Action action = operation.operation->action;
    const bool is_file = action != plan::Action::reset_setting;
    const bool undone = rolled_back(operation);
    run::OperationState before;
    before.operation = operation.operation;
    before.state = operation.state == State::restoring || operation.state == State::restored
                       ? operation.before_restore
                       : operation.state;
    before.outcome = undone ? "" : operation.outcome;
    add(operation, {"apply",
                    action == plan::Action::quarantine     ? evict_file
                    : action == plan::Action::replace_file ? restore_file
                                                           : restore_setting,
                    apply_status(before)});
    if (undone)
      add(operation,
          {"rollback", is_file ? restore_file : restore_setting, rollback_status(operation)});
  }
  return lines;
}

}  // namespace remediate::report
