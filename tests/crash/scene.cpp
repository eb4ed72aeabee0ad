#include "tests/crash/scene.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

#include <nlohmann/json.hpp>
#include <sys/stat.h>

namespace crash {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, step_count> step_names = {
    "init", "plan", "apply", "resume", "go-on", "rollback", "finalize", "unfinalize"};
constexpr const char* hold_apart = ".remediate-hold-";  // at the top of a mount of its own
constexpr std::array<const char*, 5> at_names = {"never", "stop", "before", "after", "state"};

}  // namespace

std::string json_string(const std::string& json, const char* key) {
  const nlohmann::json document = nlohmann::json::parse(json, nullptr, false);
  if (!document.is_object() || !document.contains(key) || !document[key].is_string()) return "";
  return document[key].get<std::string>();
}

std::string first_lines(const std::string& text) {
  return shown(text.size() > 600 ? text.substr(0, 600) + "..." : text);
}

Setup shared_setup(const std::string& tool, const std::string& folder, bool same_files) {
  Setup setup;
  setup.tool = tool;
  setup.same_files = same_files;
  setup.playbook = folder + "/playbook.json";
  const std::string scratch = folder + "/shared", store = folder + "/store";
  {
    const Setup nothing{.tool = "", .playbook = "", .store = "", .same_files = same_files};
    const Scene scene(nothing, scratch);
    write_playbook(setup.playbook, scene.tree(), scene.sample());
  }
  const Ended made = run({tool, "--store", store, "-q", "--format", "json", "init"}, scratch);
  if (made.code != 0) stop("`init` fails: " + made.text + made.messages);
  setup.store = store;
  remove_tree(scratch);
  return setup;
}

const char* step_name(Step step) { return step_names.at(static_cast<std::size_t>(step)); }

std::string spelled(const Case& one) {
  std::string text = step_name(one.step);
  if (one.step == Step::resume) text += "@" + std::to_string(one.base);
  text += std::string(":") + at_names.at(static_cast<std::size_t>(one.kill.at)) + ":" +
          std::to_string(one.kill.number) +
          (one.recovery == Recovery::resume ? ":resume" : ":rollback");
  if (one.second) text += ":" + std::to_string(*one.second);
  return text + (one.undo_too ? "+undo" : "");
}

std::optional<Case> parse_case(const std::string& text) {
  Case one;
  std::string rest = text;
  if (rest.ends_with("+undo")) {
    one.undo_too = true;
    rest.resize(rest.size() - 5);
  }
  std::vector<std::string> parts(1);
  for (const char c : rest) {
    if (c == ':')
      parts.emplace_back();
    else
      parts.back() += c;
  }
  const auto number = [](const std::string& digits, std::uint64_t& into) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), into);
    return error == std::errc() && end == digits.data() + digits.size();
  };
  if (parts.size() != 4 && parts.size() != 5) return std::nullopt;
  if (const std::size_t at = parts[0].find('@'); at != std::string::npos) {
    if (!number(parts[0].substr(at + 1), one.base)) return std::nullopt;
    parts[0].resize(at);
  }
  const auto step = std::ranges::find(step_names, parts[0]);
  const auto at = std::ranges::find(at_names, parts[1]);
  if (step == step_names.end() || at == at_names.end()) return std::nullopt;
  if (!number(parts[2], one.kill.number)) return std::nullopt;
  if (parts[3] != "resume" && parts[3] != "rollback") return std::nullopt;
  one.step = static_cast<Step>(step - step_names.begin());
  one.kill.at = static_cast<At>(at - at_names.begin());
  one.recovery = parts[3] == "resume" ? Recovery::resume : Recovery::rollback;
  if (parts.size() == 5) {
    std::uint64_t second = 0;
    if (!number(parts[4], second)) return std::nullopt;
    one.second = second;
  }
  return one;
}

