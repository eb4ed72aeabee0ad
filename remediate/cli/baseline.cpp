#include "remediate/run/baseline.h"

#include <CLI/CLI.hpp>

#include "remediate/base/clock.h"
#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/cli/command.h"
#include "remediate/crypto/digest.h"
#include "remediate/crypto/signature.h"
#include "remediate/report/words.h"

namespace remediate::cli {
namespace {

constexpr std::uint64_t max_pem_bytes = 64u << 10;
constexpr int partial = 3;

struct CreateOptions {
  run::BaselineRequest request;
  std::vector<std::string> include;
  std::string output;
  std::string certificate;
  std::string key;
};

Result<std::string> sign(Global& global, const CreateOptions& options, const std::string& bytes) {
  TRY_LET(const SignerPair signer, read_signer(global, options.certificate, options.key));
  return crypto::sign_detached(bytes, signer.certificate, signer.key);
}

Result<int> create(Global& global, CreateOptions options) {
  const bool to_file = options.output != "-";
  const bool wants_signature = !options.certificate.empty();
  if (wants_signature && !to_file)
    return fail(Code::usage, "a signature lies beside its file, and -o - names none",
                "name a file with -o");
  options.request.tool = tool_name();
  if (!options.include.empty()) options.request.include = options.include;
  TRY_LET(const run::MadeBaseline made, run::make_baseline(global.host, options.request));
  if (wants_signature) {
    TRY_LET(const std::string signature, sign(global, options, made.bytes));
    TRY(write_file(global, options.output + ".p7s", signature));
  }
  TRY(write_file(global, options.output, made.bytes));
  for (const plan::IssueReport& issue : made.issues)
    message(global, "not in the baseline: " + report::issue_text(issue));
  if (to_file) {
    const std::string digest = crypto::sha256_hex(made.bytes);
    if (global.json())
      TRY(print(Json{{"baseline", display(options.output)},
                     {"sha256", digest},
                     {"files", made.baseline.files.size()},
                     {"signed", wants_signature},
                     {"issues", made.issues.size()}}));
    else
      TRY(print("baseline " + display(options.output) + ": " +
                report::count(made.baseline.files.size(), "file") + ", sha256 " + digest + "\n"));
    if (!wants_signature)
      message(global, "notice: it is not signed; `remediate plan --baseline` takes it once " +
                          display(options.output) + ".p7s lies beside it (docs/baselines.md)");
  }
  return made.issues.empty() ? 0 : partial;
}

struct CheckOptions {
  std::vector<std::string> files;
  std::vector<std::string> signers;
};

Result<int> check(Global& global, const CheckOptions& options) {
  TRY_LET(const run::HostPolicy policy, run::load_policy(global.host, global.policy));
  TRY_LET(const auto signers, load_certificates(global, options.signers));
  const bool verified = !signers.empty() || !policy.baseline_signers.empty();
  Json list = Json::array();
  std::string text;
  for (const std::string& file : options.files) {
    run::BaselineFiles named;
    (verified ? named.verified : named.unsigned_ones).push_back(file);
    TRY_LET(const std::vector<plan::KnownGood> known,
            run::load_baselines(named, signers, policy, global.host.now()));
    const plan::KnownGood& good = known.front();
    const plan::Baseline& baseline = good.baseline();
    list.push_back(Json{{"file", display(file)},
                        {"ok", true},
                        {"name", display(baseline.name)},
                        {"product", display(baseline.product)},
                        {"builds", baseline.builds.size()},
                        {"files", baseline.files.size()},
                        {"created", format_utc(baseline.created)},
                        {"sha256", good.sha256()},
                        {"signer", good.signer()}});
    text +=
        display(file) + ": " + good.title() + ", " + report::count(baseline.files.size(), "file") +
        ", made " + format_utc(baseline.created) +
        (good.signer().empty() ? "; no signature was verified" : ", signed by " + good.signer()) +
        "\n";
  }
  if (global.json())
    TRY(print(Json{{"ok", true}, {"baselines", std::move(list)}}));
  else
    TRY(print(text));
  return 0;
}

void add_create(CLI::App& parent, Global& global, Action& chosen) {
  auto* command = parent.add_subcommand("create", "lists the files of a clean server or tree");
  const auto options = std::make_shared<CreateOptions>();
  run::BaselineRequest& request = options->request;
  command
      ->add_option("FOLDER", request.folders,
                   "folders, spelled as on the machine: /var/www, C:\\inetpub\\wwwroot")
      ->required();
  command->add_option("--root", request.root, "the top of the clean disk or tree")
      ->capture_default_str();
  command->add_option("--recorded-as", request.recorded_as,
                      "where the one folder lies on the machines to be compared");
  command->add_option("--include", options->include, "globs of files (default **/*)");
  command->add_option("--exclude", request.exclude, "globs of files that are left out");
  command->add_option("--name", request.name, "what the baseline is called")->required();
  command->add_option("--product", request.product, "what product these files are");
  command->add_option("--build", request.builds, "its version (may be repeated)");
  command->add_option("--source", request.sources, "where they come from, in words");
  command->add_option("-o,--output", options->output, "write it here (- for stdout)")->required();
  auto* certificate =
      command->add_option("--cert", options->certificate, "sign it with this certificate (PEM)");
  auto* key = command->add_option("--key", options->key, "the certificate's private key (PEM)");
  certificate->needs(key);
  key->needs(certificate);
  command->add_option("--threads", request.threads, "readers at work")
      ->check(CLI::Range(1, 8))
      ->capture_default_str();
  command->callback([&, options] {
    global.confined = {options->output + ".p7s", options->output};
    chosen = [&global, options] { return create(global, *options); };
  });
}

void add_check_of_baselines(CLI::App& parent, Global& global, Action& chosen) {
  auto* command = parent.add_subcommand("check", "validates baselines and their signatures");
  const auto options = std::make_shared<CheckOptions>();
  command->add_option("FILE", options->files, "baseline files")->required();
  command->add_option("--baseline-signer", options->signers,
                      "certificate of who may have signed them (PEM)");
  command->callback([&, options] {
    global.confined.emplace();
    chosen = [&global, options] { return check(global, *options); };
  });
}

}  // namespace

Result<std::vector<crypto::Certificate>> load_certificates(Global& global,
                                                           const std::vector<std::string>& files) {
  std::vector<crypto::Certificate> certificates;
  for (const std::string& file : files) {
    TRY_LET(const std::string pem, read_file(global, file, max_pem_bytes));
    TRY_LET(crypto::Certificate certificate, crypto::Certificate::from_pem(pem, file));
    certificates.push_back(std::move(certificate));
  }
  return certificates;
}

void add_baseline(CLI::App& app, Global& global, Action& chosen) {
  auto* command = app.add_subcommand("baseline", "known good files: makes and checks lists");
  command->require_subcommand(1);
  command->fallthrough();
  add_create(*command, global, chosen);
  add_check_of_baselines(*command, global, chosen);
}

}  // namespace remediate::cli
