#include <CLI/CLI.hpp>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/cli/command.h"
#include "remediate/report/report.h"

namespace remediate::cli {
namespace {

struct Options {
  std::string run;
  std::string witness;
  bool witnessed = false;  // an empty one is none that was noted
  std::string recovery_key;
};

bool is_witness(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view length = text.substr(0, colon), digest = text.substr(colon + 1);
  const auto only = [](std::string_view part, std::string_view allowed) {
    return part.find_first_not_of(allowed) == std::string_view::npos;
  };
  return only(length, "0123456789") && (length == "0" || length.front() != '0') &&
         digest.size() == 64 && only(digest, "0123456789abcdef");
}

Result<int> verify(Global& global, const Options& options) {
  if (options.witnessed && !is_witness(options.witness))
    return fail(Code::usage, "--witness " + display(options.witness) + " is no head of a journal",
                "LENGTH:SHA256 is expected, as a run's end told it: a number and 64 lower-case "
                "hexadecimal digits");
  TRY_LET(const run::HostPolicy policy, run::load_policy(global.host, global.policy));
  TRY_LET(const auto store, run::Store::open(global.host, global.store));
  run::VerifyOptions verify_options{options.witness, policy.approvers, &policy.policy,
                                    std::nullopt};
  if (!options.recovery_key.empty()) {
    TRY_LET(verify_options.recovery, load_recovery(global, options.recovery_key, policy, *store));
  }
  TRY_LET(const run::VerifyReport report,
          run::verify(global.host, *store, options.run, verify_options));
  if (global.json())
    TRY(print(report::verify_json(report)));
  else
    TRY(print(with_places(global, report::verify_text(report, global.colour()))));
  return report.ok() ? 0 : exit_code(Code::signature);
}

}  // namespace

void add_verify(CLI::App& app, Global& global, Action& chosen) {
  auto* command = app.add_subcommand(
      "verify", "checks signatures, chain, objects and holds of one run or of all");
  const auto options = std::make_shared<Options>();
  command->add_option("RUN", options->run, "the run; all of them when none is named");
  const auto* witness =
      command->add_option("--witness", options->witness,
                          "a head (LENGTH:SHA256) that was noted elsewhere when a run ended");
  command->add_option("--recovery-key", options->recovery_key,
                      "also open every sealed object with this key (PEM)");
  command->callback([&, options, witness] {
    options->witnessed = witness->count() != 0;
    global.confined.emplace();
    chosen = [&global, options] { return verify(global, *options); };
  });
}

}  // namespace remediate::cli
