// Every call of the host that the vault makes fails once: the error is told, and a file that was to
// be captured is where it was or in the hold. And who may own what a hold lies in.
#include <functional>
#include <iostream>

#include "quarantine/vault.h"
#include "remediate/host/durable.h"
#include "remediate/host/memory/tree.h"
#include "support.h"

namespace quarantine::test {
namespace {

/// A store, and a target on another mount.
struct Scene {
  std::shared_ptr<host::memory::Tree> tree = std::make_shared<host::memory::Tree>();
  host::MemoryHost host{tree};
  std::unique_ptr<host::Directory> store = must(host.make_root("/store"));
  std::unique_ptr<host::Directory> www;
  std::unique_ptr<host::Directory> empty = must(host.make_root("/empty"));
  Vault vault = must(Vault::open(*store, "0123"));
  Vault other = must(Vault::open(*store, "4567"));
  std::unique_ptr<host::Directory> hold;
  std::unique_ptr<host::File> plain;
  FileId id;
  std::string kept;                    // the name of an object
  std::vector<PendingObject> objects;  // not kept yet

  Scene() {
    (void)must(host.make_root("/data"));
    must(host.mount("/data", "memory"));
    www = must(host.make_root("/data/www"));
    hold = must(vault.make_hold(*www, "run-1")).directory;
    (void)must(vault.make_hold(*store, "run-2"));
    plain = must(www->create_file("shell.php", 0644));
    must(plain->write_at(0, "inert"));
    id = must(plain->stat()).id;
    objects.push_back(sealed());
    must(vault.keep(objects));
    kept = objects.front().sealed.sealed_sha256;
    objects.clear();
    objects.push_back(sealed());
    objects.push_back(sealed());
  }
  [[nodiscard]] PendingObject sealed() const {
    return must(vault.seal(*plain, {identity().certificate}));
  }
  [[nodiscard]] host::memory::Node& top() const { return *tree->root->entries.at("data"); }
  [[nodiscard]] bool file_is_somewhere() const {
    for (const auto& [folder, name] : {std::pair(&www, "shell.php"), {&hold, "op-1"}})
      if (const auto stat = (*folder)->stat_entry(name); stat && stat->id == id) return true;
    return false;
  }
};

using remediate::Code;
using remediate::Error;
using Told = std::optional<Error>;

template <class T>
Told told(const remediate::Result<T>& result) {
  if (result) return std::nullopt;
  return result.error();
}

Told captured(const Scene& scene, const FileId& expected) {
  const auto result = scene.vault.capture(*scene.www, "shell.php", expected, *scene.hold, "op-1");
  if (result) return std::nullopt;
  return result.error().error;
}

const std::vector<std::pair<const char*, std::function<Told(Scene&)>>> operations{
    {"open", [](Scene& s) { return told(Vault::open(*s.empty, "0123")); }},
    {"a hold in the store", [](Scene& s) { return told(s.vault.make_hold(*s.store, "new")); }},
    {"a hold on the mount", [](Scene& s) { return told(s.vault.make_hold(*s.www, "new")); }},
    {"the first hold on the mount",
     [](Scene& s) { return told(s.other.make_hold(*s.www, "new")); }},
    {"open the store's hold",
     [](Scene& s) { return told(s.vault.open_hold(HoldPlace::store, *s.store, "run-2")); }},
    {"open the mount's hold",
     [](Scene& s) { return told(s.vault.open_hold(HoldPlace::mount_top, *s.www, "run-1")); }},
    {"capture", [](Scene& s) { return captured(s, s.id); }},
    {"seal", [](Scene& s) { return told(s.vault.seal(*s.plain, {identity().certificate})); }},
    {"keep", [](Scene& s) { return told(s.vault.keep(s.objects)); }},
    {"check_object", [](Scene& s) { return told(s.vault.check_object(s.kept)); }},
    {"open_object",
     [](Scene& s) {
       return told(s.vault.open_object(s.kept, crypto::sha256_hex("inert"), identity().certificate,
                                       identity().key));
     }},
    {"unseal",
     [](Scene& s) {
       const auto into = s.store->create_unnamed(0600);
       if (!into) return told(into);
       return told(s.vault.unseal(s.kept, crypto::sha256_hex("inert"), **into,
                                  identity().certificate, identity().key));
     }},
};

}  // namespace

TEST_CASE("every call that fails below the vault is told, and the file stays somewhere",
          "[vault][errors]") {
  std::size_t tries = 0;
  for (const auto& [name, act] : operations)
    for (const bool looks : {false, true})
      for (std::size_t at = 0;; ++at) {
        REQUIRE(at < 200);
        Scene scene;
        std::size_t calls = 0;
        std::string failed;
        const auto hook = [&](std::string_view operation, std::string_view) -> Told {
          if (calls++ != at) return std::nullopt;
          failed = operation;
          return Error{Code::io, "planted", ""};
        };
        if (looks)
          scene.host.set_look_hook(hook);
        else
          scene.host.set_fault_hook(hook);
        const Told error = act(scene);
        scene.host.set_look_hook({});
        scene.host.set_fault_hook({});
        CHECK(scene.file_is_somewhere());
        if (failed.empty()) {
          CHECK_FALSE(error.has_value());
          break;
        }
        ++tries;
        INFO(name << ", call " << at << ", " << failed);
        REQUIRE(error.has_value());
        CHECK(error->text().find("planted") != std::string::npos);
      }
  std::cout << "vault: " << tries << " calls failed, each told\n";
  CHECK(tries > 50);
}

TEST_CASE("no hold lies where another user can take it away", "[vault]") {
  Scene scene;
  const auto refused = [&] {
    for (const char* run : {"run-1", "run-9"}) {
      const auto made = scene.vault.make_hold(*scene.www, run);
      REQUIRE_FALSE(made);
      CHECK(made.error().code == Code::refused);
      CHECK_FALSE(made.error().remedy.empty());
    }
  };
  host::memory::Node& top = scene.top();
  SECTION("the top is anybody's") { top.stat.mode = 0777; }
  SECTION("the top is a group's") { top.stat.mode = 0775; }
  SECTION("the top is another user's") { top.stat.owner = 1234; }
  SECTION("the hold is another user's") {
    top.entries.at(".remediate-hold-0123")->stat.owner = 1234;
    CHECK(scene.vault.open_hold(HoldPlace::mount_top, *scene.www, "run-1").error().code ==
          Code::refused);
  }
  SECTION("the hold is open to others") {
    top.entries.at(".remediate-hold-0123")->stat.mode = 0701;
    CHECK(scene.vault.open_hold(HoldPlace::mount_top, *scene.www, "run-1").error().code ==
          Code::refused);
  }
  refused();
}

TEST_CASE("a top that others may write, but not rename in, takes a hold", "[vault]") {
  Scene scene;
  scene.top().stat.mode = 01777;
  CHECK(must(scene.vault.make_hold(*scene.www, "run-9")).place == HoldPlace::mount_top);
}

TEST_CASE("a top that is this user's own takes a hold", "[vault]") {
  Scene scene;
  scene.top().stat.owner = 1000;
  const auto& store = scene.tree->root->entries.at("store");
  store->entries.at("hold")->stat.owner = 1000;
  scene.top().entries.at(".remediate-hold-0123")->stat.owner = 1000;
  CHECK(must(scene.vault.make_hold(*scene.www, "run-9")).place == HoldPlace::mount_top);
}

TEST_CASE("one device mounted at two places is two mounts", "[vault]") {
  Scene scene;
  const auto& store = scene.tree->root->entries.at("store");
  scene.top().entries.at("www")->stat.id.device = store->stat.id.device;
  const auto hold = must(scene.vault.make_hold(*scene.www, "run-9"));
  CHECK(hold.place == HoldPlace::mount_top);
}

}  // namespace quarantine::test
