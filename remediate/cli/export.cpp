#include <CLI/CLI.hpp>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/cli/command.h"
#include "remediate/interchange/infected_zip.h"
#include "remediate/report/report.h"

namespace remediate::cli {
namespace {

struct Options {
  std::string run;
  std::string output;
  std::string as;
  std::string recovery_key;
};

Result<int> export_run(Global& global, const Options& options) {
  TRY_LET(const run::HostPolicy policy, run::load_policy(global.host, global.policy));
  TRY_LET(const auto store, run::Store::open(global.host, global.store));
  TRY_LET(const run::Run run, run::load_run(*store, options.run));
  TRY(run::require_evidence(*store, run));
  if (options.as == "ocsf") {
    TRY(write_file(global, options.output, report::ocsf_lines(run, REMEDIATE_VERSION)));
  } else if (options.output == "-") {
    return fail(Code::usage, "an infected zip is not written to the standard output",
                "name a file with -o");
  } else {
    std::optional<run::Recovery> recovery;
    if (!options.recovery_key.empty()) {
      TRY_LET(recovery, load_recovery(global, options.recovery_key, policy, *store));
    } else if (auto own = store->recovery_key()) {
      recovery = run::Recovery{store->recovery(), std::move(*own)};
    }
    TRY_LET(const std::uint64_t count,
            interchange::write_infected_zip(global.host, *store, run, options.output, recovery));
    message(global, std::to_string(count) + " file(s) in " + display(options.output) +
                        ", password: infected");
  }
  if (global.json() && options.output != "-")
    TRY(print(Json{{"run_id", run.name}, {"as", options.as}, {"file", display(options.output)}}));
  return 0;
}

}  // namespace

void add_export(CLI::App& app, Global& global, Action& chosen) {
  auto* command = app.add_subcommand("export", "a run in a form for others");
  const auto options = std::make_shared<Options>();
  command->add_option("RUN", options->run, "the run")->required();
  command->add_option("-o,--output", options->output, "the file to write")->required();
  command
      ->add_option("--as", options->as,
                   "ocsf: OCSF 1.3.0 events, one a line; infected-zip: the files for analysts")
      ->required()
      ->check(CLI::IsMember({"ocsf", "infected-zip"}));
  command->add_option("--recovery-key", options->recovery_key,
                      "the recovery key (PEM), for what was finalized");
  command->callback([&, options] {
    // The zip is streamed into its file, so that command is not confined; it reads only what
    // verified, and executes nothing of it.
    if (options->as == "ocsf") global.confined = {options->output};
    chosen = [&global, options] { return export_run(global, *options); };
  });
}

}  // namespace remediate::cli
