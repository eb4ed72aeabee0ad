#include <iostream>

#include <CLI/CLI.hpp>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/cli/command.h"
#include "remediate/host/process.h"
#include "remediate/report/report.h"
#include "remediate/run/survey.h"

namespace remediate::cli {
namespace {

constexpr int partial = 3;
constexpr std::uint64_t max_plan_bytes = 256u << 20;
constexpr std::uint64_t max_signature_bytes = 1u << 20;

/// The id that the operator retypes: given, or asked for on a terminal.
std::string confirmation(const Global& global, const std::string& given, const plan::Plan& plan,
                         const std::string& path) {
  if (!given.empty() || global.no_input || !host::is_terminal(host::Stream::input)) return given;
  std::cerr << report::plan_text(plan, host::is_terminal(host::Stream::error),
                                 {.file = display(shell_word(path))})
            << "\nType the plan id to apply this plan: " << std::flush;
  std::string typed;
  std::getline(std::cin, typed);
  return typed;
}

Result<int> apply(Global& global, const std::string& path, const std::string& confirm,
                  const std::string& connection) {
  TRY_LET(const run::HostPolicy policy, run::load_policy(global.host, global.policy));
  TRY_LET(std::string bytes, read_file(global, path, max_plan_bytes));
  TRY_LET(plan::PlanFile file, plan::read_plan(std::move(bytes), path));
  std::string signature;
  if (auto read = read_file(global, path + ".p7s", max_signature_bytes))
    signature = std::move(*read);
  else if (read.error().code != Code::not_found)
    return std::unexpected(std::move(read).error());

  TRY_LET(const auto root, global.host.open_root(file.plan.host.root));
  TRY(run::check_root_allowed(policy, *root));
  TRY_LET(const FileStat stat, root->stat());
  const bool by_signature = policy.policy.threshold > 0;
  const std::string confirmed =
      by_signature ? confirm : confirmation(global, confirm, file.plan, path);
  std::vector<observe::OwnFile> own = run::own_files(policy);
  for (const char* end : {"", ".p7s"})
    own.push_back({path + end, "the plan file or its approvals"});
  const auto in_use = global.host.files_in_use();
  observe::Claims claims =
      run::claims_of_targets(global.host, *root, file.plan, global.store, own, in_use);
  tell_notices(global, claims, in_use);
  plan::ApprovalRequest request{std::move(file),
                                std::move(signature),
                                policy.policy,
                                policy.sha256,
                                policy.approvers,
                                run::host_facts(global.host, root->location(), stat),
                                run::store_below(root->location(), global.store),
                                confirmed,
                                global.host.now(),
                                std::move(claims),
                                policy.playbook_signers,
                                policy.path};
  TRY_LET(const plan::ApprovedPlan approved, plan::check_approval(std::move(request)));
  if (!confirm.empty() && confirm != approved.plan().plan_id)
    return fail(Code::approval, "--confirm " + display(confirm) + " is not this plan's id",
                "read the plan with `remediate show`");
  if (!approved.plan().has_changes()) {
    run::RunReport nothing{"", approved.plan().plan_id,     "apply", "nothing_to_do", false, "",
                           {}, {"the plan changes nothing"}};
    for (const plan::Operation& operation : approved.plan().operations)
      nothing.operations.push_back({operation.id, std::string(plan::action_name(operation.action)),
                                    operation.address, "to_do", operation.instruction});
    return print_report(global, nothing, partial);
  }
  TRY_LET(const auto probe, make_probe(policy));
  TRY_LET(const auto directory, open_directory(global, connection));
  TRY_LET(const LockedStore locked, lock_store(global, true));
  run::ApplyOptions options = apply_options(policy, *locked.store, probe.get());
  options.directory = directory.get();
  const auto progress = make_progress(global);
  TRY_LET(const run::RunReport report, run::apply(global.host, *locked.store, *root, approved,
                                                  options, {*progress, global.stop}));
  return print_report(global, report, partial);
}

}  // namespace

void add_apply(CLI::App& app, Global& global, Action& chosen) {
  auto* command = app.add_subcommand("apply", "does exactly an approved plan");
  const auto path = std::make_shared<std::string>();
  const auto confirm = std::make_shared<std::string>();
  const auto directory = std::make_shared<std::string>();
  command->add_option("PLAN", *path, "the plan file; its signatures are in PLAN.p7s")->required();
  command->add_option("--confirm", *confirm, "the plan's id, retyped");
  add_directory_option(*command, *directory);
  command->callback([&, path, confirm, directory] {
    chosen = [&global, path, confirm, directory] {
      return apply(global, *path, *confirm, *directory);
    };
  });
}

}  // namespace remediate::cli
