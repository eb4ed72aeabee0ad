// The host in memory stands in for the real one in most tests, so it has to refuse what the real
// one refuses, and every call of it can be made to fail: the error is told and nothing has changed.
#include <algorithm>
#include <iostream>
#include <set>

#include "remediate/host/durable.h"
#include "remediate/host/link_reader.h"
#include "remediate/host/memory/tree.h"
#include "tests/contract/host_worlds.h"

using namespace remediate;
using namespace remediate::contract;
using host::Access;
using host::Directory;
using host::File;
using host::MemoryHost;
using host::Mounts;
using host::Privileges;

namespace {

/// A small tree, and hands on its inodes for what no call of a host can set.
struct Scene {
  std::shared_ptr<host::memory::Tree> tree = std::make_shared<host::memory::Tree>();
  MemoryHost host{tree};
  std::unique_ptr<Directory> root = must(host.make_root("/world"));
  std::unique_ptr<Directory> folder = make_folder(*root, "folder");
  std::unique_ptr<File> read, write, unnamed;

  Scene() {
    make_file(*root, "file", "bytes");
    make_file(*root, "other", "more");
    make_file(*folder, "inner", "inner");
    make_folder(*root, "empty");
    must(host.plant("/world/link", FileKind::symlink, "file"));
    read = must(root->open_file("file", Access::read));
    write = must(root->open_file("other", Access::read_write));
    unnamed = must(root->create_unnamed(0600));
  }
  [[nodiscard]] host::memory::Node& node(std::string_view name) const {
    return *tree->root->entries.find("world")->second->entries.find(name)->second;
  }
  [[nodiscard]] host::memory::Node& world() const {
    return *tree->root->entries.find("world")->second;
  }
  [[nodiscard]] const host::LinkReader& links() const {
    return dynamic_cast<const host::LinkReader&>(*root);
  }
};

/// Everything that a call could change, as text.
void tell(const host::memory::Node& node, const std::string& path, std::string& all) {
  const FileStat& stat = node.stat;
  all += path + " " + std::to_string(stat.id.inode) + " " + std::to_string(stat.mode) + " " +
         std::to_string(stat.links) + " " + std::to_string(stat.owner) + " " +
         std::to_string(stat.modified.seconds) + " " + std::to_string(node.flags) + " " +
         std::to_string(node.writers) + " " + std::to_string(node.mount->space.free_bytes) + " " +
         (node.locked ? "locked " : "") + node.bytes + node.target + "\n";
  for (const auto& [name, value] : node.attributes) all += "  " + name + "=" + value + "\n";
  for (const auto& [name, entry] : node.entries) tell(*entry, path + "/" + name, all);
}

std::string snapshot(const Scene& scene) {
  std::string all;
  tell(*scene.tree->root, "", all);
  return all;
}

template <class T>
std::optional<Error> told(const Result<T>& result) {
  if (result) return std::nullopt;
  return result.error();
}

enum class Sort { changes, looks };
struct Operation {
  const char* name;  // as the hook gets it
  Sort sort;
  std::function<std::optional<Error>(Scene&)> act;
};

std::vector<Operation> operations() {
  using S = Scene;
  Metadata metadata;
  metadata.attributes = {{"user.x", "1"}};
  return {
      {"create_file", Sort::changes, [](S& s) { return told(s.root->create_file("new", 0600)); }},
      {"create_unnamed", Sort::changes, [](S& s) { return told(s.root->create_unnamed(0600)); }},
      {"link_file", Sort::changes, [](S& s) { return told(s.root->link_file(*s.unnamed, "new")); }},
      {"make_directory", Sort::changes,
       [](S& s) { return told(s.root->make_directory("new", 0700)); }},
      {"rename", Sort::changes,
       [](S& s) { return told(s.root->rename("file", *s.folder, "new")); }},
      {"exchange", Sort::changes,
       [](S& s) { return told(s.root->exchange("file", *s.folder, "inner")); }},
      {"replace", Sort::changes, [](S& s) { return told(s.root->replace("file", "other")); }},
      {"remove_file", Sort::changes, [](S& s) { return told(s.root->remove_file("file")); }},
      {"remove_directory", Sort::changes,
       [](S& s) { return told(s.root->remove_directory("empty")); }},
      {"sync", Sort::changes, [](S& s) { return told(s.root->sync()); }},
      {"sync_filesystem", Sort::changes, [](S& s) { return told(s.root->sync_filesystem()); }},
      {"set_times", Sort::changes, [](S& s) { return told(s.root->set_times({1, 2}, {3, 4})); }},
      {"lock", Sort::changes, [](S& s) { return told(s.root->lock("lock")); }},
      {"make_root", Sort::changes, [](S& s) { return told(s.host.make_root("/new/root")); }},
      {"write_at", Sort::changes, [](S& s) { return told(s.write->write_at(2, "longer")); }},
      {"truncate", Sort::changes, [](S& s) { return told(s.write->truncate(1)); }},
      {"reserve", Sort::changes, [](S& s) { return told(s.write->reserve(100)); }},
      {"sync_data", Sort::changes, [](S& s) { return told(s.write->sync_data()); }},
      {"sync", Sort::changes, [](S& s) { return told(s.write->sync()); }},
      {"restore_metadata", Sort::changes,
       [metadata](S& s) { return told(s.write->restore_metadata(metadata, Privileges::keep)); }},
      {"set_times", Sort::changes, [](S& s) { return told(s.write->set_times({1, 2}, {3, 4})); }},
      {"set_protection_flags", Sort::changes,
       [](S& s) { return told(s.write->set_protection_flags(host::flag_immutable)); }},
      {"stat", Sort::looks, [](S& s) { return told(s.root->stat()); }},
      {"open_directory", Sort::looks,
       [](S& s) { return told(s.root->open_directory(path("folder"), Mounts::stay)); }},
      {"read_link", Sort::looks, [](S& s) { return told(s.links().read_link("link")); }},
      {"stat_entry", Sort::looks, [](S& s) { return told(s.root->stat_entry("file")); }},
      {"open_file", Sort::looks,
       [](S& s) { return told(s.root->open_file("file", Access::read)); }},
      {"space", Sort::looks, [](S& s) { return told(s.root->space()); }},
      {"writable_mount", Sort::looks, [](S& s) { return told(s.root->writable_mount()); }},
      {"filesystem_type", Sort::looks, [](S& s) { return told(s.root->filesystem_type()); }},
      {"each_entry", Sort::looks,
       [](S& s) { return told(s.root->each_entry([](auto, auto) { return true; })); }},
      {"inode_flags", Sort::looks, [](S& s) { return told(s.root->inode_flags()); }},
      {"mount_top", Sort::looks, [](S& s) { return told(s.root->mount_top()); }},
      {"stat", Sort::looks, [](S& s) { return told(s.read->stat()); }},
      {"metadata", Sort::looks, [](S& s) { return told(s.read->metadata()); }},
      {"read_at", Sort::looks,
       [](S& s) {
         char byte = 0;
         return told(s.read->read_at(0, std::span(&byte, 1)));
       }},
      {"has_other_writers", Sort::looks, [](S& s) { return told(s.read->has_other_writers()); }},
      {"open_root", Sort::looks, [](S& s) { return told(s.host.open_root("/world")); }},
      {"files_in_use", Sort::looks, [](S& s) { return told(s.host.files_in_use()); }},
  };
}

constexpr host::Space plenty{.free_bytes = 1u << 30, .free_files = 1u << 20};

}  // namespace

