// hostile_playbooks [--cases N | --full] [--seed S] [--workers N] [--base DIR] [--case SEED]
//                   [--self-test]
// Malicious and careless playbooks through parser, planner, guards, limits, approval, apply and
// rollback on a tree full of files that must never be touched. --self-test plants faults, such as
// limits that were loosened, and wants each of them found.
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <sched.h>
#include <sys/mount.h>

#include "hostile_case.h"
#include "random.h"

namespace {

using property::Counts;
using property::Fault;

constexpr std::uint64_t short_form = 10'000;
constexpr std::uint64_t full_form = 1'000'000;

/// At least so many of 10,000 have to get to each stage, else the generator is worth little.
struct Floor {
  const char* stage;
  std::uint64_t of_10_000;
};
constexpr Floor floors[] = {{"rejected by the parser", 2000},
                            {"planned without a change", 500},
                            {"stopped by a limit", 100},
                            {"applied", 100},
                            {"files removed: shells", 50},
                            {"configuration files changed", 20},
                            {"kept out by a guard: system folder", 500},
                            {"kept out by a guard: mail store", 100},
                            {"kept out by a guard: protected by policy", 100},
                            {"kept out by a guard: the tool's store", 10},
                            {"kept out by a guard: the tool's own", 10},
                            {"kept out by a guard: hard link to a guarded file", 20}};

struct Options {
  property::Series series;
  std::string base = "/dev/shm";
  std::uint64_t one_case = 0;
  bool self_test = false;
};

bool parse(const std::vector<std::string>& words, Options& options) {
  options.series.cases = short_form;
  for (std::size_t at = 0; at < words.size(); ++at) {
    const std::string& word = words[at];
    if (word == "--full") {
      options.series.cases = full_form;
      continue;
    }
    if (word == "--self-test") {
      options.self_test = true;
      continue;
    }
    if (at + 1 == words.size()) return false;
    const std::string& value = words[++at];
    if (word == "--base")
      options.base = value;
    else if (word == "--case")
      options.one_case = std::strtoull(value.c_str(), nullptr, 10);
    else if (!property::read_option(word, value, options.series))
      return false;
  }
  if (!std::filesystem::is_directory(options.base))
    options.base = std::filesystem::temp_directory_path();
  return true;
}

/// Mounts that this process makes are nobody else's, and end with it.
void leave_mount_name_space() {
  if (::unshare(CLONE_NEWNS) == 0)
    (void)::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
}

int test_the_harness(const Options& options, const property::Keys& keys,
                     const property::Bait& bait) {
  constexpr std::uint64_t tries = 3000;
  int missed = 0;
  for (const Fault fault : {Fault::limits_loosened, Fault::policy_globs_dropped,
                            Fault::store_unknown, Fault::hard_links_allowed}) {
    property::HostileWorld world(options.base, keys, bait, fault);
    std::uint64_t number = 0;
    std::string found;
    for (; number < tries && found.empty(); ++number) {
      Counts counts;
      try {
        world.run(property::case_seed(options.series.seed, number), counts);
      } catch (const property::Failed& failed) {
        found = failed.what();
      }
    }
    std::cout << property::fault_name(fault) << ": "
              << (found.empty() ? "NOT FOUND"
                                : "found by playbook " + std::to_string(number) + ": " +
                                      found.substr(0, found.find('\n')))
              << "\n";
    if (found.empty()) ++missed;
  }
  std::cout << "hostile playbooks self-test: " << 4 - missed << " of 4 planted faults found\n";
  return missed == 0 ? 0 : 1;
}

int run(const Options& options) {
  leave_mount_name_space();
  const property::Keys keys = property::make_keys();
  const property::Bait bait = property::read_bait(std::string(REMEDIATE_SOURCE_DIR) + "/playbooks");
  if (options.self_test) return test_the_harness(options, keys, bait);
  if (options.one_case != 0) {
    Counts counts;
    property::HostileWorld(options.base, keys, bait, Fault::none).run(options.one_case, counts);
    for (const auto& [name, count] : counts) std::cout << count << " " << name << "\n";
    return 0;
  }
  std::cout << "seed " << options.series.seed << ", " << options.series.cases << " playbooks in "
            << options.base << std::endl;
  const auto result = property::run_series(options.series, [&](unsigned) {
    auto world = std::make_shared<property::HostileWorld>(options.base, keys, bait, Fault::none);
    return [world](std::uint64_t, std::uint64_t seed, Counts& counts) { world->run(seed, counts); };
  });
  for (const auto& [name, count] : result.counts) std::cout << count << " " << name << "\n";
  int shallow = 0;
  if (options.series.cases >= short_form)
    for (const Floor& floor : floors) {
      const auto found = result.counts.find(floor.stage);
      const std::uint64_t count = found == result.counts.end() ? 0 : found->second;
      if (count * 10'000 / options.series.cases >= floor.of_10_000) continue;
      std::cout << "too few: " << count << " " << floor.stage << "\n";
      ++shallow;
    }
  std::cout << "hostile playbooks: " << result.done << " tries, " << result.failures
            << " bad states, " << shallow << " stages hardly reached, " << result.seconds
            << " seconds\n";
  return result.failures == 0 && shallow == 0 && result.done == options.series.cases ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!parse(std::vector<std::string>(argv + 1, argv + argc), options)) {
    std::cerr << "usage: hostile_playbooks [--cases N | --full] [--seed S] [--workers N] [--base "
                 "DIR] [--case SEED] [--self-test]\n";
    return 64;
  }
  return property::run_as_root("hostile_playbooks", [&] { return run(options); });
}
