#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "playbook_maker.h"
#include "scene.h"
#include "series.h"
#include "tree_reader.h"

namespace property {

/// A world with a planted fault, which the same checks have to find.
enum class Fault { none, limits_loosened, policy_globs_dropped, store_unknown, hard_links_allowed };
[[nodiscard]] const char* fault_name(Fault fault);

/// A host that playbooks are tried on, one after the other; made anew now and then.
class HostileWorld {
 public:
  HostileWorld(std::string base, const Keys& keys, const Bait& bait, Fault fault);
  ~HostileWorld();
  HostileWorld(const HostileWorld&) = delete;
  HostileWorld& operator=(const HostileWorld&) = delete;

  /// Parser, planner, guards, limits, approval, apply, rollback as far as the playbook gets. Throws
  /// Failed when a guarded file was planned or touched, a limit did not hold, something outside
  /// the plan changed, or the parser took more than a second.
  void run(std::uint64_t seed, Counts& counts);

 private:
  void build();
  void clear();
  void try_playbook(const HostilePlaybook& playbook, Counts& counts);
  void check_plan(const remediate::plan::Plan& plan, Counts& counts) const;
  void apply(const remediate::plan::PlanFile& file, Counts& counts);
  void expect(const Tree& wanted, const Measure& measure, const std::string& when) const;

  std::string base_;
  const Keys& keys_;
  const Bait& bait_;
  Fault fault_;
  std::string ground_;
  std::unique_ptr<Scene> scene_;
  Tree before_;
  unsigned applied_ = 0;
  unsigned checked_ = 0;
  bool mounted_ = false;
};

}  // namespace property