Scene::Scene(const Setup& setup, std::string folder) : setup_(setup), folder_(std::move(folder)) {
  fs::create_directories(folder_);
  if (setup.apart) mount_apart(tree());
  sample_ = build_sample(tree(), setup.same_files);
  before_ = tree_now();
  if (!setup_.store.empty()) fs::copy(setup_.store, store(), fs::copy_options::recursive);
}

Words Scene::tool_words(const Words& rest) const {
  Words all = {setup_.tool, "--store", store(), "--no-input", "-q", "--format", "json"};
  all.insert(all.end(), rest.begin(), rest.end());
  return all;
}

Words Scene::words(Step step) const {
  const std::string plan = folder_ + "/plan.json";
  switch (step) {
    case Step::init:
      return tool_words({"init"});
    case Step::plan: {
      Words all = {"plan", "-p", setup_.playbook, "--root", tree(), "-o", plan};
      if (!sample_.replaced.empty())
        all.insert(all.end(), {"--known-good", good_folder(setup_.playbook)});
      return tool_words(all);
    }
    case Step::apply:
      return tool_words({"apply", plan, "--confirm", json_string(read_file(plan), "plan_id")});
    case Step::resume:
    case Step::go_on:
      return tool_words({"resume"});
    case Step::rollback:
      return tool_words({"rollback", run_name()});
    case Step::finalize:
      return tool_words({"finalize", run_name()});
    case Step::unfinalize:
      return tool_words({"rollback", run_name(), "--recovery-key", store() + "/keys/recovery.key"});
  }
  stop("no such step");
}

Words Scene::words(Recovery recovery) const {
  return words(recovery == Recovery::resume ? Step::resume : Step::rollback);
}

/// The run under test, or the store's first; a name that no run has where there is none.
std::string Scene::run_name() const {
  if (!run_.empty()) return run_;
  std::vector<std::string> names;
  if (fs::exists(store() + "/runs"))
    for (const fs::directory_entry& entry : fs::directory_iterator(store() + "/runs"))
      if (const std::string name = entry.path().filename().string(); !name.starts_with('.'))
        names.push_back(name);
  if (names.empty()) return "run-none";
  return *std::ranges::min_element(names);
}

bool Scene::begun() const {
  const std::string journal = store() + "/journal/" + run_name() + ".jsonl";
  return fs::exists(journal) && read_file(journal).find('\n') != std::string::npos;
}

bool Scene::is_as_before() const {
  return differences(before_, tree_now(), setup_.same_files).empty();
}

Ended Scene::kill(const Words& command, KillAt at) const {
  if (at.at != At::state) return run_traced(command, folder_, {.kill = at});
  if (at.number == 0) return run_traced(command, folder_, {.kill = {At::stop, 0}});
  Snapshot now = everything();
  Wish wish;
  wish.look = [&, number = std::uint64_t{0}](std::uint64_t) mutable {
    Snapshot found = everything();
    if (found == now) return false;
    now = std::move(found);
    return ++number == at.number;
  };
  return run_traced(command, folder_, wish);
}

Ended Scene::traced(const Words& command, const Wish& wish) const {
  return run_traced(command, folder_, wish);
}

Snapshot Scene::tree_now() const {
  Snapshot now = snapshot(tree());
  if (setup_.apart)
    std::erase_if(now, [](const auto& entry) { return entry.first.starts_with(hold_apart); });
  return now;
}

Snapshot Scene::held_now() const {
  if (!setup_.apart)
    return fs::exists(store() + "/hold") ? snapshot(store() + "/hold") : Snapshot();
  Snapshot now = snapshot(tree());
  std::erase_if(now, [](const auto& entry) { return !entry.first.starts_with(hold_apart); });
  return now;
}

Snapshot Scene::everything() const {
  Snapshot all = snapshot(folder_);
  for (const char* output : {"stdout", "stderr", "opened"}) all.erase(output);
  all.erase("");  // its time tells of the output
  return all;
}

Ended Scene::run_logged(const Words& command, Problems& problems, const char* what) const {
  Ended ended = run(command, folder_);
  if (ended.code != 0)
    problems.push_back(std::string(what) + " exits with " + std::to_string(ended.code) + ": " +
                       quoted(command) + " -> " + first_lines(ended.text + ended.messages));
  return ended;
}

