#include "remediate/plan/plan_file.h"

#include "survey.h"

namespace remediate::plan::test {
namespace {

/// A plan with every field filled, hostile bytes among them.
Plan full_plan() {
  Planned planned;
  planned.playbooks.front().indicators.push_back(setting_indicator("x", "/x"));
  planned.playbooks.front().steps.push_back(step("no-x", playbook::Action::reset_setting, {"x"}));
  planned.survey.matches = {match("www/1.php", "a", 11), match("www/\xff\x1b[2J.php", "b", 12),
                            match("www/3.php", "a", 13)};
  planned.survey.matches[0].dump = {{"Name", "OAB\xff"}};
  planned.survey.matches[0].facts.metadata.attributes = {{"user.x", std::string("\0\xff", 2)}};
  planned.survey.matches[0].facts.metadata.sparse = true;
  planned.survey.matches[0].facts.metadata.extents = {{0, 4096}, {8192, 1}};
  planned.survey.matches[2].authorises = playbook::Authorises::review;
  planned.survey.settings = {observed("x", "iis/host.config")};
  planned.survey.scopes = {{"playbook--1", "web", "/www", "www", true, 3},
                           {"playbook--1", "gone", "/gone", "", false, 0}};
  planned.survey.issues = {{"unreadable", "www/locked", "permission denied"}};
  return planned.plan();
}

}  // namespace

TEST_CASE("a plan file gives the plan back", "[plan_file]") {
  const PlanFile file = must(write_plan(full_plan()));
  const PlanFile read = must(read_plan(file.bytes, "plan.json"));
  CHECK(read.bytes == file.bytes);
  CHECK(to_json(read.plan) == to_json(file.plan));
  CHECK(must(write_plan(read.plan)).bytes == file.bytes);
  CHECK(read.plan.plan_id == file.plan.plan_id);
  CHECK(read.plan.plan_id.size() == 32);
  CHECK(read.plan.host.root ==
        "/mnt/\xff"
        "disk");
  const Operation& first = read.plan.operations.front();
  CHECK(first.path.bytes() == "www/\xff\x1b[2J.php");
  CHECK(first.why.front().excerpt ==
        "\x1b[2J\xff<scr"
        "ipt>");
  const Operation& second = read.plan.operations[1];
  CHECK(second.details.front().second == "OAB\xff");
  CHECK(second.precondition.metadata.attributes.front().value == std::string("\0\xff", 2));
  CHECK(second.precondition.metadata.extents.size() == 2);
  CHECK(second.precondition.metadata.stat.modified == Timestamp{1'600'000'000, 250});
  CHECK(file.bytes.find('\x1b') == std::string::npos);
}

TEST_CASE("the id binds every byte", "[plan_file]") {
  Planned planned;
  planned.survey.matches = {match("www/1.php", "a", 11)};
  const PlanFile file = must(write_plan(planned.plan()));
  std::size_t accepted = 0;
  for (std::size_t at = 0; at < file.bytes.size(); ++at) {
    std::string changed = file.bytes;
    changed[at] = static_cast<char>(changed[at] ^ (1 << (at % 7)));
    const auto read = read_plan(changed, "plan.json");
    if (read)
      ++accepted;
    else if (read.error().code != Code::bad_input && read.error().code != Code::stale_plan)
      FAIL(read.error().text());
  }
  CHECK(accepted == 0);
  CHECK_FALSE(read_plan(file.bytes + " ", "plan.json"));
  CHECK_FALSE(read_plan(" " + file.bytes, "plan.json"));
  CHECK_FALSE(read_plan(file.bytes.substr(0, file.bytes.size() - 1), "plan.json"));
  CHECK_FALSE(read_plan("", "plan.json"));
}

TEST_CASE("an edit of meaning is told as such", "[plan_file]") {
  Planned planned;
  planned.survey.matches = {match("www/1.php", "a", 11)};
  std::string bytes = must(write_plan(planned.plan())).bytes;
  bytes.replace(bytes.find("\"EX01\""), 6, "\"EX02\"");
  const auto read = read_plan(bytes, "plan.json");
  REQUIRE_FALSE(read);
  CHECK(read.error().code == Code::stale_plan);
  CHECK(read.error().message.find("changed after") != std::string::npos);
}

TEST_CASE("two plans with one content and two nonces have two ids", "[plan_file]") {
  Plan plan = full_plan();
  const std::string first = must(write_plan(plan)).plan.plan_id;
  CHECK(must(write_plan(plan)).plan.plan_id == first);
  plan.nonce = "another";
  CHECK(must(write_plan(plan)).plan.plan_id != first);
}

TEST_CASE("a plan that could not be read again is not written", "[plan_file]") {
  const Plan plan = full_plan();
  const PlanFile file = must(write_plan(plan));
  JsonLimits limits = plan_limits;
  limits.max_bytes = file.bytes.size();
  limits.max_values = 1;
  while (!parse_json(file.bytes, "plan.json", limits)) ++limits.max_values;
  CHECK(write_plan(plan, limits));  // exactly what a reader takes
  JsonLimits bytes = limits;
  --bytes.max_bytes;
  JsonLimits values = limits;
  --values.max_values;
  for (const JsonLimits& smaller : {bytes, values}) {
    const auto refused = write_plan(plan, smaller);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::limit);
    CHECK(refused.error().message.find("the plan would have more than") != std::string::npos);
    CHECK(refused.error().remedy.find("narrower scopes") != std::string::npos);
  }
}

TEST_CASE("what no planner writes is refused even with a right id", "[plan_file]") {
  Plan plan = full_plan();
  Operation& operation = plan.operations.front();
  SECTION("the root itself as a target") { operation.path = RawPath(); }
  SECTION("a time that no file can carry") { plan.created = {400'000'000'000, 0}; }
  const auto read = read_plan(must(write_plan(plan)).bytes, "plan.json");
  REQUIRE_FALSE(read);
  CHECK(read.error().code == Code::bad_input);
}

}  // namespace remediate::plan::test
