#include <algorithm>
#include <iterator>

#include <CLI/CLI.hpp>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/cli/command.h"
#include "remediate/crypto/signature.h"
#include "remediate/run/survey.h"
#include "remediate/run/verify.h"

namespace remediate::cli {
namespace {

constexpr int partial = 3;

/// What apply demanded of a plan under this policy must still hold when it is continued.
Result<void> check_still_approved(const run::HostPolicy& policy, const run::Run& run) {
  if (run.phase != "apply") return {};
  if (const std::string why = plan::against_policy(run.plan.plan, policy.path, policy.sha256);
      !why.empty())
    return fail(Code::approval,
                "run " + run.name + " may not be continued under another policy: " + why,
                "name its policy with --policy; where that is no longer the policy, `remediate "
                "rollback " +
                    run.name + "` takes back what was done");
  auto against =
      plan::against_playbooks(run.plan.plan, policy.policy, policy.playbook_signers, run.started);
  std::ranges::move(plan::against_limits(run.plan.plan, policy.policy),
                    std::back_inserter(against));
  if (!against.empty()) {
    Error error{Code::approval,
                "run " + run.name + " may not be continued: the policy does not accept its plan",
                "`remediate rollback " + run.name + "` takes back what was done"};
    error.causes = std::move(against);
    return std::unexpected(std::move(error));
  }
  const std::uint64_t needed = plan::approvals_needed(run.plan.plan, policy.policy);
  if (needed == 0) return {};
  auto verified = crypto::verify_detached(run.plan_signature, run.plan.bytes, policy.approvers);
  std::vector<std::string> causes;
  std::uint64_t valid = 0;
  if (!verified) causes.push_back(verified.error().text());
  if (verified)
    for (const crypto::Signer& signer : verified->signers) {
      if (signer.certificate.valid_at(run.started))
        ++valid;
      else
        causes.push_back("the certificate of " + signer.certificate.subject() +
                         " was not valid when the run began");
    }
  if (valid >= needed) return {};
  Error error{Code::approval,
              "run " + run.name +
                  " may not be continued: its plan lacks the approvals that the policy asks for",
              "`remediate rollback " + run.name + "` takes back what was done"};
  error.causes = std::move(causes);
  return std::unexpected(std::move(error));
}

/// The one run that was interrupted; empty when there is none.
Result<std::string> interrupted_run(const run::Store& store) {
  TRY_LET(const std::vector<std::string> names, store.run_names());
  std::vector<std::string> interrupted;
  for (const std::string& name : names) {
    auto run = run::load_run(store, name);
    if (!run)
      return std::unexpected(std::move(run).error().wrapped("run " + name + " cannot be read"));
    if (run->phase.empty()) continue;
    // A crash in the last write leaves a closed run without its last signature.
    const bool unsigned_end =
        !run::require_evidence(store, *run) && run::require_resumable(store, *run);
    if (!run->closed || run::undo_pending(*run) || unsigned_end) interrupted.push_back(name);
  }
  if (interrupted.size() > 1) {
    Error error{Code::ambiguous, "several runs were interrupted", "name one of them"};
    error.causes = std::move(interrupted);
    return std::unexpected(std::move(error));
  }
  return interrupted.empty() ? std::string() : interrupted.front();
}

Result<int> resume(Global& global, std::string name, const std::string& connection) {
  TRY_LET(const run::HostPolicy policy, run::load_policy(global.host, global.policy));
  TRY_LET(const LockedStore locked, lock_store(global, false));
  TRY_LET(const std::vector<std::string> unstarted, run::discard_unstarted(*locked.store));
  for (const std::string& one : unstarted)
    message(global, display(one) +
                        " was interrupted before it began: nothing was done, and what "
                        "was left of it is removed");
  if (name.empty()) {
    TRY_LET(name, interrupted_run(*locked.store));
    if (name.empty()) {
      const run::RunReport nothing{"",    "", "resume", "nothing_to_do",
                                   false, "", {},       {"no run was interrupted"}};
      return print_report(global, nothing, partial);
    }
  }
  TRY_LET(const run::Run run, run::load_run(*locked.store, name));
  TRY(check_still_approved(policy, run));
  TRY_LET(const auto root, open_run_root(global, run));
  if (run.phase == "apply") TRY(run::check_root_allowed(policy, *root));
  TRY_LET(const auto probe, make_probe(policy));
  TRY_LET(const auto directory, open_directory(global, connection));
  const auto progress = make_progress(global);
  run::ApplyOptions options = apply_options(policy, *locked.store, probe.get());
  options.directory = directory.get();
  if (run.phase == "apply") {
    const auto in_use = global.host.files_in_use();
    observe::Claims claims = run::claims_of_targets(global.host, *root, run.plan.plan, global.store,
                                                    run::own_files(policy), in_use);
    tell_notices(global, claims, in_use);
    options.refused = run::refused_targets(
        policy, run.plan.plan, run::store_below(root->location(), global.store), std::move(claims));
  }
  TRY_LET(const run::RunReport report, run::resume(global.host, *locked.store, *root, run.name,
                                                   options, {*progress, global.stop}));
  const bool incomplete_rollback = report.phase == "rollback" && !report.only_unsealed;
  return print_report(global, report, incomplete_rollback ? 6 : partial);
}

}  // namespace

void add_resume(CLI::App& app, Global& global, Action& chosen) {
  auto* command =
      app.add_subcommand("resume", "continues what a crash, a reboot or Ctrl-C interrupted");
  const auto name = std::make_shared<std::string>();
  command->add_option("RUN", *name, "the run; not needed when only one was interrupted");
  const auto directory = std::make_shared<std::string>();
  add_directory_option(*command, *directory);
  command->callback([&, name, directory] {
    chosen = [&global, name, directory] { return resume(global, *name, *directory); };
  });
}

}  // namespace remediate::cli
