#include "quarantine/vault.h"

#include "remediate/host/durable.h"
#include "remediate/host/memory/memory_host.h"
#include "support.h"

namespace quarantine::test {
namespace {

struct Fixture {
  host::MemoryHost host;
  std::unique_ptr<host::Directory> store = must(host.make_root("/store"));
  std::unique_ptr<host::Directory> www = must(host.make_root("/www"));
  Vault vault = must(Vault::open(*store, "0123"));
  Vault::HoldDirectory hold = must(vault.make_hold(*www, "run-1"));

  FileId file(const std::string& name, const std::string& bytes) const {
    const auto made = must(www->create_file(name, 0644));
    must(made->write_at(0, bytes));
    return must(made->stat()).id;
  }
  [[nodiscard]] std::string read(const host::Directory& directory, const std::string& name) const {
    return must(host::read_whole(directory, name, 1u << 20));
  }
  [[nodiscard]] PendingObject sealed(const std::string& bytes) const {
    const auto plain = must(www->create_unnamed(0600));
    must(plain->write_at(0, bytes));
    return must(vault.seal(*plain, {identity().certificate}));
  }
  [[nodiscard]] std::string kept(const std::string& bytes) const {
    std::vector<PendingObject> objects;
    objects.push_back(sealed(bytes));
    must(vault.keep(objects));
    return objects.front().sealed.sealed_sha256;
  }
  [[nodiscard]] Result<std::string> unsealed(const std::string& object,
                                             const std::string& sha256) const {
    const auto into = must(www->create_unnamed(0600));
    if (auto opened = vault.unseal(object, sha256, *into, identity().certificate, identity().key);
        !opened)
      return std::unexpected(opened.error());
    return host::read_whole(*into, 1u << 20);
  }
};

using Kind = NotCaptured::Kind;

}  // namespace

TEST_CASE("a capture takes the very file out of its folder", "[vault]") {
  const Fixture fixture;
  const FileId id = fixture.file("shell.php", "inert");
  REQUIRE(fixture.vault.capture(*fixture.www, "shell.php", id, *fixture.hold.directory, "op-1"));
  CHECK_FALSE(fixture.www->stat_entry("shell.php"));
  CHECK(must(fixture.hold.directory->stat_entry("op-1")).id == id);
  CHECK(fixture.hold.place == HoldPlace::store);
}

TEST_CASE("the same number on another device is another file", "[vault]") {
  const Fixture fixture;
  FileId id = fixture.file("shell.php", "inert");
  id.device += 1;
  const auto captured =
      fixture.vault.capture(*fixture.www, "shell.php", id, *fixture.hold.directory, "op-1");
  REQUIRE_FALSE(captured);
  CHECK(captured.error().kind == Kind::other_file_put_back);
}

TEST_CASE("another file goes back to its name", "[vault]") {
  const Fixture fixture;
  const FileId approved = fixture.file("approved", "inert");
  const FileId other = fixture.file("shell.php", "good");
  const auto captured =
      fixture.vault.capture(*fixture.www, "shell.php", approved, *fixture.hold.directory, "op-1");
  REQUIRE_FALSE(captured);
  CHECK(captured.error().kind == Kind::other_file_put_back);
  CHECK(captured.error().error.code == remediate::Code::changed);
  CHECK(must(fixture.www->stat_entry("shell.php")).id == other);
  CHECK_FALSE(fixture.hold.directory->stat_entry("op-1"));
}

TEST_CASE("another file whose name is taken meanwhile stays held", "[vault]") {
  Fixture fixture;
  const FileId approved = fixture.file("approved", "inert");
  const FileId other = fixture.file("shell.php", "good");
  int renames = 0;
  fixture.host.set_fault_hook(
      [&](std::string_view operation, std::string_view) -> std::optional<remediate::Error> {
        if (operation == "rename" && ++renames == 2)
          must(fixture.host.plant("/www/shell.php", remediate::FileKind::regular));
        return std::nullopt;
      });
  const auto captured =
      fixture.vault.capture(*fixture.www, "shell.php", approved, *fixture.hold.directory, "op-1");
  REQUIRE_FALSE(captured);
  CHECK(captured.error().kind == Kind::other_file_held);
  CHECK_FALSE(captured.error().error.remedy.empty());
  CHECK(must(fixture.hold.directory->stat_entry("op-1")).id == other);
  CHECK(fixture.read(*fixture.hold.directory, "op-1") == "good");
}

TEST_CASE("what is gone, what cannot be moved, and a hold name that is taken", "[vault]") {
  Fixture fixture;
  const FileId id = fixture.file("shell.php", "inert");
  const auto gone =
      fixture.vault.capture(*fixture.www, "none", id, *fixture.hold.directory, "op-1");
  REQUIRE_FALSE(gone);
  CHECK(gone.error().kind == Kind::vanished);
  fixture.file("held", "earlier");
  must(fixture.www->rename("held", *fixture.hold.directory, "op-1"));
  const auto taken =
      fixture.vault.capture(*fixture.www, "shell.php", id, *fixture.hold.directory, "op-1");
  REQUIRE_FALSE(taken);
  CHECK(taken.error().kind == Kind::failed);
  CHECK(fixture.read(*fixture.hold.directory, "op-1") == "earlier");
  CHECK(fixture.read(*fixture.www, "shell.php") == "inert");
}

TEST_CASE("the hold is in the store or at the top of the target's mount", "[vault]") {
  Fixture fixture;
  (void)must(fixture.host.make_root("/data"));
  must(fixture.host.mount("/data", "memory"));
  const auto data = must(fixture.host.make_root("/data/www"));
  const auto hold = must(fixture.vault.make_hold(*data, "run-1"));
  CHECK(hold.place == HoldPlace::mount_top);
  const auto top = must(fixture.host.open_root("/data/.remediate-hold-0123"));
  CHECK(must(top->stat()).mode == 0700);
  CHECK(must(top->stat_entry("run-1")).id == must(hold.directory->stat()).id);
  const auto again = must(fixture.vault.open_hold(HoldPlace::mount_top, *data, "run-1"));
  CHECK(must(again->stat()).id == must(hold.directory->stat()).id);
  CHECK(must(must(fixture.vault.open_hold(HoldPlace::store, *data, "run-1"))->stat()).id ==
        must(fixture.hold.directory->stat()).id);
  CHECK(fixture.vault.open_hold(HoldPlace::store, *data, "run-2").error().code ==
        remediate::Code::not_found);
  CHECK(fixture.vault.open_hold(HoldPlace::mount_top, *data, "run-2").error().code ==
        remediate::Code::not_found);
}

TEST_CASE("a hold that somebody else made is refused", "[vault]") {
  Fixture fixture;
  const auto data = must(fixture.host.make_root("/data"));
  must(fixture.host.mount("/data", "memory"));
  const auto mounted = must(fixture.host.open_root("/data"));
  SECTION("open to others") { must(mounted->make_directory(".remediate-hold-0123", 0755)); }
  SECTION("a link") {
    must(fixture.host.plant("/data/.remediate-hold-0123", remediate::FileKind::symlink, "/www"));
  }
  SECTION("a file") {
    must(fixture.host.plant("/data/.remediate-hold-0123", remediate::FileKind::regular));
  }
  const auto hold = fixture.vault.make_hold(*mounted, "run-1");
  REQUIRE_FALSE(hold);
  CHECK(hold.error().code == remediate::Code::refused);
  CHECK(hold.error().text().find(".remediate-hold-0123") != std::string::npos);
}

TEST_CASE("a sealed object gives the bytes back to the recovery key only", "[vault]") {
  const Fixture fixture;
  std::string bytes("a\0\xff", 3);
  bytes += std::string(20'000, '\0') + "end" + std::string(5'000, '\0');
  const std::string object = fixture.kept(bytes);
  CHECK(must(fixture.vault.check_object(object)) > bytes.size());
  CHECK(must(fixture.unsealed(object, crypto::sha256_hex(bytes))) == bytes);
  CHECK(fixture.read(fixture.vault.objects(), object + ".p7m").find("end") == std::string::npos);

  const auto other = fixture.unsealed(object, crypto::sha256_hex("other"));
  REQUIRE_FALSE(other);
  CHECK(other.error().code == remediate::Code::corrupt);
  const auto into = must(fixture.www->create_unnamed(0600));
  const Identity stranger = make();
  CHECK_FALSE(fixture.vault.unseal(object, crypto::sha256_hex(bytes), *into, stranger.certificate,
                                   stranger.key));
  CHECK_FALSE(fixture.vault.check_object(std::string(64, 'a')));
}

TEST_CASE("a sealed object is proved to open to its bytes, and to no others", "[vault]") {
  const Fixture fixture;
  const std::string object = fixture.kept("inert sample");
  const auto opens = [&](const std::string& name, const std::string& bytes, const Identity& who) {
    return fixture.vault.open_object(name, crypto::sha256_hex(bytes), who.certificate, who.key);
  };
  CHECK(opens(object, "inert sample", identity()));
  CHECK(opens(object, "other", identity()).error().code == remediate::Code::corrupt);
  CHECK_FALSE(opens(object, "inert sample", make()));
  CHECK(opens(std::string(64, 'a'), "inert sample", identity()).error().code ==
        remediate::Code::not_found);
  CHECK(fixture.unsealed(std::string(64, 'a'), "").error().code == remediate::Code::not_found);
}

TEST_CASE("an object that goes away while it is opened, and a disk that takes nothing", "[vault]") {
  Fixture fixture;
  const std::string object = fixture.kept("inert sample");
  const std::string digest = crypto::sha256_hex("inert sample");
  const remediate::Error broken{remediate::Code::io, "broken", ""};
  int opened = 0;
  SECTION("it cannot be opened a second time") {
    fixture.host.set_look_hook([&](std::string_view operation, std::string_view name) {
      const bool second = operation == "open_file" && name == object + ".p7m" && ++opened % 2 == 0;
      return second ? std::optional(broken) : std::nullopt;
    });
    const auto proved =
        fixture.vault.open_object(object, digest, identity().certificate, identity().key);
    CHECK(proved.error().code == remediate::Code::io);
    CHECK(opened == 2);
  }
  for (const char* name : {"write_at", "truncate"}) SECTION(name) {
      const auto into = must(fixture.www->create_unnamed(0600));
      fixture.host.set_fault_hook([&](std::string_view operation, std::string_view) {
        return operation == name ? std::optional(broken) : std::nullopt;
      });
      const auto unsealed =
          fixture.vault.unseal(object, digest, *into, identity().certificate, identity().key);
      CHECK(unsealed.error().code == remediate::Code::io);
    }
  if (opened != 0) CHECK(fixture.unsealed(object, digest).error().code == remediate::Code::io);
  fixture.host.set_look_hook({});
  fixture.host.set_fault_hook({});
  CHECK(must(fixture.unsealed(object, digest)) == "inert sample");
}

TEST_CASE("holes of the original are told by its stretches of data", "[vault]") {
  const Fixture fixture;
  const std::string bytes = "ab" + std::string(9'998, '\0') + "cd" + std::string(5'000, '\0');
  const std::string object = fixture.kept(bytes);
  remediate::Metadata original;
  original.sparse = true;
  original.extents = {{0, 2}, {10'000, 2}};
  for (const bool sparse : {true, false}) {
    original.sparse = sparse;
    const auto into = must(fixture.www->create_unnamed(0600));
    must(fixture.vault.unseal(object, crypto::sha256_hex(bytes), *into, identity().certificate,
                              identity().key, &original));
    CHECK(must(host::read_whole(*into, 1u << 20)) == bytes);
  }
}

TEST_CASE("an empty file is sealed too", "[vault]") {
  const Fixture fixture;
  const std::string object = fixture.kept("");
  CHECK(must(fixture.unsealed(object, crypto::sha256_hex(""))).empty());
}

TEST_CASE("every flip of a sealed object is found", "[vault]") {
  const Fixture fixture;
  const std::string object = fixture.kept("inert sample");
  const auto file =
      must(fixture.vault.objects().open_file(object + ".p7m", host::Access::read_write));
  const std::string bytes = must(host::read_whole(*file, 1u << 20));
  std::size_t accepted = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    const char changed = static_cast<char>(bytes[at] ^ (1 << (at % 8)));
    must(file->write_at(at, std::string_view(&changed, 1)));
    if (fixture.vault.check_object(object)) ++accepted;
    must(file->write_at(at, std::string_view(&bytes[at], 1)));
  }
  CHECK(accepted == 0);
  CHECK(fixture.vault.check_object(object));
  must(file->truncate(bytes.size() - 1));
  CHECK(fixture.vault.check_object(object).error().code == remediate::Code::corrupt);
}

TEST_CASE("an object that does not reach the disk is not kept", "[vault]") {
  Fixture fixture;
  std::vector<PendingObject> objects;
  objects.push_back(fixture.sealed("one"));
  objects.push_back(fixture.sealed("two"));
  const std::string broken = GENERATE("sync_filesystem", "link_file");
  fixture.host.set_fault_hook([&](std::string_view operation, std::string_view) {
    return operation == broken ? std::optional(remediate::Error{remediate::Code::io, "broken", ""})
                               : std::nullopt;
  });
  CHECK_FALSE(fixture.vault.keep(objects));
  fixture.host.set_fault_hook({});
  must(objects.front().file->write_at(5, "x"));  // what is read back differs
  const auto kept = fixture.vault.keep(objects);
  REQUIRE_FALSE(kept);
  CHECK(kept.error().code == remediate::Code::corrupt);
  CHECK_FALSE(fixture.vault.check_object(objects.front().sealed.sealed_sha256));
}

TEST_CASE("an object that is there already is no error, and no objects are none", "[vault]") {
  const Fixture fixture;
  std::vector<PendingObject> objects;
  objects.push_back(fixture.sealed("one"));
  must(fixture.vault.keep(objects));
  must(fixture.vault.keep(objects));
  must(fixture.vault.keep({}));
  CHECK(fixture.vault.check_object(objects.front().sealed.sealed_sha256));
}

TEST_CASE("a digest is no path", "[vault]") {
  const Fixture fixture;
  CHECK_FALSE(fixture.vault.check_object("../keys/signer"));
  CHECK_FALSE(fixture.vault.open_hold(HoldPlace::store, *fixture.www, "../objects"));
  CHECK_FALSE(fixture.vault.make_hold(*fixture.www, ".."));
}

}  // namespace quarantine::test
