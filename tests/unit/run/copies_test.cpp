#include <functional>

#include "remediate/crypto/digest.h"
#include "remediate/host/durable.h"
#include "world.h"

// Old versions of a configuration are copied, sealed, before the first edit pushes them out.

namespace remediate::run::test {
namespace {

/// Which files below a folder of the host hold the text.
std::string files_with(host::Host& host, const std::string& folder, const std::string& text) {
  std::string found;
  for (const auto& [path, kept] : snapshot(host, folder))
    if (kept.bytes.find(text) != std::string::npos) found += path + "; ";
  return found;
}

std::vector<std::string> object_names(World& world) {
  std::vector<std::string> names;
  must(world.open_store()->vault().objects().each_entry([&](std::string_view name, FileKind) {
    names.emplace_back(name);
    return true;
  }));
  return names;
}

struct Copied : MemoryWorld {
  explicit Copied(unsigned versions = 2) {
    for (unsigned number = 1; number <= versions; ++number) world->keep_old_version(number);
    plan = world->plan();
    run = run_name(plan.plan);
  }
  plan::PlanFile plan;
  std::string run;
};

}  // namespace

TEST_CASE("old versions are sealed before the first edit and stay evidence to the end",
          "[copies]") {
  Copied copied;
  World& world = *copied.world;
  CHECK_FALSE(files_with(copied.host, world.target(), old_secret).empty());
  const RunReport applied = must(world.apply(copied.plan));
  INFO(text(applied));
  REQUIRE(applied.notices.size() == 1);
  CHECK(applied.notices.front().starts_with(
      "2 version(s) of the configuration history of IIS are kept as sealed objects"));
  CHECK(files_with(copied.host, world.store_path(), old_secret) == "");

  const Run run = must(load_run(*world.open_store(), applied.run));
  REQUIRE(run.copies.size() == 2);
  const quarantine::SealedCopy& second = run.copies.back();
  CHECK(second.path.display() == "inetpub/history/CFGHISTORY_0000000002/applicationHost.config");
  CHECK(second.sha256 == world.sha256(second.path.display()));
  CHECK(second.size == world.read(second.path.display()).size());
  CHECK(second.modified.nanoseconds == 123'456'789);
  const auto store = world.open_store();
  const Recovery recovery = world.recovery();
  must(
      store->vault().open_object(second.object, second.sha256, recovery.certificate, recovery.key));
  const auto manifest = must(
      quarantine::read_manifest(must(host::read_whole(*run.directory, "manifest.json", 1u << 20))));
  CHECK(manifest.copies == run.copies);

  const auto whole = [&](const std::string& when) {
    INFO(when);
    VerifyOptions options;
    options.recovery = world.recovery();
    const VerifyReport verified = must(run::verify(copied.host, *store, "", options));
    CHECK(findings(verified) == "");
    CHECK(verified.objects_checked == applied.operations.size() - 1 + run.copies.size());
  };
  whole("applied");
  SECTION("finalized") {
    CHECK(must(world.finalize(applied.run)).status == "done");
    whole("finalized");
  }
  SECTION("rolled back") {
    CHECK(must(world.rollback(applied.run)).status == "done");
    whole("rolled back");
  }
}

TEST_CASE("only folders that are named as versions are copied", "[copies]") {
  Copied copied;
  World& world = *copied.world;
  for (const std::string name : {"CFGHISTORY_00000000-3", "CFGHISTORY_00000003x", "CFGHISTORY_",
                                 "CFGHISTORY_000000000000000000003", "OTHERTHING_0000000003"}) {
    world.folder("inetpub/history/" + name);
    world.file("inetpub/history/" + name + "/applicationHost.config", "<configuration/>");
  }
  const RunReport applied = must(world.apply(copied.plan));
  REQUIRE(applied.notices.size() == 1);
  CHECK(applied.notices.front().starts_with("2 version(s)"));
}

TEST_CASE("a sealed copy that is changed or gone is found", "[copies]") {
  Copied copied;
  World& world = *copied.world;
  const RunReport applied = must(world.apply(copied.plan));
  const Run run = must(load_run(*world.open_store(), applied.run));
  const std::string name = run.copies.front().object + ".p7m";
  const auto objects = must(copied.host.open_root(world.store_path() + "/objects"));
  const auto told = [&] { return findings(must(world.verify(applied.run))); };
  CHECK(told() == "");
  SECTION("changed") {
    const auto file = must(objects->open_file(name, host::Access::read_write));
    must(file->write_at(must(file->stat()).size - 1, "!"));
  }
  SECTION("gone") { must(objects->remove_file(name)); }
  CHECK(told().find("CFGHISTORY_0000000001") != std::string::npos);
  CHECK_FALSE(must(world.verify(applied.run)).ok());
}

TEST_CASE("an apply that fails before it begins leaves no sealed copy behind", "[copies]") {
  std::size_t failed = 0, with_objects = 0;
  for (std::size_t at = 0;; ++at) {
    REQUIRE(at < 500);
    Copied copied;
    World& world = *copied.world;
    std::size_t count = 0;
    copied.host.set_fault_hook([&](std::string_view, std::string_view) {
      return count++ < at ? std::nullopt : std::optional(Error{Code::io, "crash", ""});
    });
    const auto applied = world.apply(copied.plan);
    copied.host.set_fault_hook({});
    CHECK_FALSE(applied);
    const auto store = world.open_store();
    if (!must(store->run_names()).empty()) break;
    ++failed;
    with_objects += object_names(world).empty() ? 0 : 1;
    INFO("failed from call " << at << " on: " << applied.error().text());
    if (at % 2 == 0) {
      must(discard_unstarted(*store));
      CHECK(object_names(world).empty());
    }
    const RunReport again = must(world.apply(copied.plan));
    CHECK(again.status == "done");
    CHECK(findings(must(world.verify())) == "");
    CHECK(object_names(world).size() == again.operations.size() - 1 + 2);
  }
  CHECK(failed > 10);
  CHECK(with_objects > 1);  // else nothing was tried
}

TEST_CASE("without room for the copies nothing is done", "[copies]") {
  Copied copied;
  World& world = *copied.world;
  const Snapshot before = world.snapshot();
  must(copied.host.limit_mount("/", {.free_bytes = 64u << 20, .free_files = 1000}, true));
  const auto applied = world.apply(copied.plan);
  REQUIRE_FALSE(applied);
  CHECK(applied.error().code == Code::no_space);
  CHECK(applied.error().text().find("configuration history of IIS") != std::string::npos);
  CHECK(difference(before, world.snapshot()) == "");
  CHECK(object_names(world).empty());
  must(copied.host.limit_mount("/", {.free_bytes = 1u << 30, .free_files = 1000}, true));
  CHECK(must(world.apply(copied.plan)).status == "done");
  CHECK(findings(must(world.verify())) == "");
}

TEST_CASE("what does not edit the configuration copies nothing", "[copies]") {
  MemoryWorld memory;
  World& world = *memory.world;
  world.keep_old_version();
  world.remove("etc-iis/applicationHost.config");
  const RunReport applied = must(world.apply(world.plan()));
  CHECK(applied.status == "done");
  CHECK(must(load_run(*world.open_store(), applied.run)).copies.empty());
}

TEST_CASE("of the versions those are kept that can be, and what is not kept is told", "[copies]") {
  struct Case {
    const char* name;
    std::function<void(Copied&)> before;
    std::size_t kept;
    std::string told{};
  };
  const std::string history = "inetpub/history";
  const auto failing = [](std::string call, std::string of, std::size_t from = 0) {
    return [=](Copied& copied) {
      copied.host.set_look_hook(
          [=, seen = std::size_t{0}](std::string_view what,
                                     std::string_view name) mutable -> std::optional<Error> {
            if (what != call || !name.ends_with(of) || seen++ < from) return std::nullopt;
            return Error{Code::io, "the disk is broken", ""};
          });
    };
  };
  const std::vector<Case> cases = {
      {"names that are no version's",
       [](Copied& copied) {
         for (const char* name :
              {"CFGHISTORY_", "CFGHISTORY_00000x0003", "CFGHISTORY_:", "CFGHISTORY",
               "other-and-more", "CFGHISTORY_0123456789012345678901"})
           copied.world->folder(std::string("inetpub/history/") + name);
       },
       2},
      {"a version that is a folder",
       [](Copied& copied) {
         copied.world->folder("inetpub/history/CFGHISTORY_0000000003/applicationHost.config");
       },
       2, "CFGHISTORY_0000000003/applicationHost.config of the configuration history of IIS was "},
      {"more than are kept",
       [](Copied& copied) {
         for (unsigned number = 10; number < 42; ++number)
           copied.world->folder("inetpub/history/CFGHISTORY_00000000" + std::to_string(number));
       },
       0, "2 of the oldest versions in inetpub/history were not kept"},
      {"the history is a link",
       [](Copied& copied) {
         must(must(copied.host.open_root(copied.world->target()))
                  ->rename("inetpub", *must(copied.host.make_root("/base/aside")), "inetpub"));
         must(copied.host.plant(copied.world->target() + "/inetpub", FileKind::symlink, "/aside"));
       },
       0, "was not kept: inetpub"},
      {"a history that cannot be opened", failing("open_directory", "inetpub/history"), 0,
       "the configuration history of IIS in inetpub/history was not kept: "},
      {"versions that cannot be opened", failing("open_directory", "CFGHISTORY_0000000001"), 1,
       "CFGHISTORY_0000000001"},
  };
  for (const Case& one : cases) {
    INFO(one.name);
    Copied copied;
    one.before(copied);
    const auto applied = copied.world->apply(copied.plan);
    copied.host.set_look_hook({});
    const RunReport report = must(applied);
    std::string notices;
    for (const std::string& notice : report.notices) notices += notice + "\n";
    INFO(notices);
    CHECK(notices.find(one.told) != std::string::npos);
    CHECK(must(load_run(*copied.world->open_store(), report.run)).copies.size() == one.kept);
    CHECK(findings(must(copied.world->verify())) == "");
  }
}

TEST_CASE("a history in more spellings than are told apart ends an apply before it begins",
          "[copies]") {
  Copied copied;
  const auto root = must(copied.host.open_root(copied.world->target()));
  for (std::uint32_t bits = 1; bits < 128; ++bits) {
    std::string spelling = "inetpub";
    for (std::size_t letter = 0; letter < spelling.size(); ++letter)
      if ((bits >> letter & 1u) != 0) spelling[letter] = static_cast<char>(spelling[letter] - 32);
    must(root->make_directory(spelling, 0755));
    const auto folder =
        must(root->open_directory(must(RawPath::parse(spelling)), host::Mounts::stay));
    for (const char* name :
         {"history", "History", "HIstory", "HISTORY", "hIstory", "hiStory", "hisTory", "histOry"})
      must(folder->make_directory(name, 0755));
  }
  const Snapshot before = copied.world->snapshot();
  const auto applied = copied.world->apply(copied.plan);
  REQUIRE_FALSE(applied);
  CHECK(applied.error().code == Code::limit);
  CHECK(difference(before, copied.world->snapshot()).empty());
  CHECK(must(copied.world->open_store()->run_names()).empty());
}

TEST_CASE("names of files that are left count as room for the copies", "[copies]") {
  Copied copied;
  must(copied.host.limit_mount("/", {.free_bytes = 1u << 30, .free_files = 65}, true));
  const auto applied = copied.world->apply(copied.plan);
  REQUIRE_FALSE(applied);
  CHECK(applied.error().code == Code::no_space);
  CHECK(applied.error().text().find("65 files") != std::string::npos);
}

}  // namespace remediate::run::test
