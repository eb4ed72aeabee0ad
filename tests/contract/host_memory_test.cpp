// What only the host in memory has: faults, a clock that stands still, mounts on demand.
#include "remediate/host/durable.h"
#include "tests/contract/host_worlds.h"

using namespace remediate;
using namespace remediate::contract;
using host::Access;
using host::Mounts;

TEST_CASE("a fault stops a changing call before it changes anything", "[host][memory]") {
  MemoryWorld world;
  const host::Directory& root = world.root();
  make_file(root, "a", "A");
  make_file(root, "b", "B");
  const auto file = must(root.open_file("a", Access::read_write));
  const auto unnamed = must(root.create_unnamed(0600));
  std::vector<std::string> calls;
  world.host().set_fault_hook([&](std::string_view operation, std::string_view name) {
    calls.push_back(std::string(operation) + " " + std::string(name));
    return std::optional(Error{.code = Code::io, .message = "planted"});
  });
  const std::vector<std::pair<std::string, Result<void>>> results = {
      {"write_at a", file->write_at(0, "X")},
      {"truncate a", file->truncate(0)},
      {"sync_data a", file->sync_data()},
      {"sync a", file->sync()},
      {"rename a", root.rename("a", root, "c")},
      {"exchange a", root.exchange("a", root, "b")},
      {"replace b", root.replace("a", "b")},
      {"remove_file a", root.remove_file("a")},
      {"make_directory d", root.make_directory("d", 0700)},
      {"link_file l", root.link_file(*unnamed, "l")},
      {"sync ", root.sync()},
      {"sync_filesystem ", root.sync_filesystem()},
  };
  std::vector<std::string> expected;
  for (const auto& [call, result] : results) {
    CAPTURE(call);
    expected.push_back(call);
    REQUIRE(code_of(result) == Code::io);
    CHECK(result.error().message == "planted");
  }
  CHECK(calls == expected);
  CHECK(code_of(root.create_file("n", 0600)) == Code::io);
  CHECK(code_of(host::write_durable(root, "a", "new")) == Code::io);
  world.host().set_fault_hook({});
  CHECK(read_file(root, "a") == "A");
  CHECK(read_file(root, "b") == "B");
  std::size_t entries = 0;
  must(root.each_entry([&](std::string_view, FileKind) { return ++entries > 0; }));
  CHECK(entries == 2);
}

TEST_CASE("a durable write that fails at any call leaves the old version", "[host][memory]") {
  for (int failing = 0;; ++failing) {
    MemoryWorld world;
    const host::Directory& root = world.root();
    must(host::write_durable(root, "head", "old"));
    int calls = 0;
    world.host().set_fault_hook([&](std::string_view, std::string_view) -> std::optional<Error> {
      if (calls++ != failing) return std::nullopt;
      return Error{.code = Code::io, .message = "planted"};
    });
    const auto written = host::write_durable(root, "head", "new version");
    world.host().set_fault_hook({});
    const std::string found = read_file(root, "head");
    if (calls <= failing) {  // no call is left to fail
      CHECK(written);
      CHECK(found == "new version");
      CHECK(failing >= 6);
      break;
    }
    CAPTURE(failing);
    CHECK(code_of(written) == Code::io);
    CHECK((found == "old" || found == "new version"));
  }
}

TEST_CASE("mounts in memory divide the tree and can be full or read-only", "[host][memory]") {
  MemoryWorld world;
  make_folder(world.root(), "data");
  make_file(world.root(), "f", "x");
  must(world.host().mount("/world/data", "nfs"));
  CHECK(code_of(world.root().open_directory(path("data"), Mounts::stay)) == Code::refused);
  const auto data = must(world.root().open_directory(path("data"), Mounts::cross));
  CHECK(must(data->filesystem_type()) == "nfs");
  CHECK(must(data->stat()).id.mount != must(world.root().stat()).id.mount);
  CHECK(must(must(data->mount_top())->stat()).id == must(data->stat()).id);
  CHECK(code_of(world.root().rename("f", *data, "f")) == Code::unsupported);
  must(world.host().limit_mount("/world/data", {.free_bytes = 3, .free_files = 1}, true));
  CHECK(code_of(must(data->create_file("g", 0600))->write_at(0, "four")) == Code::no_space);
  must(world.host().limit_mount("/world/data", {}, false));
  CHECK(code_of(data->create_file("h", 0600)) == Code::read_only);
  CHECK_FALSE(must(data->writable_mount()));
}

TEST_CASE("time in memory moves only when it is told to", "[host][memory]") {
  MemoryWorld world;
  const Timestamp start = world.host().now();
  make_file(world.root(), "f", "x");
  CHECK(must(world.root().stat_entry("f")).modified == start);
  world.host().set_now({.seconds = start.seconds + 60, .nanoseconds = 0});
  must(must(world.root().open_file("f", Access::read_write))->write_at(0, "y"));
  CHECK(must(world.root().stat_entry("f")).modified.seconds == start.seconds + 60);
  CHECK(must(world.root().stat_entry("f")).born == start);
}
