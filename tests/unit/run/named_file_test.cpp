// Files that the operator names: playbooks, baselines and signatures, the policy and what it names.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include <sys/resource.h>
#include <unistd.h>

#include "remediate/crypto/signature.h"
#include "remediate/run/baseline.h"
#include "remediate/run/signed_file.h"
#include "remediate/run/trusted_file.h"
#include "survey_world.h"

namespace remediate::run::test {
namespace {

namespace fs = std::filesystem;

struct Temporary {
  Temporary() {
    std::string base = (fs::temp_directory_path() / "remediate-unit-XXXXXX").string();
    REQUIRE(::mkdtemp(base.data()) != nullptr);
    path = fs::canonical(base);
    before = fs::current_path();
  }
  ~Temporary() {
    std::error_code ignored;
    fs::current_path(before, ignored);
    fs::remove_all(path, ignored);
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  [[nodiscard]] std::string file(const std::string& name, const std::string& bytes) const {
    std::ofstream(path / name, std::ios::binary) << bytes;
    return (path / name).string();
  }
  fs::path path, before;
};

template <class Made>
void refused(const Made& made, Code code, const std::string& told) {
  REQUIRE_FALSE(made);
  INFO(made.error().text());
  CHECK(made.error().code == code);
  CHECK(made.error().text().find(told) != std::string::npos);
}

}  // namespace

TEST_CASE("a file that is named is read whole or refused with the reason", "[named]") {
  const Temporary folder;
  const std::string file = folder.file("p.json", std::string(3u << 20, 'x'));
  CHECK(must(read_named_file(file, "playbook", 3u << 20)).size() == 3u << 20);
  refused(read_named_file(file, "playbook", 2u << 20), Code::limit, "has more than 2 MiB");
  refused(read_named_file(folder.path / "none", "playbook", 10), Code::not_found,
          "cannot read playbook");
  refused(read_named_file(folder.path, "playbook", 10), Code::not_found, "name a file");
  // Their size is told as nothing, and only reading tells that there is no end, or an error.
  refused(read_named_file("/proc/self/mem", "playbook", 10), Code::io, "cannot read");
  refused(read_named_file("/proc/kallsyms", "playbook", 10), Code::limit, "has more than");
}

TEST_CASE("what may not be opened, or not looked at, is told as that", "[named]") {
  const Temporary folder;
  const std::string file = folder.file("p.json", "{}");
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit none{0, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  const auto unopened = read_named_file(file, "playbook", 10);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  refused(unopened, Code::io, "cannot read playbook");
  const uid_t user = ::geteuid();
  fs::permissions(folder.path, fs::perms::none);
  if (user == 0) REQUIRE(::seteuid(65'534) == 0);
  const auto unseen = read_named_file(file, "playbook", 10);
  if (user == 0) REQUIRE(::seteuid(0) == 0);
  fs::permissions(folder.path, fs::perms::owner_all);
  refused(unseen, Code::permission, "cannot read playbook");
}

TEST_CASE("a file named - is the standard input", "[named]") {
  std::istringstream given("{}");
  std::streambuf* const before = std::cin.rdbuf(given.rdbuf());
  const auto read = read_named_file("-", "baseline", 10);
  given = std::istringstream(std::string(11, 'x'));
  std::cin.clear();
  const auto large = read_named_file("-", "baseline", 10);
  std::cin.rdbuf(before);
  std::cin.clear();
  CHECK(must(read) == "{}");
  refused(large, Code::limit, "baseline on the standard input has more than");
}

TEST_CASE("a signature beside a file is read, missing or refused", "[named]") {
  const Temporary folder;
  const std::string file = folder.file("p.json", "{}");
  CHECK(must(read_signature_of(file, "playbook")).empty());
  (void)folder.file("p.json.p7s", "signature");
  CHECK(must(read_signature_of(file, "playbook")) == "signature");
  (void)folder.file("p.json.p7s", std::string((1u << 20) + 1, 'x'));
  refused(read_signature_of(file, "playbook"), Code::signature, "has more than 1 MiB");
  fs::remove(folder.path / "p.json.p7s");
  fs::create_directory(folder.path / "p.json.p7s");
  refused(read_signature_of(file, "playbook"), Code::signature, "is a file beside it");
}

TEST_CASE("playbooks that do not parse, or are not there, are told with every reason", "[named]") {
  const Temporary folder;
  HostPolicy policy;
  refused(load_playbooks({folder.path / "none"}, policy, {}), Code::not_found, "none");
  const std::string file = folder.file("p.json", R"({"format_version": 1})");
  const auto made = load_playbooks({file}, policy, {});
  refused(made, Code::bad_input, "error(s)");
  CHECK(made.error().causes.size() > 3);
  policy.playbook_signers = {
      must(crypto::Certificate::from_pem(keys().store.signer_certificate, "signer"))};
  refused(load_playbooks({file}, policy, {}), Code::signature, "p.json");
  fs::create_directory(folder.path / "p.json.p7s");
  refused(load_playbooks({file}, policy, {}), Code::signature, "is a file beside it");
  const auto& signers = policy.playbook_signers;
  refused(load_baselines({{file}, {}}, signers, {}, {}), Code::signature, "is a file beside it");
}

TEST_CASE("a playbook that its signer signed is taken with the signer's name", "[named]") {
  const Temporary folder;
  const std::string file = folder.file("p.json", everything());
  HostPolicy policy;
  policy.playbook_signers = {
      must(crypto::Certificate::from_pem(keys().store.signer_certificate, "signer"))};
  const auto key = must(crypto::PrivateKey::from_pem(keys().store.signer_key, "signer key"));
  (void)folder.file("p.json.p7s",
                    must(crypto::sign_detached(everything(), policy.playbook_signers[0], key)));
  const Timestamp now{1'767'225'600, 0};
  const auto made = must(load_playbooks({file}, policy, now));
  REQUIRE(made.size() == 1);
  CHECK(made.front().name == "One of everything");
  CHECK(made.front().signer == policy.playbook_signers.front().fingerprint());
  (void)folder.file("p.json", everything() + " ");
  refused(load_playbooks({file}, policy, now), Code::signature, "p.json");
}

TEST_CASE("a policy is found from the working folder, and no higher than the top", "[named]") {
  const Temporary folder;
  const auto host = host::native_host();
  (void)folder.file("policy.json", R"({"format_version": 1})");
  fs::current_path(folder.path);
  CHECK(must(load_policy(*host, "policy.json")).source == "policy.json");
  CHECK(must(read_trusted(*host, "./x/../policy.json", 1000)).size() == 21);
  CHECK(must(read_trusted(*host, "/../.." + (folder.path / "policy.json").string(), 1000)).size() ==
        21);
  host::MemoryHost memory;
  CHECK_FALSE(read_trusted(memory, "policy.json", 1000));
  // What it names lies beside it.
  (void)folder.file("x.crt", keys().store.signer_certificate);
  (void)folder.file("signed.json", R"({"format_version": 1, "baseline_signers": ["x.crt"]})");
  const HostPolicy beside = must(load_policy(*host, "signed.json"));
  CHECK(beside.files == std::vector<std::string>{"signed.json", "x.crt"});
  CHECK(beside.baseline_signers.size() == 1);
}

TEST_CASE("every folder above a policy is looked at", "[named]") {
  const auto tree = std::make_shared<host::memory::Tree>();
  host::MemoryHost host{tree};
  const auto write = [&](const std::string& path) {
    const std::size_t slash = path.rfind('/');
    const auto folder = must(host.make_root(slash == 0 ? "/" : path.substr(0, slash)));
    must(must(folder->create_file(path.substr(slash + 1), 0644))
             ->write_at(0, R"({"format_version": 1})"));
  };
  write("/etc/remediate/policy.json");
  write("/policy.json");
  const auto node = [&](const std::string& name) -> host::memory::Node& {
    if (name.empty()) return *tree->root;
    host::memory::Node& etc = *tree->root->entries.at("etc");
    return name == "etc" ? etc : *etc.entries.at(name);
  };
  CHECK(load_policy(host, "/policy.json"));
  for (const std::string name : {"", "etc", "remediate"}) {
    INFO("/" << name);
    const FileStat before = node(name).stat;
    node(name).stat.mode = 0777;
    refused(load_policy(host, "/etc/remediate/policy.json"), Code::configuration,
            "can be written by others");
    if (name.empty())
      refused(load_policy(host, "/policy.json"), Code::configuration, "can be written by others");
    refused(load_policy(host, ""), Code::configuration, "can be written by others");
    node(name).stat.mode = 01777;
    CHECK(load_policy(host, "/etc/remediate/policy.json"));
    node(name).stat = before;
    node(name).stat.owner = 1000;
    refused(load_policy(host, "/etc/remediate/policy.json"), Code::configuration,
            "belongs to user 1000");
    node(name).stat = before;
  }
}

TEST_CASE("every certificate that a policy names has to be there and to be one", "[named]") {
  for (const std::string list :
       {R"("approval": {"approvers": ["x.crt"]})", R"("vault": {"recovery": ["x.crt"]})",
        R"("playbook_signers": ["x.crt"])", R"("baseline_signers": ["/etc/remediate/x.crt"])",
        R"("stages": {"sizes": [1], "probe": {"url": "https://[::1]/", "ca": "x.crt"}})"}) {
    INFO(list);
    host::MemoryHost host;
    const auto folder = must(host.make_root("/etc/remediate"));
    const std::string policy = R"({"format_version": 1, )" + list + "}";
    must(must(folder->create_file("policy.json", 0644))->write_at(0, policy));
    refused(load_policy(host, ""), Code::configuration, "x.crt");
    const auto file = must(folder->create_file("x.crt", 0644));
    must(file->write_at(0, "no certificate"));
    const auto made = load_policy(host, "");
    REQUIRE_FALSE(made);
    CHECK(made.error().text().find("x.crt") != std::string::npos);
    must(file->write_at(0, keys().store.signer_certificate));
    CHECK(must(load_policy(host, "")).files.size() == 2);
  }
}

TEST_CASE("a store's place below a root, and roots that a policy allows", "[named]") {
  const Temporary folder;
  const std::string root = folder.path;
  CHECK(store_below(root, root + "/var/store")->display() == "var/store");
  CHECK_FALSE(store_below(root, ""));
  CHECK_FALSE(store_below(root, root));
  CHECK_FALSE(store_below(root, root + "-beside"));
  CHECK_FALSE(store_below(root + "/none", root));
  CHECK_FALSE(store_below(root, root + "/" + std::string(5000, 'x')));
  CHECK_FALSE(store_below(root, root + "/a" + std::string(1, '\0') + "b"));
  const auto host = host::native_host();
  const auto opened = must(host->open_root(root));
  HostPolicy policy;
  CHECK(check_root_allowed(policy, *opened));
  policy.policy.allowed_roots = {root + "/none", "/"};
  refused(check_root_allowed(policy, *opened), Code::refused, "does not allow the root");
  policy.policy.allowed_roots.push_back(root + "/.");
  CHECK(check_root_allowed(policy, *opened));
  fs::remove_all(root);  // where a root leads nobody knows any more
  refused(check_root_allowed(policy, *opened), Code::refused, "does not allow the root");
}

}  // namespace remediate::run::test
