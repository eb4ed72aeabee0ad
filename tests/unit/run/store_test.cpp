#include "remediate/run/store.h"

#include "remediate/crypto/digest.h"
#include "remediate/host/durable.h"
#include "remediate/run/host_policy.h"
#include "world.h"

namespace remediate::run::test {
namespace {

struct Folder {
  host::MemoryHost host;
  std::unique_ptr<host::Directory> root = must(host.make_root("/store"));

  void mode(const std::string& path, std::uint32_t mode, std::uint32_t owner) {
    const std::size_t slash = path.rfind('/');
    const auto folder = must(host.make_root(slash == 0 ? "/" : path.substr(0, slash)));
    const auto file = must(folder->open_file(path.substr(slash + 1), host::Access::read_write));
    Metadata metadata = must(file->metadata());
    metadata.stat.mode = mode;
    metadata.stat.owner = owner;
    must(file->restore_metadata(metadata, host::Privileges::strip));
  }
  void write(const std::string& path, const std::string& bytes) {
    const std::size_t slash = path.rfind('/');
    const auto folder = must(host.make_root(path.substr(0, slash)));
    must(host::write_durable(*folder, path.substr(slash + 1), bytes));
  }
  [[nodiscard]] std::string read(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return must(host::read_whole(*must(host.open_root(path.substr(0, slash))),
                                 path.substr(slash + 1), 1u << 20));
  }
  [[nodiscard]] Code policy_refused(const std::string& path) {
    const auto policy = load_policy(host, path);
    REQUIRE_FALSE(policy);
    INFO(policy.error().text());
    CHECK(policy.error().text().find(path.substr(path.rfind('/') + 1)) != std::string::npos);
    return policy.error().code;
  }
};

}  // namespace

TEST_CASE("a store is made once, with keys of its own where none are given", "[store]") {
  Folder folder;
  CHECK(Store::open(folder.host, "/store").error().code == Code::not_found);
  CHECK(Store::open(folder.host, "/nowhere").error().code == Code::not_found);
  const auto made = must(Store::create(folder.host, "/store", {}));
  CHECK(made->created());
  CHECK(made->id().size() == 16);
  CHECK(must(made->signer_key()).matches(made->signer()));
  CHECK(must(made->recovery_key()).matches(made->recovery()));
  CHECK(Store::create(folder.host, "/store", {}).error().code == Code::already_exists);
  const auto opened = must(Store::open_or_create(folder.host, "/store"));
  CHECK_FALSE(opened->created());
  CHECK(opened->id() == made->id());
  CHECK(opened->signer().fingerprint() == made->signer().fingerprint());
  const auto keys_folder = must(folder.host.open_root("/store/keys"));
  CHECK(must(keys_folder->stat()).mode == 0700);
  CHECK(must(keys_folder->stat_entry("signer.key")).mode == 0600);
  CHECK(must(keys_folder->stat_entry("recovery.key")).mode == 0600);
}

TEST_CASE("a recovery certificate without its key leaves no key in the store", "[store]") {
  Folder folder;
  const auto store = must(Store::create(folder.host, "/store", keys().store));
  CHECK(store->recovery_key().error().code == Code::not_found);
  CHECK(must(store->signer_key()).matches(store->signer()));
}

TEST_CASE("keys that do not belong together, and folders that are no place for a store",
          "[store]") {
  Folder folder;
  StoreKeys given = keys().store;
  Code code = Code::configuration;
  SECTION("the key of another certificate") { given.signer_key = keys().recovery_key; }
  SECTION("a certificate without key") {
    given.signer_key.clear();
    code = Code::usage;
  }
  SECTION("a folder with something else in it") {
    must(folder.host.plant("/store/data", FileKind::regular));
    code = Code::refused;
  }
  const auto store = Store::create(folder.host, "/store", given);
  REQUIRE_FALSE(store);
  INFO(store.error().text());
  CHECK(store.error().code == code);
  CHECK(Store::open(folder.host, "/store").error().code == Code::not_found);
}

TEST_CASE("keys without a store are never overwritten", "[store]") {
  Folder folder;
  const auto made = must(Store::create(folder.host, "/store", {}));
  const std::string key = folder.read("/store/keys/recovery.key");
  must(folder.root->remove_file("store.json"));
  const auto again = Store::create(folder.host, "/store", {});
  REQUIRE_FALSE(again);
  CHECK(again.error().code == Code::refused);
  CHECK(again.error().message.find("has keys and no store.json") != std::string::npos);
  CHECK(again.error().remedy.find("put store.json back") != std::string::npos);
  CHECK(Store::open_or_create(folder.host, "/store").error().code == Code::refused);
  CHECK(folder.read("/store/keys/recovery.key") == key);
}

TEST_CASE("keys of a store that was never whole are put aside", "[store]") {
  Folder folder;
  (void)must(Store::create(folder.host, "/store", {}));
  // As if it had been killed right before the last rename, and once more in the next attempt.
  must(folder.root->rename("store.json", *folder.root, "store.making"));
  const std::string key = folder.read("/store/keys/recovery.key");
  const auto second = must(Store::create(folder.host, "/store", {}));
  CHECK(second->aside() == "unfinished-keys-1");
  must(folder.root->rename("store.json", *folder.root, "store.making"));
  const std::string second_key = folder.read("/store/keys/recovery.key");
  const auto third = must(Store::create(folder.host, "/store", {}));
  CHECK(third->aside() == "unfinished-keys-2");
  CHECK(folder.read("/store/unfinished-keys-1/recovery.key") == key);
  CHECK(folder.read("/store/unfinished-keys-2/recovery.key") == second_key);
  CHECK(must(third->recovery_key()).matches(third->recovery()));
  CHECK(folder.root->stat_entry("store.making").error().code == Code::not_found);
  CHECK(must(Store::open(folder.host, "/store"))->aside().empty());
}

TEST_CASE("what an init that was cut short can leave is no hindrance", "[store]") {
  Folder folder;
  SECTION("folders") {
    for (const char* name : {"keys", "runs", "journal", "objects", "hold"})
      must(folder.root->make_directory(name, 0700));
  }
  SECTION("a lock and half a file") {
    must(folder.host.plant("/store/lock", FileKind::regular));
    must(folder.host.plant("/store/.writing-0", FileKind::regular));
  }
  SECTION("the file that says so, without keys") { folder.write("/store/store.making", "{}"); }
  CHECK(must(Store::create(folder.host, "/store", {}))->aside().empty());
}

TEST_CASE("a folder full of leftovers, or with a run in it, is no place for a store", "[store]") {
  Folder folder;
  SECTION("a run") {
    must(folder.root->make_directory("runs", 0700));
    must(folder.host.plant("/store/runs/run-1", FileKind::regular));
  }
  SECTION("more than it could have left") {
    for (int number = 0; number <= 64; ++number)
      must(folder.host.plant("/store/.writing-" + std::to_string(number), FileKind::regular));
  }
  SECTION("no number left for the keys to be put aside") {
    for (int number = 1; number <= 64; ++number)
      must(folder.root->make_directory("unfinished-keys-" + std::to_string(number), 0700));
  }
  const auto made = Store::create(folder.host, "/store", {});
  if (made) {  // nothing had to be put aside
    must(folder.root->rename("store.json", *folder.root, "store.making"));
    CHECK(Store::create(folder.host, "/store", {}).error().code == Code::refused);
    return;
  }
  CHECK(made.error().code == Code::refused);
  CHECK(made.error().message.find("is not empty and not a store") != std::string::npos);
}

TEST_CASE("one instance works on a store at a time", "[store]") {
  Folder folder;
  const auto store = must(Store::create(folder.host, "/store", keys().store));
  const auto other = must(Store::open(folder.host, "/store"));
  {
    const auto lock = must(store->lock());
    CHECK(other->lock().error().code == Code::busy);
  }
  CHECK(other->lock());
}

TEST_CASE("an error in any call of making a store leaves none or a whole one", "[store]") {
  for (std::size_t at = 0; at < 200; ++at) {
    Folder folder;
    std::size_t count = 0;
    folder.host.set_fault_hook([&](std::string_view, std::string_view) {
      return count++ == at ? std::optional(Error{Code::io, "injected fault", ""}) : std::nullopt;
    });
    const auto made = Store::create(folder.host, "/store", keys().store);
    folder.host.set_fault_hook({});
    if (count <= at) {
      CHECK(made);
      CHECK(at > 10);
      return;
    }
    INFO("call " << at);
    const auto opened = Store::open(folder.host, "/store");
    if (!opened) REQUIRE(opened.error().code == Code::not_found);
    if (opened) REQUIRE(must((*opened)->signer_key()).matches((*opened)->signer()));
  }
  FAIL("no end of the calls");
}

TEST_CASE("without a policy file the embedded policy holds", "[host_policy]") {
  Folder folder;
  const HostPolicy policy = must(load_policy(folder.host, ""));
  CHECK(policy.source == "embedded default");
  CHECK(policy.sha256 == crypto::sha256_hex(""));
  CHECK(policy.policy.max_files == 50);
  CHECK(folder.policy_refused("/etc/remediate/none.json") == Code::not_found);
}

TEST_CASE("a policy is read with its certificates", "[host_policy]") {
  Folder folder;
  folder.write("/etc/remediate/alice.crt", keys().store.signer_certificate);
  const std::string bytes = R"({"format_version": 1, "approval": {"approvers": ["alice.crt"]}})";
  folder.write("/etc/remediate/policy.json", bytes);
  const HostPolicy policy = must(load_policy(folder.host, ""));
  CHECK(policy.source == "/etc/remediate/policy.json");
  CHECK(policy.sha256 == crypto::sha256_hex(bytes));
  CHECK(policy.policy.threshold == 1);
  REQUIRE(policy.approvers.size() == 1);
  CHECK(policy.approvers.front().fingerprint() ==
        must(crypto::Certificate::from_pem(keys().store.signer_certificate, "")).fingerprint());
}

TEST_CASE("a policy that others could have written is refused", "[host_policy]") {
  Folder folder;
  folder.write("/etc/remediate/policy.json", R"({"format_version": 1})");
  CHECK(load_policy(folder.host, ""));
  const std::string path = "/etc/remediate/policy.json";
  folder.mode(path, 0620, 0);
  CHECK(folder.policy_refused(path) == Code::configuration);
  folder.mode(path, 0602, 0);
  CHECK(folder.policy_refused(path) == Code::configuration);
  folder.mode(path, 0600, 1000);
  CHECK(folder.policy_refused(path) == Code::configuration);
  folder.mode(path, 0644, 0);
  CHECK(load_policy(folder.host, path));
}

TEST_CASE("the files that a policy names are held to the same", "[host_policy]") {
  Folder folder;
  const std::string signer = "/etc/remediate/keys/soc.crt";
  folder.write(signer, keys().store.signer_certificate);
  folder.write("/etc/remediate/policy.json",
               R"({"format_version": 1, "playbook_signers": ["keys/soc.crt"]})");
  const HostPolicy policy = must(load_policy(folder.host, ""));
  CHECK(policy.playbook_signers.size() == 1);
  folder.mode(signer, 0664, 0);
  CHECK(load_policy(folder.host, "").error().code == Code::configuration);
  folder.mode(signer, 0644, 1000);
  CHECK(load_policy(folder.host, "").error().code == Code::configuration);
  folder.mode(signer, 0644, 0);
  CHECK(load_policy(folder.host, ""));
}

TEST_CASE("a policy's path is read without its dots", "[host_policy]") {
  Folder folder;
  folder.write("/etc/remediate/policy.json", R"({"format_version": 1})");
  CHECK(load_policy(folder.host, "/etc/./remediate//policy.json"));
  CHECK(must(load_policy(folder.host, "/etc/none/../remediate/policy.json")).path ==
        "/etc/remediate/policy.json");
  CHECK(load_policy(folder.host, "/").error().code == Code::configuration);
  CHECK(load_policy(folder.host, "/etc/remediate/none/policy.json").error().code ==
        Code::not_found);
}

TEST_CASE("a certificate is missing, twice, or the policy cannot be read", "[host_policy]") {
  Folder folder;
  folder.write("/etc/remediate/alice.crt", keys().store.signer_certificate);
  folder.write("/etc/remediate/twin.crt", keys().store.signer_certificate);
  const std::string path = "/etc/remediate/policy.json";
  Code code = Code::configuration;
  std::string bytes;
  SECTION("missing") { bytes = R"({"format_version": 1, "approval": {"approvers": ["bob.crt"]}})"; }
  SECTION("twice") {
    bytes =
        R"({"format_version": 1, "approval": {"approvers": ["alice.crt", "twin.crt"], "threshold": 2}})";
  }
  SECTION("no policy") {
    bytes = "{";
    code = Code::bad_input;
  }
  folder.write(path, bytes);
  const auto policy = load_policy(folder.host, path);
  REQUIRE_FALSE(policy);
  INFO(policy.error().text());
  CHECK(policy.error().code == code);
}

}  // namespace remediate::run::test
