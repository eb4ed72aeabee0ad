#include "remediate/plan/approval.h"

#include <algorithm>
#include <map>

#include "remediate/base/clock.h"
#include "remediate/base/encoding.h"
#include "remediate/crypto/digest.h"
#include "remediate/plan/guards.h"
#include "remediate/plan/limits.h"

namespace remediate::plan {

std::vector<std::string> against_playbooks(const Plan& plan, const Policy& policy,
                                           const std::vector<crypto::Certificate>& signers,
                                           Timestamp at) {
  std::vector<std::string> reasons;
  for (const PlaybookReport& playbook : plan.playbooks) {
    const std::string name = "playbook " + display(playbook.id);
    const auto signer =
        std::ranges::find(signers, playbook.signer, &crypto::Certificate::fingerprint);
    if (!signers.empty() && signer == signers.end())
      reasons.push_back(name +
                        (playbook.signer.empty()
                             ? " was not signed when the plan was made"
                             : " was signed by sha256 " + display(playbook.signer) +
                                   ", whom the policy does not name") +
                        ": the policy asks for one of its playbook_signers");
    else if (!signers.empty() && !signer->valid_at(at))
      reasons.push_back(name + " was signed by " + signer->subject() +
                        ", whose certificate is not valid today");
    const auto minimum = policy.minimum_revisions.find(playbook.id);
    if (minimum != policy.minimum_revisions.end() && playbook.revision < minimum->second)
      reasons.push_back(name + " is revision " + std::to_string(playbook.revision) +
                        ", the policy asks for " + std::to_string(minimum->second) + " or later");
  }
  return reasons;
}

std::vector<std::string> against_limits(const Plan& plan, const Policy& policy) {
  std::vector<std::string> reasons;
  for (const LimitReport& limit : limits_of(plan, policy))
    if (limit.fired && limit.approvers == 0)
      reasons.push_back("limit reached: " + limit.name + " allows " + std::to_string(limit.limit) +
                        ", the plan has " + std::to_string(limit.found));
  return reasons;
}

std::uint64_t approvals_needed(const Plan& plan, const Policy& policy) {
  const bool above =
      std::ranges::any_of(limits_of(plan, policy), [](const LimitReport& l) { return l.fired; });
  return std::max(policy.threshold, above ? policy.approvers_above_limit : 0);
}

std::string policy_name(const std::string& path, const std::string& sha256) {
  if (sha256.empty() || sha256 == crypto::sha256_hex("")) return "the built-in policy";
  return "the policy " + (path.empty() ? "" : display(path) + " ") + "(sha256 " + display(sha256) +
         ")";
}

std::string against_policy(const Plan& plan, const std::string& path, const std::string& sha256) {
  if (plan.policy_sha256 == sha256) return {};
  const std::string made = "it was made under " + policy_name(plan.policy, plan.policy_sha256);
  if (sha256 == crypto::sha256_hex(""))
    return made + ", and no policy is in use here: --policy is missing";
  return "the policy has changed since the plan was made: " + made + ", in use here is " +
         policy_name(path, sha256);
}

namespace {

std::string approvals(std::uint64_t number) {
  return std::to_string(number) + (number == 1 ? " approval" : " approvals");
}

}  // namespace

struct ApprovalCheck {
  ApprovalRequest& request;
  std::vector<std::string> reasons{};
  Code code = Code::stale_plan;
  std::vector<std::string> approvers{};
  bool other_policy = false, other_playbooks = false, above_limit = false, guarded = false;
  bool few_approvers = false, not_confirmed = false;

  void against(std::string reason) { reasons.push_back(std::move(reason)); }
  void against(std::string reason, Code kind) {
    if (code != Code::signature) code = kind;
    against(std::move(reason));
  }

  void check_place() {
    const Plan& plan = request.file.plan;
    if (plan.host.id != request.host.id)
      against("the plan was made on host " + display(plan.host.name) + ", this is " +
              display(request.host.name));
    if (plan.host.root_id.device != request.host.root_id.device ||
        plan.host.root_id.inode != request.host.root_id.inode)
      against("the root " + display(plan.host.root) +
              " is not the directory for which the plan was made");
    if (std::string reason = against_policy(plan, request.policy_path, request.policy_sha256);
        !reason.empty()) {
      other_policy = true;
      against(std::move(reason));
    }
  }

  void check_time() {
    const Plan& plan = request.file.plan;
    if (plan.expires <= request.now) against("the plan expired at " + format_utc(plan.expires));
    if (request.now.seconds + 300 < plan.created.seconds)
      against("the plan was made at " + format_utc(plan.created) +
              ", later than this host's clock says it is");
    const auto lifetime = static_cast<std::int64_t>(request.policy.plan_lifetime_hours) * 3600;
    if (plan.expires.seconds - plan.created.seconds > lifetime)
      against("the plan says that it is valid until " + format_utc(plan.expires) +
              ", longer than the policy allows");
  }

  void check_playbooks() {
    for (std::string& reason : against_playbooks(request.file.plan, request.policy,
                                                 request.playbook_signers, request.now)) {
      other_playbooks = true;
      against(std::move(reason), Code::approval);
    }
  }