bool Scene::waits(const Ended& ended) const {
  return !sample_.named.empty() && ended.code == 3 &&
         ended.text.find("apply waits after ") != std::string::npos;
}

bool Scene::ended_well(Step step, const Ended& ended) const {
  if (step == Step::apply && !sample_.named.empty()) return waits(ended);
  return ended.code == 0 || (step == Step::resume && waits(ended));
}

Ended Scene::resume_to_end(Problems& problems) const {
  const Ended first = run(words(Recovery::resume), folder_);
  if (waits(first)) return run_logged(words(Recovery::resume), problems, "resume after the wait");
  if (first.code != 0)
    problems.push_back("resume exits with " + std::to_string(first.code) + ": " +
                       first_lines(first.text + first.messages));
  return first;
}

bool Scene::wait_is_kept() const {
  if (sample_.named.empty()) return true;
  const Snapshot now = tree_now();
  const auto found = now.find(sample_.named);
  return found != now.end() && differences(before_.at(sample_.named), found->second, {}).empty();
}

/// A server that reads the line and finds no file answers every page with an error.
void Scene::check_order(const Snapshot& now, Problems& problems) const {
  if (sample_.named.empty() || now.contains(sample_.named)) return;
  const auto naming = now.find(sample_.naming);
  if (naming != now.end() && naming->second.bytes.find(sample_.line) != std::string::npos)
    problems.push_back("the line of " + shown(sample_.naming) + " names a file that is gone");
}

void Scene::prepare(const Case& one) {
  const auto must = [&](Step step) {
    const Ended ended = run(words(step), folder_);
    if (!ended_well(step, ended))
      stop(std::string("without any kill, ") + step_name(step) + " exits with " +
           std::to_string(ended.code) + ": " + first_lines(ended.text + ended.messages));
    return waits(ended);
  };
  if (one.step == Step::init || one.step == Step::plan) {
    if (one.step == Step::init) remove_tree(store());
    return;
  }
  must(Step::plan);
  if (one.step == Step::apply) return;
  if (one.step == Step::resume) {
    (void)kill(words(Step::apply), {At::after_change, one.base});
    return;
  }
  const bool waiting = must(Step::apply);
  if (one.step == Step::go_on) return;
  if (waiting) must(Step::go_on);
  if (one.step == Step::unfinalize) must(Step::finalize);
}

std::vector<std::string> Scene::opened_objects() const {
  std::vector<std::string> opened;
  const std::string objects = store() + "/objects", into = folder_ + "/opened";
  if (!fs::exists(objects)) return opened;
  for (const fs::directory_entry& entry : fs::directory_iterator(objects)) {
    if (entry.path().extension() != ".p7m") continue;
    fs::remove(into);
    const Ended ended = run({"/usr/bin/openssl", "cms", "-decrypt", "-binary", "-inform", "DER",
                             "-in", entry.path().string(), "-recip", store() + "/keys/recovery.crt",
                             "-inkey", store() + "/keys/recovery.key", "-out", into},
                            folder_);
    if (ended.code == 0 && fs::exists(into)) opened.push_back(read_file(into));
  }
  return opened;
}

