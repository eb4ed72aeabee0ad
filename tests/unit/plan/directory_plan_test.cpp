#include <algorithm>

#include "remediate/plan/plan_file.h"
#include "survey.h"

namespace remediate::plan::test {
namespace {

constexpr const char* attribute = "msExchExternalHostName";

setting::DirectoryObject object(int number, const std::string& server,
                                const std::vector<std::string>& urls) {
  setting::DirectoryObject made;
  made.dn = "CN=OAB (Default Web Site),CN=HTTP,CN=Protocols,CN=" + server +
            ",CN=Servers,CN=Org,DC=lab,DC=test";
  made.guid = "00000000-0000-0000-0000-00000000000" + std::to_string(number);
  made.when_changed = "20210303091522.0Z";
  made.usn_changed = 7;
  made.classes = {"top", "msExchVirtualDirectory", "msExchOABVirtualDirectory"};
  if (!urls.empty()) made.attributes[attribute] = urls;
  return made;
}

struct InDirectory : Planned {
  InDirectory() {
    playbook::Playbook playbook;
    playbook.id = "playbook--2";
    playbook.name = "Directory";
    playbook.sha256 = std::string(64, 'd');
    playbook::Indicator indicator;
    indicator.id = "poisoned";
    indicator.authorises = playbook::Authorises::remove;
    playbook::SettingCondition condition;
    condition.provider = "exchange-directory";
    condition.kind = "msExchOABVirtualDirectory";
    condition.where = {{attribute, std::nullopt, "script", false, true}};
    indicator.setting = condition;
    playbook.indicators = {indicator};
    playbook::Step made = step("clear", playbook::Action::reset_setting, {"poisoned"});
    made.change = playbook::Change{"set_from_sibling", attribute, "", std::nullopt, "ex2"};
    playbook.steps = {made};
    playbooks = {playbook};
    survey.directory = {object(1, "EX1", {"http://x/#script"}), object(2, "EX2", {"https://clean"}),
                        object(3, "EX3", {})};
  }
  playbook::Change& change() { return *playbooks.front().steps.front().change; }
  std::vector<std::string>& servers() {
    return playbooks.front().indicators.front().setting->servers;
  }
};

bool has_issue(const Plan& plan, const std::string& word) {
  return std::ranges::any_of(plan.issues, [&](const IssueReport& issue) {
    return issue.kind == "not_evaluated" && issue.reason.find(word) != std::string::npos;
  });
}

}  // namespace

TEST_CASE("a directory that was not read is never clean", "[directory]") {
  InDirectory planned;
  planned.survey.directory.reset();
  CHECK(has_issue(planned.plan(), "--directory"));
  planned.playbooks.front().indicators.front().authorises = playbook::Authorises::review;
  planned.playbooks.front().steps.clear();
  CHECK(has_issue(planned.plan(), "--directory"));
  InDirectory other;
  other.servers() = {"EX9"};
  const Plan plan = other.plan();
  CHECK(has_issue(plan, "no virtual directory of this server"));
  CHECK(plan.operations.empty());
}

TEST_CASE("a value of a directory is bound to its object and to what was there", "[directory]") {
  InDirectory planned;
  const Plan plan = planned.plan();
  REQUIRE(plan.operations.size() == 1);
  const Operation& operation = plan.operations.front();
  REQUIRE(operation.setting.directory);
  CHECK(operation.setting.directory->before == "http://x/#script");
  CHECK(operation.setting.directory->after == "https://clean");
  CHECK(operation.setting.directory->guid == planned.survey.directory->front().guid);
  CHECK(plan.limits.at(1).found == 1);
  CHECK(plan.issues.empty());

  // Written and read again; whatever is changed in it is noticed.
  const PlanFile file = must(write_plan(plan));
  CHECK(must(read_plan(file.bytes, "plan")).plan.operations.front().setting.directory ==
        operation.setting.directory);
  for (const auto& [from, to] :
       {std::pair{"set_attribute", "remove_attribute"}, std::pair{"\"changed\"", "\"removed\""},
        std::pair{"exchange-directory", "iis-xml"}}) {
    std::string bytes = file.bytes;
    const std::size_t place = bytes.find(from);
    REQUIRE(place != std::string::npos);
    bytes.replace(place, std::string_view(from).size(), to);
    CHECK_FALSE(read_plan(bytes, "plan"));
  }
}

TEST_CASE("a new value that cannot be had excludes the object", "[directory]") {
  InDirectory planned;
  const auto reason = [&] {
    const Plan plan = planned.plan();
    REQUIRE(plan.operations.empty());
    REQUIRE(plan.exclusions.size() >= 1);
    return plan.exclusions.front().reason;
  };
  SECTION("no such sibling") {
    planned.change().sibling = "EX9";
    CHECK(reason().find("no other virtual directory") != std::string::npos);
  }
  SECTION("its own") {
    planned.change().sibling = "EX1";
    CHECK(reason().find("no other virtual directory") != std::string::npos);
  }
  SECTION("a poisoned sibling") {
    planned.survey.directory->at(1).attributes[attribute] = {"script"};
    CHECK(reason().find("fits the indicator too") != std::string::npos);
  }
  SECTION("several values") {
    planned.survey.directory->at(0).attributes[attribute] = {"script", "another"};
    CHECK(reason().find("several values") != std::string::npos);
  }
  SECTION("an attribute of the directory itself") {
    planned.change() = {"remove_attribute", "nTSecurityDescriptor", "", std::nullopt, ""};
    CHECK(reason().find("no attribute of Exchange") != std::string::npos);
  }
}

TEST_CASE("an absent value of a sibling is taken over, and what is right already stays",
          "[directory]") {
  InDirectory planned;
  planned.change().sibling = "EX3";
  CHECK(planned.plan().operations.front().setting.directory->after == std::nullopt);
  planned.change() = {"set_attribute", attribute, "http://x/#script", std::nullopt, ""};
  const Plan plan = planned.plan();
  CHECK(plan.operations.empty());
  CHECK(plan.exclusions.empty());
}

TEST_CASE("a dump on the disk and its object name each other", "[directory]") {
  InDirectory planned;
  planned.playbooks.push_back(playbook_of_files());
  match::FileMatch dump = match("www/dump.aspx", "a", 20);
  const std::string dn = planned.survey.directory->front().dn;
  SECTION("by the Guid") { dump.dump = {{"Guid", planned.survey.directory->front().guid}}; }
  SECTION("by a name in two lines") {
    dump.dump = {{"DistinguishedName", dn.substr(0, 30) + "\n" + dn.substr(30)},
                 {"Guid", "99999999-0000-0000-0000-000000000000"}};
  }
  dump.dump.push_back({"WhenChangedUTC", "3/3/2021 9:15:22 AM"});
  planned.survey.matches = {dump};
  const Plan plan = planned.plan();
  REQUIRE(plan.operations.size() >= 2);
  CHECK(std::ranges::find(plan.operations[0].details,
                          std::pair<std::string, std::string>("Dump", "www/dump.aspx")) !=
        plan.operations[0].details.end());
  CHECK(std::ranges::any_of(plan.operations[1].why, [&](const Reason& reason) {
    return reason.kind == "object" && reason.text.find(dn) != std::string::npos;
  }));
}

}  // namespace remediate::plan::test
