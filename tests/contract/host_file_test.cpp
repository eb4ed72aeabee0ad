#include <limits>

#include "remediate/host/durable.h"
#include "tests/contract/host_worlds.h"

using namespace remediate;
using namespace remediate::contract;
using host::Access;
using host::Privileges;

namespace {

Metadata metadata_of(const host::Directory& directory, std::string_view name) {
  return must(must(directory.open_file(name, Access::read))->metadata());
}

/// Metadata that can be written: what a fresh file has, changed everywhere.
Metadata unusual(const host::Directory& root, bool superuser) {
  make_file(root, "model", "bytes");
  Metadata wanted = metadata_of(root, "model");
  must(root.remove_file("model"));
  wanted.stat.mode = 0751;
  if (superuser) {
    wanted.stat.owner = 1234;
    wanted.stat.group = 4321;
  }
  wanted.stat.accessed = {.seconds = 1'000'000'000, .nanoseconds = 987'654'321};
  wanted.stat.modified = {.seconds = 1'234'567'890, .nanoseconds = 123'456'789};
  std::erase_if(wanted.attributes, [](const auto& a) { return a.name.starts_with("user."); });
  wanted.attributes.push_back({"user.empty", ""});
  wanted.attributes.push_back({"user.raw", std::string("\0\xff\n", 3)});
  return wanted;
}

}  // namespace

TEMPLATE_TEST_CASE("bytes are read and written at offsets", "[host]", KernelWorld, StepwiseWorld,
                   MemoryWorld) {
  TestType world;
  const auto file = must(world.root().create_file("f", 0600));
  must(file->write_at(0, "hello"));
  must(file->write_at(8, "there"));
  CHECK(must(host::read_whole(*file, 100)) == std::string("hello\0\0\0there", 13));
  must(file->truncate(4));
  CHECK(must(host::read_whole(*file, 100)) == "hell");
  must(file->truncate(6));
  CHECK(must(host::read_whole(*file, 100)) == std::string("hell\0\0", 6));
  std::string buffer(10, '#');
  CHECK(must(file->read_at(6, buffer)) == 0);
  CHECK(must(file->read_at(600, buffer)) == 0);
  CHECK(must(file->read_at(2, std::span(buffer.data(), 2))) == 2);
  CHECK(buffer.substr(0, 3) == "ll#");
  must(file->reserve(100'000));
  CHECK(must(file->stat()).size == 6);
  CHECK_FALSE(file->write_at(std::numeric_limits<std::uint64_t>::max() - 1, "xyz"));
  CHECK_FALSE(file->read_at(std::numeric_limits<std::uint64_t>::max(), buffer));

  const auto reader = must(world.root().open_file("f", Access::read));
  CHECK_FALSE(reader->write_at(0, "x"));
  CHECK_FALSE(reader->truncate(0));
  reader->drop_cache();
  CHECK(must(host::read_whole(*reader, 100)) == std::string("hell\0\0", 6));

  host::FileSink sink(*file);
  must(sink.write("abc"));
  must(sink.write("defg"));
  CHECK(sink.written() == 7);
  host::FileSource source(*reader);
  CHECK(must(source.read(std::span(buffer.data(), 5))) == 5);
  CHECK(must(source.read(std::span(buffer.data() + 5, 5))) == 2);
  CHECK(buffer.substr(0, 7) == "abcdefg");
  CHECK(must(source.read(buffer)) == 0);
}

TEMPLATE_TEST_CASE("metadata comes back as it was recorded", "[host]", KernelWorld, StepwiseWorld,
                   MemoryWorld) {
  TestType world;
  const host::Directory& root = world.root();
  const Metadata wanted = unusual(root, world.host().superuser());
  const auto file = must(root.create_file("restored", 0600));
  must(file->write_at(0, "bytes"));
  Metadata cluttered = must(file->metadata());
  cluttered.attributes.push_back({"user.inherited", "must go"});
  CHECK(must(file->restore_metadata(cluttered, Privileges::strip)).empty());
  CHECK_FALSE(metadata_differences(wanted, must(file->metadata())).empty());

  const auto missing = must(file->restore_metadata(wanted, Privileges::strip));
  CHECK(missing == std::vector<std::string>{});
  const Metadata found = must(file->metadata());
  CHECK(metadata_differences(wanted, found) == std::vector<std::string>{});
  CHECK(found.attributes == wanted.attributes);
  CHECK(found.stat.accessed == wanted.stat.accessed);
  CHECK(found.stat.kind == FileKind::regular);

  must(file->set_times({.seconds = 5, .nanoseconds = 6}, {.seconds = 7, .nanoseconds = 8}));
  CHECK(must(file->stat()).accessed == Timestamp{5, 6});
  CHECK(must(file->stat()).modified == Timestamp{7, 8});
}

TEMPLATE_TEST_CASE("set-id bits and capabilities return only when allowed", "[host]", KernelWorld,
                   StepwiseWorld, MemoryWorld) {
  TestType world;
  if (!world.host().superuser()) {
    WARN("not the superuser: set-id bits and capabilities are not covered");
    return;
  }
  Metadata wanted = unusual(world.root(), true);
  wanted.stat.mode = 06755;
  // Version 2, effective, CAP_NET_BIND_SERVICE permitted.
  wanted.attributes.insert(
      wanted.attributes.begin(),
      {"security.capability", std::string("\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20)});
  const auto file = must(world.root().create_file("f", 0600));
  CHECK(must(file->restore_metadata(wanted, Privileges::keep)).empty());
  Metadata found = must(file->metadata());
  CHECK(found.privileged());
  CHECK(found.stat.mode == 06755);
  CHECK(found.attributes == wanted.attributes);

  CHECK(must(file->restore_metadata(wanted, Privileges::strip)).empty());
  found = must(file->metadata());
  CHECK_FALSE(found.privileged());
  CHECK(found.stat.mode == 0755);
  CHECK(found.stat.owner == 1234);
  wanted.attributes.erase(wanted.attributes.begin());
  CHECK(found.attributes == wanted.attributes);
}

TEMPLATE_TEST_CASE("a writer elsewhere is noticed while it is there", "[host]", KernelWorld,
                   StepwiseWorld, MemoryWorld) {
  TestType world;
  make_file(world.root(), "f", "x");
  const auto reader = must(world.root().open_file("f", Access::read));
  const auto idle = reader->has_other_writers();
  if (!idle && idle.error().code == Code::unsupported) {
    WARN("this file system grants no leases");
    return;
  }
  CHECK_FALSE(must(reader->has_other_writers()));
  auto writer = must(world.root().open_file("f", Access::read_write));
  CHECK(must(reader->has_other_writers()));
  CHECK(code_of(writer->has_other_writers()) == Code::unsupported);
  writer.reset();
  CHECK_FALSE(must(reader->has_other_writers()));
  // Nothing of the test is left in the way of the next writer.
  CHECK(must(world.root().open_file("f", Access::read_write)) != nullptr);
}

TEMPLATE_TEST_CASE("an immutable file can be read and freed, but not moved or written", "[host]",
                   KernelWorld, StepwiseWorld, MemoryWorld) {
  TestType world;
  const host::Directory& root = world.root();
  make_file(root, "f", "fixed");
  const auto file = must(root.open_file("f", Access::read));
  if (const auto set = file->set_protection_flags(host::flag_immutable); !set) {
    WARN("no immutable flag here: " << set.error().text());
    return;
  }
  CHECK(must(file->metadata()).immutable());
  CHECK(read_file(root, "f") == "fixed");
  CHECK(code_of(root.open_file("f", Access::read_write)) == Code::permission);
  CHECK(code_of(root.rename("f", root, "g")) == Code::permission);
  CHECK(code_of(root.remove_file("f")) == Code::permission);
  CHECK(code_of(root.link_file(*file, "g")) == Code::permission);
  const auto again = must(root.open_file("f", Access::read));
  must(again->set_protection_flags(host::flag_append_only));
  CHECK(must(again->metadata()).append_only());
  CHECK_FALSE(must(again->metadata()).immutable());
  must(again->set_protection_flags(0));
  must(root.rename("f", root, "g"));
  CHECK(read_file(root, "g") == "fixed");
}

TEMPLATE_TEST_CASE("a file that nobody may read is read by the superuser", "[host]", KernelWorld,
                   StepwiseWorld, MemoryWorld) {
  TestType world;
  if (!world.host().superuser()) {
    WARN("not the superuser: files of mode 000 are not covered");
    return;
  }
  make_file(world.root(), "f", "secret");
  const auto file = must(world.root().open_file("f", Access::read));
  Metadata wanted = must(file->metadata());
  wanted.stat.mode = 0;
  CHECK(must(file->restore_metadata(wanted, Privileges::strip)).empty());
  CHECK(must(world.root().stat_entry("f")).mode == 0);
  CHECK(read_file(world.root(), "f") == "secret");
}
