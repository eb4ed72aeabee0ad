#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "../unit/run/world.h"
#include "volatile_host.h"

namespace remediate::durability {

enum class Act : std::uint8_t {
  make_store,
  apply,
  resume,
  rollback,
  finalize,
  edit,   // somebody else changes the settings file, durably
  loosen  // somebody else changes the mode of the held files, durably
};

struct Step {
  Act act = Act::apply;
  std::size_t killed_after = 0;  // changes and flushes of this step; 0: it runs to its end
};

/// What is done before the power is cut; the cuts come in the last step.
struct Script {
  std::string name;
  bool small = false;  // one shell and the settings file, on one mount
  std::vector<Step> steps;
};

/// A run as it went without a cut: the disk before it, and everything it changed and flushed.
struct Recording {
  std::string run;
  std::shared_ptr<const plan::PlanFile> plan;
  plan::Policy policy;
  Disk base;
  std::vector<Event> events;
  std::size_t first_cut = 0;       // events before the last step
  bool ended = false;              // the last step was not killed
  Act last = Act::apply;           // what the last step promises
  std::vector<std::string> heads;  // of steps that returned before the last one
  std::string last_head;
  bool finalize_began = false;
  bool merged = false;                     // others edited the settings file
  bool loosened = false;                   // others changed held files, which verify reports
  std::map<std::string, Inode> originals;  // everything below the target before
  std::set<std::string> planned;           // paths that the plan changes
  std::set<std::string> versions;          // of the settings file, as it may be served
  std::string merged_bytes;                // of the settings file after a rollback, where merged
};

/// The plant is for the last step.
[[nodiscard]] Recording record(const Script& script, const Plant& plant = {});

/// The verbs as a new process on `host` would run them.
class Tool {
 public:
  Tool(host::Host& host, const Recording& recording);
  [[nodiscard]] Result<run::RunReport> act(Act act);
  [[nodiscard]] Result<run::VerifyReport> verify(const std::string& witness = "");
  /// Empty: there is no such run.
  [[nodiscard]] Result<bool> has_run();

 private:
  [[nodiscard]] Result<run::RunReport> act_on(Act act, run::Store& store);
  host::Host& host_;
  const Recording& recording_;
  run::test::Quiet progress_;
  std::atomic<bool> stop_{false};
};

inline constexpr const char* target_folder = "/base/target";
inline constexpr const char* store_folder = "/base/store";
inline constexpr const char* settings_path = "etc-iis/applicationHost.config";

}  // namespace remediate::durability
