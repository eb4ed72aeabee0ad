#include <algorithm>
#include <functional>
#include <set>

#include "forger.h"
#include "remediate/host/durable.h"
#include "remediate/host/memory/tree.h"
#include "remediate/run/host_policy.h"

// Making and opening a store and reading a policy when a call fails, the keys are not what they
// should be, or the folder is not private.

namespace remediate::run::test {
namespace {

struct Bare {
  std::shared_ptr<host::memory::Tree> tree = std::make_shared<host::memory::Tree>();
  host::MemoryHost host{tree};
  std::unique_ptr<host::Directory> root = must(host.make_root("/store"));
  [[nodiscard]] host::memory::Node& node() const { return *tree->root->entries.at("store"); }
};

struct Scene {
  const char* name;
  std::function<void(Bare&)> before;
};

const std::vector<Scene>& scenes() {
  static const std::vector<Scene> all = {
      {"an empty folder", [](Bare&) {}},
      {"empty folders of an init that was cut short",
       [](Bare& bare) {
         for (const char* name : {"keys", "runs", "journal", "objects", "hold"})
           must(bare.root->make_directory(name, 0700));
       }},
      {"a store that was never whole",
       [](Bare& bare) {
         must(Store::create(bare.host, "/store", keys().store));
         must(bare.root->rename("store.json", *bare.root, "store.making"));
       }},
      {"the file that says so, without keys",
       [](Bare& bare) { must(host::write_durable(*bare.root, "store.making", "{}")); }},
  };
  return all;
}

}  // namespace

TEST_CASE("any call that fails while a store is made leaves none or a whole one", "[store]") {
  const Scene& scene = scenes().at(GENERATE(range<std::size_t>(0, 4)));
  const bool looks = GENERATE(false, true);
  INFO(scene.name << (looks ? ", looks" : ", changes"));
  std::size_t at = 0;
  for (bool reached = true; reached && at < 300; ++at) {
    Bare bare;
    scene.before(bare);
    std::size_t count = 0;
    const auto hook = [&](std::string_view, std::string_view) {
      return count++ == at ? std::optional(Error{Code::io, "injected fault", ""}) : std::nullopt;
    };
    looks ? bare.host.set_look_hook(hook) : bare.host.set_fault_hook(hook);
    const auto made = Store::open_or_create(bare.host, "/store");
    const bool given = made.has_value();
    bare.host.set_look_hook({});
    bare.host.set_fault_hook({});
    reached = count > at;
    INFO("call " << at);
    if (!given) REQUIRE_FALSE(made.error().text().empty());
    if (!reached) REQUIRE(given);
    const auto opened = Store::open_or_create(bare.host, "/store");
    if (!opened) FAIL(opened.error().text());
    REQUIRE(must((*opened)->signer_key()).matches((*opened)->signer()));
    if (given) REQUIRE((*opened)->id() == (*made)->id());
  }
  CHECK(at > 5);
  CHECK(at < 300);
}

TEST_CASE("keys that cannot be read make no store", "[store]") {
  Bare bare;
  StoreKeys given = keys().store;
  SECTION("the signer's certificate") { given.signer_certificate = "no certificate"; }
  SECTION("the signer's key") { given.signer_key = "no key"; }
  SECTION("the recovery certificate") { given.recovery_certificate = "no certificate"; }
  CHECK_FALSE(Store::create(bare.host, "/store", given));
  CHECK(Store::open(bare.host, "/store").error().code == Code::not_found);
  CHECK(Store::create(bare.host, "/store", keys().store));
}

TEST_CASE("a folder that others can reach or own is no store", "[store]") {
  Bare bare;
  const bool made = GENERATE(false, true);
  if (made) must(Store::create(bare.host, "/store", keys().store));
  const auto attempt = [&] {
    return made ? Store::open(bare.host, "/store")
                : Store::create(bare.host, "/store", keys().store);
  };
  bare.node().stat.mode = 0750;
  const auto reached = attempt();
  REQUIRE_FALSE(reached);
  CHECK(reached.error().code == Code::configuration);
  CHECK(reached.error().text().find("can be reached by others") != std::string::npos);
  bare.node().stat.mode = 0700;
  bare.node().stat.owner = 1000;
  const auto owned = attempt();
  REQUIRE_FALSE(owned);
  CHECK(owned.error().code == Code::permission);
  CHECK(owned.error().text().find("belongs to user 1000") != std::string::npos);
  bare.node().stat.owner = 0;
  CHECK(attempt());
}

TEST_CASE("certificates and store.json that are not those it was made with", "[store]") {
  Bare bare;
  must(Store::create(bare.host, "/store", keys().store));
  const auto folder = must(bare.host.open_root("/store/keys"));
  const std::string other = keys().store.recovery_certificate;
  std::string what;
  SECTION("no certificate") {
    must(host::write_durable(*folder, "signer.crt", "no certificate"));
    what = "signer.crt";
  }
  SECTION("another one") {
    must(host::write_durable(*folder, "signer.crt", other));
    what = "is not the certificate";
  }
  SECTION("with a comment") {
    must(host::write_durable(*folder, "recovery.crt", "# a comment\n" + other));
    what = "is not the certificate";
  }
  SECTION("a member that nobody knows") {
    const std::string bytes = must(host::read_whole(*bare.root, "store.json", 10000));
    Json json = must(parse_json(bytes, "store.json"));
    json["more"] = 1;
    must(host::write_durable(*bare.root, "store.json", write_json(json)));
    what = "more";
  }
  const auto opened = Store::open_or_create(bare.host, "/store");
  REQUIRE_FALSE(opened);
  INFO(opened.error().text());
  CHECK(opened.error().text().find(what) != std::string::npos);
}

TEST_CASE("any look that fails while a policy is read refuses it", "[host_policy]") {
  host::MemoryHost host;
  const auto folder = must(host.make_root("/etc/remediate"));
  must(host::write_durable(*folder, "alice.crt", keys().store.signer_certificate));
  must(host::write_durable(*folder, "policy.json",
                           R"({"format_version": 1, "approval": {"approvers": ["alice.crt"]}})"));
  std::size_t at = 0;
  for (bool reached = true; reached && at < 200; ++at) {
    std::size_t count = 0;
    host.set_look_hook([&](std::string_view, std::string_view) {
      return count++ == at ? std::optional(Error{Code::io, "injected fault", ""}) : std::nullopt;
    });
    const auto policy = load_policy(host, "/etc/remediate/policy.json");
    host.set_look_hook({});
    reached = count > at;
    INFO("look " << at);
    REQUIRE(policy.has_value() != reached);
    if (!policy) CHECK(policy.error().text().find("injected fault") != std::string::npos);
  }
  CHECK(at > 5);
  CHECK(at < 200);
}

TEST_CASE("a policy behind a link, or beside a certificate that is none", "[host_policy]") {
  host::MemoryHost host;
  const auto folder = must(host.make_root("/etc/remediate"));
  must(host::write_durable(*folder, "policy.json", R"({"format_version": 1})"));
  must(host.plant("/etc/remediate/link.json", FileKind::symlink, "policy.json"));
  const auto linked = load_policy(host, "/etc/remediate/link.json");
  REQUIRE_FALSE(linked);
  CHECK(linked.error().text().find("link") != std::string::npos);
  must(host::write_durable(*folder, "bob.crt", "no certificate"));
  must(host::write_durable(*folder, "policy.json",
                           R"({"format_version": 1, "approval": {"approvers": ["bob.crt"]}})"));
  const auto none = load_policy(host, "/etc/remediate/policy.json");
  REQUIRE_FALSE(none);
  CHECK(none.error().text().find("bob.crt") != std::string::npos);
}

TEST_CASE("documents of a run that are another's, or none", "[evidence]") {
  RichWorld rich;
  must(rich.world->apply(rich.plan));
  Forger forger(*rich.world, rich.run);
  const std::string manifest = "runs/" + rich.run + "/manifest.json";
  const std::string head =
      "journal/" + rich.run + ".head-" + std::to_string(forger.records().size()) + ".json";
  std::string what;
  SECTION("a manifest that the journal does not name") {
    Json other = forger.manifest();
    other["tool"] = "another";
    forger.write_text(manifest, write_json(other));
    forger.sign(manifest);
    what = "is not the one that the journal names";
  }
  SECTION("a head that is no document") {
    forger.write_text(head, "{");
    forger.sign(head);
    what = "the signed head";
  }
  SECTION("a head with more in it") {
    Json more = forger.head();
    more["more"] = 1;
    forger.write_head(more);
    what = "more";
  }
  SECTION("a plan that is none") {
    forger.write_text("runs/" + rich.run + "/plan.json", "{");
    what = "plan.json";
  }
  SECTION("another plan") {
    const std::string path = "runs/" + rich.run + "/plan.json";
    forger.write_text(path, forger.read(path) + " ");
    what = "plan.json was changed";
  }
  SECTION("a signature that the journal does not name") {
    forger.write_text("runs/" + rich.run + "/plan.json.p7s", "signature");
    what = "plan.json.p7s is not the one that the journal names";
  }
  const VerifyReport report = must(rich.world->verify());
  INFO(findings(report));
  CHECK_FALSE(report.ok());
  CHECK(findings(report).find(what) != std::string::npos);
  CHECK_FALSE(rich.world->rollback(rich.run));
  CHECK_FALSE(rich.world->finalize(rich.run));
  CHECK_FALSE(rich.world->resume(rich.run));
}

TEST_CASE("a run is found by the beginning of its name, and every state has a name", "[state]") {
  RichWorld rich;
  must(rich.world->apply(rich.plan));
  const auto store = rich.world->open_store();
  CHECK(must(find_run(*store, rich.run.substr(0, rich.run.size() - 2))) == rich.run);
  std::set<std::string_view> names;
  for (int state = 0; state <= static_cast<int>(State::finalized); ++state)
    names.insert(state_name(static_cast<State>(state)));
  CHECK(names.size() == static_cast<std::size_t>(State::finalized) + 1);
}

}  // namespace remediate::run::test
