#include <chrono>
#include <set>

#include "remediate/host/link_reader.h"
#include "tests/contract/host_worlds.h"

using namespace remediate;
using namespace remediate::contract;
using host::Access;
using host::Mounts;

TEMPLATE_TEST_CASE("a name that is not one component is refused by every call", "[host]",
                   KernelWorld, StepwiseWorld, MemoryWorld) {
  TestType world;
  const host::Directory& root = world.root();
  make_file(root, "good", "bytes");
  make_file(root, "other", "more");
  const auto unnamed = must(root.create_unnamed(0600));
  const std::string names[] = {"",
                               ".",
                               "..",
                               "/",
                               "good/",
                               "/good",
                               "a/b",
                               "../good",
                               "./good",
                               "good/.",
                               std::string("good\0", 5),
                               std::string("\0good", 5),
                               std::string(256, 'n')};
  for (const std::string& name : names) {
    CAPTURE(name);
    CHECK(code_of(root.stat_entry(name)) == Code::bad_input);
    CHECK(code_of(root.open_file(name, Access::read)) == Code::bad_input);
    CHECK(code_of(root.open_file(name, Access::read_write)) == Code::bad_input);
    CHECK(code_of(root.create_file(name, 0600)) == Code::bad_input);
    CHECK(code_of(root.link_file(*unnamed, name)) == Code::bad_input);
    CHECK(code_of(root.make_directory(name, 0700)) == Code::bad_input);
    CHECK(code_of(root.rename(name, root, "new")) == Code::bad_input);
    CHECK(code_of(root.rename("good", root, name)) == Code::bad_input);
    CHECK(code_of(root.exchange(name, root, "other")) == Code::bad_input);
    CHECK(code_of(root.exchange("good", root, name)) == Code::bad_input);
    CHECK(code_of(root.replace(name, "new")) == Code::bad_input);
    CHECK(code_of(root.replace("good", name)) == Code::bad_input);
    CHECK(code_of(root.remove_file(name)) == Code::bad_input);
    CHECK(code_of(root.remove_directory(name)) == Code::bad_input);
    CHECK(code_of(root.lock(name)) == Code::bad_input);
  }
  CHECK(read_file(root, "good") == "bytes");
  CHECK(read_file(root, "other") == "more");
}

TEMPLATE_TEST_CASE("names are bytes: everything but '/' and NUL goes in and comes out", "[host]",
                   KernelWorld, StepwiseWorld, MemoryWorld) {
  TestType world;
  const host::Directory& root = world.root();
  std::set<std::string> names;
  for (int byte = 1; byte < 256; ++byte) {
    if (byte == '/') continue;
    names.insert("x" + std::string(1, static_cast<char>(byte)));
    if (byte != '.') names.insert(std::string(1, static_cast<char>(byte)));
  }
  names.insert(std::string(255, '\xff'));
  names.insert("...");
  names.insert(
      "\xe2\x80\xae"
      "gpj.php");
  names.insert("\x1b[2J\n*?$(id)");
  for (const std::string& name : names) make_file(root, name, name);
  std::set<std::string> listed;
  must(root.each_entry([&](std::string_view name, FileKind kind) {
    CHECK((kind == FileKind::regular || kind == FileKind::unknown));
    CHECK(listed.insert(std::string(name)).second);
    return true;
  }));
  CHECK(listed == names);
  for (const std::string& name : names) {
    CAPTURE(name);
    CHECK(read_file(root, name) == name);
    must(root.remove_file(name));
    CHECK(code_of(root.stat_entry(name)) == Code::not_found);
  }
}

TEMPLATE_TEST_CASE("symbolic links are followed at no component", "[host]", KernelWorld,
                   StepwiseWorld, MemoryWorld) {
  TestType world;
  const host::Directory& root = world.root();
  const auto real = make_folder(root, "real");
  const auto inner = make_folder(*real, "inner");
  const auto leaf = make_folder(*inner, "leaf");
  make_file(*leaf, "file", "bytes");
  world.plant_link("first", "real");
  world.plant_link("real/middle", "inner");
  world.plant_link("real/inner/last", "leaf");
  world.plant_link("real/up", "../..");
  world.plant_link("absolute", world.root_path() + "/real");
  world.plant_link("loop", "loop");
  world.plant_link("dangling", "nowhere");
  world.plant_link("filelink", "real/inner/leaf/file");

  CHECK(must(root.open_directory(path("real/inner/leaf"), Mounts::stay)) != nullptr);
  const auto [joined, culprit] = GENERATE(table<const char*, const char*>({
      {"first", "first"},
      {"first/inner/leaf", "first"},
      {"real/middle", "middle"},
      {"real/middle/leaf", "middle"},
      {"real/inner/last", "last"},
      {"real/up/real", "up"},
      {"absolute", "absolute"},
      {"absolute/inner", "absolute"},
      {"loop", "loop"},
      {"dangling", "dangling"},
      {"filelink", "filelink"},
  }));
  for (const Mounts mounts : {Mounts::stay, Mounts::cross}) {
    const auto opened = root.open_directory(path(joined), mounts);
    REQUIRE(code_of(opened) == Code::refused);
    CHECK_THAT(opened.error().message, Catch::Contains(culprit));
    CHECK_THAT(opened.error().message, Catch::Contains("symbolic link"));
  }
  for (const char* name : {"first", "absolute", "loop", "dangling", "filelink"}) {
    CAPTURE(name);
    CHECK(must(root.stat_entry(name)).kind == FileKind::symlink);
    CHECK(code_of(root.open_file(name, Access::read)) == Code::refused);
    CHECK(code_of(root.open_file(name, Access::read_write)) == Code::refused);
    CHECK(code_of(root.create_file(name, 0600)) == Code::already_exists);
    CHECK(code_of(root.make_directory(name, 0700)) == Code::already_exists);
    CHECK(code_of(root.lock(name)) == Code::refused);
  }
  CHECK(code_of(root.stat_entry("nowhere")) == Code::not_found);
  must(root.rename("filelink", root, "moved"));
  CHECK(must(root.stat_entry("moved")).kind == FileKind::symlink);
  must(root.remove_file("moved"));
  CHECK(read_file(*leaf, "file") == "bytes");
}

