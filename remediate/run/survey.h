#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "remediate/host/host.h"
#include "remediate/match/yara_apart.h"
#include "remediate/observe/find_claims.h"
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
  std::vector<observe::OwnFile> own;  // what else is the tool's: playbooks, the plan to be written
  std::vector<std::string> known_good{};  // folders with files to put back
  /// As ClaimQuestion::in_use.
  const Result<host::FilesInUse>* in_use = nullptr;
  /// What is known to be good; must outlive the options.
  std::span<const plan::KnownGood> baselines{};
  /// What the directory showed, read before; nothing when there is no connection.
  std::optional<std::vector<setting::DirectoryObject>> directory{};
  /// Where YARA rules are asked; null for in this process.
  match::Apart* yara = nullptr;
};

/// Reads and validates playbooks; bad_input with every diagnostic as a cause. Where the policy
/// names playbook signers, signature unless one of them signed the very bytes that are parsed
/// (in FILE.p7s); `now` is when their certificates must be valid.
[[nodiscard]] Result<std::vector<playbook::Playbook>> load_playbooks(
    const std::vector<std::string>& files, const HostPolicy& policy, Timestamp now);

/// Looks at the host below the root and plans. Changes nothing there: files are opened for reading
/// only, and where the host allows without changing their access times.
[[nodiscard]] Result<plan::PlanFile> make_plan(host::Host& host,
                                               const std::vector<playbook::Playbook>& playbooks,
                                               const HostPolicy& policy,
                                               const SurveyOptions& options);

/// Where the store lies (or would lie) when that is below the root.
[[nodiscard]] std::optional<RawPath> store_below(const std::string& root, const std::string& store);
/// The policy and the certificates that it names, as files of the tool.
[[nodiscard]] std::vector<observe::OwnFile> own_files(const HostPolicy& policy);
/// What others have of a plan's targets, now.
[[nodiscard]] observe::Claims claims_of_targets(host::Host& host, const host::Directory& root,
                                                const plan::Plan& plan, const std::string& store,
                                                std::span<const observe::OwnFile> own,
                                                const Result<host::FilesInUse>& in_use);
/// How many processes could not be looked into, and which are the first; empty when all could. It
/// is no part of a plan, where it would differ each time.
[[nodiscard]] std::string unread_processes(const Result<host::FilesInUse>& in_use);
/// The targets that a guard keeps out by these claims, with the reason.
[[nodiscard]] std::map<RawPath, std::string> refused_targets(const HostPolicy& policy,
                                                             const plan::Plan& plan,
                                                             std::optional<RawPath> store,
                                                             observe::Claims claims);
/// refused when the policy names allowed roots and this is none of them.
[[nodiscard]] Result<void> check_root_allowed(const HostPolicy& policy,
                                              const host::Directory& root);

/// Which host and root this is, as plans record it.
[[nodiscard]] plan::HostFacts host_facts(host::Host& host, const std::string& root_path,
                                         const FileStat& root);

}  // namespace remediate::run
