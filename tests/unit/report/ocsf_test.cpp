#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "remediate/report/report.h"
#include "samples.h"

namespace remediate::report {
namespace {

using namespace test;

std::vector<Json> events_of(const run::Run& run) {
  std::vector<Json> events;
  std::istringstream lines(ocsf_lines(run, "0.1.0"));
  for (std::string line; std::getline(lines, line);) {
    auto json = parse_json(line, "event");
    REQUIRE(json.has_value());
    events.push_back(*json);
  }
  return events;
}

Json object_of(const Json& parent, const char* key) {
  return parent.contains(key) && parent[key].is_object() ? parent[key] : Json::object();
}

bool integer_in(const Json& object, const char* key, std::initializer_list<int> allowed) {
  if (!object.contains(key) || !object[key].is_number_integer()) return false;
  const auto value = object[key].get<std::int64_t>();
  for (const int one : allowed)
    if (value == one) return true;
  return false;
}

bool text(const Json& object, const char* key, bool required) {
  if (!object.contains(key)) return !required;
  return object[key].is_string() && !object[key].get<std::string>().empty();
}

/// What OCSF 1.3.0 requires of the two classes, their objects and constraints, and the types of
/// what is given besides; the first fault in words.
std::string fault_of(const Json& event) {
  if (!integer_in(event, "class_uid", {7001, 7002})) return "class_uid";
  if (!integer_in(event, "category_uid", {7})) return "category_uid";
  if (!integer_in(event, "activity_id", {0, 1, 2, 3, 4, 99})) return "activity_id";
  if (!event.contains("type_uid") || !event["type_uid"].is_number_integer() ||
      event["type_uid"].get<int>() !=
          event["class_uid"].get<int>() * 100 + event["activity_id"].get<int>())
    return "type_uid";
  if (!integer_in(event, "severity_id", {0, 1, 2, 3, 4, 5, 6, 99})) return "severity_id";
  if (!event.contains("time") || !event["time"].is_number_integer()) return "time";
  if (event.contains("start_time") && !event["start_time"].is_number_integer()) return "start_time";
  if (!text(event, "command_uid", true)) return "command_uid";
  if (event.contains("status_id") && !integer_in(event, "status_id", {0, 1, 2, 3, 4, 5, 6, 99}))
    return "status_id";
  for (const char* key : {"status", "status_code", "status_detail", "message", "severity"})
    if (!text(event, key, false)) return key;
  const Json metadata = object_of(event, "metadata");
  if (metadata.value("version", "") != "1.3.0") return "metadata.version";
  if (!metadata.contains("product")) return "metadata.product";
  if (!text(metadata["product"], "vendor_name", true) || !text(metadata["product"], "name", true))
    return "metadata.product";
  if (event.contains("device")) {
    if (!metadata.contains("profiles") || metadata["profiles"] != Json::array({"host"}))
      return "metadata.profiles without host";
    if (!integer_in(event["device"], "type_id", {0, 1, 2, 3, 4, 5, 6, 7, 99}))
      return "device.type_id";
    if (!text(event["device"], "hostname", false)) return "device.hostname";
  }
  if (event["class_uid"] == 7002) {
    const Json file = object_of(event, "file");
    if (!text(file, "name", true)) return "file.name";
    if (!integer_in(file, "type_id", {0, 1, 2, 3, 4, 5, 6, 7, 99})) return "file.type_id";
    if (file.contains("size") && !file["size"].is_number_integer()) return "file.size";
    for (const Json& hash : file.value("hashes", Json::array()))
      if (!integer_in(hash, "algorithm_id", {0, 1, 2, 3, 4, 5, 6, 7, 99}) ||
          !text(hash, "value", true))
        return "file.hashes";
  } else if (event.contains("file")) {
    return "7001 has no file";
  }
  for (const Json& one : event.value("countermeasures", Json::array())) {
    if (!one.contains("d3f_tactic") && !one.contains("d3f_technique")) return "countermeasures";
    for (const char* key : {"d3f_tactic", "d3f_technique"})
      if (one.contains(key) && !text(one[key], "name", false)) return key;
  }
  for (const Json& one : event.value("observables", Json::array()))
    if (!text(one, "name", true) || !one.contains("type_id") || !one["type_id"].is_number_integer())
      return "observables";
  return {};
}

TEST_CASE("the checker finds a fault in each required attribute") {
  const Json good = events_of(applied_run(sample_plan())).at(0);
  REQUIRE(fault_of(good).empty());
  for (const char* key : {"activity_id", "category_uid", "class_uid", "type_uid", "severity_id",
                          "time", "metadata", "command_uid", "file"}) {
    Json bad = good;
    bad.erase(key);
    CHECK_FALSE(fault_of(bad).empty());
    bad = good;
    bad[key] = Json::array();
    CHECK_FALSE(fault_of(bad).empty());
  }
}

TEST_CASE("an applied run: a file evicted, a setting restored, no event for an instruction") {
  const std::vector<Json> events = events_of(applied_run(sample_plan()));
  REQUIRE(events.size() == 2);
  for (const Json& event : events) CHECK(fault_of(event) == "");
  CHECK(events[0]["type_uid"] == 700202);
  CHECK(events[0]["status_id"] == 1);
  CHECK(events[0]["time"] == 1767323107000);
  CHECK(events[0]["file"]["name"] == "sup.aspx");
  CHECK(events[0]["file"]["ext"] == "aspx");
  CHECK(events[0]["file"]["path"] == "/mnt/disk/inetpub/wwwroot/aspnet_client/sup.aspx");
  CHECK(events[0]["file"]["size"] == 2048);
  CHECK(events[0]["file"]["modified_time"] == 1614844800250);
  CHECK(events[0]["file"]["hashes"][0]["value"] == std::string(64, 'a'));
  CHECK(events[0]["countermeasures"][0]["d3f_technique"]["uid"] == "D3-FEV");
  CHECK(events[0]["metadata"]["product"]["version"] == "0.1.0");
  CHECK(events[1]["type_uid"] == 700103);
  CHECK(events[1]["countermeasures"][0]["d3f_technique"]["uid"] == "D3-RC");
  CHECK(events[0]["command_uid"] != events[1]["command_uid"]);
}

TEST_CASE("a rolled back run has both events of a file") {
  run::Run run = applied_run(sample_plan());
  run.phase = "rollback";
  run.operations[0].state = run::State::restored;
  run.operations[0].outcome = "restored";
  const std::vector<Json> events = events_of(run);
  REQUIRE(events.size() == 3);
  for (const Json& event : events) CHECK(fault_of(event) == "");
  CHECK(events[0]["type_uid"] == 700202);
  CHECK(events[0]["status_id"] == 1);
  CHECK(events[0]["time"] == 1767323100000);
  CHECK(events[1]["type_uid"] == 700203);
  CHECK(events[1]["status_id"] == 1);
  CHECK(events[1]["time"] == 1767323107000);
  CHECK(events[1]["countermeasures"][0]["d3f_technique"]["uid"] == "D3-RF");
  CHECK(events[2]["type_uid"] == 700103);
  CHECK(events[0]["metadata"]["uid"] != events[1]["metadata"]["uid"]);
}

TEST_CASE("the status tells what did not go well") {
  run::Run run = applied_run(sample_plan());
  run::OperationState& file = run.operations[0];
  const auto status = [&] { return events_of(run).at(0)["status_id"].get<int>(); };
  file.state = run::State::not_done;
  file.outcome = "vanished";
  CHECK(status() == 3);
  file.outcome = "changed";
  file.reason = "it was put back";
  CHECK(status() == 2);
  CHECK(events_of(run).at(0)["status_detail"] == "it was put back");
  CHECK(events_of(run).at(0)["severity_id"] == 3);
  file.state = run::State::captured;
  file.outcome = "";
  CHECK(status() == 4);
  file.state = run::State::intended;
  CHECK(status() == 6);
  file.state = run::State::done;
  file.outcome = "respawned";
  CHECK(status() == 4);
  file.state = run::State::planned;
  CHECK(events_of(run).size() == 1);
}

TEST_CASE("a rollback that failed is an event of its own and leaves the removal a success") {
  run::Run run = applied_run(sample_plan());
  run.phase = "rollback";
  run.operations[0].outcome = "tampered";
  run.operations[0].reason = "the held file is not what was captured";
  const std::vector<Json> events = events_of(run);
  REQUIRE(events.size() == 3);
  CHECK(events[0]["status_id"] == 1);
  CHECK_FALSE(events[0].contains("status_code"));
  CHECK(events[1]["type_uid"] == 700203);
  CHECK(events[1]["status_id"] == 2);
  CHECK(events[1]["status_code"] == "tampered");
}

TEST_CASE("hostile names give valid events, one a line") {
  run::Run run = applied_run(hostile_plan());
  run.name = hostile();
  const std::vector<Json> events = events_of(run);
  REQUIRE(events.size() == 2);
  for (const Json& event : events) CHECK(fault_of(event) == "");
}

}  // namespace
}  // namespace remediate::report
