#include <CLI/CLI.hpp>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/cli/command.h"
#include "remediate/interchange/cacao.h"
#include "remediate/interchange/infected_zip.h"
#include "remediate/interchange/misp_sightings.h"
#include "remediate/playbook/parse.h"
#include "remediate/report/report.h"

namespace remediate::cli {
namespace {

constexpr std::uint64_t max_playbook_bytes = 16u << 20;

struct Options {
  std::string what;  // a run, or the file of a playbook
  std::string output;
  std::string as;
  std::string recovery_key;
};

Result<int> export_playbook(Global& global, const Options& options) {
  auto read = read_file(global, options.what, max_playbook_bytes);
  if (!read && read.error().code == Code::not_found && options.what.starts_with("run-"))
    return fail(Code::usage,
                display(options.what) + " is no file: cacao is a form of playbooks, not of runs",
                "name the playbook's file, or export the run --as ocsf, infected-zip or "
                "misp-sightings");
  if (!read) return std::unexpected(std::move(read).error());
  const std::string& bytes = *read;
  auto parsed = playbook::parse_playbook(bytes, options.what);
  if (!parsed) {
    Error error{Code::bad_input, display(options.what) + " is no valid playbook",
                "correct it: `remediate check` lists every error"};
    for (const playbook::Diagnostic& diagnostic : parsed.error())
      error.causes.push_back(diagnostic.text());
    return std::unexpected(std::move(error));
  }
  TRY_LET(const std::string document, interchange::cacao_playbook(parsed->playbook, bytes));
  TRY(write_file(global, options.output, document));
  if (global.json() && options.output != "-")
    TRY(print(Json{{"playbook_id", parsed->playbook.id},
                   {"as", options.as},
                   {"file", display(options.output)}}));
  return 0;
}

Result<int> export_run(Global& global, const Options& options) {
  TRY_LET(const run::HostPolicy policy, run::load_policy(global.host, global.policy));
  TRY_LET(const auto store, run::Store::open(global.host, global.store));
  TRY_LET(const run::Run run, run::load_run(*store, options.what));
  TRY(run::require_evidence(*store, run));
  if (options.as == "ocsf") {
    TRY(write_file(global, options.output, report::ocsf_lines(run, REMEDIATE_VERSION)));
  } else if (options.as == "misp-sightings") {
    TRY_LET(const std::string lines, interchange::misp_sightings(run));
    TRY(write_file(global, options.output, lines));
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
  auto* command = app.add_subcommand("export", "a run or a playbook in a form for others");
  const auto options = std::make_shared<Options>();
  command->add_option("RUN", options->what, "the run; for cacao, the playbook's file")->required();
  command->add_option("-o,--output", options->output, "the file to write")->required();
  command
      ->add_option("--as", options->as,
                   "ocsf: OCSF 1.3.0 events, one a line; infected-zip: the files for analysts; "
                   "misp-sightings: files that a rollback gave back, as false positives; cacao: "
                   "a playbook as CACAO 2.0")
      ->required()
      ->check(CLI::IsMember({"ocsf", "infected-zip", "misp-sightings", "cacao"}));
  command->add_option("--recovery-key", options->recovery_key,
                      "the recovery key (PEM), for what was finalized");
  command->callback([&, options] {
    // The zip is streamed into its file, so that command is not confined; it reads only what
    // verified, and executes nothing of it.
    if (options->as != "infected-zip") global.confined = {options->output};
    chosen = [&global, options] {
      return options->as == "cacao" ? export_playbook(global, *options)
                                    : export_run(global, *options);
    };
  });
}

}  // namespace remediate::cli
