// What a run takes for the same file, folder and boot, and stores that change while they are looked
// at.
#include "remediate/run/session.h"

#include <algorithm>

#include "remediate/host/durable.h"
#include "remediate/run/store_check.h"
#include "rich_world.h"

namespace remediate::run::test {
namespace {

/// The apply ends with the call number `at` that changes something, as a process that is gone.
void die(RichWorld& rich, std::size_t at) {
  std::size_t count = 0;
  rich.host.set_fault_hook([&](std::string_view, std::string_view) {
    return count++ < at ? std::nullopt : std::optional(Error{Code::io, "gone", ""});
  });
  (void)rich.world->apply(*rich.approved);
  rich.host.set_fault_hook({});
  REQUIRE(count > at);
}

void boot_again(RichWorld& rich, const std::string& boot) {
  host::Identity identity = rich.host.identity();
  identity.boot_id = boot;
  rich.host.set_identity(std::move(identity));
}

}  // namespace

TEST_CASE("the same file: by device and mount in one boot, by volume after another", "[session]") {
  const FileId seen{.device = 1, .inode = 7, .mount = 3, .volume = 9};
  FileId now = seen;
  CHECK((same_file(seen, now, true) && same_file(seen, now, false)));
  now.mount = 4;
  CHECK_FALSE(same_file(seen, now, true));
  CHECK(same_file(seen, now, false));
  now.device = 2;  // mounted again, as another device
  CHECK_FALSE(same_file(seen, now, true));
  CHECK(same_file(seen, now, false));
  now.volume = 8;
  CHECK_FALSE(same_file(seen, now, false));
  now = seen;
  now.inode = 8;
  CHECK_FALSE(same_file(seen, now, false));
  FileId unknown = seen;  // a file system that has no volume id
  unknown.volume = 0;
  FileId other = unknown;
  other.device = 2;
  CHECK_FALSE(same_file_system(unknown, other));

  FileStat before;
  before.id = seen;
  before.size = 5;
  before.modified = {100, 1};
  FileStat after = before;
  CHECK(same_and_unwritten(before, after));
  after.size = 6;
  CHECK_FALSE(same_and_unwritten(before, after));
  after = before;
  after.modified = {100, 2};
  CHECK_FALSE(same_and_unwritten(before, after));
  after = before;
  after.id.inode = 8;
  CHECK_FALSE(same_and_unwritten(before, after));
}

TEST_CASE("a boot between plan, apply, resume and rollback is no hindrance", "[session]") {
  const bool before_apply = GENERATE(true, false);
  RichWorld rich;
  if (before_apply) boot_again(rich, "boot-2");
  die(rich, 150);
  if (!before_apply) boot_again(rich, "boot-2");
  const RunReport resumed = must(rich.world->resume(rich.run));
  INFO(text(resumed));
  CHECK(resumed.status == "done");
  boot_again(rich, "boot-3");
  CHECK(must(rich.world->verify()).ok());
  CHECK(must(rich.world->rollback(rich.run)).status == "done");
  CHECK(difference(rich.before, rich.world->snapshot()).empty());
}

TEST_CASE("a rollback that stops in a run without a manifest writes one that holds", "[session]") {
  RichWorld rich;
  die(rich, 150);
  REQUIRE_FALSE(
      must(rich.host.open_root("/base/store/runs/" + rich.run))->stat_entry("manifest.json"));
  rich.world->progress.stop = &rich.world->stop;
  rich.world->progress.stop_at = rich.world->progress.steps.size() + 1;
  const RunReport stopped = must(rich.world->rollback(rich.run));
  INFO(text(stopped));
  CHECK(stopped.interrupted);
  rich.world->progress.stop = nullptr;
  rich.world->stop = false;
  const VerifyReport report = must(rich.world->verify());
  INFO(findings(report));
  CHECK(report.ok());
  must(rich.world->resume(rich.run));
  CHECK(must(rich.world->verify()).ok());
  (void)must(rich.world->rollback(rich.run));
  CHECK(difference(rich.before, rich.world->snapshot()).empty());
}

TEST_CASE("a hold is found where the folder of its file is no longer one", "[session]") {
  const std::string what = GENERATE("gone", "a file", "changed meanwhile");
  INFO(what);
  MemoryWorld memory;
  World& world = *memory.world;
  world.folder("www/data/sub");
  world.file("www/data/sub/shell-e.php", "inert sample e\n");
  const RunReport applied = must(world.apply(world.plan()));
  const auto folder = must(memory.host.open_root(world.target() + "/www/data"));
  if (what != "changed meanwhile") must(folder->remove_directory("sub"));
  if (what == "a file") must(folder->create_file("sub", 0644));
  if (what == "changed meanwhile")
    memory.host.set_look_hook(
        [](std::string_view call, std::string_view name) -> std::optional<Error> {
          if (call != "open_directory" || name != "www/data/sub") return std::nullopt;
          return Error{Code::changed, "another folder took its place", ""};
        });
  RollbackOptions options;
  options.only = {operation(applied, "www/data/sub/shell-e.php").id};
  options.outbox = "/base/outbox";
  const RunReport back = must(world.rollback(applied.run, options));
  memory.host.set_look_hook({});
  INFO(text(back));
  CHECK(operation(back, "www/data/sub/shell-e.php").outcome == "in_outbox");
  CHECK(must(world.verify()).ok());
}

TEST_CASE("a root that cannot be opened while a hold is looked for is told", "[session]") {
  MemoryWorld memory;
  World& world = *memory.world;
  const RunReport applied = must(world.apply(world.plan()));
  const Run run = must(load_run(*world.open_store(), applied.run));
  const auto found = std::ranges::find_if(run.operations, [](const OperationState& one) {
    return one.entry.path.display() == "www/data/shell-d.php";
  });
  REQUIRE(found != run.operations.end());
  const auto root = must(memory.host.open_root(world.target()));
  const auto store = world.open_store();
  memory.host.set_look_hook([](std::string_view call, std::string_view) -> std::optional<Error> {
    if (call != "open_directory") return std::nullopt;
    return Error{Code::not_found, "the root is gone", ""};
  });
  const auto hold = open_hold_of(*store, *root, run.name, found->entry);
  memory.host.set_look_hook({});
  if (found->entry.hold == quarantine::HoldPlace::store) return;
  REQUIRE_FALSE(hold);
  CHECK(hold.error().text().find("the root is gone") != std::string::npos);
}

TEST_CASE("a store that appears while one is made is used", "[store]") {
  host::MemoryHost host;
  bool made = false;
  host.set_fault_hook([&](std::string_view call, std::string_view) -> std::optional<Error> {
    if (call != "make_root" || made) return std::nullopt;
    made = true;
    must(Store::create(host, "/store", keys().store));
    return std::nullopt;
  });
  const auto store = must(Store::open_or_create(host, "/store"));
  CHECK(made);
  CHECK_FALSE(store->created());
  CHECK(store->recovery().fingerprint() ==
        must(crypto::Certificate::from_pem(keys().store.recovery_certificate, "")).fingerprint());
}

TEST_CASE("what is just removed from a store is no finding", "[store]") {
  MemoryWorld memory;
  const RunReport applied = must(memory.world->apply(memory.world->plan()));
  memory.host.set_look_hook(
      [](std::string_view call, std::string_view name) -> std::optional<Error> {
        if (call != "stat_entry" || !name.ends_with(".p7m")) return std::nullopt;
        return Error{Code::not_found, "just removed", ""};
      });
  const auto store = memory.world->open_store();
  std::vector<Finding> found;
  check_store(*store, 0, {applied.run}, "", found);
  memory.host.set_look_hook({});
  CHECK(found.empty());
}

}  // namespace remediate::run::test
