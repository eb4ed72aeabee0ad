#include <CLI/CLI.hpp>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/cli/command.h"
#include "remediate/match/engine.h"
#include "remediate/playbook/parse.h"
#include "remediate/playbook/trust.h"
#include "remediate/run/yara_workers.h"

namespace remediate::cli {
namespace {

constexpr std::uint64_t max_playbook_bytes = 16u << 20;

constexpr std::uint64_t max_signature_bytes = 1u << 20;

/// What the host's policy has against a playbook that is otherwise good.
Result<std::vector<playbook::Diagnostic>> against(Global& global, const run::HostPolicy& policy,
                                                  const std::string& bytes, const std::string& file,
                                                  const playbook::Playbook* playbook) {
  std::vector<playbook::Diagnostic> diagnostics;
  if (!policy.playbook_signers.empty()) {
    std::string signature;
    if (file != "-") {
      auto read =
          read_file(global, file + std::string(playbook::signature_suffix), max_signature_bytes);
      if (read)
        signature = std::move(*read);
      else if (read.error().code != Code::not_found)
        return std::unexpected(std::move(read).error());
    }
    auto signer = playbook::check_signature(bytes, file, signature, policy.playbook_signers,
                                            global.host.now());
    if (!signer)
      diagnostics.push_back({"PB901", display(file), "", signer.error().text(),
                             "a detached signature of one of the policy's playbook_signers"});
  }
  if (playbook == nullptr) return diagnostics;
  const auto minimum = policy.policy.minimum_revisions.find(playbook->id);
  if (minimum != policy.policy.minimum_revisions.end() && playbook->revision < minimum->second)
    diagnostics.push_back({"PB902", display(file), "/revision",
                           "the policy refuses revision " + std::to_string(playbook->revision),
                           "revision " + std::to_string(minimum->second) + " or later"});
  return diagnostics;
}

Result<std::vector<playbook::Diagnostic>> diagnose(Global& global, const run::HostPolicy& policy,
                                                   const std::string& bytes,
                                                   const std::string& file, match::Apart* yara) {
  auto parsed = playbook::parse_playbook(bytes, file);
  TRY_LET(std::vector<playbook::Diagnostic> diagnostics,
          against(global, policy, bytes, file, parsed ? &parsed->playbook : nullptr));
  const std::vector<playbook::Diagnostic>& found = parsed ? parsed->warnings : parsed.error();
  diagnostics.insert(diagnostics.end(), found.begin(), found.end());
  if (!parsed) return diagnostics;
  const std::vector<playbook::Playbook> playbooks{std::move(parsed->playbook)};
  if (auto engine = match::Engine::compile(playbooks, {.apart = yara}); !engine)
    diagnostics.push_back({"PB900", display(file), "/indicators", engine.error().text(),
                           "patterns and rules that this build can compile"});
  return diagnostics;
}

Result<int> check(Global& global, const std::vector<std::string>& files, match::Apart* yara) {
  TRY_LET(const run::HostPolicy policy, run::load_policy(global.host, global.policy));
  bool good = true;
  Json list = Json::array();
  std::string text;
  for (const std::string& file : files) {
    TRY_LET(const std::string bytes, read_file(global, file, max_playbook_bytes));
    bool file_good = true;
    Json found = Json::array();
    TRY_LET(const std::vector<playbook::Diagnostic> diagnostics,
            diagnose(global, policy, bytes, file, yara));
    for (const playbook::Diagnostic& diagnostic : diagnostics) {
      file_good = file_good && !diagnostic.is_error();
      found.push_back(Json{{"code", diagnostic.code},
                           {"severity", diagnostic.is_error() ? "error" : "warning"},
                           {"pointer", diagnostic.pointer},
                           {"message", diagnostic.message},
                           {"expected", diagnostic.expected}});
      text += diagnostic.text() + "\n";
    }
    if (file_good) text += display(file) + ": good\n";
    good = good && file_good;
    list.push_back(
        Json{{"file", display(file)}, {"ok", file_good}, {"diagnostics", std::move(found)}});
  }
  if (global.json())
    TRY(print(Json{{"ok", good}, {"files", std::move(list)}}));
  else
    TRY(print(text));
  return good ? 0 : exit_code(Code::bad_input);
}

}  // namespace

void add_check(CLI::App& app, Global& global, Action& chosen) {
  auto* command = app.add_subcommand("check", "validates playbooks");
  const auto files = std::make_shared<std::vector<std::string>>();
  command->add_option("PLAYBOOK", *files, "playbook files")->required();
  command->callback([&, files] {
    const auto yara = std::make_shared<std::unique_ptr<match::Apart>>();
    global.prepare = [&global, yara]() -> Result<void> {
      if (global.sandbox) *yara = run::start_yara_workers({.workers = 1});
      return {};
    };
    global.confined.emplace();
    chosen = [&global, files, yara] { return check(global, *files, yara->get()); };
  });
}

}  // namespace remediate::cli
