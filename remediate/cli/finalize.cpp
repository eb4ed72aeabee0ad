#include <CLI/CLI.hpp>

#include "remediate/base/try.h"
#include "remediate/cli/command.h"

namespace remediate::cli {
namespace {

constexpr int partial = 3;

Result<int> finalize(Global& global, const std::string& name) {
  TRY_LET(const run::HostPolicy policy, run::load_policy(global.host, global.policy));
  TRY_LET(const LockedStore locked, lock_store(global, false));
  TRY_LET(const run::Run run, run::load_run(*locked.store, name));
  TRY_LET(const auto root, open_run_root(global, run));
  const auto progress = make_progress(global);
  TRY_LET(const run::RunReport report,
          run::finalize(global.host, *locked.store, *root, run.name,
                        apply_options(policy, *locked.store), {*progress, global.stop}));
  return print_report(global, report, partial);
}

}  // namespace

void add_finalize(CLI::App& app, Global& global, Action& chosen) {
  auto* command =
      app.add_subcommand("finalize", "ends the undo window: held originals go, sealed copies stay");
  const auto name = std::make_shared<std::string>();
  command->add_option("RUN", *name, "the run, by name")->required();
  command->callback([&, name] { chosen = [&global, name] { return finalize(global, *name); }; });
}

}  // namespace remediate::cli
