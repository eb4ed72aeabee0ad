#include <CLI/CLI.hpp>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/cli/command.h"

namespace remediate::cli {
namespace {

constexpr int rollback_incomplete = 6;

struct Options {
  std::string run;
  std::vector<std::string> only;
  std::string outbox;
  std::string recovery_key;
  bool dry_run = false;
  bool with_privileges = false;
  std::string directory;
};

Result<int> rollback(Global& global, const Options& options) {
  TRY_LET(const run::HostPolicy policy, run::load_policy(global.host, global.policy));
  TRY_LET(const LockedStore locked, lock_store(global, false));
  TRY_LET(const run::Run run, run::load_run(*locked.store, options.run));
  TRY_LET(const auto root, open_run_root(global, run));
  run::RollbackOptions rollback_options;
  TRY_LET(const auto directory, open_directory(global, options.directory));
  rollback_options.only = options.only;
  rollback_options.directory = directory.get();
  rollback_options.dry_run = options.dry_run;
  rollback_options.outbox = options.outbox;
  rollback_options.privileges =
      options.with_privileges ? host::Privileges::keep : host::Privileges::strip;
  rollback_options.tool = tool_name();
  if (!options.recovery_key.empty()) {
    TRY_LET(rollback_options.recovery,
            load_recovery(global, options.recovery_key, policy, *locked.store));
  } else if (auto own = locked.store->recovery_key()) {
    rollback_options.recovery = run::Recovery{locked.store->recovery(), std::move(*own)};
  }
  const auto progress = make_progress(global);
  TRY_LET(const run::RunReport report, run::rollback(global.host, *locked.store, *root, run.name,
                                                     rollback_options, {*progress, global.stop}));
  TRY_LET(const int code, print_report(global, report, rollback_incomplete));
  return report.lacks_key ? rollback_incomplete : code;
}

}  // namespace

void add_rollback(CLI::App& app, Global& global, Action& chosen) {
  auto* command = app.add_subcommand(
      "rollback", "undoes a run, an indicator or one operation; never overwrites");
  const auto options = std::make_shared<Options>();
  command->add_option("RUN", options->run, "the run (`remediate list`)")->required();
  command->add_option("--only", options->only,
                      "an operation id or an indicator id (may be repeated)");
  command->add_flag("--dry-run", options->dry_run, "say what would be put back");
  command->add_option("--outbox", options->outbox,
                      "a folder for copies of what cannot go back to its place");
  command->add_option("--recovery-key", options->recovery_key,
                      "the recovery key (PEM), for what was finalized");
  command->add_flag("--with-privileges", options->with_privileges,
                    "put back setuid, setgid and capability files too");
  add_directory_option(*command, options->directory);
  command->callback(
      [&, options] { chosen = [&global, options] { return rollback(global, *options); }; });
}

}  // namespace remediate::cli
