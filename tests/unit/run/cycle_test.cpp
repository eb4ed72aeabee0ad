#include <set>
#include <sstream>

#include "remediate/crypto/digest.h"
#include "remediate/host/durable.h"
#include "world.h"

// Whole cycles, each on a host in memory and on this machine.

namespace remediate::run::test {
namespace {

template <class Kind>
struct Fixture {
  Kind kind;
  World& world = *kind.world;
};

std::string conf_without(std::string bytes, const std::string& line) {
  const std::size_t at = bytes.find(line);
  REQUIRE(at != std::string::npos);
  return bytes.erase(at, line.size());
}

std::multiset<std::string> sorted_lines(const std::string& text) {
  std::multiset<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.insert(line);
  return lines;
}

/// The file that holds the latest signed head of a run's journal.
std::string head_of(const Store& store, const std::string& run) {
  std::string latest;
  must(store.journals().each_entry([&](std::string_view name, FileKind) {
    if (name.starts_with(run + ".head") && name.ends_with(".json") &&
        (name.size() > latest.size() || (name.size() == latest.size() && name > latest)))
      latest = name;
    return true;
  }));
  REQUIRE_FALSE(latest.empty());
  return latest;
}

}  // namespace

TEMPLATE_TEST_CASE("apply removes exactly what was planned and rollback brings all of it back",
                   "[cycle]", MemoryWorld, NativeWorld) {
  Fixture<TestType> fixture;
  World& world = fixture.world;
  const Snapshot before = world.snapshot();
  const plan::PlanFile plan = world.plan();
  CHECK(difference(before, world.snapshot()).empty());

  const RunReport applied = must(world.apply(plan));
  INFO(text(applied));
  CHECK(applied.status == "done");
  CHECK(applied.phase == "apply");
  CHECK(operation(applied, "www/shell-a.php").outcome == "quarantined");
  CHECK(operation(applied, "www/sub/shell-b.php").outcome == "quarantined");
  CHECK(operation(applied, "www/sub/shell-c.php").outcome == "quarantined");
  CHECK(operation(applied, "update").outcome == "to_do");
  CHECK_FALSE(world.exists("www/shell-a.php"));
  CHECK_FALSE(world.exists("www/sub/shell-b.php"));
  CHECK_FALSE(world.exists("www/sub/shell-c.php"));
  CHECK(world.read("www/index.php") == "clean\n");
  const std::string configuration = world.read("etc-iis/applicationHost.config");
  CHECK(configuration.find("COM1") == std::string::npos);
  CHECK(configuration.find("WHO") == std::string::npos);
  CHECK(configuration.find("C:\\w") != std::string::npos);

  const VerifyReport verified = must(world.verify());
  INFO(findings(verified));
  CHECK(verified.ok());
  CHECK(verified.objects_checked == applied.operations.size() - 1);
  CHECK(verified.held_checked == applied.operations.size() - 1);

  const RunReport back = must(world.rollback(applied.run));
  INFO(text(back));
  CHECK(back.status == "done");
  CHECK(difference(before, world.snapshot()).empty());
  const VerifyReport after = must(world.verify());
  INFO(findings(after));
  CHECK(after.ok());
  CHECK(must(world.rollback(applied.run)).status == "nothing_to_do");
}

TEMPLATE_TEST_CASE("after finalize the sealed copies bring everything back", "[cycle]", MemoryWorld,
                   NativeWorld) {
  Fixture<TestType> fixture;
  World& world = fixture.world;
  const Snapshot before = world.snapshot();
  const RunReport applied = must(world.apply(world.plan()));
  REQUIRE(applied.status == "done");
  const RunReport finalized = must(world.finalize(applied.run));
  INFO(text(finalized));
  CHECK(finalized.status == "done");
  CHECK(must(world.verify()).held_checked == 0);
  CHECK(must(world.verify()).ok());

  const RunReport without = must(world.rollback(applied.run));
  INFO(text(without));
  CHECK(without.status == "failed");
  CHECK(operation(without, "www/shell-a.php").reason.find("--recovery-key") != std::string::npos);
  CHECK_FALSE(world.exists("www/shell-a.php"));

  RollbackOptions options;
  options.recovery = world.recovery();
  const RunReport back = must(world.rollback(applied.run, std::move(options)));
  INFO(text(back));
  CHECK(back.status == "done");
  CHECK(difference(before, world.snapshot(), false).empty());
}

TEMPLATE_TEST_CASE("one indicator, one operation, then the rest", "[cycle]", MemoryWorld,
                   NativeWorld) {
  Fixture<TestType> fixture;
  World& world = fixture.world;
  const Snapshot before = world.snapshot();
  const std::string original = world.read("etc-iis/applicationHost.config");
  const RunReport applied = must(world.apply(world.plan()));
  RollbackOptions only;
  only.only = {"vdir-x"};
  const RunReport first = must(world.rollback(applied.run, only));
  INFO(text(first));
  REQUIRE(first.operations.size() == 1);
  CHECK(first.status == "done");
  CHECK(
      world.read("etc-iis/applicationHost.config") ==
      conf_without(original,
                   "    <virtualDirectory path=\"/y\" physicalPath=\"C:\\ProgramData\\WHO\" />\n"));
  CHECK_FALSE(world.exists("www/shell-a.php"));

  only.only = {operation(applied, "www/shell-a.php").id};
  CHECK(must(world.rollback(applied.run, only)).status == "done");
  CHECK(world.exists("www/shell-a.php"));
  CHECK_FALSE(world.exists("www/sub/shell-b.php"));

  only.only = {"no-such"};
  CHECK(world.rollback(applied.run, only).error().code == Code::not_found);
  only.only = {"shells"};
  only.dry_run = true;
  const RunReport preview = must(world.rollback(applied.run, only));
  CHECK(preview.operations.front().outcome == "would_restore");
  CHECK_FALSE(world.exists("www/sub/shell-b.php"));
  only.only.clear();
  for (const OperationReport& one : must(world.rollback(applied.run, only)).operations)
    CHECK(one.outcome == "would_restore");

  CHECK(must(world.rollback(applied.run)).status == "done");
  const Snapshot after = world.snapshot();
  // Taken back in another order than they were made, the two neighbours may change places.
  CHECK(sorted_lines(world.read("etc-iis/applicationHost.config")) == sorted_lines(original));
  CHECK(after.size() == before.size());
}

TEMPLATE_TEST_CASE("a taken name is never overwritten; the outbox takes the copy", "[cycle]",
                   MemoryWorld, NativeWorld) {
  Fixture<TestType> fixture;
  World& world = fixture.world;
  const RunReport applied = must(world.apply(world.plan()));
  world.file("www/shell-a.php", "somebody else's\n");
  const RunReport refused = must(world.rollback(applied.run));
  INFO(text(refused));
  CHECK(refused.status == "partial");
  CHECK(operation(refused, "www/shell-a.php").outcome == "conflict");
  CHECK(world.read("www/shell-a.php") == "somebody else's\n");
  CHECK(world.exists("www/sub/shell-b.php"));

  RollbackOptions options;
  options.outbox = world.target() + "-outbox";
  const RunReport boxed = must(world.rollback(applied.run, std::move(options)));
  INFO(text(boxed));
  CHECK(operation(boxed, "www/shell-a.php").outcome == "in_outbox");
  const auto outbox = must(world.host().open_root(world.target() + "-outbox"));
  const std::string name = applied.run + "-" + operation(applied, "www/shell-a.php").id;
  CHECK(must(host::read_whole(*outbox, name, 100)) == "inert sample a\n");
  CHECK(world.read("www/shell-a.php") == "somebody else's\n");

  world.remove("www/shell-a.php");
  CHECK(must(world.rollback(applied.run)).status == "done");
  CHECK(world.read("www/shell-a.php") == "inert sample a\n");
}

TEMPLATE_TEST_CASE("a target that is no longer what was approved stops the whole plan", "[cycle]",
                   MemoryWorld, NativeWorld) {
  Fixture<TestType> fixture;
  World& world = fixture.world;
  const plan::PlanFile plan = world.plan();
  SECTION("other bytes") {
    world.remove("www/shell-a.php");
    world.file("www/shell-a.php", "inert sample z\n");
    must(
        must(
            world.parent("www/sub/shell-b.php")->open_file("shell-b.php", host::Access::read_write))
            ->write_at(0, "x"));
    const Snapshot before = world.snapshot();
    const auto applied = world.apply(plan);
    REQUIRE_FALSE(applied);
    CHECK(applied.error().code == Code::stale_plan);
    const std::string all = applied.error().text();
    INFO(all);
    CHECK(all.find("shell-a.php") != std::string::npos);
    CHECK(all.find("shell-b.php") != std::string::npos);
    CHECK(all.find("sha256 is now") != std::string::npos);
    CHECK(difference(before, world.snapshot()).empty());
    CHECK(must(world.open_store()->run_names()).empty());
  }
  SECTION("one is gone: the rest is done") {
    world.remove("www/shell-a.php");
    const RunReport applied = must(world.apply(plan));
    INFO(text(applied));
    CHECK(applied.status == "partial");
    CHECK(operation(applied, "www/shell-a.php").outcome == "vanished");
    CHECK(operation(applied, "www/sub/shell-b.php").outcome == "quarantined");
  }
}

TEMPLATE_TEST_CASE("a plan is applied once", "[cycle]", MemoryWorld, NativeWorld) {
  Fixture<TestType> fixture;
  World& world = fixture.world;
  const plan::PlanFile plan = world.plan();
  const RunReport applied = must(world.apply(plan));
  CHECK(must(world.rollback(applied.run)).status == "done");
  const Snapshot before = world.snapshot();
  const auto again = world.apply(plan);
  REQUIRE_FALSE(again);
  CHECK(again.error().code == Code::stale_plan);
  CHECK(difference(before, world.snapshot()).empty());
}

TEMPLATE_TEST_CASE("stopped at any step, resume ends what apply began", "[cycle]", MemoryWorld,
                   NativeWorld) {
  for (std::size_t stop_at = 0; stop_at < 3; ++stop_at) {
    Fixture<TestType> fixture;
    World& world = fixture.world;
    const Snapshot before = world.snapshot();
    world.progress.stop = &world.stop;
    world.progress.stop_at = stop_at;
    const RunReport stopped = must(world.apply(world.plan()));
    INFO(stop_at << " " << text(stopped));
    CHECK(stopped.interrupted);
    CHECK((stop_at < 2) == (stopped.status != "done"));
    world.progress.stop = nullptr;
    world.stop = false;
    const RunReport resumed = must(world.resume(stopped.run));
    INFO(text(resumed));
    CHECK(resumed.status == "done");
    CHECK_FALSE(world.exists("www/shell-a.php"));
    CHECK(must(world.verify()).ok());
    CHECK(must(world.rollback(stopped.run)).status == "done");
    CHECK(difference(before, world.snapshot()).empty());
  }
}

TEMPLATE_TEST_CASE("what is too large to be sealed stays in the hold through finalize", "[cycle]",
                   MemoryWorld, NativeWorld) {
  Fixture<TestType> fixture;
  World& world = fixture.world;
  const Snapshot before = world.snapshot();
  world.max_sealed_bytes = 4096;
  const RunReport applied = must(world.apply(world.plan()));
  INFO(text(applied));
  CHECK(operation(applied, "www/sub/shell-b.php").reason.find("larger") != std::string::npos);
  const RunReport finalized = must(world.finalize(applied.run));
  INFO(text(finalized));
  CHECK(finalized.status == "partial");
  CHECK(operation(finalized, "www/sub/shell-b.php").outcome == "kept");
  RollbackOptions options;
  options.recovery = world.recovery();
  CHECK(must(world.rollback(applied.run, std::move(options))).status == "done");
  CHECK(difference(before, world.snapshot(), false).empty());
}

TEST_CASE("finalize tells of originals that are held only", "[cycle]") {
  MemoryWorld memory;
  World& world = *memory.world;
  const plan::PlanFile plan = world.plan();
  must(memory.host.limit_mount(world.store_path().substr(0, world.store_path().rfind('/')),
                               {1u << 20, 100'000}, true));
  const RunReport applied = must(world.apply(plan));
  INFO(text(applied));
  const RunReport report = must(world.finalize(applied.run));
  INFO(text(report));
  CHECK(report.status == "failed");
  REQUIRE_FALSE(report.operations.empty());
  CHECK(report.operations.front().outcome == "held");
  CHECK(report.operations.front().reason.find("resume " + applied.run) != std::string::npos);
  must(world.rollback(applied.run));
  CHECK(must(world.finalize(applied.run)).status == "nothing_to_do");
}

TEMPLATE_TEST_CASE("a later edit of a configuration survives the rollback", "[cycle]", MemoryWorld,
                   NativeWorld) {
  Fixture<TestType> fixture;
  World& world = fixture.world;
  const std::string original = world.read("etc-iis/applicationHost.config");
  const RunReport applied = must(world.apply(world.plan()));
  const std::string edited = world.read("etc-iis/applicationHost.config") + "<!-- later -->\n";
  {
    const auto file = must(world.parent("etc-iis/applicationHost.config")
                               ->open_file("applicationHost.config", host::Access::read_write));
    must(file->write_at(0, edited));
  }
  const RunReport back = must(world.rollback(applied.run));
  INFO(text(back));
  CHECK(back.status == "done");
  CHECK(world.read("etc-iis/applicationHost.config") == original + "<!-- later -->\n");
}

TEMPLATE_TEST_CASE("evidence that does not verify stops rollback and finalize", "[cycle]",
                   MemoryWorld, NativeWorld) {
  Fixture<TestType> fixture;
  World& world = fixture.world;
  const RunReport applied = must(world.apply(world.plan()));
  const auto store = world.open_store();
  const RawPath run = must(RawPath::parse(applied.run));
  const auto folder = must(store->runs().open_directory(run, host::Mounts::stay));
  const auto spoil = [](const host::Directory& directory, const std::string& name,
                        std::uint64_t at) {
    const auto file = must(directory.open_file(name, host::Access::read_write));
    char byte = 0;
    REQUIRE(must(file->read_at(at, std::span(&byte, 1))) == 1);
    byte = static_cast<char>(byte ^ 1);
    must(file->write_at(at, std::string_view(&byte, 1)));
  };
  SECTION("manifest") { spoil(*folder, "manifest.json", 200); }
  SECTION("manifest's signature") { spoil(*folder, "manifest.json.p7s", 300); }
  SECTION("a manifest without signature") { must(folder->remove_file("manifest.json.p7s")); }
  SECTION("no manifest") { must(folder->remove_file("manifest.json")); }
  SECTION("plan") { spoil(*folder, "plan.json", 500); }
  SECTION("journal") { spoil(store->journals(), journal_name(applied.run), 900); }
  SECTION("head") { spoil(store->journals(), head_of(*store, applied.run), 60); }
  SECTION("no head") { must(store->journals().remove_file(head_of(*store, applied.run))); }
  SECTION("a cut journal") {
    const auto file =
        must(store->journals().open_file(journal_name(applied.run), host::Access::read_write));
    std::string bytes = must(host::read_whole(*file, 1u << 20));
    bytes.resize(bytes.rfind('\n', bytes.size() - 2) + 1);
    must(file->truncate(bytes.size()));
  }
  CHECK_FALSE(must(world.verify()).ok());
  const Snapshot before = world.snapshot();
  const auto back = world.rollback(applied.run);
  REQUIRE_FALSE(back);
  INFO(back.error().text());
  CHECK_FALSE(world.finalize(applied.run));
  CHECK(difference(before, world.snapshot()).empty());
  CHECK_FALSE(world.exists("www/shell-a.php"));
}

TEMPLATE_TEST_CASE("a sealed object that was changed keeps its original from being finalized",
                   "[cycle]", MemoryWorld, NativeWorld) {
  Fixture<TestType> fixture;
  World& world = fixture.world;
  const Snapshot before = world.snapshot();
  const RunReport applied = must(world.apply(world.plan()));
  const Run run = must(load_run(*world.open_store(), applied.run));
  std::string object;
  for (const OperationState& operation : run.operations)
    if (operation.operation->address == "www/shell-a.php") object = operation.entry.object;
  REQUIRE(object.size() == 64);
  {
    const auto store = world.open_store();
    const auto file =
        must(store->vault().objects().open_file(object + ".p7m", host::Access::read_write));
    must(file->write_at(must(file->stat()).size - 1, "\x7f"));
  }
  const VerifyReport report = must(world.verify());
  CHECK_FALSE(report.ok());
  CHECK(findings(report).find("shell-a.php object") != std::string::npos);
  const RunReport finalized = must(world.finalize(applied.run));
  CHECK(finalized.status == "partial");
  CHECK(operation(finalized, "www/shell-a.php").outcome == "kept");
  RollbackOptions options;
  options.recovery = world.recovery();
  const RunReport back = must(world.rollback(applied.run, std::move(options)));
  INFO(text(back));
  CHECK(back.status == "done");
  CHECK(difference(before, world.snapshot(), false).empty());
}

}  // namespace remediate::run::test
