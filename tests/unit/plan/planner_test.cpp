#include <algorithm>

#include "remediate/plan/plan_file.h"
#include "survey.h"

namespace remediate::plan::test {

TEST_CASE("operations follow the steps of the playbooks, files in path order", "[planner]") {
  Planned planned;
  planned.survey.matches = {match("www/1.php", "a", 11), match("www/2.php", "b", 12),
                            match("www/3.php", "a", 13), match("www/4.php", "b", 14)};
  CHECK(order(planned.plan()) ==
        "op-0001 www/2.php\nop-0002 www/4.php\nop-0003 www/1.php\nop-0004 www/3.php\n"
        "op-0005 tell-a\nop-0006 tell-b\nop-0007 always\n");
  const Plan plan = planned.plan();
  const Operation& first = plan.operations.front();
  CHECK(first.action == Action::quarantine);
  CHECK(first.indicator == "b");
  CHECK(first.step == "remove-b");
  CHECK(first.precondition.sha256 == crypto::sha256_hex("www/2.php"));
  CHECK(first.precondition.metadata.stat.id.inode == 12);
  CHECK(first.precondition.parent.inode == 3);
  CHECK(first.precondition.parent_modified == Timestamp{1'600'000'001, 0});
  CHECK(first.precondition.filesystem == "ext4");
  CHECK(plan.created == Timestamp{1'800'000'000, 0});
  CHECK(plan.expires.seconds == plan.created.seconds + 72 * 3600);
  CHECK(plan.has_changes());
  CHECK_FALSE(plan.blocked());
}

TEST_CASE("one file that two indicators match is removed once and told of both", "[planner]") {
  Planned planned;
  planned.survey.matches = {match("www/1.php", "a", 11), match("www/1.php", "b", 11)};
  const Plan plan = planned.plan();
  REQUIRE(std::ranges::count(plan.operations, Action::quarantine, &Operation::action) == 1);
  const Operation& operation = plan.operations.front();
  CHECK(operation.indicator == "b");
  REQUIRE(operation.why.size() == 2);
  CHECK(operation.why.back().kind == "also");
  CHECK(operation.why.back().text.find("indicator a") != std::string::npos);
}

TEST_CASE("a file with further names is removed only with all of them", "[planner]") {
  Planned planned;
  planned.survey.matches = {match("www/1.php", "a", 11, 2), match("www/2.php", "a", 12)};
  SECTION("a name that does not match") {
    const Plan plan = planned.plan();
    CHECK(order(plan).find("www/1.php") == std::string::npos);
    CHECK(exclusion_of(plan, "www/1.php").find("2 names") != std::string::npos);
    CHECK(order(plan).find("op-0001 www/2.php") != std::string::npos);
  }
  SECTION("both names match") {
    planned.survey.matches.push_back(match("www/9.php", "b", 11, 2));
    const Plan plan = planned.plan();
    CHECK(order(plan).find("www/1.php") != std::string::npos);
    CHECK(order(plan).find("www/9.php") != std::string::npos);
  }
  SECTION("the same inode number on another device is another file") {
    planned.survey.matches.push_back(match("www/9.php", "b", 11, 2));
    planned.survey.matches.back().facts.metadata.stat.id.device = 9;
    const Plan plan = planned.plan();
    CHECK_FALSE(exclusion_of(plan, "www/1.php").empty());
    CHECK_FALSE(exclusion_of(plan, "www/9.php").empty());
  }
  SECTION("the policy allows it") {
    planned.policy.allow_hard_links = true;
    CHECK(order(planned.plan()).find("www/1.php") != std::string::npos);
  }
}

TEST_CASE("guards keep targets out whatever a playbook says", "[planner]") {
  Planned planned;
  planned.survey.matches = {match("www/1.php", "a", 11)};
  match::FileMatch& target = planned.survey.matches.front();
  std::string reason;
  SECTION("built-in protected") {
    target.path = path("ETC/Cron.d/x");
    reason = "etc/**";
  }
  SECTION("mailbox database at any depth") {
    target.path = path("a/b/Mailbox1.EDB");
    reason = "**/*.edb";
  }
  SECTION("protected by the policy") {
    planned.policy.protected_globs = {"www/*.PHP"};
    reason = "www/*.PHP";
  }
  SECTION("below a folder that the policy names") {
    planned.policy.protected_globs = {"WWW"};
    target.path = path("www/a/b.php");
    reason = "WWW";
  }
  SECTION("a policy pattern that cannot be read protects everything") {
    planned.policy.protected_globs = {"www/["};
    reason = "cannot be read";
  }
  SECTION("the store itself") {
    planned.survey.store = path("www");
    reason = "own store";
  }
  SECTION("a hold") {
    target.path = path("mnt/.remediate-hold-0a/run/op-0001");
    planned.survey.claims.tool.emplace(target.path, "it lies in a hold of this tool");
    reason = "hold";
  }
  SECTION("file system") {
    target.facts.filesystem = "nfs";
    reason = "file system nfs";
  }
  SECTION("not a regular file") {
    target.facts.metadata.stat.kind = FileKind::fifo;
    reason = "not a regular file";
  }
  const Plan plan = planned.plan();
  CHECK_FALSE(plan.has_changes());
  CHECK(exclusion_of(plan, target.path.display()).find(reason) != std::string::npos);
  CHECK_FALSE(reason.empty());
}

TEST_CASE("a store beside the match protects nothing else", "[planner]") {
  Planned planned;
  planned.survey.matches = {match("www/1.php", "a", 11)};
  planned.survey.store = path("www2");
  CHECK(planned.plan().has_changes());
  planned.survey.store.reset();
  planned.survey.matches.front().facts.filesystem = "zfs";
  planned.policy.allowed_filesystems = {"zfs"};
  CHECK(planned.plan().has_changes());
}

TEST_CASE("what only a person can judge is shown and not done", "[planner]") {
  Planned planned;
  planned.survey.matches = {match("www/1.php", "a", 11), match("www/2.php", "a", 12),
                            match("www/2.php", "b", 12)};
  planned.survey.matches[0].authorises = playbook::Authorises::review;
  planned.survey.matches[1].authorises = playbook::Authorises::review;
  const Plan plan = planned.plan();
  CHECK(order(plan).find("www/1.php") == std::string::npos);
  REQUIRE(plan.reviews.size() == 1);  // 2.php is removed anyway
  CHECK(plan.reviews.front().address == "www/1.php");
  CHECK(plan.reviews.front().why.size() == 1);
}

TEST_CASE("a known good match is an exclusion", "[planner]") {
  Planned planned;
  planned.survey.matches = {match("www/1.php", "a", 11)};
  planned.survey.matches.front().exclusion = "known good file";
  const Plan plan = planned.plan();
  CHECK_FALSE(plan.has_changes());
  CHECK(plan.reviews.empty());
  CHECK(exclusion_of(plan, "www/1.php") == "known good file");
}

TEST_CASE("an instruction comes only when its indicators found something", "[planner]") {
  Planned planned;
  CHECK(order(planned.plan()) == "op-0001 always\n");
  CHECK_FALSE(planned.plan().has_changes());
  planned.survey.matches = {match("www/1.php", "a", 11)};
  CHECK(order(planned.plan()) == "op-0001 www/1.php\nop-0002 tell-a\nop-0003 always\n");
  std::vector<playbook::Step>& steps = planned.playbooks.front().steps;
  std::ranges::find(steps, std::string("tell-a"), &playbook::Step::id)->indicators = {"b", "a"};
  CHECK(planned.plan().operations[1].indicator == "a");
  CHECK(planned.plan().operations[2].indicator.empty());
  planned.survey.matches.front().exclusion = "known good";
  CHECK(order(planned.plan()) == "op-0001 tell-a\nop-0002 always\n");
}

TEST_CASE("an instruction that waits stands between what it is about and what follows",
          "[planner]") {
  Planned planned;
  std::vector<playbook::Step>& steps = planned.playbooks.front().steps;
  const auto tell =
      std::ranges::find(steps, std::string("tell-b"), &playbook::Step::id) - steps.begin();
  steps[static_cast<std::size_t>(tell)].wait = true;
  std::rotate(steps.begin() + 1, steps.begin() + tell, steps.begin() + tell + 1);
  CHECK(order(planned.plan()) == "op-0001 always\n");
  planned.survey.matches = {match("www/1.php", "a", 11), match("www/2.php", "b", 12)};
  SECTION("with both") {
    const Plan plan = planned.plan();
    CHECK(order(plan) ==
          "op-0001 www/2.php\nop-0002 tell-b\nop-0003 www/1.php\nop-0004 tell-a\nop-0005 always\n");
    CHECK(plan.operations[1].waits);
    CHECK(std::ranges::count(plan.operations, true, &Operation::waits) == 1);
    const PlanFile written = must(write_plan(plan));
    const auto read = read_plan(written.bytes, "plan");
    REQUIRE(read);
    CHECK(read->plan.operations[1].waits);
    std::string changed = written.bytes;
    const std::size_t place = changed.find("\"waits\": true");
    REQUIRE(place != std::string::npos);
    const auto refused = read_plan(changed.replace(place, 13, "\"waits\": false"), "plan");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().text().find("waits") != std::string::npos);
  }
  SECTION("with nothing behind it there is nothing to wait for") {
    planned.survey.matches.erase(planned.survey.matches.begin());
    CHECK(order(planned.plan()) == "op-0001 www/2.php\nop-0002 tell-b\nop-0003 always\n");
    CHECK_FALSE(planned.plan().operations[1].waits);
  }
  SECTION("with nothing before it neither") {
    planned.survey.matches.back().exclusion = "known good";
    CHECK(order(planned.plan()) ==
          "op-0001 www/1.php\nop-0002 tell-b\nop-0003 tell-a\nop-0004 always\n");
    CHECK_FALSE(planned.plan().operations[1].waits);
  }
}

TEST_CASE("a file that a setting still names for every page is not removed", "[planner]") {
  Planned planned;
  planned.survey.matches = {match("www/1.php", "a", 11), match("www/2.php", "a", 12)};
  SettingObservation ini;
  ini.playbook = planned.playbooks.front().id;
  ini.indicator = "prepend";
  ini.path = match("www/.user.ini", "a", 13).path;
  ini.bytes = "memory_limit = 64M\nauto_prepend_file = /www/1.php\n";
  ini.sha256 = crypto::sha256_hex(ini.bytes);
  ini.facts = match("www/.user.ini", "a", 13).facts;
  planned.survey.settings = {ini};
  playbook::Playbook& playbook = planned.playbooks.front();
  playbook::Indicator prepend;
  prepend.id = "prepend";
  prepend.setting = playbook::SettingCondition{"php-user-ini", {}, {}, "directive", "", {}};
  playbook::AttributeTest test;
  test.name = "name";
  test.equals = "auto_prepend_file";
  prepend.setting->where = {test};
  SECTION("where the line is for review") {
    playbook.indicators.push_back(prepend);
    const Plan plan = planned.plan();
    CHECK(order(plan).starts_with("op-0001 www/2.php\n"));
    CHECK(order(plan).find("www/1.php") == std::string::npos);
    CHECK(exclusion_of(plan, "www/1.php").find("www/.user.ini, line 2") != std::string::npos);
  }
  SECTION("where the plan takes the line out it goes") {
    prepend.authorises = playbook::Authorises::remove;
    playbook.indicators.push_back(prepend);
    playbook::Step reset = step("reset", playbook::Action::reset_setting, {"prepend"});
    reset.change = playbook::Change();
    reset.change->kind = "remove_element";
    playbook.steps.insert(playbook.steps.begin(), reset);
    const Plan plan = planned.plan();
    INFO(order(plan));
    CHECK(exclusion_of(plan, "www/1.php").empty());
    CHECK(order(plan).find("op-0002 www/1.php\nop-0003 www/2.php\n") != std::string::npos);
  }
}

TEST_CASE("limits block and are counted", "[planner]") {
  Planned planned;
  for (int number = 0; number < 12; ++number)
    planned.survey.matches.push_back(match("www/" + std::to_string(number) + ".php",
                                           number < 8 ? "a" : "b",
                                           static_cast<std::uint64_t>(100 + number)));
  const auto fired = [&] {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> all;
    for (const LimitReport& limit : planned.plan().limits)
      if (limit.fired) all.emplace_back(limit.limit, limit.found);
    CHECK(planned.plan().blocked() == !all.empty());
    return all;
  };
  using Fired = std::vector<std::pair<std::uint64_t, std::uint64_t>>;
  CHECK(fired().empty());
  planned.policy.max_files = 12;
  CHECK(fired().empty());
  planned.policy.max_files = 11;
  CHECK(fired() == Fired{{11, 12}});
  planned.policy.max_files = 50;
  planned.policy.max_files_per_indicator = 7;
  CHECK(fired() == Fired{{7, 8}});
  planned.policy.max_files_per_indicator = 50;
  planned.survey.files_scanned = 1100;  // 1 % are 11 files
  CHECK(fired() == Fired{{11, 12}});
  planned.survey.files_scanned = 1200;
  CHECK(fired().empty());
  planned.survey.files_scanned = 12;  // a small scope: up to 10 files do not count
  CHECK(fired() == Fired{{10, 12}});
  planned.policy.small_scope_files = 12;
  CHECK(fired().empty());
  planned.policy.max_files = 0;
  CHECK(fired() == Fired{{0, 12}});
}

TEST_CASE("the share holds for each scope and for each indicator in it", "[planner]") {
  Planned planned;
  for (int number = 0; number < 24; ++number) {
    planned.survey.matches.push_back(match("www/" + std::to_string(number) + ".php",
                                           number % 2 == 0 ? "a" : "b",
                                           static_cast<std::uint64_t>(100 + number)));
    planned.survey.matches.back().scope = number < 12 ? "web" : "small";
  }
  planned.survey.scopes = {{"playbook--1", "web", "/www", "www", true, 1'000},
                           {"playbook--1", "web", "/srv", "srv", true, 200},
                           {"playbook--1", "small", "/s", "s", true, 90'000},
                           {"playbook--2", "web", "/www", "www", true, 90'000}};
  const auto fired = [&] {
    std::vector<std::string> all;
    for (const LimitReport& limit : planned.plan().limits)
      if (limit.fired) all.push_back(limit.name.substr(0, limit.name.find(',')));
    return all;
  };
  CHECK(fired().empty());                         // 1 % of 1,200 are the 12 of scope web
  planned.survey.scopes[1].folder = "www/below";  // its files are among those of www
  CHECK(fired() == std::vector<std::string>{"files removed in scope web"});
  planned.survey.scopes[1].folder = "www-other";
  CHECK(fired().empty());
  planned.survey.scopes[1].files = 199;
  CHECK(fired() == std::vector<std::string>{"files removed in scope web"});
  planned.survey.scopes[2].files = 1'000;
  CHECK(fired() ==
        std::vector<std::string>{"files removed in scope small", "files removed in scope web"});
  planned.policy.small_scope_files = 5;
  planned.survey.scopes.resize(2);  // a scope that the plan does not list counts as empty
  CHECK(fired() == std::vector<std::string>{"files removed in scope small",
                                            "files removed in scope web",
                                            "files removed by indicator a in scope small",
                                            "files removed by indicator b in scope small"});
  planned.policy.max_percent = 0;
  CHECK(fired().size() == 7);
  CHECK(planned.plan().blocked());
  planned.policy.approvers_above_limit = 2;
  CHECK_FALSE(planned.plan().blocked());
  CHECK(planned.plan().approvers_above_limit() == 2);
}

TEST_CASE("a revision that is older than the policy's minimum plans nothing", "[planner]") {
  Planned planned;
  planned.policy.minimum_revisions["playbook--1"] = 2;
  planned.policy.minimum_revisions["playbook--2"] = 9;
  CHECK(planned.result());
  planned.policy.minimum_revisions["playbook--1"] = 3;
  const auto result = planned.result();
  REQUIRE_FALSE(result);
  CHECK(result.error().code == Code::bad_input);
  CHECK(result.error().message.find("files.json") != std::string::npos);
}

TEST_CASE("a playbook that no longer holds plans nothing", "[planner]") {
  Planned planned;
  SECTION("revoked") { planned.playbooks.front().revoked = true; }
  SECTION("expired at this second") {
    planned.playbooks.front().valid_until = "2027-01-15T08:00:00Z";  // 1,800,000,000
  }
  SECTION("twice") { planned.playbooks.push_back(planned.playbooks.front()); }
  const auto result = planned.result();
  REQUIRE_FALSE(result);
  CHECK(result.error().code == Code::bad_input);
}

TEST_CASE("a playbook that is valid until later plans", "[planner]") {
  Planned planned;
  planned.playbooks.front().valid_until = "2027-01-15T08:00:01Z";
  CHECK(planned.result());
}

TEST_CASE("changes of one configuration are planned one on the other", "[planner]") {
  Planned planned;
  planned.playbooks.front().indicators = {setting_indicator("x", "/x"),
                                          setting_indicator("y", "/y")};
  planned.playbooks.front().steps = {step("no-x", playbook::Action::reset_setting, {"x"}),
                                     step("no-y", playbook::Action::reset_setting, {"y"})};
  planned.survey.settings = {observed("x", "iis/host.config"), observed("y", "iis/host.config")};
  const Plan plan = planned.plan();
  REQUIRE(plan.operations.size() == 2);
  const Operation& first = plan.operations[0];
  const Operation& second = plan.operations[1];
  CHECK(first.precondition.sha256 == crypto::sha256_hex(configuration));
  CHECK(second.precondition.sha256 == first.setting.after_sha256);
  std::string after = configuration;
  for (const char* line : {"    <virtualDirectory path=\"/x\" physicalPath=\"C:\\one\" />\n",
                           "    <virtualDirectory path=\"/y\" physicalPath=\"C:\\two\" />\n"})
    after.erase(after.find(line), std::string(line).size());
  CHECK(second.setting.after_sha256 == crypto::sha256_hex(after));
  REQUIRE(first.setting.edits.size() == 1);
  CHECK(first.setting.differences.front().kind == "removed");

  planned.policy.max_settings = 1;
  CHECK(planned.plan().blocked());
  planned.policy.max_settings = 2;
  CHECK_FALSE(planned.plan().blocked());

  planned.survey.settings[0].facts.metadata.stat.links = 2;
  const Plan without_first = planned.plan();  // as if the first had never been found
  REQUIRE(without_first.operations.size() == 1);
  CHECK(without_first.operations[0].precondition.sha256 == crypto::sha256_hex(configuration));
  planned.survey.settings[1].facts.metadata.stat.links = 2;
  CHECK(planned.plan().operations.empty());
  CHECK(planned.plan().exclusions.size() == 2);
}

TEST_CASE("a file whose settings a plan changes is not removed by the same plan", "[planner]") {
  Planned planned;
  planned.playbooks.front().indicators.push_back(setting_indicator("x", "/x"));
  planned.playbooks.front().steps.push_back(step("no-x", playbook::Action::reset_setting, {"x"}));
  planned.survey.settings = {observed("x", "iis/host.config")};
  planned.survey.matches = {match("iis/host.config", "a", 11), match("www/2.php", "a", 12)};
  const Plan plan = planned.plan();
  const auto removed = [&](const std::string& path) {
    return std::ranges::any_of(plan.operations, [&](const Operation& operation) {
      return operation.action == Action::quarantine && operation.path.bytes() == path;
    });
  };
  CHECK(removed("www/2.php"));
  CHECK_FALSE(removed("iis/host.config"));
  CHECK(std::ranges::count(plan.operations, Action::reset_setting, &Operation::action) == 1);
  CHECK(exclusion_of(plan, "iis/host.config").find("step no-x") != std::string::npos);
}

TEST_CASE("a configuration that cannot be read is an issue and an exclusion, not silence",
          "[planner]") {
  Planned planned;
  planned.playbooks.front().indicators = {setting_indicator("x", "/x")};
  planned.playbooks.front().steps = {step("no-x", playbook::Action::reset_setting, {"x"})};
  planned.survey.settings = {observed("x", "iis/host.config")};
  planned.survey.settings.front().bytes = "<configuration><broken";
  const Plan plan = planned.plan();
  CHECK(plan.operations.empty());
  CHECK(plan.issues.size() == 1);
  CHECK(plan.exclusions.size() == 1);
}

}  // namespace remediate::plan::test
