#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "remediate/crypto/signature.h"
#include "remediate/observe/claims.h"
#include "remediate/plan/plan_file.h"
#include "remediate/plan/policy.h"

namespace remediate::plan {

/// Recorded in the place of an approver where the policy asks for none.
inline constexpr std::string_view confirmed_by_id = "confirmed by plan id";

/// A plan that this host may apply. Only check_approval() makes one: where this type is asked
/// for, the signatures, the expiry and the host have been checked.
class ApprovedPlan {
 public:
  [[nodiscard]] const Plan& plan() const { return file_.plan; }
  [[nodiscard]] const std::string& bytes() const { return file_.bytes; }
  /// Empty when it was confirmed by id.
  [[nodiscard]] const std::string& signature() const { return signature_; }
  /// "CN=Alice (sha256 ab12...)" each, or "confirmed by plan id".
  [[nodiscard]] const std::vector<std::string>& approvers() const { return approvers_; }

 private:
  friend struct ApprovalCheck;
  ApprovedPlan() = default;
  PlanFile file_;
  std::string signature_;
  std::vector<std::string> approvers_;
};

struct ApprovalRequest {
  PlanFile file;
  std::string signature;  // plan.json.p7s, empty when there is none
  const Policy& policy;
  std::string policy_sha256;
  std::vector<crypto::Certificate> approvers;  // the policy's, loaded
  HostFacts host;                              // of this host and root, now
  std::optional<RawPath> store;                // where the store lies when it is below the root
  std::string confirmed_id;                    // what the operator retyped
  Timestamp now;
  observe::Claims claims{};                             // of the plan's targets, now
  std::vector<crypto::Certificate> playbook_signers{};  // the policy's, loaded
  std::string policy_path{};                            // empty: the built-in policy
};

/// The policy that a plan was made under, for people: its path where it was recorded, its digest.
[[nodiscard]] std::string policy_name(const std::string& path, const std::string& sha256);
/// Why the policy in use is not the one of the plan; empty when it is.
[[nodiscard]] std::string against_policy(const Plan& plan, const std::string& path,
                                         const std::string& sha256);

/// What the policy has against the plan's playbooks, each as a sentence: one that nobody of
/// `signers` (where there are any) signed with a certificate that was valid at `at`, or whose
/// revision is older than the policy's minimum.
[[nodiscard]] std::vector<std::string> against_playbooks(
    const Plan& plan, const Policy& policy, const std::vector<crypto::Certificate>& signers,
    Timestamp at);
/// The limits that the plan goes above and that nobody may lift, each as a sentence.
[[nodiscard]] std::vector<std::string> against_limits(const Plan& plan, const Policy& policy);
/// How many approvers the policy asks for, more where the plan goes above a limit and the policy
/// lets so many do that.
[[nodiscard]] std::uint64_t approvals_needed(const Plan& plan, const Policy& policy);

/// Every reason against is named, not only the first: other host, other root, expired, made under
/// another policy, a playbook that the policy does not accept, blocked by a limit, not enough
/// approvers, id not confirmed. approval when signatures or the confirmation are missing, signature
/// when one is wrong, else stale_plan.
[[nodiscard]] Result<ApprovedPlan> check_approval(ApprovalRequest request);

}  // namespace remediate::plan
