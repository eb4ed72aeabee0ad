#include <CLI/CLI.hpp>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/cli/command.h"

namespace remediate::cli {
namespace {

constexpr int partial = 3;

/// The one run that was interrupted; empty when there is none.
Result<std::string> interrupted_run(const run::Store& store) {
  TRY_LET(const std::vector<std::string> names, store.run_names());
  std::vector<std::string> interrupted;
  for (const std::string& name : names) {
    auto run = run::load_run(store, name);
    if (!run)
      return std::unexpected(std::move(run).error().wrapped("run " + name + " cannot be read"));
    if (!run->closed && !run->phase.empty()) interrupted.push_back(name);
  }
  if (interrupted.size() > 1) {
    Error error{Code::ambiguous, "several runs were interrupted", "name one of them"};
    error.causes = std::move(interrupted);
    return std::unexpected(std::move(error));
  }
  return interrupted.empty() ? std::string() : interrupted.front();
}

Result<int> resume(Global& global, std::string name) {
  TRY_LET(const run::HostPolicy policy, run::load_policy(global.host, global.policy));
  TRY_LET(const LockedStore locked, lock_store(global, false));
  if (name.empty()) {
    TRY_LET(name, interrupted_run(*locked.store));
    if (name.empty()) {
      const run::RunReport nothing{"",    "", "resume", "nothing_to_do",
                                   false, "", {},       {"no run was interrupted"}};
      return print_report(global, nothing, partial);
    }
  }
  TRY_LET(const run::Run run, run::load_run(*locked.store, name));
  TRY_LET(const auto root, open_run_root(global, run));
  const auto progress = make_progress(global);
  TRY_LET(const run::RunReport report,
          run::resume(global.host, *locked.store, *root, run.name,
                      apply_options(policy, *locked.store), {*progress, global.stop}));
  return print_report(global, report, report.phase == "rollback" ? 6 : partial);
}

}  // namespace

void add_resume(CLI::App& app, Global& global, Action& chosen) {
  auto* command =
      app.add_subcommand("resume", "continues what a crash, a reboot or Ctrl-C interrupted");
  const auto name = std::make_shared<std::string>();
  command->add_option("RUN", *name, "the run; not needed when only one was interrupted");
  command->callback([&, name] { chosen = [&global, name] { return resume(global, *name); }; });
}

}  // namespace remediate::cli