Problems Scene::conserved() const {
  Problems problems;
  const Snapshot now_there = tree_now();
  check_order(now_there, problems);
  const Snapshot hold = held_now();
  std::optional<std::vector<std::string>> opened;
  for (const std::string& name : sample_.originals()) {
    const Facts& wanted = before_.at(name);
    // The immutable flag has to go before a file can be moved; the journal keeps it.
    const auto is_it = [&](const Facts& found, bool links) {
      return differences(wanted, found, {.flags = false, .links = links}).empty();
    };
    const auto there = now_there.find(name);
    if (there != now_there.end() && is_it(there->second, true)) continue;
    // A setting's original gets a second name in the hold right before it is exchanged back.
    if (std::ranges::any_of(hold, [&](const auto& held) { return is_it(held.second, false); }))
      continue;
    if (!opened) opened = opened_objects();
    if (std::ranges::find(*opened, wanted.bytes) != opened->end()) continue;
    problems.push_back("LOST: " + shown(name) +
                       " is neither whole at its place nor in the hold nor sealed");
  }
  for (const auto& [name, wanted] : before_) {
    if (std::ranges::count(sample_.originals(), name) != 0) continue;
    const auto now = now_there.find(name);
    if (now == now_there.end()) {
      problems.push_back("outside the plan: " + shown(name) + " is missing");
      continue;
    }
    for (const std::string& one :
         differences(wanted, now->second, {.inode = true, .modified = wanted.kind == 'f'}))
      problems.push_back("outside the plan: " + shown(name) + ": " + one);
  }
  for (const auto& [name, now] : now_there)
    if (!before_.contains(name)) problems.push_back("something new is in the tree: " + shown(name));
  return problems;
}

void Scene::judge_store(Problems& problems, std::size_t held) const {
  const Ended verified = run_logged(tool_words({"verify"}), problems, "verify");
  const nlohmann::json document = nlohmann::json::parse(verified.text, nullptr, false);
  if (verified.code == 0 &&
      (!document.is_object() || !document.contains("ok") || document["ok"] != true))
    problems.push_back("verify does not say ok: " + first_lines(verified.text));
  std::size_t found = 0;
  std::string names;
  for (const auto& [name, facts] : held_now())
    if (facts.kind == 'f') {
      ++found;
      names += " " + shown(name);
    }
  if (found != held)
    problems.push_back("the hold has " + std::to_string(found) + " files, not " +
                       std::to_string(held) + ":" + names);
}

void Scene::judge_applied(Problems& problems, std::size_t held) const {
  Snapshot wanted = before_;
  for (const std::string& target : sample_.targets) wanted.erase(target);
  Snapshot found = tree_now();
  for (const auto& [name, bytes] : sample_.exchanged) {
    Facts after = wanted.at(name);
    after.bytes = bytes;
    wanted.erase(name);
    const auto now = found.find(name);
    if (now == found.end()) {
      problems.push_back("applied: " + shown(name) + " is missing");
      continue;
    }
    for (const std::string& one : differences(after, now->second, {.modified = false}))
      problems.push_back("applied: " + shown(name) + ": " + one);
    found.erase(now);
  }
  for (const std::string& one : differences(wanted, found, setup_.same_files))
    problems.push_back("applied: " + one);
  for (const std::string& one : conserved()) problems.push_back("applied: " + one);
  judge_store(problems, held);
}

void Scene::judge_undone(Problems& problems, bool same_files) const {
  const Snapshot found = tree_now();
  Snapshot wanted = before_;
  for (const std::string& name : degraded_)
    if (const auto now = found.find(name);
        now != found.end() && now->second.bytes == wanted.at(name).bytes)
      wanted[name] = now->second;
  for (const std::string& one : differences(wanted, found, same_files && setup_.same_files))
    problems.push_back("rolled back: " + one);
  judge_store(problems, 0);
}

void Scene::plan_and_apply(Problems& problems) {
  fs::remove(folder_ + "/plan.json");
  run_logged(words(Step::plan), problems, "plan");
  if (!problems.empty()) return;
  const Ended applied = run(words(Step::apply), folder_);
  run_ = json_string(applied.text, "run_id");
  if (!ended_well(Step::apply, applied))
    problems.push_back("apply exits with " + std::to_string(applied.code) + ": " +
                       first_lines(applied.text + applied.messages));
  else if (waits(applied))
    run_logged(words(Step::go_on), problems, "resume after the wait");
}

