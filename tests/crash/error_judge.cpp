#include <algorithm>
#include <filesystem>

#include <nlohmann/json.hpp>
#include <signal.h>

#include "tests/crash/scene.h"

namespace crash {
namespace {

namespace fs = std::filesystem;

/// The original that an operation's address names for people; empty for one of none.
std::string original_of(const Sample& sample, const std::string& address) {
  for (const std::string& name : sample.originals())
    if (address == name) return name;
  if (address.starts_with(sample.config + " ")) return sample.config;
  // Its bytes are escaped in an address.
  const std::string& odd = sample.targets.front();
  return address.starts_with(odd.substr(0, odd.find('\xff')) + "\\xff") ? odd : "";
}

bool one_of(const std::string& word, std::initializer_list<const char*> words) {
  return std::ranges::any_of(words, [&](const char* one) { return word == one; });
}

std::string exit_of(const Ended& ended) {
  return "exit " + std::to_string(ended.code) + ": " + first_lines(ended.text + ended.messages);
}

}  // namespace

Problems Scene::judge_error(const Case& one, const Ended& ended) {
  Problems problems;
  note_degraded(ended);
  if (ended.endless)
    problems.emplace_back("it does not end: it was killed after " +
                          std::to_string(ended.stops.size()) + " stops");
  else if (ended.signal == SIGALRM)
    problems.emplace_back("it hangs");
  else if (ended.signal != 0)
    problems.push_back("it dies by signal " + std::to_string(ended.signal) + ": " +
                       first_lines(ended.messages));
  for (const std::string& file : ended.flushed_again)
    problems.push_back("a second flush after one that failed: " + file);
  for (const std::string& lost : conserved()) problems.push_back("right after the error: " + lost);
  if (one.step == Step::apply && !wait_is_kept()) problems.emplace_back("apply went past the wait");
  judge_claims(one, ended, problems);
  recover_from_error(one, problems);
  return problems;
}

void Scene::note_degraded(const Ended& ended) {
  const nlohmann::json document = nlohmann::json::parse(ended.text, nullptr, false);
  if (!document.is_object() || !document.contains("operations")) return;
  for (const nlohmann::json& operation : document["operations"])
    if (operation.value("outcome", "") == "restored_degraded" &&
        !operation.value("reason", "").empty())
      degraded_.insert(original_of(sample_, operation.value("address", "")));
  degraded_.erase("");
}

/// What it says was done is done, and a success leaves nothing to do.
void Scene::judge_claims(const Case& one, const Ended& ended, Problems& problems) const {
  Problems untrue;
  if (ended.code == 0) {
    switch (one.step) {
      case Step::init:
        if (!fs::exists(store() + "/store.json")) untrue.emplace_back("there is no store");
        break;
      case Step::plan: {
        const nlohmann::json plan =
            nlohmann::json::parse(read_file(folder_ + "/plan.json"), nullptr, false);
        const std::size_t instructions = sample_.named.empty() ? 1 : 2;
        if (!plan.is_object() || !plan.contains("operations") || !plan.contains("issues"))
          untrue.emplace_back("the plan cannot be read");
        else if (plan["operations"].size() != sample_.originals().size() + instructions &&
                 plan["issues"].empty())
          untrue.push_back("the plan has " + std::to_string(plan["operations"].size()) +
                           " operations and tells of no issue");
        break;
      }
      case Step::apply:
      case Step::resume:
      case Step::go_on:
        judge_applied(untrue, sample_.originals().size());
        break;
      case Step::rollback:
      case Step::unfinalize:
        judge_undone(untrue, one.step == Step::rollback);
        break;
      case Step::finalize:
        judge_applied(untrue, 0);
        break;
    }
  } else if (one.step == Step::plan && fs::exists(folder_ + "/plan.json")) {
    const nlohmann::json plan =
        nlohmann::json::parse(read_file(folder_ + "/plan.json"), nullptr, false);
    if (!plan.is_object() || !plan.contains("plan_id"))
      untrue.emplace_back("it failed and left a part of a plan");
  }
  judge_operations(one, ended, untrue);
  for (const std::string& claim : untrue)
    problems.push_back("untrue (" + exit_of(ended) + "): " + claim);
}

void Scene::judge_operations(const Case& one, const Ended& ended, Problems& problems) const {
  const nlohmann::json document = nlohmann::json::parse(ended.text, nullptr, false);
  if (!document.is_object() || !document.contains("operations") || !document.contains("run_id"))
    return;
  const Snapshot now = snapshot(tree());
  for (const nlohmann::json& operation : document["operations"]) {
    const std::string name = original_of(sample_, operation.value("address", ""));
    const std::string outcome = operation.value("outcome", "");
    if (name.empty()) continue;
    const auto there = now.find(name);
    const bool whole = there != now.end() &&
                       differences(before_.at(name), there->second, {.links = false}).empty();
    const auto version = sample_.exchanged.find(name);
    const bool exchanged = version != sample_.exchanged.end();
    const bool reset = exchanged && there != now.end() && there->second.bytes == version->second;
    const bool gone = there == now.end();
    const bool begins =
        one.step == Step::apply || one.step == Step::resume || one.step == Step::go_on;
    bool good = true;
    if (one_of(outcome, {"quarantined", "replaced", "reset", "finalized", "kept"}))
      good = exchanged ? reset : gone;
    else if (outcome == "restored" && operation.value("reason", "").empty())
      good = whole;
    else if (begins && one_of(outcome, {"failed", "refused", "not_started"}))
      good = whole;
    if (!good)
      problems.push_back("it says `" + outcome + "` of " + shown(name) + ", which is " +
                         (gone    ? "not there"
                          : whole ? "untouched"
                          : reset ? "changed"
                                  : "another one"));
  }
}

/// Resume and rollback may tell of operations that failed before; in the end a rollback brings
/// every original back.
void Scene::recover_from_error(const Case& one, Problems& problems) {
  if (one.step == Step::init || one.step == Step::plan) {
    after_start(one, problems);
    return;
  }
  const bool needed = begun();
  Problems refused;
  if (one.recovery == Recovery::resume && needed) {
    Ended resumed = run(words(Recovery::resume), folder_);
    // A person who reads that the line was not taken out does not let the run go on.
    if (waits(resumed) && resumed.text.find("Not done: ") == std::string::npos)
      resumed = run(words(Recovery::resume), folder_);
    if (!one_of(std::to_string(resumed.code), {"0", "3", "6"}))
      problems.push_back("resume, " + exit_of(resumed));
    for (const std::string& lost : conserved()) problems.push_back("after resume: " + lost);
    note_degraded(resumed);
    if (resumed.code == 0 && json_string(resumed.text, "status") == "done" &&
        (one.step == Step::apply || one.step == Step::resume || one.step == Step::go_on))
      judge_applied(problems, sample_.originals().size());
    if (one.step == Step::finalize && problems.empty()) {
      run_logged(words(Step::finalize), problems, "finalize");
      judge_applied(problems, 0);
    }
  }
  if (run_name() != "run-none") {
    if (needed)
      roll_back(problems);
    else
      (void)run(words(Recovery::rollback), folder_);
  }
  judge_undone(problems, one.step != Step::finalize && one.step != Step::unfinalize);
}

}  // namespace crash