TEMPLATE_TEST_CASE("the text of a link is read as it is, and of nothing else", "[host]",
                   KernelWorld, StepwiseWorld, MemoryWorld) {
  TestType world;
  const auto* links = dynamic_cast<const host::LinkReader*>(&world.root());
  REQUIRE(links != nullptr);
  make_file(world.root(), "file", "x");
  make_folder(world.root(), "folder");
  const std::string odd = "../\xff\x1b[2J/" + std::string(4000, 'n');
  world.plant_link("link", odd);
  world.plant_link("again", "link");
  CHECK(must(links->read_link("link")) == odd);
  CHECK(must(links->read_link("again")) == "link");
  CHECK(code_of(links->read_link("file")) == Code::refused);
  CHECK(code_of(links->read_link("folder")) == Code::refused);
  CHECK(code_of(links->read_link("none")) == Code::not_found);
  for (const char* name : {"", ".", "..", "a/link", "/link"})
    CHECK(code_of(links->read_link(name)) == Code::bad_input);
}

TEMPLATE_TEST_CASE("what is not a regular file is refused at once", "[host]", KernelWorld,
                   StepwiseWorld, MemoryWorld) {
  TestType world;
  const host::Directory& root = world.root();
  const auto [kind, word] = GENERATE(table<FileKind, const char*>({
      {FileKind::fifo, "fifo"},
      {FileKind::socket, "socket"},
      {FileKind::char_device, "char"},
      {FileKind::block_device, "block"},
      {FileKind::directory, "directory"},
  }));
  if (kind == FileKind::directory) {
    must(root.make_directory("shell.php", 0755));
  } else if (!world.plant("shell.php", kind)) {
    WARN("cannot create a " << word << " here; that kind is not covered");
    return;
  }
  const auto start = std::chrono::steady_clock::now();
  for (const Access access : {Access::read, Access::read_write}) {
    const auto opened = root.open_file("shell.php", access);
    REQUIRE(code_of(opened) == Code::refused);
    CHECK_THAT(opened.error().message, Catch::Contains("shell.php"));
    CHECK_THAT(opened.error().message, Catch::Contains(std::string(kind_name(kind))));
  }
  if (kind != FileKind::directory) {
    CHECK(code_of(root.open_directory(path("shell.php"), Mounts::stay)) == Code::refused);
    CHECK(code_of(root.open_directory(path("shell.php/x"), Mounts::stay)) == Code::refused);
  }
  CHECK(code_of(root.lock("shell.php")) == Code::refused);
  CHECK(must(root.stat_entry("shell.php")).kind == kind);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(1));
}

TEMPLATE_TEST_CASE("a file on the way is refused, a missing folder is not found", "[host]",
                   KernelWorld, StepwiseWorld, MemoryWorld) {
  TestType world;
  const host::Directory& root = world.root();
  make_file(root, "file", "x");
  const auto below = root.open_directory(path("file/x/y"), Mounts::stay);
  REQUIRE(code_of(below) == Code::refused);
  CHECK_THAT(below.error().message, Catch::Contains("not a directory"));
  const auto missing = root.open_directory(path("none/x"), Mounts::stay);
  REQUIRE(code_of(missing) == Code::not_found);
  CHECK_THAT(missing.error().message, Catch::Contains("none") && !Catch::Contains("none/x"));
  CHECK(code_of(world.host().open_root(world.root_path() + "/none")) == Code::not_found);
  CHECK(code_of(world.host().open_root("")) == Code::bad_input);
}

TEMPLATE_TEST_CASE("paths longer than PATH_MAX open from the root", "[host]", KernelWorld,
                   StepwiseWorld, MemoryWorld) {
  TestType world;
  const std::string component(200, 'd');
  RawPath deep;
  auto current = must(world.root().open_directory(RawPath(), Mounts::stay));
  for (int depth = 0; depth < 60; ++depth) {
    current = make_folder(*current, component);
    deep = must(deep.child(component));
  }
  REQUIRE(deep.bytes().size() > 2 * 4096);
  make_file(*current, "file", "deep");
  const auto again = must(world.root().open_directory(deep, Mounts::stay));
  CHECK(must(again->stat()).id == must(current->stat()).id);
  CHECK(read_file(*again, "file") == "deep");
  CHECK(code_of(world.root().open_directory(must(deep.child("none")), Mounts::stay)) ==
        Code::not_found);
  // Take the tree down again from below: most tools cannot.
  must(current->remove_file("file"));
  while (!deep.is_root()) {
    const auto parent = must(world.root().open_directory(deep.parent(), Mounts::stay));
    must(parent->remove_directory(deep.name()));
    deep = deep.parent();
  }
}
