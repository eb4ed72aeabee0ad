#pragma once

#include <optional>
#include <string>
#include <vector>

#include "remediate/host/host.h"
#include "remediate/plan/plan_file.h"
#include "remediate/plan/planner.h"
#include "remediate/run/host_policy.h"

namespace remediate::run {

struct SurveyOptions {
  std::string root = "/";
  std::string store;  // where the store is or would be: kept out of every plan
  std::string tool;
  unsigned threads = 2;
  /// Of all configuration files that a plan looks at; what comes on top is an issue.
  std::uint64_t max_settings_bytes = 256u << 20;
  /// What the directory showed, read before; nothing when there is no connection.
  std::optional<std::vector<setting::DirectoryObject>> directory{};
};

/// Reads and validates playbooks; bad_input with every diagnostic as a cause.
[[nodiscard]] Result<std::vector<playbook::Playbook>> load_playbooks(
    const std::vector<std::string>& files);

/// Looks at the host below the root and plans. Changes nothing there: files are opened for reading
/// only, and where the host allows without changing their access times.
[[nodiscard]] Result<plan::PlanFile> make_plan(host::Host& host,
                                               const std::vector<playbook::Playbook>& playbooks,
                                               const HostPolicy& policy,
                                               const SurveyOptions& options);

/// Where the store lies (or would lie) when that is below the root.
[[nodiscard]] std::optional<RawPath> store_below(const std::string& root, const std::string& store);
/// refused when the policy names allowed roots and this is none of them.
[[nodiscard]] Result<void> check_root_allowed(const HostPolicy& policy,
                                              const host::Directory& root);

/// Which host and root this is, as plans record it.
[[nodiscard]] plan::HostFacts host_facts(host::Host& host, const std::string& root_path,
                                         const FileStat& root);

}  // namespace remediate::run
