#include "scene.h"

#include <sys/stat.h>

#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"

namespace property {

namespace run = remediate::run;
namespace plan = remediate::plan;
namespace crypto = remediate::crypto;

Keys make_keys() {
  const remediate::Timestamp start{1'767'225'600 - 86'400, 0};
  const auto signer =
      must(crypto::make_identity("test signer", crypto::Use::sign, start, 36'500), "signer");
  const auto recovery =
      must(crypto::make_identity("test recovery", crypto::Use::recover, start, 36'500), "recovery");
  return {{signer.certificate_pem, signer.key_pem, recovery.certificate_pem}, recovery.key_pem};
}

void Interrupter::step(const std::string& /*phase*/, std::uint64_t /*done*/,
                       std::uint64_t /*total*/, const std::string& /*what*/) {
  if (left_ != 0 && --left_ == 0) stop = true;
}

void Interrupter::note(const std::string& /*text*/) {}

Scene::Scene(std::string root, std::string store, const Keys& keys)
    : host_(remediate::host::native_host()),
      root_(std::move(root)),
      store_(std::move(store)),
      keys_(keys) {
  must(run::Store::create(*host_, store_, keys_.store), "store");
}

std::unique_ptr<run::Store> Scene::open_store() {
  return must(run::Store::open(*host_, store_), "store");
}

std::unique_ptr<remediate::host::Directory> Scene::open_root() const {
  return must(host_->open_root(root_), "root");
}

std::string Scene::filesystem() const {
  return must(open_root()->filesystem_type(), "file system");
}

run::Recovery Scene::recovery() const {
  return {must(crypto::Certificate::from_pem(keys_.store.recovery_certificate, "recovery"),
               "recovery certificate"),
          must(crypto::PrivateKey::from_pem(keys_.recovery_key, "recovery key"), "recovery key")};
}

run::ApplyOptions Scene::options(const run::Store& store) const {
  return {{store.recovery()}, policy.max_sealed_bytes, "remediate test"};
}

Result<plan::PlanFile> Scene::plan(const std::vector<remediate::playbook::Playbook>& playbooks) {
  run::HostPolicy host_policy;
  host_policy.policy = policy;
  host_policy.sha256 = crypto::sha256_hex("policy");
  run::SurveyOptions survey;
  survey.root = root_;
  survey.store = store_known ? store_ : "";
  survey.tool = "remediate test";
  survey.threads = 1;
  // A store that others could reach into is none to any guard.
  if (!store_known) ::chmod(store_.c_str(), 0755);
  auto made = run::make_plan(*host_, playbooks, host_policy, survey);
  if (!store_known) ::chmod(store_.c_str(), 0700);
  return made;
}

Result<plan::ApprovedPlan> Scene::approve(plan::PlanFile file) {
  const std::string id = file.plan.plan_id;
  TRY_LET(const remediate::FileStat root, open_root()->stat());
  return plan::check_approval(
      {.file = std::move(file),
       .signature = "",
       .policy = policy,
       .policy_sha256 = crypto::sha256_hex("policy"),
       .approvers = {},
       .host = run::host_facts(*host_, root_, root),
       .store = store_known ? run::store_below(root_, store_) : std::nullopt,
       .confirmed_id = id,
       .now = host_->now()});
}

Result<run::RunReport> Scene::apply(const plan::ApprovedPlan& approved) {
  const auto store = open_store();
  return run::apply(*host_, *store, *open_root(), approved, options(*store),
                    {progress, progress.stop});
}

Result<run::RunReport> Scene::resume(const std::string& name) {
  const auto store = open_store();
  return run::resume(*host_, *store, *open_root(), name, options(*store),
                     {progress, progress.stop});
}

Result<run::RunReport> Scene::rollback(const std::string& name, run::RollbackOptions wanted) {
  const auto store = open_store();
  wanted.tool = "remediate test";
  return run::rollback(*host_, *store, *open_root(), name, wanted, {progress, progress.stop});
}

Result<run::RunReport> Scene::finalize(const std::string& name) {
  const auto store = open_store();
  return run::finalize(*host_, *store, *open_root(), name, options(*store),
                       {progress, progress.stop});
}

Result<run::VerifyReport> Scene::verify(const std::string& name) {
  const auto store = open_store();
  return run::verify(*host_, *store, name, {});
}

std::string text(const run::RunReport& report) {
  std::string all = report.phase + " " + report.status + "\n";
  for (const run::OperationReport& one : report.operations)
    all += one.id + " " + one.address + ": " + one.outcome + " " + one.reason + "\n";
  return all;
}

}  // namespace property