  void check_limits() {
    for (std::string& reason : against_limits(request.file.plan, request.policy)) {
      above_limit = true;
      against(std::move(reason), Code::approval);
    }
  }

  /// The planner leaves these out; a plan that has them was not made by it.
  void check_guards() {
    Survey known;
    known.store = request.store;
    known.claims = request.claims;
    const Guards guards(request.policy, known);
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t> names;
    for (const Operation& operation : request.file.plan.operations)
      if (operation.action == Action::quarantine) {
        const FileId& id = operation.precondition.metadata.stat.id;
        ++names[{id.device, id.inode}];
      }
    for (const Operation& operation : request.file.plan.operations) {
      const Precondition& wanted = operation.precondition;
      std::optional<std::string> reason;
      if (operation.action == Action::quarantine) {
        const FileId& id = wanted.metadata.stat.id;
        reason = guards.against_removal(operation.path, {wanted.metadata, {}, wanted.filesystem});
        if (!reason && !request.policy.allow_hard_links &&
            wanted.metadata.stat.links > names[{id.device, id.inode}])
          reason = "it has names (hard links) that the plan does not remove";
      } else if (operation.action == Action::replace_file) {
        reason =
            guards.against_replacement(operation.path, {wanted.metadata, {}, wanted.filesystem});
      } else if (operation.action == Action::reset_setting && !operation.setting.directory) {
        reason = guards.against_edit(operation);
      }
      guarded = guarded || reason;
      if (reason)
        against(display(operation.id) + " " + operation.path.display() + ": " + *reason,
                Code::approval);
    }
  }

  void check_signatures() {
    const std::uint64_t threshold = approvals_needed(request.file.plan, request.policy);
    const std::string asked = threshold > request.policy.threshold
                                  ? "the plan goes above a limit, for which the policy asks for "
                                  : "the policy asks for ";
    if (threshold == 0) {
      if (request.confirmed_id.empty())
        against("the plan is not confirmed", Code::approval);
      else if (request.confirmed_id != request.file.plan.plan_id)
        against("--confirm " + display(request.confirmed_id) + " is not this plan's id",
                Code::approval);
      else
        approvers.emplace_back(confirmed_by_id);
      not_confirmed = approvers.empty();
      return;
    }
    few_approvers = true;
    if (request.signature.empty()) {
      against(asked + approvals(threshold) + " and the plan has no signature file", Code::approval);
      return;
    }
    auto verified =
        crypto::verify_detached(request.signature, request.file.bytes, request.approvers);
    if (!verified) {
      code = Code::signature;
      against("the plan's signature file: " + verified.error().text());
      return;
    }
    for (const crypto::Signer& signer : verified->signers) {
      if (!signer.certificate.valid_at(request.now))
        against("the certificate of " + signer.certificate.subject() + " is not valid today",
                Code::approval);
      else
        approvers.push_back(signer.certificate.subject() + " (sha256 " +
                            signer.certificate.fingerprint() + ")");
    }
    few_approvers = approvers.size() < threshold;
    if (few_approvers)
      against(asked + approvals(threshold) + " and " + std::to_string(approvers.size()) +
                  (approvers.size() == 1 ? " holds" : " hold"),
              Code::approval);
  }

  [[nodiscard]] std::string remedy() const {
    std::string text;
    const auto add = [&](bool wanted, const std::string& words) {
      if (wanted) text += (text.empty() ? "" : "; ") + words;
    };
    const bool missing = other_policy && request.policy_sha256 == crypto::sha256_hex("");
    add(missing, "give the policy that the plan was made under: --policy " +
                     (request.file.plan.policy.empty() ? std::string("FILE")
                                                       : display(request.file.plan.policy)));
    if (missing || code != Code::approval)
      return missing ? text : "make a new plan on this host and have it approved";
    add(few_approvers,
        "read it with `remediate show`, and have approvers of the policy sign it "
        "(`remediate approve`): --confirm stands for no signature");
    add(not_confirmed, "read it with `remediate show`, then confirm it (--confirm PLAN_ID)");
    add(above_limit,
        "for a limit, narrow the playbook or let the host's policy allow more, and plan again");
    add(other_playbooks, "plan again with a playbook that the policy accepts");
    add(guarded || text.empty(), "make a new plan");
    return text;
  }

  Result<ApprovedPlan> run() {
    check_place();
    check_time();
    check_playbooks();
    check_limits();
    check_guards();
    check_signatures();
    if (!reasons.empty()) {
      Error error{code, "plan " + request.file.plan.plan_id + " may not be applied", remedy()};
      error.causes = std::move(reasons);
      return std::unexpected(std::move(error));
    }
    ApprovedPlan approved;
    approved.file_ = std::move(request.file);
    approved.signature_ = std::move(request.signature);
    approved.approvers_ = std::move(approvers);
    return approved;
  }
};

Result<ApprovedPlan> check_approval(ApprovalRequest request) {
  return ApprovalCheck{request}.run();
}

}  // namespace remediate::plan
