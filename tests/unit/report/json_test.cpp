#include <catch2/catch.hpp>

#include "remediate/report/report.h"
#include "samples.h"

namespace remediate::report {
namespace {

using namespace test;

TEST_CASE("an outcome in JSON has the members that scripts rely on") {
  run::RunReport report{"run-1", "plan-1", "apply", "partial", true, "7:abc", {}, {"a notice"}};
  report.operations = {{"op-0001", "quarantine", "a/b.aspx", "quarantined", ""},
                       {"op-0002", "quarantine", "a/c.aspx", "changed", "it was put back"}};
  const Json json = outcome_json(report);
  CHECK(json["run_id"] == "run-1");
  CHECK(json["plan_id"] == "plan-1");
  CHECK(json["phase"] == "apply");
  CHECK(json["status"] == "partial");
  CHECK(json["interrupted"] == true);
  CHECK(json["head"] == "7:abc");
  CHECK(json["notices"] == Json::array({"a notice"}));
  CHECK(json["operations"][0] == Json{{"id", "op-0001"},
                                      {"action", "quarantine"},
                                      {"address", "a/b.aspx"},
                                      {"outcome", "quarantined"}});
  CHECK(json["operations"][1]["reason"] == "it was put back");
}

TEST_CASE("an outcome in words names what was not done, the head and the undo") {
  run::RunReport report{"run-1", "plan-1", "apply", "partial", false, "7:abc", {}, {}};
  report.operations = {{"op-0002", "quarantine", "a/c.aspx", "changed", "it was put back"}};
  const std::string text = outcome_text(report, false);
  for (const char* part : {"apply: partial", "op-0002  changed  a/c.aspx", "it was put back",
                           "7:abc", "remediate rollback run-1"})
    CHECK(text.find(part) != std::string::npos);
  report.phase = "rollback";
  CHECK(outcome_text(report, false).find("remediate rollback run-1") == std::string::npos);
}

TEST_CASE("a verification tells errors from notices") {
  run::VerifyReport report;
  report.runs = {"run-1"};
  report.objects_checked = 3;
  report.held_checked = 2;
  report.findings = {{run::Finding::Level::notice, "op-0001", "came back"}};
  Json json = verify_json(report);
  CHECK(json["ok"] == true);
  CHECK(json["objects_checked"] == 3);
  CHECK(json["held_checked"] == 2);
  CHECK(json["findings"][0] ==
        Json{{"level", "notice"}, {"where", "op-0001"}, {"what", "came back"}});
  CHECK(verify_text(report, false).starts_with("verified: 1 run, 3 sealed objects and 2 held"));
  report.findings.push_back({run::Finding::Level::error, "run-1 manifest", "not signed"});
  CHECK(verify_json(report)["ok"] == false);
  CHECK(verify_json(report)["findings"][1]["level"] == "error");
  CHECK(verify_text(report, false).starts_with("NOT VERIFIED: 1 error"));
}

TEST_CASE("an error in JSON has code, message, causes and remedy") {
  const Error error{Code::stale_plan, "the plan is stale", "make a new one", {"a", "b"}, 0};
  CHECK(error_json(error) == Json{{"error", Json{{"code", "stale_plan"},
                                                 {"message", "the plan is stale"},
                                                 {"causes", Json::array({"a", "b"})},
                                                 {"remedy", "make a new one"}}}});
}

TEST_CASE("a run in JSON tells state, outcome and what was captured") {
  run::Run run = applied_run(sample_plan());
  Json json = run_json(run);
  CHECK(json["run_id"] == run.name);
  CHECK(json["status"] == "done");
  CHECK(json["started"] == "2026-01-02T03:05:00Z");
  CHECK(json["operations"].size() == 3);
  CHECK(json["operations"][0]["state"] == "done");
  CHECK(json["operations"][0]["outcome"] == "quarantined");
  CHECK(json["operations"][0]["entry"]["object"] == std::string(64, '9'));
  CHECK(json["operations"][2]["outcome"] == "to_do");
  CHECK_FALSE(json["operations"][2].contains("entry"));
  run.closed = false;
  CHECK(run_json(run)["status"] == "interrupted");
}

TEST_CASE("hostile bytes leave JSON that can be written and read") {
  run::Run run = applied_run(hostile_plan());
  run.name = hostile();
  CHECK(parse_json(write_json(run_json(run)), "run").has_value());
  CHECK(run_json(run).dump().find("\xff") == std::string::npos);
}

}  // namespace
}  // namespace remediate::report