Problems Scene::recover(const Case& one) {
  Problems problems;
  if (one.second) {
    killed_again_ = kill(words(one.recovery), {At::stop, *one.second}).killed;
    for (const std::string& lost : conserved())
      problems.push_back("after the second kill: " + lost);
  }
  switch (one.step) {
    case Step::init:
    case Step::plan:
      after_start(one, problems);
      break;
    case Step::apply:
    case Step::resume:
    case Step::go_on:
      after_apply(one, problems);
      break;
    case Step::rollback:
    case Step::unfinalize:
      after_rollback(one, problems);
      break;
    case Step::finalize:
      after_finalize(one, problems);
      break;
  }
  if (!one.undo_too || !problems.empty()) return problems;
  run_logged(words(Step::rollback), problems, "rollback at the end");
  judge_undone(problems, one.step != Step::finalize);
  return problems;
}

void Scene::after_start(const Case& one, Problems& problems) {
  if (one.step == Step::plan) {
    const Snapshot store_before = snapshot(store());
    fs::remove(folder_ + "/plan.json");  // of before the end: nothing is overwritten
    run_logged(words(Step::plan), problems, "plan");
    if (!differences(store_before, snapshot(store()), true).empty())
      problems.emplace_back("plan changed the store");
  } else {
    const Ended again = run(words(Step::init), folder_);
    if (again.code != 0 && !fs::exists(store() + "/store.json"))
      problems.push_back("init after a killed init: " + first_lines(again.text + again.messages));
  }
  for (const std::string& difference : differences(before_, tree_now(), true))
    problems.push_back("the tree changed: " + difference);
  if (!problems.empty()) return;
  plan_and_apply(problems);
  judge_applied(problems, sample_.originals().size());
}

/// An end that a crash left unsigned is no evidence: rollback names resume, which signs it.
void Scene::roll_back(Problems& problems) {
  const Ended ended = run(words(Recovery::rollback), folder_);
  if (ended.code == 0) return;
  note_degraded(ended);
  if (ended.text.find("`remediate resume ") != std::string::npos) {
    const Ended resumed = run(words(Recovery::resume), folder_);
    // 3: it ended what was begun, and says that a part of it was not to be done. 6: the end of the
    // rollback is what was missing, and what had failed before it is told; the next one does it.
    if (resumed.code != 0 && resumed.code != 3 && resumed.code != 6)
      problems.push_back("resume, as rollback advises, exits with " + std::to_string(resumed.code) +
                         ": " + shown(resumed.text));
  }
  run_logged(words(Recovery::rollback), problems, "rollback");
}

void Scene::after_apply(const Case& one, Problems& problems) {
  if (one.recovery == Recovery::rollback) {
    const bool needed = begun();
    Problems refused;
    if (run_name() != "run-none") roll_back(refused);
    if (needed) problems.insert(problems.end(), refused.begin(), refused.end());
    judge_undone(problems, true);
    return;
  }
  const Ended resumed = resume_to_end(problems);
  // Killed before the run began: it says so, nothing was touched, and a new plan does the work.
  if (resumed.code == 0 && json_string(resumed.text, "status") == "nothing_to_do" && is_as_before())
    plan_and_apply(problems);
  judge_applied(problems, sample_.originals().size());
}

void Scene::after_rollback(const Case& one, Problems& problems) {
  const bool from_hold = one.step == Step::rollback;
  if (one.recovery == Recovery::resume)
    run_logged(words(Recovery::resume), problems, "resume");
  else
    roll_back(problems);
  Snapshot now = tree_now();
  const bool untouched = std::ranges::none_of(
      sample_.targets, [&](const std::string& target) { return now.contains(target); });
  if (one.recovery == Recovery::resume && untouched)  // killed before the rollback began
    run_logged(words(one.step), problems, "rollback");
  judge_undone(problems, from_hold);
}

void Scene::after_finalize(const Case& one, Problems& problems) {
  if (one.recovery == Recovery::rollback) {
    roll_back(problems);
    judge_undone(problems, false);
    return;
  }
  run_logged(words(Recovery::resume), problems, "resume");
  std::size_t held = 0;
  for (const auto& [name, facts] : held_now()) held += facts.kind == 'f' ? 1u : 0u;
  if (held == sample_.originals().size())  // killed before it began
    run_logged(words(Step::finalize), problems, "finalize");
  judge_applied(problems, 0);
}

}  // namespace crash
