#include <algorithm>
#include <map>

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
/// Processes that compile YARA rules, one a file; the files behind them share the last.
constexpr std::size_t max_compilers = 64;

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

struct Checked {
  std::string file;
  std::string id;  // of the playbook; empty: it has none
  std::vector<playbook::Diagnostic> diagnostics{};
};

Result<Checked> diagnose(Global& global, const run::HostPolicy& policy, const std::string& file,
                         match::Apart* yara) {
  TRY_LET(const std::string bytes, read_file(global, file, max_playbook_bytes));
  auto parsed = playbook::parse_playbook(bytes, file);
  Checked checked{file, parsed ? parsed->playbook.id : ""};
  TRY_LET(checked.diagnostics,
          against(global, policy, bytes, file, parsed ? &parsed->playbook : nullptr));
  const std::vector<playbook::Diagnostic>& found = parsed ? parsed->warnings : parsed.error();
  checked.diagnostics.insert(checked.diagnostics.end(), found.begin(), found.end());
  if (!parsed) return checked;
  const std::vector<playbook::Playbook> playbooks{std::move(parsed->playbook)};
  if (auto engine = match::Engine::compile(playbooks, {.apart = yara}); !engine)
    checked.diagnostics.push_back({"PB900", display(file), "/indicators", engine.error().text(),
                                   "patterns and rules that this build can compile"});
  return checked;
}

/// One plan takes an id once. Neither of the two is at fault, so it is said of both.
void compare_ids(std::vector<Checked>& all) {
  std::map<std::string, std::vector<Checked*>> by_id;
  for (Checked& checked : all)
    if (!checked.id.empty()) by_id[checked.id].push_back(&checked);
  for (const auto& [id, same] : by_id)
    for (Checked* checked : same)
      if (same.size() > 1)
        checked->diagnostics.push_back(
            {"PW900", display(checked->file), "/id",
             display((checked == same.front() ? same.back() : same.front())->file) +
                 " has the same id: a plan takes only one of them",
             "an id of its own, unless they are revisions of one playbook"});
}

Result<int> check(Global& global, const std::vector<std::string>& files,
                  const std::vector<std::unique_ptr<match::Apart>>& yara) {
  TRY_LET(const run::HostPolicy policy, run::load_policy(global.host, global.policy));
  bool good = true;
  Json list = Json::array();
  std::string text;
  std::vector<Checked> all;
  for (std::size_t index = 0; index < files.size(); ++index) {
    match::Apart* apart = yara.empty() ? nullptr : yara[std::min(index, yara.size() - 1)].get();
    TRY_LET(Checked checked, diagnose(global, policy, files[index], apart));
    all.push_back(std::move(checked));
  }
  compare_ids(all);
  for (const auto& [file, id, diagnostics] : all) {
    bool file_good = true;
    Json found = Json::array();
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
    const auto yara = std::make_shared<std::vector<std::unique_ptr<match::Apart>>>();
    // Before the walls. What the rules of one file do to it is not to be told of the next.
    global.prepare = [&global, files, yara]() -> Result<void> {
      while (global.sandbox && yara->size() < std::min(files->size(), max_compilers))
        yara->push_back(run::start_yara_workers({.workers = 1}));
      return {};
    };
    global.confined.emplace();
    chosen = [&global, files, yara] { return check(global, *files, *yara); };
  });
}

}  // namespace remediate::cli
