#include "remediate/base/file_facts.h"

#include <limits>
#include <random>

#include <catch2/catch.hpp>

namespace remediate {
namespace {

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

Metadata random_metadata(std::mt19937_64& random) {
  const auto number = [&random] { return random() >> (random() % 64); };
  const auto time = [&]() -> Timestamp {
    const auto seconds = static_cast<std::int64_t>(number());
    return {random() % 2 == 0 ? seconds : -(seconds >> 1),
            static_cast<std::uint32_t>(random() % 1'000'000'000)};
  };
  Metadata m;
  m.stat.kind = static_cast<FileKind>(random() % 8);
  m.stat.id = {number(), number(), number()};
  m.stat.size = number();
  m.stat.allocated = number();
  m.stat.links = number();
  m.stat.mode = static_cast<std::uint32_t>(random() % 010000);
  m.stat.owner = static_cast<std::uint32_t>(random());
  m.stat.group = static_cast<std::uint32_t>(random());
  m.stat.modified = time();
  m.stat.accessed = time();
  m.stat.changed = time();
  if (random() % 2 == 0) m.stat.born = time();
  for (char prefix = 'a'; prefix < static_cast<char>('a' + random() % 4); ++prefix) {
    std::string name(1, prefix);
    std::string value(random() % 40, '\0');
    for (int i = 0; i < 5; ++i) name += static_cast<char>(random() & 0xff);
    for (char& c : value) c = static_cast<char>(random() & 0xff);
    m.attributes.push_back({name, value});
  }
  m.inode_flags = static_cast<std::uint32_t>(random());
  m.inode_flags_known = random() % 2 == 0;
  m.sparse = random() % 2 == 0;
  for (std::uint64_t at = 0, i = 0; i < random() % 4; ++i, at += 10'000) {
    m.extents.push_back({at + random() % 100, random() % 5'000});
  }
  return m;
}

void check_same(const Metadata& a, const Metadata& b) {
  CHECK(a.stat.kind == b.stat.kind);
  CHECK(a.stat.id == b.stat.id);
  CHECK(a.stat.size == b.stat.size);
  CHECK(a.stat.allocated == b.stat.allocated);
  CHECK(a.stat.links == b.stat.links);
  CHECK(a.stat.mode == b.stat.mode);
  CHECK(a.stat.owner == b.stat.owner);
  CHECK(a.stat.group == b.stat.group);
  CHECK(a.stat.modified == b.stat.modified);
  CHECK(a.stat.accessed == b.stat.accessed);
  CHECK(a.stat.changed == b.stat.changed);
  CHECK(a.stat.born == b.stat.born);
  CHECK(a.attributes == b.attributes);
  CHECK(a.inode_flags == b.inode_flags);
  CHECK(a.inode_flags_known == b.inode_flags_known);
  CHECK(a.sparse == b.sparse);
  CHECK(a.extents == b.extents);
}

std::string why(const Json& json) {
  const auto read = metadata_from_json(json, "/m");
  REQUIRE_FALSE(read);
  CHECK(read.error().code == Code::bad_input);
  return read.error().text();
}

}  // namespace

TEST_CASE("metadata survives its JSON form exactly") {
  std::mt19937_64 random(47);
  for (int round = 0; round < 400; ++round) {
    const Metadata before = random_metadata(random);
    const auto json = parse_json(write_json(to_json(before)), "metadata");
    if (!json) FAIL(json.error().text());
    const auto after = metadata_from_json(*json, "/m");
    if (!after) FAIL(after.error().text());
    check_same(before, *after);
  }
}

TEST_CASE("the extremes survive") {
  Metadata m;
  m.stat.id = {kMost, kMost, kMost};
  m.stat.size = kMost;
  m.stat.modified = {std::numeric_limits<std::int64_t>::min(), 999'999'999};
  m.stat.born = Timestamp{std::numeric_limits<std::int64_t>::max(), 0};
  m.attributes = {{std::string("user.\0\xff\n", 8), std::string("\0", 1)}};
  m.extents = {{0, kMost}};
  const auto after = metadata_from_json(*parse_json(write_json(to_json(m)), "m"), "");
  REQUIRE(after.has_value());
  check_same(m, *after);
  CHECK(to_json(m)["attributes"][0]["name"] == "user.\\x00\\xff\\n");
}

TEST_CASE("attributes are written in order, whatever order they had") {
  Metadata m;
  m.attributes = {{"user.b", "1"}, {"user.a", "2"}};
  const auto after = metadata_from_json(to_json(m), "");
  REQUIRE(after.has_value());
  CHECK(after->attributes[0].name == "user.a");
}

TEST_CASE("metadata that cannot be true is refused with its place") {
  Metadata m;
  m.attributes = {{"user.a", "1"}, {"user.b", "2"}};
  m.extents = {{0, 10}, {20, 5}};
  const Json good = to_json(m);
  Json json = good;
  json["mode"] = 010000;
  CHECK(why(json).find("/m/mode is 4096") == 0);
  json = good;
  json["owner"] = std::uint64_t{1} << 32;
  CHECK(why(json).find("/m/owner") == 0);
  json = good;
  json["modified"]["nanoseconds"] = 1'000'000'000;
  CHECK(why(json).find("/m/modified/nanoseconds") == 0);
  json = good;
  json["kind"] = "door";
  CHECK(why(json).find("/m/kind is \"door\"") == 0);
  json = good;
  json["attributes"][1]["name_base64"] = json["attributes"][0]["name_base64"];
  CHECK(why(json).find("/m/attributes/1") == 0);
  json = good;
  json["extents"][1]["offset"] = 9;
  CHECK(why(json).find("/m/extents/1") == 0);
  json = good;
  json["extents"][1]["length"] = kMost;
  CHECK(why(json).find("/m/extents/1") == 0);
  json = good;
  json["extra"] = 1;
  CHECK(why(json).find("/m/extra") == 0);
  json = good;
  json["id"].erase("mount");
  CHECK(why(json).find("/m/id/mount is missing") == 0);
  for (const auto& item : good.items()) {
    json = good;
    json.erase(item.key());
    CHECK(why(json).find("/m/" + item.key() + " is missing") == 0);
  }
}

TEST_CASE("differences name what a rollback promised to keep, and nothing else") {
  Metadata before;
  before.stat.kind = FileKind::regular;
  before.stat.mode = 0644;
  before.attributes = {{"user.gone", "1"}, {"user.kept", "1"}, {"user.other", "1"}};
  before.inode_flags_known = true;
  Metadata after = before;
  after.stat.id.inode = 7;
  after.stat.links = 3;
  after.stat.allocated = 4096;
  after.stat.changed = {5, 5};
  after.stat.accessed = {5, 5};
  after.stat.born = Timestamp{5, 5};
  CHECK(metadata_differences(before, after).empty());

  after.stat.kind = FileKind::symlink;
  after.stat.size = 1;
  after.stat.mode = 04755;
  after.stat.owner = 1;
  after.stat.group = 2;
  after.stat.modified.nanoseconds = 1;
  after.attributes = {{"user.added", "1"}, {"user.kept", "1"}, {"user.other", "2"}};
  after.inode_flags = 0x30;
  const std::vector<std::string> expected = {
      "kind was regular, is symlink",
      "size was 0, is 1",
      "mode was 0644, is 4755",
      "owner was 0, is 1",
      "group was 0, is 2",
      "modification time was 1970-01-01T00:00:00Z and 0 ns, is 1970-01-01T00:00:00Z and 1 ns",
      "attribute user.added was added",
      "attribute user.other has another value (1 bytes before, 1 after)",
      "attribute user.gone is missing",
      "immutable flag was not set, is set",
      "append-only flag was not set, is set"};
  CHECK(metadata_differences(before, after) == expected);

  Metadata locked = before;
  locked.inode_flags = 0x10;
  Metadata unknown = before;
  unknown.inode_flags_known = false;
  CHECK(metadata_differences(locked, unknown) ==
        std::vector<std::string>{"immutable flag was set, is not known"});
}

TEST_CASE("privileges and flags") {
  Metadata m;
  CHECK_FALSE(m.privileged());
  m.stat.mode = 04755;
  CHECK(m.privileged());
  m.stat.mode = 02755;
  CHECK(m.privileged());
  m.stat.mode = 01755;
  CHECK_FALSE(m.privileged());
  m.attributes = {{"security.capability", "x"}};
  CHECK(m.privileged());

  m.inode_flags = 0x10;
  CHECK_FALSE(m.immutable());  // the flags are not known
  m.inode_flags_known = true;
  CHECK(m.immutable());
  CHECK_FALSE(m.append_only());
  m.inode_flags = 0x20;
  CHECK(m.append_only());
  CHECK_FALSE(m.immutable());
}

}  // namespace remediate
