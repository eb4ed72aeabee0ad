#include <algorithm>
#include <iostream>

#include <CLI/CLI.hpp>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/cli/output_file.h"
#include "remediate/crypto/signature.h"
#include "remediate/host/process.h"
#include "remediate/plan/approval.h"
#include "remediate/report/report.h"
#include "remediate/report/words.h"

namespace remediate::cli {
namespace {

constexpr std::uint64_t max_plan_bytes = 256u << 20;
constexpr std::uint64_t max_signature_bytes = 1u << 20;

struct Options {
  std::string plan;
  std::string certificate;
  std::string key;
};

/// Why the policy in use would not count this signature; empty where it would, or asks for none.
std::string would_not_count(Global& global, const plan::Plan& plan,
                            const crypto::Certificate& certificate) {
  const auto policy = run::load_policy(global.host, global.policy);
  if (!policy)
    return "whether this signature counts is not known, the policy cannot be used: " +
           policy.error().text();
  const std::uint64_t needed = plan::approvals_needed(plan, policy->policy);
  if (policy->path.empty() || needed == 0) return {};
  const std::string name = plan::policy_name(policy->path, policy->sha256);
  const bool known = std::ranges::any_of(policy->approvers, [&](const crypto::Certificate& one) {
    return one.fingerprint() == certificate.fingerprint();
  });
  if (known && certificate.valid_at(global.host.now())) return {};
  if (known)
    return "this signature does not count: the certificate of " + certificate.subject() +
           " is not valid today";
  constexpr std::size_t named = 10;
  std::string approvers;
  for (std::size_t index = 0; index < std::min(policy->approvers.size(), named); ++index)
    approvers += (index == 0 ? "" : "; ") + policy->approvers[index].subject();
  if (policy->approvers.size() > named)
    approvers += " and " + std::to_string(policy->approvers.size() - named) + " more";
  return "this signature does not count: " + certificate.subject() + " is no approver of " + name +
         ", which asks for " + std::to_string(needed) + " of its approvers: " + approvers;
}

Result<int> approve(Global& global, const Options& options) {
  TRY_LET(std::string bytes, read_file(global, options.plan, max_plan_bytes));
  TRY_LET(const plan::PlanFile file, plan::read_plan(std::move(bytes), options.plan));
  TRY_LET(const SignerPair signer, read_signer(global, options.certificate, options.key));
  const auto& [certificate, key] = signer;
  if (file.plan.expires <= global.host.now())
    return fail(Code::stale_plan, "plan " + file.plan.plan_id + " has expired", "make a new plan");

  // What is signed is shown first; on a terminal the approver retypes its id.
  if (!global.json())
    TRY(print(report::plan_text(file.plan, global.colour(),
                                {.file = display(shell_word(options.plan))})));
  if (!global.no_input && host::is_terminal(host::Stream::input)) {
    std::cerr << "\nType the plan id to approve this plan: " << std::flush;
    std::string typed;
    std::getline(std::cin, typed);
    if (typed != file.plan.plan_id)
      return fail(Code::approval, "the plan was not approved: another id was typed",
                  "type " + file.plan.plan_id + ", or give --no-input in a script");
  }
  const std::string target = options.plan + ".p7s";
  std::string signature;
  auto present = read_file(global, target, max_signature_bytes);
  if (present) {
    TRY_LET(signature, crypto::add_signer(*present, file.bytes, certificate, key));
  } else if (present.error().code == Code::not_found) {
    TRY_LET(signature, crypto::sign_detached(file.bytes, certificate, key));
  } else {
    return std::unexpected(std::move(present).error());
  }
  TRY(replace_file(global, target, signature));
  const std::string warning = would_not_count(global, file.plan, certificate);
  Json document{{"plan_id", file.plan.plan_id},
                {"approver", certificate.subject()},
                {"fingerprint", certificate.fingerprint()},
                {"signature", display(target)}};
  if (!warning.empty()) document["warning"] = report::shown(warning);
  if (global.json())
    TRY(print(document));
  else
    TRY(print("\napproved: plan " + file.plan.plan_id + "\n  by " + certificate.subject() +
              " (sha256 " + certificate.fingerprint() + ")\n  in " + display(target) + "\n"));
  if (!warning.empty()) message(global, "warning: " + report::shown(warning));
  return 0;
}

}  // namespace

void add_approve(CLI::App& app, Global& global, Action& chosen) {
  auto* command = app.add_subcommand("approve", "shows a plan and adds a signature to it");
  const auto options = std::make_shared<Options>();
  command->add_option("PLAN", options->plan, "the plan file")->required();
  command->add_option("--cert", options->certificate, "the approver's certificate (PEM)")
      ->required();
  command->add_option("--key", options->key, "the approver's private key (PEM)")->required();
  command->callback(
      [&, options] { chosen = [&global, options] { return approve(global, *options); }; });
}

}  // namespace remediate::cli
