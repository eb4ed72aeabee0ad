#include "remediate/plan/approval.h"

#include "survey.h"

namespace remediate::plan::test {
namespace {

struct Person {
  crypto::Certificate certificate;
  crypto::PrivateKey key;
};

Person person(const std::string& name, Timestamp now, int days = 365) {
  const auto made = must(crypto::make_identity(name, crypto::Use::sign, now, days));
  return {must(crypto::Certificate::from_pem(made.certificate_pem, name)),
          must(crypto::PrivateKey::from_pem(made.key_pem, name))};
}

struct Asked {
  Planned planned;
  Policy policy;
  HostFacts host;
  std::string policy_sha256 = "policy-digest";
  std::string signature{}, confirmed{};
  std::vector<crypto::Certificate> approvers{}, playbook_signers{};
  PlanFile file;
  Timestamp now;

  Asked() {
    planned.survey.matches = {match("www/1.php", "a", 11)};
    plan();
    host = planned.survey.host;
    now = planned.now;
  }
  void plan() {
    file = must(write_plan(planned.plan()));
    confirmed = file.plan.plan_id;
  }
  [[nodiscard]] Result<ApprovedPlan> check() const {
    return check_approval({.file = file,
                           .signature = signature,
                           .policy = policy,
                           .policy_sha256 = policy_sha256,
                           .approvers = approvers,
                           .host = host,
                           .store = std::nullopt,
                           .confirmed_id = confirmed,
                           .now = now,
                           .playbook_signers = playbook_signers});
  }
  [[nodiscard]] Error refused() const {
    auto result = check();
    REQUIRE_FALSE(result);
    return result.error();
  }
};

}  // namespace

TEST_CASE("a plan that is confirmed by its id may be applied", "[approval]") {
  const Asked asked;
  const ApprovedPlan approved = must(asked.check());
  CHECK(approved.bytes() == asked.file.bytes);
  CHECK(approved.approvers() == std::vector<std::string>{"confirmed by plan id"});
}

TEST_CASE("each reason against is told with its code", "[approval]") {
  Asked asked;
  Code code = Code::stale_plan;
  std::string reason;
  SECTION("other host") {
    asked.host.id = "other";
    reason = "made on host";
  }
  SECTION("other root") {
    asked.host.root_id.inode = 99;
    reason = "not the directory";
  }
  SECTION("other policy") {
    asked.policy_sha256 = "other";
    reason = "the policy has changed since the plan was made: it was made under the policy";
  }
  SECTION("expired at this second") {
    asked.now = asked.file.plan.expires;
    reason = "expired";
  }
  SECTION("made in the future") {
    asked.now.seconds -= 301;
    reason = "clock";
  }
  SECTION("not confirmed") {
    asked.confirmed.clear();
    code = Code::approval;
    reason = "not confirmed";
  }
  SECTION("another id") {
    asked.confirmed.back() = asked.confirmed.back() == '0' ? '1' : '0';
    code = Code::approval;
    reason = "not this plan's id";
  }
  SECTION("a limit") {
    asked.planned.policy.max_files = 0;
    asked.policy.max_files = 0;
    asked.plan();
    code = Code::approval;
    reason = "limit";
  }
  const Error error = asked.refused();
  INFO(error.text());
  CHECK(error.code == code);
  CHECK(error.text().find(reason) != std::string::npos);
  CHECK(error.causes.size() == 1);
}

TEST_CASE("a mount id of another boot and the last valid second do not matter", "[approval]") {
  Asked asked;
  asked.host.root_id.mount = 77;
  asked.host.boot = "later";
  asked.now = {asked.file.plan.expires.seconds - 1, 999};
  CHECK(asked.check());
}

TEST_CASE("all reasons are named together", "[approval]") {
  Asked asked;
  asked.host.id = "other";
  asked.host.root_id.inode = 99;
  asked.policy_sha256 = "other";
  asked.now = {asked.file.plan.expires.seconds + 1, 0};
  asked.confirmed.clear();
  const Error error = asked.refused();
  CHECK(error.causes.size() == 5);
  CHECK(error.code == Code::approval);
}

TEST_CASE("as many distinct approvers as the policy asks for", "[approval]") {
  Asked asked;
  const Person alice = person("Alice", asked.now);
  const Person bob = person("Bob", asked.now);
  const Person mallory = person("Mallory", asked.now);
  asked.policy.threshold = 2;
  asked.approvers = {alice.certificate, bob.certificate};

  CHECK(asked.refused().code == Code::approval);  // retyping the id is no approval then
  asked.signature = must(crypto::sign_detached(asked.file.bytes, alice.certificate, alice.key));
  CHECK(asked.refused().code == Code::approval);
  CHECK(asked.refused().text().find("1 hold") != std::string::npos);
  const std::string one = asked.signature;
  asked.signature =
      must(crypto::add_signer(one, asked.file.bytes, mallory.certificate, mallory.key));
  CHECK(asked.refused().code == Code::approval);
  asked.signature = must(crypto::add_signer(one, asked.file.bytes, bob.certificate, bob.key));
  CHECK(must(asked.check()).approvers().size() == 2);

  SECTION("over another plan") {
    asked.planned.now.seconds += 60;
    asked.plan();
    CHECK(asked.refused().code == Code::signature);
  }
  SECTION("spoiled") {
    asked.signature[asked.signature.size() - 3] =
        static_cast<char>(asked.signature[asked.signature.size() - 3] ^ 1);
    CHECK(asked.refused().code == Code::signature);
  }
  SECTION("a wrong signature outweighs the other reasons") {
    asked.signature = "not a signature";
    asked.planned.policy.max_files = 0;
    asked.policy.max_files = 0;
    asked.host.id = "other";
    CHECK(asked.refused().code == Code::signature);
  }
}

TEST_CASE("an approver's certificate has to be valid today", "[approval]") {
  Asked asked;
  const Person old = person("Old", {asked.now.seconds - 100 * 86'400, 0}, 10);
  asked.policy.threshold = 1;
  asked.approvers = {old.certificate};
  asked.signature = must(crypto::sign_detached(asked.file.bytes, old.certificate, old.key));
  const Error error = asked.refused();
  CHECK(error.code == Code::approval);
  CHECK(error.text().find("not valid today") != std::string::npos);
}

TEST_CASE("the playbooks of a plan must satisfy the policy of today", "[approval]") {
  Asked asked;
  const Person soc = person("soc", {1'799'000'000, 0}, 30);
  const Person old = person("old", {1'700'000'000, 0}, 30);
  const auto plan_signed_by = [&](const std::string& fingerprint) {
    asked.planned.playbooks.front().signer = fingerprint;
    asked.plan();
  };
  std::string reason;
  SECTION("signed by one of the signers") {
    asked.playbook_signers = {old.certificate, soc.certificate};
    plan_signed_by(soc.certificate.fingerprint());
    CHECK(asked.check());
    return;
  }
  SECTION("not signed") {
    asked.playbook_signers = {soc.certificate};
    reason = "was not signed";
  }
  SECTION("by somebody else") {
    asked.playbook_signers = {soc.certificate};
    plan_signed_by(old.certificate.fingerprint());
    reason = "whom the policy does not name";
  }
  SECTION("by somebody whose certificate has ended") {
    asked.playbook_signers = {old.certificate};
    plan_signed_by(old.certificate.fingerprint());
    reason = "not valid today";
  }
  SECTION("an older revision than the minimum of today") {
    asked.policy.minimum_revisions["playbook--1"] = 3;
    reason = "asks for 3 or later";
  }
  const Error error = asked.refused();
  INFO(error.text());
  CHECK(error.code == Code::approval);
  CHECK(error.text().find(reason) != std::string::npos);
}

TEST_CASE("above a limit as many approvers are needed as the policy says", "[approval]") {
  Asked asked;
  const Person alice = person("alice", asked.now), bob = person("bob", asked.now);
  asked.policy.threshold = 1;
  asked.policy.max_files = 0;
  asked.planned.policy = asked.policy;
  asked.approvers = {alice.certificate, bob.certificate};
  const auto sign = [&](const Policy& policy) {
    asked.policy = asked.planned.policy = policy;
    asked.plan();
    asked.signature = must(crypto::sign_detached(asked.file.bytes, alice.certificate, alice.key));
  };
  const auto both = [&] {
    asked.signature =
        must(crypto::add_signer(asked.signature, asked.file.bytes, bob.certificate, bob.key));
  };
  Policy policy = asked.policy;
  sign(policy);
  both();
  CHECK(asked.refused().text().find("limit reached") != std::string::npos);
  policy.approvers_above_limit = 2;
  sign(policy);
  const Error one = asked.refused();
  INFO(one.text());
  CHECK(one.code == Code::approval);
  CHECK(one.text().find("goes above a limit, for which the policy asks for 2 approvals and 1") !=
        std::string::npos);
  both();
  CHECK(must(asked.check()).approvers().size() == 2);
  CHECK(approvals_needed(asked.file.plan, asked.policy) == 2);
  policy.max_files = 1;  // below the limit the threshold is enough
  sign(policy);
  CHECK(asked.check());
  CHECK(approvals_needed(asked.file.plan, asked.policy) == 1);
  policy.max_files = 0;  // a confirmation is no approval
  policy.threshold = 0;
  sign(policy);
  asked.signature.clear();
  CHECK(asked.refused().code == Code::approval);
}

}  // namespace remediate::plan::test
