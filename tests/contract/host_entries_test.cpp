#include <algorithm>
#include <set>
#include <thread>

#include "remediate/host/durable.h"
#include "tests/contract/host_worlds.h"

using namespace remediate;
using namespace remediate::contract;
using host::Access;
using host::Mounts;

namespace {

std::vector<std::string> names_in(const host::Directory& directory) {
  std::vector<std::string> names;
  must(directory.each_entry([&](std::string_view name, FileKind) {
    names.emplace_back(name);
    return true;
  }));
  std::ranges::sort(names);
  return names;
}

}  // namespace

TEMPLATE_TEST_CASE("rename never overwrites and keeps the identity", "[host]", KernelWorld,
                   StepwiseWorld, MemoryWorld) {
  TestType world;
  const host::Directory& root = world.root();
  const auto hold = make_folder(root, "hold");
  make_file(root, "shell", "bad");
  make_file(*hold, "taken", "good");
  const FileId id = must(root.stat_entry("shell")).id;

  CHECK(code_of(root.rename("shell", *hold, "taken")) == Code::already_exists);
  CHECK(read_file(root, "shell") == "bad");
  CHECK(read_file(*hold, "taken") == "good");
  CHECK(code_of(root.rename("none", *hold, "free")) == Code::not_found);

  const auto open = must(root.open_file("shell", Access::read));
  must(root.rename("shell", *hold, "free"));
  CHECK(code_of(root.stat_entry("shell")) == Code::not_found);
  CHECK(must(hold->stat_entry("free")).id == id);
  CHECK(must(open->stat()).id == id);
  CHECK(must(host::read_whole(*open, 100)) == "bad");
  CHECK(code_of(root.rename("hold", *hold, "inside")) == Code::unsupported);
}

TEMPLATE_TEST_CASE("exchange swaps two entries and needs both", "[host]", KernelWorld,
                   StepwiseWorld, MemoryWorld) {
  TestType world;
  const host::Directory& root = world.root();
  const auto other = make_folder(root, "other");
  make_file(root, "a", "A");
  make_file(*other, "b", "B");
  const FileId id = must(root.stat_entry("a")).id;
  must(root.exchange("a", *other, "b"));
  CHECK(read_file(root, "a") == "B");
  CHECK(read_file(*other, "b") == "A");
  CHECK(must(other->stat_entry("b")).id == id);
  CHECK(code_of(root.exchange("a", *other, "none")) == Code::not_found);
  CHECK(code_of(root.exchange("none", *other, "b")) == Code::not_found);
  CHECK(read_file(root, "a") == "B");
}

TEMPLATE_TEST_CASE("replace overwrites, remove removes only its kind", "[host]", KernelWorld,
                   StepwiseWorld, MemoryWorld) {
  TestType world;
  const host::Directory& root = world.root();
  make_file(root, "new", "new");
  make_file(root, "old", "old");
  must(root.replace("new", "old"));
  CHECK(read_file(root, "old") == "new");
  CHECK(names_in(root) == std::vector<std::string>{"old"});
  CHECK(code_of(root.replace("new", "old")) == Code::not_found);

  const auto folder = make_folder(root, "folder");
  make_file(*folder, "x", "x");
  CHECK(code_of(root.replace("old", "folder")) == Code::refused);
  CHECK(code_of(root.remove_file("folder")) == Code::refused);
  CHECK(code_of(root.remove_directory("old")) == Code::refused);
  CHECK(code_of(root.remove_directory("folder")) == Code::refused);
  must(folder->remove_file("x"));
  must(root.remove_directory("folder"));
  CHECK(code_of(folder->create_file("late", 0600)) == Code::not_found);
  must(root.remove_file("old"));
  CHECK(code_of(root.remove_file("old")) == Code::not_found);
  CHECK(names_in(root).empty());
}