TEST_CASE("every call in memory asks its hook once, and an error of it changes nothing",
          "[host][memory]") {
  std::size_t tried = 0;
  for (const Operation& operation : operations()) {
    INFO(operation.name);
    Scene scene;
    std::vector<std::string> asked, wrong;
    const auto into = [](std::vector<std::string>& names, const std::optional<Error>& error) {
      return [&names, error](std::string_view name, std::string_view) {
        names.emplace_back(name);
        return error;
      };
    };
    const auto hooks = [&](const std::optional<Error>& error) {
      const bool changes = operation.sort == Sort::changes;
      scene.host.set_fault_hook(into(changes ? asked : wrong, error));
      scene.host.set_look_hook(into(changes ? wrong : asked, error));
    };
    const std::string before = snapshot(scene);
    hooks(Error{.code = Code::io, .message = "planted"});
    const auto failed = operation.act(scene);
    REQUIRE(failed.has_value());
    CHECK(failed->message == "planted");
    CHECK(snapshot(scene) == before);
    hooks(std::nullopt);
    CHECK_FALSE(operation.act(scene).has_value());
    CHECK(asked == std::vector<std::string>{operation.name, operation.name});
    CHECK(wrong.empty());
    if (operation.sort == Sort::looks) CHECK(snapshot(scene) == before);
    ++tried;
  }
  std::cout << "host in memory: " << tried << " calls failed and then made\n";
  CHECK(tried == 39);
}

