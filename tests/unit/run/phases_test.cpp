#include "remediate/crypto/digest.h"
#include "remediate/crypto/signature.h"
#include "rich_world.h"

// A run between its phases: after a boot, with guards, with the store's own recovery key, with an
// approval, finalized while others look at the hold.

namespace remediate::run::test {
namespace {

constexpr const char* plain = "www/sub/shell-b.php";

std::optional<Error> nothing() { return std::nullopt; }

std::string id_of(const RichWorld& rich, const char* path) {
  for (const plan::Operation& one : rich.plan.plan.operations)
    if (one.action != plan::Action::instruct && one.path.display() == path) return one.id;
  FAIL("no operation on " << path);
  return {};
}

std::string notices(const RunReport& report) {
  std::string all;
  for (const std::string& notice : report.notices) all += notice + "\n";
  return all;
}

host::Identity booted_again(const host::Host& host) {
  host::Identity identity = host.identity();
  identity.boot_id = "boot-2";
  return identity;
}

/// A world whose store made its own recovery key.
struct OwnKey {
  OwnKey() {
    StoreKeys given = keys().store;
    given.recovery_certificate.clear();
    world.make_store(given);
    world.fill();
  }
  host::MemoryHost host;
  World world{host, "/base"};
};

}  // namespace

TEST_CASE("a run goes on and back after a boot", "[phases]") {
  const std::string when = GENERATE("before apply", "before rollback");
  RichWorld rich;
  INFO(when);
  if (when == "before apply") rich.host.set_identity(booted_again(rich.host));
  const RunReport applied = must(rich.world->apply(*rich.approved));
  INFO(text(applied));
  CHECK(applied.status == "done");
  if (when == "before rollback") rich.host.set_identity(booted_again(rich.host));
  CHECK(must(rich.world->verify()).ok());
  CHECK(must(rich.world->rollback(rich.run)).status == "done");
  CHECK(difference(rich.before, rich.world->snapshot()) == "");
}

TEST_CASE("a guard keeps out what was not begun, and what was begun and did not come", "[phases]") {
  for (const char* path : {page, plain}) {
    for (const bool begun : {false, true}) {
      INFO(path << (begun ? ", begun" : ""));
      RichWorld rich;
      const RawPath target = must(RawPath::parse(path));
      const bool exchanged = path == std::string_view(page);
      if (begun) {
        const std::string name = std::string(path).substr(std::string(path).rfind('/') + 1);
        const EndBefore end(rich.host, exchanged ? "exchange" : "rename",
                            exchanged ? id_of(rich, path) + ".new" : name);
        CHECK_FALSE(rich.world->apply(*rich.approved));
        REQUIRE(end.ended());
      }
      rich.world->refused[target] = "a package owns it";
      const RunReport report =
          must(begun ? rich.world->resume(rich.run) : rich.world->apply(*rich.approved));
      INFO(text(report));
      CHECK(operation(report, path).outcome == "refused");
      CHECK(operation(report, path).reason == "a package owns it");
      const Kept now = rich.world->snapshot().at(path);
      CHECK(now.bytes == rich.before.at(path).bytes);
      CHECK(now.flags == rich.before.at(path).flags);
      must(rich.world->rollback(rich.run));
      CHECK(difference(rich.before, rich.world->snapshot()) == "");
    }
  }
}

TEST_CASE("with the store's own key finalize opens what it relies on", "[phases]") {
  OwnKey own;
  const std::string shells = "www/sub/shell-b.php";
  const RunReport applied = must(own.world.apply(own.world.plan()));
  const Snapshot before = own.world.snapshot();
  const RunReport finalized = must(own.world.finalize(applied.run));
  INFO(text(finalized));
  CHECK(finalized.status == "done");
  // A rollback that was cut off is resumed with that key.
  RollbackOptions options;
  const auto store = own.world.open_store();
  options.recovery = Recovery{store->recovery(), must(store->recovery_key())};
  own.world.stop = true;
  CHECK(must(own.world.rollback(applied.run, options)).interrupted);
  own.world.stop = false;
  const RunReport resumed = must(own.world.resume(applied.run));
  INFO(text(resumed));
  CHECK(resumed.status == "done");
  CHECK(own.world.read(shells) == std::string(9000, 'b'));
}

TEST_CASE("finalize keeps what is exchanged while it looks", "[phases]") {
  const bool written = GENERATE(false, true);
  RichWorld rich;
  must(rich.world->apply(*rich.approved));
  const std::string id = id_of(rich, plain);
  const auto hold = must(rich.host.open_root("/base/store/hold/" + rich.run));
  const Before before(rich.host, "stat_entry", id, [&] {
    if (written) {
      rich.host.set_now({1'900'000'000, 0});
      must(must(hold->open_file(id, host::Access::read_write))->write_at(0, "X"));
    } else {
      must(hold->rename(id, *must(rich.host.make_root("/base/aside")), "moved"));
      must(hold->create_file(id, 0600));
    }
    return nothing();
  });
  const RunReport report = must(rich.world->finalize(rich.run));
  INFO(text(report));
  CHECK(before.done());
  CHECK(operation(report, id).outcome == "kept");
  CHECK(operation(report, id).reason.find("while it was checked") != std::string::npos);
  CHECK(hold->stat_entry(id));
}

TEST_CASE("finalize waits for what was not begun", "[phases]") {
  RichWorld rich;
  rich.world->stop = true;
  REQUIRE(must(rich.world->apply(*rich.approved)).interrupted);
  rich.world->stop = false;
  const auto refused = rich.world->finalize(rich.run);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::refused);
  CHECK(refused.error().text().find("resume " + rich.run) != std::string::npos);
  CHECK(must(rich.world->resume(rich.run)).status == "done");
  CHECK(must(rich.world->finalize(rich.run)).status == "done");
}

TEST_CASE("a signed approval is bound to the run, and counted", "[phases]") {
  RichWorld rich;
  rich.world->policy.threshold = 1;
  const auto approver =
      must(crypto::Certificate::from_pem(keys().store.signer_certificate, "approver"));
  const auto key = must(crypto::PrivateKey::from_pem(keys().store.signer_key, "key"));
  plan::PlanFile file = rich.world->plan();
  const std::string id = file.plan.plan_id;
  const std::string signature = must(crypto::sign_detached(file.bytes, approver, key));
  const auto root = must(rich.host.open_root(rich.world->target()));
  const plan::ApprovedPlan approved = must(
      plan::check_approval({.file = std::move(file),
                            .signature = signature,
                            .policy = rich.world->policy,
                            .policy_sha256 = crypto::sha256_hex("policy"),
                            .approvers = {approver},
                            .host = host_facts(rich.host, rich.world->target(), must(root->stat())),
                            .store = std::nullopt,
                            .confirmed_id = id,
                            .now = rich.host.now()}));
  const RunReport applied = must(rich.world->apply(approved));
  CHECK(applied.status == "done");
  const auto store = rich.world->open_store();
  VerifyOptions options;
  plan::Policy policy = rich.world->policy;
  options.policy = &policy;
  options.approvers = {approver};
  CHECK(must(verify(rich.host, *store, "", options)).ok());
  policy.threshold = 2;
  const VerifyReport asks = must(verify(rich.host, *store, "", options));
  CHECK(findings(asks).find("the policy asks for 2 approvals, 1 hold") != std::string::npos);
  // The signature is evidence: without it, or with another one, nothing is done.
  const auto folder = must(rich.host.open_root("/base/store/runs/" + applied.run));
  must(folder->rename("plan.json.p7s", *folder, "aside"));
  CHECK_FALSE(rich.world->rollback(applied.run));
  must(folder->rename("aside", *folder, "plan.json.p7s"));
  CHECK(must(rich.world->rollback(applied.run)).status == "done");
}

TEST_CASE("a file whose rollback could not look at it is told by verify", "[phases]") {
  RichWorld rich;
  must(rich.world->apply(*rich.approved));
  RollbackOptions only;
  only.only = {id_of(rich, plain)};
  {
    const Before before(rich.host, "open_file", "shell-b.php",
                        [] { return Error{Code::io, "injected fault", ""}; });
    const RunReport back = must(rich.world->rollback(rich.run, only));
    REQUIRE(before.done());
    REQUIRE(operation(back, plain).outcome == "failed");
  }
  const auto seen = [&] { return findings(must(rich.world->verify())); };
  CHECK(seen().find("where a rollback could not check it") != std::string::npos);
  for (const char* call : {"open_file", "stat", "read_at"}) {
    const Before before(rich.host, call, "shell-b.php",
                        [] { return Error{Code::io, "injected fault", ""}; });
    CHECK(seen().find("where a rollback could not check it") == std::string::npos);
    CHECK(before.done());
  }
  const auto folder = rich.world->parent(plain);
  must(must(folder->open_file("shell-b.php", host::Access::read_write))->write_at(0, "X"));
  CHECK(seen().find("where a rollback could not check it") == std::string::npos);
  CHECK_FALSE(must(rich.world->verify()).ok());
  must(must(folder->open_file("shell-b.php", host::Access::read_write))->write_at(0, "b"));
  must(folder->rename("shell-b.php", *folder, "aside"));
  CHECK_FALSE(must(rich.world->verify()).ok());
  rich.world->file(plain, std::string(9000, 'b'));  // another file with the bytes
  CHECK_FALSE(must(rich.world->verify()).ok());
}

TEST_CASE("finalize of a run that only holds says what is in the hold", "[phases]") {
  RichWorld rich;
  for (const plan::Operation& one : rich.plan.plan.operations)
    if (one.action != plan::Action::instruct && !one.setting.directory &&
        one.path.display() != plain)
      rich.world->refused[one.path] = "a package owns it";
  const std::string id = id_of(rich, plain);
  {
    const Before before(rich.host, "stat_entry", id, [&] {
      const auto hold = must(rich.host.open_root("/base/store/hold/" + rich.run));
      must(must(hold->open_file(id, host::Access::read_write))->write_at(0, rich.marker));
      rich.world->file(plain, "others took its place");
      return nothing();
    });
    must(rich.world->apply(*rich.approved));
    REQUIRE(before.done());
  }
  const RunReport report = must(rich.world->finalize(rich.run));
  INFO(text(report));
  REQUIRE(report.operations.size() == 1);
  CHECK(operation(report, id).outcome == "held");
  CHECK(operation(report, id).reason.find("a file that was not approved is in the hold") !=
        std::string::npos);
  CHECK(held_somewhere(rich.host, "/base/store/hold", rich.marker, false));
}

TEST_CASE("finalize tells what a merged rollback left in the hold, and what it cannot look at",
          "[phases]") {
  RichWorld rich;
  must(rich.world->apply(*rich.approved));
  rich.write(setting_file, "<!-- later -->");
  REQUIRE(must(rich.world->rollback(rich.run)).status == "done");
  const std::string id = id_of(rich, setting_file);
  CHECK(notices(must(rich.world->finalize(rich.run))).find("which is still there in clear") !=
        std::string::npos);
  const Before before(rich.host, "stat_entry", id,
                      [] { return Error{Code::io, "injected fault", ""}; });
  CHECK(notices(must(rich.world->finalize(rich.run)))
            .find(id + ": its hold cannot be looked into for a held original") !=
        std::string::npos);
  CHECK(before.done());
}

TEST_CASE("a resume of a rollback whose calls fail is ended by another one", "[phases]") {
  for (std::size_t at = 0;; ++at) {
    INFO("call " << at);
    RichWorld rich;
    must(rich.world->apply(*rich.approved));
    rich.world->stop = true;
    REQUIRE(must(rich.world->rollback(rich.run)).interrupted);
    rich.world->stop = false;
    std::size_t count = 0;
    rich.host.set_fault_hook([&](std::string_view, std::string_view) {
      return count++ == at ? std::optional(Error{Code::io, "injected fault", ""}) : std::nullopt;
    });
    (void)rich.world->resume(rich.run);
    rich.host.set_fault_hook({});
    if (count <= at) break;
    must(rich.world->resume(rich.run));
    must(rich.world->rollback(rich.run));
    CHECK(must(rich.world->verify()).ok());
    Snapshot now = rich.world->snapshot();
    for (const auto& [path, kept] : rich.before) now[path].flags = kept.flags;  // told: see [scene]
    CHECK(difference(rich.before, now) == "");
  }
}

}  // namespace remediate::run::test