TEMPLATE_TEST_CASE("create and make_directory are exclusive", "[host]", KernelWorld, StepwiseWorld,
                   MemoryWorld) {
  TestType world;
  const host::Directory& root = world.root();
  const auto file = must(root.create_file("file", 0640));
  CHECK((must(file->stat()).mode & 0700) == 0600);
  must(file->write_at(0, "kept"));
  CHECK(code_of(root.create_file("file", 0600)) == Code::already_exists);
  CHECK(code_of(root.make_directory("file", 0700)) == Code::already_exists);
  CHECK(read_file(root, "file") == "kept");
  must(root.make_directory("folder", 0700));
  CHECK(must(root.stat_entry("folder")).kind == FileKind::directory);
  CHECK(code_of(root.make_directory("folder", 0700)) == Code::already_exists);
}

TEMPLATE_TEST_CASE("an unnamed file appears only when it is linked", "[host]", KernelWorld,
                   StepwiseWorld, MemoryWorld) {
  TestType world;
  const host::Directory& root = world.root();
  make_file(root, "taken", "old");
  const auto unnamed = must(root.create_unnamed(0600));
  must(unnamed->write_at(0, "sealed"));
  CHECK(must(unnamed->stat()).links == 0);
  CHECK(names_in(root) == std::vector<std::string>{"taken"});
  CHECK(code_of(root.link_file(*unnamed, "taken")) == Code::already_exists);
  CHECK(read_file(root, "taken") == "old");
  must(root.link_file(*unnamed, "object"));
  CHECK(read_file(root, "object") == "sealed");
  CHECK(must(unnamed->stat()).links == 1);
  CHECK(must(root.stat_entry("object")).id == must(unnamed->stat()).id);
}

TEMPLATE_TEST_CASE("hard links are one file with a count", "[host]", KernelWorld, StepwiseWorld,
                   MemoryWorld) {
  TestType world;
  const host::Directory& root = world.root();
  make_file(root, "one", "same");
  const auto file = must(root.open_file("one", Access::read));
  must(root.link_file(*file, "two"));
  CHECK(must(root.stat_entry("one")).links == 2);
  CHECK(must(root.stat_entry("one")).id == must(root.stat_entry("two")).id);
  must(must(root.open_file("two", Access::read_write))->write_at(0, "SAME"));
  CHECK(read_file(root, "one") == "SAME");
  must(root.remove_file("one"));
  CHECK(must(root.stat_entry("two")).links == 1);
}

TEMPLATE_TEST_CASE("a large directory is listed whole, from several threads at once", "[host]",
                   KernelWorld, StepwiseWorld, MemoryWorld) {
  TestType world;
  const host::Directory& root = world.root();
  constexpr std::size_t count = 1500;
  for (std::size_t i = 0; i < count; ++i) {
    make_file(root, std::string(100, 'n') + std::to_string(i), "");
  }
  std::vector<std::set<std::string>> seen(4);
  std::vector<std::size_t> visits(seen.size());
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < seen.size(); ++t) {
      threads.emplace_back([&, t] {
        const auto result = root.each_entry([&](std::string_view name, FileKind) {
          seen[t].emplace(name);
          ++visits[t];
          return true;
        });
        if (!result) seen[t].clear();
      });
    }
  }
  for (std::size_t t = 0; t < seen.size(); ++t) {
    CHECK(seen[t].size() == count);
    CHECK(visits[t] == count);
  }
  std::size_t calls = 0;
  must(root.each_entry([&](std::string_view, FileKind) { return ++calls < 10; }));
  CHECK(calls == 10);
  // Calls into the same directory from within the visit.
  std::size_t found = 0;
  must(root.each_entry([&](std::string_view name, FileKind) {
    if (root.stat_entry(name)) ++found;
    return found < 5;
  }));
  CHECK(found == 5);
}

TEMPLATE_TEST_CASE("a lock excludes every other handle until it is let go", "[host]", KernelWorld,
                   StepwiseWorld, MemoryWorld) {
  TestType world;
  const auto second = must(world.root().open_directory(RawPath(), Mounts::stay));
  auto lock = must(world.root().lock("lock"));
  CHECK((must(world.root().stat_entry("lock")).mode & 077) == 0);
  CHECK(code_of(world.root().lock("lock")) == Code::busy);
  CHECK(code_of(second->lock("lock")) == Code::busy);
  CHECK(must(second->lock("unrelated")) != nullptr);
  lock.reset();
  lock = must(second->lock("lock"));
  CHECK(code_of(world.root().lock("lock")) == Code::busy);
}