TEST_CASE("a folder in memory that is fixed, read-only or gone takes and gives no entry",
          "[host][memory]") {
  const auto [what, code] = GENERATE(table<std::string, Code>(
      {{"fixed", Code::permission}, {"read-only", Code::read_only}, {"gone", Code::not_found}}));
  Scene scene;
  CAPTURE(what);
  if (what == "fixed") scene.world().flags = host::flag_immutable;
  if (what == "read-only") must(scene.host.limit_mount("/world", plenty, false));
  if (what == "gone") scene.world().removed = true;
  const std::string before = snapshot(scene);
  std::size_t refused = 0;
  for (const Operation& operation : operations()) {
    const std::set<std::string> in_the_folder{
        "create_file", "create_unnamed", "link_file",   "make_directory",   "rename",
        "exchange",    "replace",        "remove_file", "remove_directory", "lock"};
    if (!in_the_folder.contains(operation.name)) continue;
    INFO(operation.name);
    const auto error = operation.act(scene);
    REQUIRE(error.has_value());
    CHECK(error->code == code);
    ++refused;
  }
  CHECK(refused == 10);
  CHECK(told(scene.root->set_times({1, 2}, {3, 4}))->code == code);
  // From another folder into it, and out of it.
  CHECK(told(scene.folder->exchange("inner", *scene.root, "file"))->code == code);
  if (what != "read-only") {
    CHECK(told(scene.folder->rename("inner", *scene.root, "new"))->code == code);
    CHECK(scene.root->open_file("file", Access::read_write).has_value());
  } else {
    CHECK(told(scene.root->open_file("file", Access::read_write))->code == code);
  }
  CHECK(snapshot(scene) == before);
}

TEST_CASE("an inode in memory that is fixed stays as it is, whatever its kind", "[host][memory]") {
  Scene scene;
  for (const char* name : {"file", "empty", "link"}) scene.node(name).flags = host::flag_immutable;
  const Directory& root = *scene.root;
  const std::string before = snapshot(scene);
  for (const char* name : {"file", "empty", "link"}) {
    CAPTURE(name);
    CHECK(told(root.rename(name, *scene.folder, "new"))->code == Code::permission);
    CHECK(told(root.exchange(name, root, "other"))->code == Code::permission);
    CHECK(told(root.exchange("other", root, name))->code == Code::permission);
    CHECK(told(root.replace(name, "new"))->code == Code::permission);
  }
  CHECK(told(root.replace("other", "file"))->code == Code::permission);
  CHECK(told(root.remove_file("file"))->code == Code::permission);
  CHECK(told(root.remove_directory("empty"))->code == Code::permission);
  CHECK(told(root.remove_directory("none"))->code == Code::not_found);
  CHECK(told(root.link_file(*scene.read, "new"))->code == Code::permission);
  CHECK(told(scene.read->set_times({1, 2}, {3, 4}))->code == Code::permission);
  CHECK(must(scene.read->restore_metadata({}, Privileges::keep)).size() == 3);
  CHECK(snapshot(scene) == before);
}

TEST_CASE("a mount point in memory stays where it is", "[host][memory]") {
  Scene scene;
  const Directory& root = *scene.root;
  must(scene.host.mount("/world/empty", "nfs"));
  const auto mounted = must(root.open_directory(path("empty"), Mounts::cross));
  const std::string before = snapshot(scene);
  CHECK(told(root.rename("empty", *scene.folder, "new"))->code == Code::unsupported);
  CHECK(told(root.exchange("empty", root, "folder"))->code == Code::unsupported);
  CHECK(told(root.exchange("file", *mounted, "file"))->code == Code::unsupported);
  CHECK(told(root.remove_directory("empty"))->code == Code::refused);
  CHECK(told(mounted->link_file(*scene.read, "new"))->code == Code::unsupported);
  CHECK(told(scene.host.mount("/", "nfs"))->code == Code::refused);
  CHECK(told(scene.host.mount("/world/folder", "nfs"))->code == Code::refused);
  CHECK(told(scene.host.mount("/none", "nfs"))->code == Code::not_found);
  CHECK(told(scene.host.limit_mount("/none", plenty, true))->code == Code::not_found);
  CHECK(snapshot(scene) == before);
}

TEST_CASE("two names of one inode in memory: neither a swap nor an overwrite takes one away",
          "[host][memory]") {
  Scene scene;
  must(scene.root->link_file(*scene.read, "second"));
  const std::string before = snapshot(scene);
  must(scene.root->exchange("file", *scene.root, "second"));
  must(scene.root->replace("file", "second"));
  CHECK(snapshot(scene) == before);
  CHECK(told(scene.root->replace("empty", "file"))->code == Code::refused);
  CHECK(told(scene.root->replace("file", "empty"))->code == Code::refused);
  CHECK(snapshot(scene) == before);
  must(scene.root->replace("file", "third"));
  CHECK(read_file(*scene.root, "third") == "bytes");
  CHECK(told(scene.root->stat_entry("file"))->code == Code::not_found);
}

