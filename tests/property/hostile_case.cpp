#include "hostile_case.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <set>

#include <sys/stat.h>
#include <unistd.h>

#include "canary_tree.h"
#include "remediate/playbook/parse.h"

namespace property {
namespace {

namespace plan = remediate::plan;
namespace playbook = remediate::playbook;
namespace run = remediate::run;

// What the policy of this world allows, said once more so that a loosened policy shows.
constexpr std::uint64_t most_files = 50;
constexpr std::uint64_t most_settings = 50;
constexpr std::uint64_t small_scope = 10;
constexpr double most_seconds = 1.0;
constexpr unsigned applies_in_a_world = 40;
constexpr unsigned plans_between_looks = 16;

double processor_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

bool may_be_edited(const std::string& path) {
  const Guarded why = guarded(path);
  if (why == Guarded::system && !path.ends_with(".config")) return false;
  return why == Guarded::none || why == Guarded::system || why == Guarded::exchange;
}

}  // namespace

const char* fault_name(Fault fault) {
  switch (fault) {
    case Fault::none:
      return "none";
    case Fault::limits_loosened:
      return "limits loosened";
    case Fault::policy_globs_dropped:
      return "the policy's protected paths dropped";
    case Fault::store_unknown:
      return "the store not kept out";
    case Fault::hard_links_allowed:
      return "hard links allowed";
  }
  return "?";
}

HostileWorld::HostileWorld(std::string base, const Keys& keys, const Bait& bait, Fault fault)
    : base_(std::move(base)), keys_(keys), bait_(bait), fault_(fault) {
  build();
}

HostileWorld::~HostileWorld() {
  try {
    clear();
  } catch (const std::exception& error) {
    ::perror(error.what());
  }
}

void HostileWorld::clear() {
  scene_.reset();
  if (ground_.empty()) return;
  if (mounted_) unmount_canary_tree(ground_ + "/root");
  remove_tree(ground_);
  ground_.clear();
}

void HostileWorld::build() {
  clear();
  ground_ = base_ + "/remediate-hostile-XXXXXX";
  if (::mkdtemp(ground_.data()) == nullptr) throw Failed("no folder below " + base_);
  const std::string root = ground_ + "/root";
  for (const std::string& folder : {root, ground_ + "/outside"})
    if (::mkdir(folder.c_str(), 0755) != 0) throw Failed("no folder " + folder);
  mounted_ = make_canary_tree(root, ground_ + "/outside");
  scene_ = std::make_unique<Scene>(root, root + "/" + store_folder, keys_);
  scene_->policy.protected_globs = {policy_glob};
  scene_->policy.generic_content_removes = true;  // the worst of what a playbook may reach
  if (fault_ == Fault::limits_loosened) {
    scene_->policy.max_files = scene_->policy.max_files_per_indicator = 1'000'000;
    scene_->policy.max_percent = 100;
    scene_->policy.small_scope_files = 1000;
  }
  if (fault_ == Fault::policy_globs_dropped) scene_->policy.protected_globs.clear();
  if (fault_ == Fault::store_unknown) scene_->store_known = false;
  if (fault_ == Fault::hard_links_allowed) scene_->policy.allow_hard_links = true;
  before_ = read_tree(root, {store_folder});
  applied_ = 0;
}

void HostileWorld::expect(const Tree& wanted, const Measure& measure,
                          const std::string& when) const {
  const auto lines = differences(wanted, read_tree(ground_ + "/root", {store_folder}), measure);
  if (lines.empty()) return;
  std::string all = when + ": " + std::to_string(lines.size()) + " difference(s)";
  for (std::size_t index = 0; index < std::min<std::size_t>(lines.size(), 10); ++index)
    all += "\n  " + shortened(lines[index]);
  throw Failed(all);
}

void HostileWorld::run(std::uint64_t seed, Counts& counts) {
  Random random(seed);
  const HostilePlaybook made = hostile_playbook(random, bait_);
  ++counts["made: " + made.kind];
  try {
    try_playbook(made, counts);
  } catch (const Failed& failed) {
    build();
    throw Failed(std::string(failed.what()) + "\n  playbook (" + made.kind +
                 "): " + escaped(made.text.substr(0, 3000)));
  }
  if (applied_ >= applies_in_a_world) build();
}

void HostileWorld::try_playbook(const HostilePlaybook& made, Counts& counts) {
  const double start = processor_seconds();
  auto parsed = playbook::parse_playbook(made.text, "hostile.json");
  if (const double seconds = processor_seconds() - start; seconds > most_seconds)
    throw Failed("the parser took " + std::to_string(seconds) + " seconds");
  if (!parsed) {
    ++counts["rejected by the parser"];
    ++counts["rejected by the parser: " + parsed.error().front().code];
    return;
  }
  auto file = scene_->plan({std::move(parsed->playbook)});
  if (++checked_ % plans_between_looks == 0) expect(before_, Measure{}, "planning");
  if (!file) {
    ++counts["refused by the planner"];
    ++counts[std::string("refused by the planner: ") +
             std::string(remediate::code_name(file.error().code))];
    return;
  }
  check_plan(file->plan, counts);
  if (!file->plan.has_changes()) {
    ++counts["planned without a change"];
    return;
  }
  auto approved = scene_->approve(*file);
  if (file->plan.blocked()) {
    if (approved) throw Failed("a plan above a limit was approved");
    ++counts["stopped by a limit"];
    return;
  }
  if (!approved) throw Failed("approval: " + approved.error().text());
  apply(*file, counts);
}

void HostileWorld::check_plan(const plan::Plan& plan, Counts& counts) const {
  std::uint64_t files = 0, settings = 0;
  for (const plan::Operation& operation : plan.operations) {
    const std::string& path = operation.path.bytes();
    if (operation.action == plan::Action::quarantine) {
      ++files;
      if (const Guarded why = guarded(path); why != Guarded::none)
        throw Failed("planned to be removed: " + path + " (" + guarded_name(why) + ")");
      if (!before_.contains(path)) throw Failed("planned and not in the tree: " + escaped(path));
    } else if (operation.action == plan::Action::reset_setting) {
      settings += operation.setting.edits.size();
      if (!may_be_edited(path))
        throw Failed("planned to be changed: " + path + " (" + guarded_name(guarded(path)) + ")");
    }
  }
  const std::uint64_t share = std::max(small_scope, plan.files_scanned / 100);
  if (!plan.blocked() && (files > std::min(most_files, share) || settings > most_settings))
    throw Failed("no limit stops the removal of " + std::to_string(files) + " of " +
                 std::to_string(plan.files_scanned) + " files and the change of " +
                 std::to_string(settings) + " settings");
  for (const plan::Exclusion& exclusion : plan.exclusions)
    if (const Guarded why = guarded(exclusion.address); why != Guarded::none)
      ++counts[std::string("kept out by a guard: ") + guarded_name(why)];
  for (const plan::IssueReport& issue : plan.issues)
    if (issue.kind == "mount_skipped") ++counts["kept out by a guard: other mount"];
}

void HostileWorld::apply(const plan::PlanFile& file, Counts& counts) {
  ++applied_;
  ++counts["applied"];
  const auto approved = must(scene_->approve(file), "approve");
  auto report = must(scene_->apply(approved), "apply");
  // Instructions that wait: somebody has done what they say.
  for (int waits = 0; report.interrupted && waits < 8; ++waits)
    report = must(scene_->resume(report.run), "resume");
  Tree wanted = before_;
  Tree now = read_tree(ground_ + "/root", {store_folder});
  Measure measure;
  std::set<std::string> edited;
  for (const plan::Operation& operation : file.plan.operations) {
    if (operation.action == plan::Action::instruct) continue;
    const std::string& path = operation.path.bytes();
    measure.moved.insert(parent_of(path));
    if (operation.action == plan::Action::quarantine) {
      wanted.erase(path);
      ++counts["files removed"];
      const auto shell = std::ranges::find(canaries(), path, &Canary::path);
      if (shell != canaries().end() && shell->shell) ++counts["files removed: shells"];
    } else if (edited.insert(path).second) {
      if (!now.contains(path)) throw Failed("apply: lost the configuration file " + path);
      ++counts["configuration files changed"];
      wanted.erase(path);
      now.erase(path);
    }
  }
  for (const run::OperationReport& one : report.operations)
    if (one.outcome != "quarantined" && one.outcome != "reset" && one.action != "instruct")
      throw Failed("apply: " + one.address + ": " + one.outcome + " " + one.reason);
  if (const auto lines = differences(wanted, now, measure); !lines.empty())
    throw Failed("apply: outside the plan: " + shortened(lines.front()));
  const auto back = must(scene_->rollback(run::run_name(file.plan), {}), "rollback");
  expect(before_, Measure{}, "rollback, " + text(back));
}

}  // namespace property