TEMPLATE_TEST_CASE("durable files are whole, replaced atomically, and leave nothing behind",
                   "[host]", KernelWorld, StepwiseWorld, MemoryWorld) {
  TestType world;
  const host::Directory& root = world.root();
  must(host::write_durable(root, "head", "one"));
  CHECK(read_file(root, "head") == "one");
  CHECK(must(root.stat_entry("head")).mode == 0600);
  const std::string large(300'000, 'z');
  must(host::write_durable(root, "head", large));
  CHECK(read_file(root, "head") == large);
  make_file(root, ".writing-0", "left by a crash");
  must(host::write_durable(root, "head", ""));
  CHECK(read_file(root, "head").empty());
  CHECK(names_in(root) == std::vector<std::string>{".writing-0", "head"});
  CHECK(code_of(host::write_durable(root, "../head", "x")) == Code::bad_input);

  make_file(root, "ten", "0123456789");
  CHECK(must(host::read_whole(root, "ten", 10)) == "0123456789");
  CHECK(code_of(host::read_whole(root, "ten", 9)) == Code::limit);
  CHECK(code_of(host::read_whole(root, "none", 9)) == Code::not_found);

  const auto made = must(host::ensure_directory(root, "objects", 0700));
  const auto same = must(host::ensure_directory(root, "objects", 0700));
  CHECK(must(made->stat()).id == must(same->stat()).id);
  CHECK(must(made->stat()).mode == 0700);
  CHECK(code_of(host::ensure_directory(root, "ten", 0700)) == Code::refused);
}

TEMPLATE_TEST_CASE("roots are made once and opened again", "[host]", KernelWorld, StepwiseWorld,
                   MemoryWorld) {
  TestType world;
  const std::string nested = world.root_path() + "/a/b//c/";
  const auto made = must(world.host().make_root(nested));
  CHECK(must(made->stat()).mode == 0700);
  make_file(*made, "x", "1");
  CHECK(read_file(*must(world.host().make_root(nested)), "x") == "1");
  CHECK(read_file(*must(world.host().open_root(nested)), "x") == "1");
  CHECK_THAT(made->location(), Catch::EndsWith("/a/b/c"));
  // The operator's own path may lead through links.
  world.plant_link("by-link", "a/b");
  CHECK(read_file(*must(world.host().open_root(world.root_path() + "/by-link/c")), "x") == "1");
  CHECK(must(world.host().make_root(world.root_path() + "/by-link/d")) != nullptr);
  CHECK(must(world.root().open_directory(path("a/b/d"), Mounts::stay)) != nullptr);
  make_file(world.root(), "file", "");
  CHECK(code_of(world.host().make_root(world.root_path() + "/file/x")) == Code::refused);
}

TEMPLATE_TEST_CASE("flushes, space and the file system answer", "[host]", KernelWorld,
                   StepwiseWorld, MemoryWorld) {
  TestType world;
  const host::Directory& root = world.root();
  const auto file = must(root.create_file("f", 0600));
  must(file->write_at(0, "x"));
  must(file->sync_data());
  must(file->sync());
  must(root.sync());
  must(root.sync_filesystem());
  CHECK(must(root.space()).free_bytes > 0);
  CHECK(must(root.space()).free_files > 0);
  CHECK(must(root.writable_mount()));
  CHECK_FALSE(must(root.filesystem_type()).empty());
  const auto top = must(root.mount_top());
  CHECK(must(top->stat()).id.mount == must(root.stat()).id.mount);
  CHECK(must(must(top->mount_top())->stat()).id == must(top->stat()).id);
  must(root.set_times({.seconds = 10, .nanoseconds = 5}, {.seconds = 20, .nanoseconds = 7}));
  CHECK(must(root.stat()).modified == Timestamp{20, 7});
  CHECK_FALSE(world.host().identity().machine_id.empty());
  CHECK_FALSE(world.host().identity().boot_id.empty());
  CHECK(world.host().now().seconds > 1'700'000'000);
}
