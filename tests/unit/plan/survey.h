#pragma once

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "remediate/crypto/digest.h"
#include "remediate/plan/planner.h"

namespace remediate::plan::test {

template <class T>
T must(Result<T> result) {
  if (!result) FAIL(result.error().text());
  return std::move(*result);
}

inline RawPath path(std::string_view text) { return must(RawPath::parse(text)); }

inline observe::TargetFacts facts(std::uint64_t inode, std::uint64_t links = 1) {
  observe::TargetFacts made;
  made.metadata.stat.kind = FileKind::regular;
  made.metadata.stat.id = {8, inode, 1};
  made.metadata.stat.size = 10;
  made.metadata.stat.links = links;
  made.metadata.stat.mode = 0644;
  made.metadata.stat.modified = {1'600'000'000, 250};
  made.parent.kind = FileKind::directory;
  made.parent.id = {8, 3, 1};
  made.parent.modified = {1'600'000'001, 0};
  made.filesystem = "ext4";
  return made;
}

inline match::FileMatch match(const std::string& where, const std::string& indicator,
                              std::uint64_t inode, std::uint64_t links = 1) {
  match::FileMatch made;
  made.playbook = "playbook--1";
  made.indicator = indicator;
  made.authorises = playbook::Authorises::remove;
  made.scope = "web";
  made.path = path(where);
  made.sha256 = crypto::sha256_hex(where);
  made.reasons = {{"regex", "matches at byte 3", 3,
                   "\x1b[2J\xff<scr"
                   "ipt>"}};
  made.facts = facts(inode, links);
  return made;
}

inline playbook::Step step(const std::string& id, playbook::Action action,
                           std::vector<std::string> indicators) {
  playbook::Step made;
  made.id = id;
  made.action = action;
  made.indicators = std::move(indicators);
  if (action == playbook::Action::reset_setting)
    made.change = playbook::Change{"remove_element", "", "", std::nullopt, ""};
  if (action == playbook::Action::instruct) made.text = "Do " + id + ".";
  return made;
}

inline playbook::Indicator setting_indicator(const std::string& id, const std::string& vdir) {
  playbook::Indicator made;
  made.id = id;
  made.authorises = playbook::Authorises::remove;
  made.setting = playbook::SettingCondition{"iis-xml", {}, {}, "virtualDirectory", "", {}};
  playbook::AttributeTest test;
  test.name = "path";
  test.equals = vdir;
  made.setting->where = {test};
  return made;
}

/// Indicators "a" and "b" of files, in that order of steps, and an instruction for each.
inline playbook::Playbook playbook_of_files() {
  playbook::Playbook made;
  made.id = "playbook--1";
  made.name = "Files";
  made.revision = 2;
  made.sha256 = std::string(64, 'e');
  made.file = "files.json";
  for (const char* id : {"a", "b"}) {
    playbook::Indicator indicator;
    indicator.id = id;
    indicator.authorises = playbook::Authorises::remove;
    indicator.match = playbook::Condition();
    made.indicators.push_back(indicator);
  }
  made.steps = {step("remove-b", playbook::Action::quarantine, {"b"}),
                step("remove-a", playbook::Action::quarantine, {"a"}),
                step("tell-a", playbook::Action::instruct, {"a"}),
                step("tell-b", playbook::Action::instruct, {"b"}),
                step("always", playbook::Action::instruct, {})};
  return made;
}

struct Planned {
  std::vector<playbook::Playbook> playbooks{playbook_of_files()};
  Policy policy;
  Survey survey;
  Timestamp now{1'800'000'000, 77};

  Planned() {
    survey.host = {"host",
                   "EX01",
                   "boot",
                   "/mnt/\xff"
                   "disk",
                   {8, 2, 1}};
    survey.files_scanned = 100'000;
    survey.scopes = {{"playbook--1", "web", "/www", "www", true, 100'000}};
  }
  [[nodiscard]] Result<Plan> result() const {
    return make_plan({playbooks, policy, "policy-digest", "remediate test", "nonce", now}, survey);
  }
  [[nodiscard]] Plan plan() const { return must(result()); }
};

inline std::string order(const Plan& plan) {
  std::string all;
  for (const Operation& operation : plan.operations)
    all += operation.id + " " + operation.address + "\n";
  return all;
}

inline std::string exclusion_of(const Plan& plan, const std::string& address) {
  for (const Exclusion& exclusion : plan.exclusions)
    if (exclusion.address == address) return exclusion.reason;
  return "";
}

inline constexpr const char* configuration =
    "<configuration>\n  <system.applicationHost><sites><site name=\"a\" id=\"1\">"
    "<application path=\"/\">\n"
    "    <virtualDirectory path=\"/\" physicalPath=\"C:\\w\" />\n"
    "    <virtualDirectory path=\"/x\" physicalPath=\"C:\\one\" />\n"
    "    <virtualDirectory path=\"/y\" physicalPath=\"C:\\two\" />\n"
    "  </application></site></sites></system.applicationHost>\n</configuration>\n";

inline SettingObservation observed(const std::string& indicator, const std::string& where) {
  return {"playbook--1", indicator, path(where), configuration, crypto::sha256_hex(configuration),
          facts(50)};
}

}  // namespace remediate::plan::test
