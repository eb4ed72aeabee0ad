#include <algorithm>

#include <CLI/CLI.hpp>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/cli/command.h"
#include "remediate/report/report.h"
#include "remediate/run/baseline.h"
#include "remediate/run/survey.h"
#include "remediate/run/yara_workers.h"

namespace remediate::cli {
namespace {

constexpr int changes_pending = 2, not_all_seen = 3;
constexpr std::uint64_t max_signature_bytes = 1u << 20;

struct Options {
  std::vector<std::string> playbooks;
  std::vector<std::string> known_good;
  std::string root = "/";
  std::string output;
  std::string html;
  unsigned threads = 2;
  bool detailed = false;
  std::optional<Result<host::FilesInUse>> in_use{};
  run::BaselineFiles baselines;
  std::vector<std::string> baseline_signers;
  std::string directory;
  std::optional<std::vector<setting::DirectoryObject>> objects;  // what it showed
  std::shared_ptr<match::Apart> yara{};
};

/// Before the walls, behind which no process can be started.
void start_yara(const Global& global, Options& options) {
  if (!global.sandbox) return;
  host::WorkerLimits limits;
  limits.workers = options.threads;
  options.yara = run::start_yara_workers(limits);
}

/// Before the walls, which let nothing through to a network. Everything is read that a playbook may
/// ask about, since the playbooks are only read behind them.
Result<void> read_directory(Global& global, Options& options) {
  if (options.directory.empty()) return {};
  TRY_LET(const auto directory, open_directory(global, options.directory));
  TRY_LET(options.objects, directory->virtual_directories());
  if (options.objects->empty())
    return fail(
        Code::permission,
        "the directory shows no virtual directory at all: this is no proof that it is clean",
        "bind as an account that may read the configuration of Exchange, or name the base "
        "that it is below");
  return {};
}

/// For scripts. What could not be looked up of processes and packages left nothing out.
bool looked_at_all(const plan::Plan& plan) {
  return plan.files_scanned != 0 && std::ranges::all_of(plan.issues, [](const auto& issue) {
           return issue.kind == "not_looked_up";
         });
}

Result<int> plan(Global& global, const Options& options) {
  TRY_LET(const run::HostPolicy policy, run::load_policy(global.host, global.policy));
  TRY_LET(const std::vector<playbook::Playbook> playbooks,
          run::load_playbooks(options.playbooks, policy, global.host.now()));
  TRY_LET(const auto signers, load_certificates(global, options.baseline_signers));
  TRY_LET(const std::vector<plan::KnownGood> known,
          run::load_baselines(options.baselines, signers, policy, global.host.now()));
  run::SurveyOptions survey;
  survey.baselines = known;
  survey.root = options.root;
  survey.store = global.store;
  survey.tool = tool_name();
  survey.threads = options.threads;
  survey.known_good = options.known_good;
  if (options.in_use) survey.in_use = &*options.in_use;
  survey.directory = options.objects;
  survey.yara = options.yara.get();
  if (!options.output.empty() && options.output != "-") {
    auto signed_before = read_file(global, options.output + ".p7s", max_signature_bytes);
    if (signed_before || signed_before.error().code != Code::not_found)
      return fail(Code::already_exists,
                  display(options.output) + " belongs to signatures in " + display(options.output) +
                      ".p7s and is not overwritten",
                  "write the new plan under another name");
  }
  for (const std::string& playbook : options.playbooks)
    if (playbook != "-") survey.own.push_back({playbook, "a playbook"});
  for (const auto* files : {&options.baselines.verified, &options.baselines.unsigned_ones})
    for (const std::string& file : *files) survey.own.push_back({file, "a baseline"});
  for (const std::string& written : {options.output, options.html})
    if (!written.empty() && written != "-")
      survey.own.push_back({written, "the file that the plan is written to"});
  TRY_LET(const plan::PlanFile file, run::make_plan(global.host, playbooks, policy, survey));
  if (!options.output.empty()) TRY(write_file(global, options.output, file.bytes));
  if (options.in_use && std::ranges::find(file.plan.issues, "processes",
                                          &plan::IssueReport::where) != file.plan.issues.end())
    if (const std::string unread = run::unread_processes(*options.in_use); !unread.empty())
      message(global, unread);
  report::PlanPlace place;
  if (!options.output.empty() && options.output != "-")
    place.file = display(shell_word(options.output));
  if (!options.html.empty())
    TRY(write_file(global, options.html, report::plan_html(file.plan, place)));
  if (global.json() && options.output != "-")
    TRY(print(file.bytes));
  else if (options.output != "-")
    TRY(print(with_places(global, report::plan_text(file.plan, global.colour(), place))));
  if (!options.output.empty() && options.output != "-")
    message(global, "plan " + file.plan.plan_id + " written to " + display(options.output));
  if (!options.detailed) return 0;
  if (file.plan.has_changes()) return changes_pending;
  return looked_at_all(file.plan) ? 0 : not_all_seen;
}

}  // namespace

void add_plan(CLI::App& app, Global& global, Action& chosen) {
  auto* command =
      app.add_subcommand("plan", "the dry run: says what would be done and changes nothing");
  const auto options = std::make_shared<Options>();
  command->add_option("-p,--playbook", options->playbooks, "playbook file (may be repeated)")
      ->required();
  command
      ->add_option("--root", options->root,
                   "the tree to look at: / or another machine's mounted disk")
      ->capture_default_str();
  command->add_option("--known-good", options->known_good,
                      "folder with known good files that replace_file steps put back (may be "
                      "repeated)");
  command->add_option("-o,--output", options->output, "write the plan here (- for stdout)");
  command->add_option("--html", options->html, "write the change request as an HTML page here");
  command
      ->add_option(
          "--threads", options->threads,
          "readers of files that work at the same time, and as many processes for YARA rules")
      ->check(CLI::Range(1, 8))
      ->capture_default_str();
  command->add_flag("--detailed-exitcode", options->detailed,
                    "exit 2 when changes are pending, else 3 when not everything was looked at");
  command->add_option("--baseline", options->baselines.verified,
                      "signed list of known good files (may be repeated)");
  command->add_option("--baseline-signer", options->baseline_signers,
                      "certificate of who may have signed the baselines (PEM)");
  command->add_option("--unsigned-baseline", options->baselines.unsigned_ones,
                      "baseline that is taken without a signature, such as a shipped one");
  add_directory_option(*command, options->directory);
  command->callback([&, options] {
    global.prepare = [&global, options]() -> Result<void> {
      start_yara(global, *options);
      return read_directory(global, *options);
    };
    global.confined = {options->output, options->html};
    options->in_use = global.host.files_in_use();  // a confined process cannot see others
    chosen = [&global, options] { return plan(global, *options); };
  });
}

}  // namespace remediate::cli
