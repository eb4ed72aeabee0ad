#include <CLI/CLI.hpp>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/cli/command.h"
#include "remediate/crypto/signature.h"
#include "remediate/plan/approval.h"
#include "remediate/report/report.h"

namespace remediate::cli {
namespace {

constexpr std::uint64_t max_plan_bytes = 256u << 20;
constexpr std::uint64_t max_signature_bytes = 1u << 20;

/// Who signed a plan, and whether the policy in use counts them; a signature file that cannot be
/// used is told, the plan is shown either way.
std::vector<std::string> signers_of(Global& global, const plan::PlanFile& file,
                                    const std::string& path) {
  const std::string where = display(path) + ".p7s";
  const auto signature = read_file(global, path + ".p7s", max_signature_bytes);
  if (!signature)
    return {signature.error().code == Code::not_found
                ? "by nobody: there is no " + where
                : where + " cannot be read: " + display(signature.error().text())};
  const auto policy = run::load_policy(global.host, global.policy);
  if (!policy)
    return {"not checked, " + where +
            ": the policy cannot be used: " + display(policy.error().text())};
  const auto verified = crypto::verify_detached(*signature, file.bytes, policy->approvers);
  if (!verified) return {where + " does not hold: " + display(verified.error().text())};
  std::vector<std::string> lines;
  for (const crypto::Signer& signer : verified->signers)
    lines.push_back("by " + signer.certificate.subject() + " (sha256 " +
                    signer.certificate.fingerprint() + "), an approver of " +
                    plan::policy_name(policy->path, policy->sha256));
  for (const std::string& unknown : verified->unknown)
    lines.push_back("by a certificate (sha256 " + display(unknown) + ") that is no approver of " +
                    plan::policy_name(policy->path, policy->sha256));
  return lines;
}

Result<int> show_plan(Global& global, std::string bytes, const std::string& what,
                      const std::string& html) {
  TRY_LET(const plan::PlanFile file, plan::read_plan(std::move(bytes), what));
  report::PlanPlace place;
  if (what != "-")
    place = {.file = display(shell_word(what)), .signers = signers_of(global, file, what)};
  if (!html.empty()) TRY(write_file(global, html, report::plan_html(file.plan, place)));
  if (html != "-") {
    if (global.json())
      TRY(print(file.bytes));
    else
      TRY(print(with_places(global, report::plan_text(file.plan, global.colour(), place))));
  }
  return 0;
}

Result<int> show_run(Global& global, const std::string& name, const std::string& html) {
  TRY_LET(const auto store, run::Store::open(global.host, global.store));
  TRY_LET(const run::Run run, run::load_run(*store, name));
  if (!html.empty()) TRY(write_file(global, html, report::run_html(run)));
  if (html != "-") {
    if (global.json())
      TRY(print(report::run_json(run)));
    else
      TRY(print(with_places(global, report::run_text(run, global.colour()))));
  }
  return 0;
}

Result<int> show(Global& global, const std::string& what, const std::string& html) {
  auto bytes = read_file(global, what, max_plan_bytes);
  if (bytes) return show_plan(global, std::move(*bytes), what, html);
  const Code code = bytes.error().code;
  if (code != Code::not_found && code != Code::refused)
    return std::unexpected(std::move(bytes).error());
  auto shown = show_run(global, what, html);
  if (!shown && shown.error().code == Code::not_found)
    return fail(
        Code::not_found,
        display(what) + " is neither a plan file nor a run of the store " + display(global.store),
        "`remediate list` shows the runs");
  return shown;
}

}  // namespace

void add_show(CLI::App& app, Global& global, Action& chosen) {
  auto* command = app.add_subcommand("show", "a plan or a run, for people");
  const auto what = std::make_shared<std::string>();
  const auto html = std::make_shared<std::string>();
  command->add_option("FILE_OR_RUN", *what, "a plan file, or the name of a run")->required();
  command->add_option("--html", *html, "write one self-contained HTML page here");
  command->callback([&, what, html] {
    global.confined = {*html};
    chosen = [&global, what, html] { return show(global, *what, *html); };
  });
}

}  // namespace remediate::cli