TEST_CASE("what a file in memory cannot hold or may not do is refused", "[host][memory]") {
  Scene scene;
  constexpr std::uint64_t most = std::uint64_t{1} << 32;
  const std::string before = snapshot(scene);
  CHECK(told(scene.read->reserve(10))->code == Code::io);
  CHECK(told(scene.read->write_at(0, "x"))->code == Code::io);
  CHECK(told(scene.read->truncate(0))->code == Code::io);
  CHECK(told(scene.write->truncate(most + 1))->code == Code::io);
  CHECK(told(scene.write->write_at(most, "x"))->code == Code::io);
  CHECK(told(scene.write->write_at(most + 1, ""))->code == Code::io);
  CHECK(told(scene.write->has_other_writers())->code == Code::unsupported);
  CHECK(snapshot(scene) == before);
  must(scene.host.limit_mount("/world", {.free_bytes = 3, .free_files = 1}, true));
  must(scene.write->reserve(7));
  CHECK(told(scene.write->reserve(8))->code == Code::no_space);
  CHECK(told(scene.write->write_at(4, "four"))->code == Code::no_space);
  must(scene.write->write_at(4, "six"));
  CHECK(must(scene.root->space()).free_bytes == 0);
}

TEST_CASE("paths in memory are followed as by a shell, and no further", "[host][memory]") {
  Scene scene;
  const auto at = [&](const std::string& path) {
    return must(scene.host.open_root(path))->location();
  };
  CHECK(at("/world/./folder/../../../world//folder/") == "/world/folder");
  CHECK(at("/") == "/");
  must(scene.host.plant("/world/folder/up", FileKind::symlink, "../folder"));
  must(scene.host.plant("/world/far", FileKind::symlink, "/world/folder/up"));
  CHECK(at("/world/far") == "/world/folder");
  must(scene.host.plant("/world/loop", FileKind::symlink, "loop"));
  CHECK(told(scene.host.open_root("/world/loop"))->code == Code::refused);
  CHECK(told(scene.host.open_root("world"))->code == Code::bad_input);
  CHECK(told(scene.host.open_root("/" + std::string(256, 'n')))->code == Code::bad_input);
  CHECK(told(scene.host.make_root("world"))->code == Code::bad_input);
  CHECK(told(scene.host.make_root("/world/file/x"))->code == Code::refused);
  CHECK(told(scene.links().read_link("file"))->code == Code::refused);
  CHECK(told(scene.links().read_link("none"))->code == Code::not_found);
  CHECK(told(scene.links().read_link("a/b"))->code == Code::bad_input);
  CHECK(must(scene.links().read_link("link")) == "file");
}

TEST_CASE("a host in memory is the superuser of the machine that it is told to be",
          "[host][memory]") {
  MemoryWorld world;
  CHECK(world.host().user() == 0);
  CHECK(world.host().superuser());
  world.host().set_identity({.machine_id = "m", .host_name = "n", .boot_id = "b"});
  CHECK(world.host().identity().machine_id == "m");
  CHECK(world.host().identity().host_name == "n");
  CHECK(world.host().identity().boot_id == "b");
}

TEST_CASE("what is planted or run in memory has to have a free name or be a file",
          "[host][memory]") {
  Scene scene;
  const std::string before = snapshot(scene);
  CHECK(told(scene.host.plant("file", FileKind::fifo))->code == Code::bad_input);
  CHECK(told(scene.host.plant("/world/", FileKind::fifo))->code == Code::bad_input);
  CHECK(told(scene.host.plant("/none/x", FileKind::fifo))->code == Code::not_found);
  CHECK(told(scene.host.plant("/world/file", FileKind::fifo))->code == Code::already_exists);
  CHECK(told(scene.host.run_file("file", 5, "x"))->code == Code::bad_input);
  CHECK(told(scene.host.run_file("/none/x", 5, "x"))->code == Code::not_found);
  CHECK(told(scene.host.run_file("/world/none", 5, "x"))->code == Code::not_found);
  CHECK(told(scene.host.run_file("/world/folder", 5, "x"))->code == Code::not_found);
  CHECK(must(scene.host.files_in_use()).files.empty());
  CHECK(snapshot(scene) == before);
  // Each file once, and this process's own first.
  for (const std::uint64_t process : {7u, 1u, 8u})
    must(scene.host.run_file("/world/file", process, "x"));
  must(scene.host.run_file("/world/other", 8, "y"));
  const host::FilesInUse use = must(scene.host.files_in_use());
  REQUIRE(use.files.size() == 2);
  CHECK(use.files[0].process == use.own_process);
  CHECK(use.files[1].process == 8);
  CHECK(use.processes == 3);
}
