#include <CLI/CLI.hpp>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/cli/command.h"

namespace remediate::cli {
namespace {

constexpr std::uint64_t max_pem_bytes = 64u << 10;

struct Options {
  std::string signer_certificate;
  std::string signer_key;
  std::string recovery_certificate;
};

Result<int> init(Global& global, const Options& options) {
  run::StoreKeys keys;
  const auto read = [&](const std::string& path, std::string& into) -> Result<void> {
    if (path.empty()) return {};
    TRY_LET(into, read_file(global, path, max_pem_bytes));
    return {};
  };
  TRY(read(options.signer_certificate, keys.signer_certificate));
  TRY(read(options.signer_key, keys.signer_key));
  TRY(read(options.recovery_certificate, keys.recovery_certificate));
  TRY_LET(const auto store, run::Store::create(global.host, global.store, keys));
  const bool own_recovery = options.recovery_certificate.empty();
  if (global.json()) {
    Json made{{"store", display(global.store)},
              {"store_id", store->id()},
              {"signer", store->signer().fingerprint()},
              {"recovery", store->recovery().fingerprint()},
              {"recovery_key_here", own_recovery}};
    if (!store->aside().empty()) made["unfinished_keys"] = store->aside();
    TRY(print(made));
  } else {
    TRY(print(
        "store " + display(global.store) + "\n  signer   " + store->signer().subject() +
        " (sha256 " + store->signer().fingerprint() + ")\n  recovery " +
        store->recovery().subject() + " (sha256 " + store->recovery().fingerprint() + ")\n" +
        (own_recovery ? "  keys/recovery.key opens every sealed object: move it off this host\n"
                      : "") +
        (store->aside().empty()
             ? ""
             : "  " + store->aside() +
                   "/ has keys of an init that was cut short: nothing was sealed to them\n")));
  }
  return 0;
}

}  // namespace

void add_init(CLI::App& app, Global& global, Action& chosen) {
  auto* command = app.add_subcommand("init", "a store with keys of one's own");
  const auto options = std::make_shared<Options>();
  command->add_option("--signer-cert", options->signer_certificate,
                      "certificate that signs manifests (PEM)");
  command->add_option("--signer-key", options->signer_key, "its private key (PEM)");
  command->add_option("--recovery-cert", options->recovery_certificate,
                      "certificate to which objects are sealed (PEM); keep its key elsewhere");
  command->callback(
      [&, options] { chosen = [&global, options] { return init(global, *options); }; });
}

}  // namespace remediate::cli
