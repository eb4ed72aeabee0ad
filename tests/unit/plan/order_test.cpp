#include "remediate/plan/order.h"

#include <catch2/catch.hpp>

#include "remediate/plan/together.h"
#include "survey.h"

namespace remediate::plan {
namespace {

using test::step;
using Do = playbook::Action;

playbook::Indicator of_kind(const std::string& id, const std::string& kind) {
  playbook::Indicator made = test::setting_indicator(id, "/x");
  made.setting->kind = kind;
  return made;
}

playbook::Playbook modules(const std::string& id, std::vector<playbook::Step> steps) {
  playbook::Playbook made = test::playbook_of_files();
  made.id = id;
  made.steps = std::move(steps);
  for (const char* kind : {"module", "globalModule", "isapiFilter", "handler", "virtualDirectory"})
    made.indicators.push_back(of_kind(kind, kind));
  return made;
}

std::string names(const std::vector<playbook::Playbook>& playbooks) {
  std::string all;
  for (const auto& [playbook, of] : working_order(playbooks))
    all += (all.empty() ? "" : " ") + of->id;
  return all;
}

Operation removal_of(const std::string& address, std::vector<std::string> gone) {
  Operation made;
  made.action = Action::reset_setting;
  made.path = test::path("applicationHost.config");
  made.setting.provider = "iis-xml";
  made.setting.edits = {{address, "remove_element", "", "", RawPath(), ""}};
  for (std::string& one : gone)
    made.setting.differences.push_back({"removed", std::move(one), "", "", ""});
  return made;
}

Operation of_object(const std::string& dn) {
  Operation made;
  made.action = Action::reset_setting;
  DirectoryValue value;
  value.dn = dn;
  value.attribute = "msExchExternalHostName";
  made.setting = directory_change(value);
  return made;
}

std::string together(const Operation& operation) {
  std::string all;
  for (const Reason& reason : operation.why) {
    CHECK(reason.kind == "together");
    all += reason.text + "\n";
  }
  return all;
}

}  // namespace

TEST_CASE("modules go before global modules, and both before the files", "[order]") {
  const auto wrong = modules(
      "playbook--1",
      {step("dll", Do::quarantine, {"a"}), step("global", Do::reset_setting, {"globalModule"}),
       step("tell", Do::instruct, {}), step("vdir", Do::reset_setting, {"virtualDirectory"}),
       step("filter", Do::reset_setting, {"isapiFilter"}),
       step("use", Do::reset_setting, {"module"})});
  CHECK(names({wrong}) == "use global filter dll tell vdir");
  const auto right = modules("playbook--1", {step("vdir", Do::reset_setting, {"virtualDirectory"}),
                                             step("use", Do::reset_setting, {"module"}),
                                             step("global", Do::reset_setting, {"globalModule"}),
                                             step("dll", Do::quarantine, {"a"})});
  CHECK(names({right}) == "vdir use global dll");
}

TEST_CASE("the order holds across playbooks, and a step of both kinds counts as the later",
          "[order]") {
  const auto first = modules("playbook--1", {step("global", Do::reset_setting, {"globalModule"}),
                                             step("dll", Do::quarantine, {"a"})});
  const auto second =
      modules("playbook--2", {step("both", Do::reset_setting, {"module", "globalModule"}),
                              step("use", Do::reset_setting, {"module"})});
  CHECK(names({first, second}) == "use global both dll");
  const auto files = modules("playbook--3", {step("b", Do::quarantine, {"b"}),
                                             step("handler", Do::reset_setting, {"handler"}),
                                             step("a", Do::quarantine, {"a"})});
  CHECK(names({files}) == "b handler a");
}

TEST_CASE("a virtual directory, what belongs to it and its object name each other", "[together]") {
  const std::string location = "location[Default Web Site/OAB]";
  const std::string key = "metadataKey[LM/W3SVC/1/ROOT/OAB]";
  std::vector<Operation> operations{removal_of("application[Default Web Site/oab]",
                                               {"application[Default Web Site/oab]", location, key,
                                                "location[Default Web Site/x]"}),
                                    of_object("CN=OAB (Default Web Site),CN=HTTP,CN=Protocols"),
                                    of_object("CN=OAB (Exchange Back End),CN=HTTP,CN=Protocols"),
                                    removal_of("virtualDirectory[Default Web Site/owa:/auth/help]",
                                               {"location[Default Web Site/owa/auth/help]"})};
  tell_what_belongs_together(operations);
  const std::string first = together(operations[0]);
  CHECK(first.find(location + " belongs to") != std::string::npos);
  CHECK(first.find(key + " belongs to") != std::string::npos);
  CHECK(first.find("Site/x]") == std::string::npos);
  CHECK(first.find("CN=OAB (Default Web Site)") != std::string::npos);
  CHECK(
      together(operations[1]).find("application[Default Web Site/oab] in applicationHost.config") !=
      std::string::npos);
  CHECK(together(operations[2]).empty());
  CHECK(together(operations[3]).find("auth/help] belongs to") != std::string::npos);
}

TEST_CASE("names that are no address or no object of Exchange belong to nothing", "[together]") {
  for (const char* address :
       {"virtualDirectory", "virtualDirectory[", "virtualDirectory[a]", "virtualDirectory[a/:/]",
        "application[a/]", "site[a/b]", "application[a/b]#2"})
    for (const char* dn : {"", "CN=", "CN=a", "CN= (a)", "CN=b (a", "OU=b (a)", "CN=b\\"}) {
      std::vector<Operation> operations{removal_of(address, {"location[a/b]"}), of_object(dn)};
      tell_what_belongs_together(operations);
      CHECK(together(operations[1]).empty());
    }
}

TEST_CASE("a configuration that IIS does not read is not edited", "[order]") {
  test::Planned planned;
  planned.playbooks[0].indicators = {test::setting_indicator("x", "/x")};
  planned.playbooks[0].steps = {step("reset", Do::reset_setting, {"x"})};
  planned.survey.settings = {{"playbook--1", "x", test::path("applicationHost.config"),
                              test::configuration, std::string(64, 'a'), test::facts(21), ""}};
  CHECK(planned.plan().operations.size() == 1);
  planned.survey.settings[0].refusal = "IIS does not read this file: it is elsewhere";
  const Plan plan = planned.plan();
  CHECK(plan.operations.empty());
  CHECK(test::exclusion_of(plan, "applicationHost.config").find("does not read this file") !=
        std::string::npos);
}

}  // namespace remediate::plan
