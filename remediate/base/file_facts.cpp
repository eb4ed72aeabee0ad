#include "remediate/base/file_facts.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <utility>

#include "remediate/base/clock.h"
#include "remediate/base/encoding.h"
#include "remediate/base/try.h"

namespace remediate {
namespace {

// FS_IMMUTABLE_FL and FS_APPEND_FL of Linux, spelled out because records cross hosts.
constexpr std::uint32_t kImmutableFlag = 0x10;
constexpr std::uint32_t kAppendFlag = 0x20;
constexpr std::uint32_t kSetIdBits = 06000;
constexpr std::uint32_t kModeBits = 07777;
constexpr std::uint32_t kNanosecondsPerSecond = 1'000'000'000;

constexpr std::array<std::pair<FileKind, std::string_view>, 8> kKinds = {{
    {FileKind::regular, "regular"},
    {FileKind::directory, "directory"},
    {FileKind::symlink, "symlink"},
    {FileKind::fifo, "fifo"},
    {FileKind::socket, "socket"},
    {FileKind::block_device, "block_device"},
    {FileKind::char_device, "char_device"},
    {FileKind::unknown, "unknown"},
}};

std::string octal(std::uint32_t mode) {
  std::string digits;
  for (; mode != 0 || digits.size() < 4; mode >>= 3) {
    digits.insert(digits.begin(), static_cast<char>('0' + (mode & 7)));
  }
  return digits;
}

std::string moment(const Timestamp& time) {
  const std::string fraction = std::to_string(time.nanoseconds);
  return format_utc(time) + " and " + fraction + " ns";
}

std::string sentence(std::string_view what, std::string_view before, std::string_view after) {
  return std::string(what) + " was " + std::string(before) + ", is " + std::string(after);
}

void compare_attributes(const Metadata& before, const Metadata& after,
                        std::vector<std::string>& differences) {
  std::map<std::string_view, std::string_view> left;
  for (const ExtendedAttribute& attribute : before.attributes) {
    left.emplace(attribute.name, attribute.value);
  }
  for (const ExtendedAttribute& attribute : after.attributes) {
    const std::string shown = "attribute " + display(attribute.name, 300);
    const auto found = left.find(attribute.name);
    if (found == left.end()) {
      differences.push_back(shown + " was added");
      continue;
    }
    if (found->second != attribute.value) {
      differences.push_back(shown + " has another value (" + std::to_string(found->second.size()) +
                            " bytes before, " + std::to_string(attribute.value.size()) + " after)");
    }
    left.erase(found);
  }
  for (const auto& [name, value] : left) {
    differences.push_back("attribute " + display(name, 300) + " is missing");
  }
}

void compare_flag(std::string_view what, std::uint32_t flag, const Metadata& before,
                  const Metadata& after, std::vector<std::string>& differences) {
  const auto state = [flag](const Metadata& metadata) -> std::string_view {
    if (!metadata.inode_flags_known) return "not known";
    return (metadata.inode_flags & flag) != 0 ? "set" : "not set";
  };
  const bool was = before.inode_flags_known && (before.inode_flags & flag) != 0;
  const bool now = after.inode_flags_known && (after.inode_flags & flag) != 0;
  if (was != now) differences.push_back(sentence(what, state(before), state(after)));
}

Result<std::uint32_t> small_integer(JsonReader& reader, const char* key, std::uint32_t most) {
  TRY_LET(const std::uint64_t value, reader.unsigned_integer(key));
  if (value > most) {
    return fail(Code::bad_input,
                display(reader.pointer(), 400) + "/" + key + " is " + std::to_string(value),
                "it must be at most " + std::to_string(most));
  }
  return static_cast<std::uint32_t>(value);
}

Result<Timestamp> read_time(JsonReader& reader, const char* key) {
  TRY_LET(const Json* json, reader.object(key));
  return timestamp_from_json(*json, reader.pointer() + "/" + key);
}

Result<FileKind> read_kind(JsonReader& reader) {
  TRY_LET(const std::string name, reader.string("kind"));
  for (const auto& [kind, known] : kKinds) {
    if (known == name) return kind;
  }
  return fail(Code::bad_input,
              display(reader.pointer(), 400) + "/kind is \"" + display(name, 100) + "\"",
              "it must be a kind of file such as \"regular\" or \"directory\"");
}

Result<std::vector<ExtendedAttribute>> read_attributes(JsonReader& reader) {
  TRY_LET(const Json* list, reader.array("attributes"));
  std::vector<ExtendedAttribute> attributes;
  for (const Json& json : *list) {
    JsonReader item(json, reader.pointer() + "/attributes/" + std::to_string(attributes.size()));
    TRY(item.string("name"));
    ExtendedAttribute attribute;
    TRY_LET(attribute.name, item.bytes("name_base64"));
    TRY_LET(attribute.value, item.bytes("value_base64"));
    TRY(item.done());
    if (!attributes.empty() && attribute.name <= attributes.back().name) {
      return fail(Code::bad_input,
                  display(item.pointer(), 400) + " is out of order or occurs twice",
                  "attributes must be sorted by the bytes of their names, each name once");
    }
    attributes.push_back(std::move(attribute));
  }
  return attributes;
}

Result<std::vector<DataExtent>> read_extents(JsonReader& reader) {
  TRY_LET(const Json* list, reader.array("extents"));
  std::vector<DataExtent> extents;
  std::uint64_t end = 0;
  for (const Json& json : *list) {
    JsonReader item(json, reader.pointer() + "/extents/" + std::to_string(extents.size()));
    DataExtent extent;
    TRY_LET(extent.offset, item.unsigned_integer("offset"));
    TRY_LET(extent.length, item.unsigned_integer("length"));
    TRY(item.done());
    if (extent.offset < end ||
        extent.length > std::numeric_limits<std::uint64_t>::max() - extent.offset) {
      return fail(Code::bad_input,
                  display(item.pointer(), 400) + " overlaps the one before it or is too long",
                  "extents must ascend without overlap");
    }
    end = extent.offset + extent.length;
    extents.push_back(extent);
  }
  return extents;
}

Result<FileStat> read_stat(JsonReader& reader) {
  FileStat stat;
  TRY_LET(stat.kind, read_kind(reader));
  TRY_LET(const Json* id, reader.object("id"));
  TRY_LET(stat.id, file_id_from_json(*id, reader.pointer() + "/id"));
  TRY_LET(stat.size, reader.unsigned_integer("size"));
  TRY_LET(stat.allocated, reader.unsigned_integer("allocated"));
  TRY_LET(stat.links, reader.unsigned_integer("links"));
  constexpr std::uint32_t kMost = std::numeric_limits<std::uint32_t>::max();
  TRY_LET(stat.mode, small_integer(reader, "mode", kModeBits));
  TRY_LET(stat.owner, small_integer(reader, "owner", kMost));
  TRY_LET(stat.group, small_integer(reader, "group", kMost));
  TRY_LET(stat.modified, read_time(reader, "modified"));
  TRY_LET(stat.accessed, read_time(reader, "accessed"));
  TRY_LET(stat.changed, read_time(reader, "changed"));
  if (reader.has("born")) {
    TRY_LET(stat.born, read_time(reader, "born"));
  }
  return stat;
}

}  // namespace

std::string_view kind_name(FileKind kind) {
  for (const auto& [known, name] : kKinds) {
    if (known == kind) return name;
  }
  return "unknown";
}

bool Metadata::privileged() const {
  return (stat.mode & kSetIdBits) != 0 ||
         std::any_of(attributes.begin(), attributes.end(), [](const ExtendedAttribute& attribute) {
           return attribute.name == "security.capability";
         });
}

bool Metadata::immutable() const {
  return inode_flags_known && (inode_flags & kImmutableFlag) != 0;
}

bool Metadata::append_only() const { return inode_flags_known && (inode_flags & kAppendFlag) != 0; }

std::vector<std::string> metadata_differences(const Metadata& before, const Metadata& after) {
  std::vector<std::string> differences;
  const FileStat& was = before.stat;
  const FileStat& now = after.stat;
  const auto number = [&differences](std::string_view what, std::uint64_t a, std::uint64_t b) {
    if (a != b) differences.push_back(sentence(what, std::to_string(a), std::to_string(b)));
  };
  if (was.kind != now.kind) {
    differences.push_back(sentence("kind", kind_name(was.kind), kind_name(now.kind)));
  }
  number("size", was.size, now.size);
  if (was.mode != now.mode) {
    differences.push_back(sentence("mode", octal(was.mode), octal(now.mode)));
  }
  number("owner", was.owner, now.owner);
  number("group", was.group, now.group);
  if (was.modified != now.modified) {
    differences.push_back(
        sentence("modification time", moment(was.modified), moment(now.modified)));
  }
  compare_attributes(before, after, differences);
  compare_flag("immutable flag", kImmutableFlag, before, after, differences);
  compare_flag("append-only flag", kAppendFlag, before, after, differences);
  return differences;
}

Json to_json(const FileId& id) {
  Json json = Json::object();
  json["device"] = id.device;
  json["inode"] = id.inode;
  json["mount"] = id.mount;
  json["volume"] = id.volume;
  return json;
}

Json to_json(const Timestamp& time) {
  Json json = Json::object();
  json["seconds"] = time.seconds;
  json["nanoseconds"] = time.nanoseconds;
  return json;
}

Json to_json(const Metadata& metadata) {
  const FileStat& stat = metadata.stat;
  Json json = Json::object();
  json["kind"] = std::string(kind_name(stat.kind));
  json["id"] = to_json(stat.id);
  json["size"] = stat.size;
  json["allocated"] = stat.allocated;
  json["links"] = stat.links;
  json["mode"] = stat.mode;
  json["owner"] = stat.owner;
  json["group"] = stat.group;
  json["modified"] = to_json(stat.modified);
  json["accessed"] = to_json(stat.accessed);
  json["changed"] = to_json(stat.changed);
  if (stat.born) json["born"] = to_json(*stat.born);
  json["attributes"] = Json::array();
  std::vector<ExtendedAttribute> sorted = metadata.attributes;
  std::sort(sorted.begin(), sorted.end());
  for (const ExtendedAttribute& attribute : sorted) {
    Json item = Json::object();
    item["name"] = display(attribute.name);
    item["name_base64"] = base64_encode(attribute.name);
    item["value_base64"] = base64_encode(attribute.value);
    json["attributes"].push_back(std::move(item));
  }
  json["inode_flags"] = metadata.inode_flags;
  json["inode_flags_known"] = metadata.inode_flags_known;
  json["sparse"] = metadata.sparse;
  json["extents"] = Json::array();
  for (const DataExtent& extent : metadata.extents) {
    Json item = Json::object();
    item["offset"] = extent.offset;
    item["length"] = extent.length;
    json["extents"].push_back(std::move(item));
  }
  return json;
}

Result<FileId> file_id_from_json(const Json& json, const std::string& pointer) {
  JsonReader reader(json, pointer);
  FileId id;
  TRY_LET(id.device, reader.unsigned_integer("device"));
  TRY_LET(id.inode, reader.unsigned_integer("inode"));
  TRY_LET(id.mount, reader.unsigned_integer("mount"));
  TRY_LET(id.volume, reader.unsigned_integer("volume"));
  TRY(reader.done());
  return id;
}

Result<Timestamp> timestamp_from_json(const Json& json, const std::string& pointer) {
  JsonReader reader(json, pointer);
  Timestamp time;
  TRY_LET(time.seconds, reader.integer("seconds"));
  TRY_LET(time.nanoseconds, small_integer(reader, "nanoseconds", kNanosecondsPerSecond - 1));
  TRY(reader.done());
  return time;
}

Result<Metadata> metadata_from_json(const Json& json, const std::string& pointer) {
  JsonReader reader(json, pointer);
  Metadata metadata;
  TRY_LET(metadata.stat, read_stat(reader));
  TRY_LET(metadata.attributes, read_attributes(reader));
  constexpr std::uint32_t kMost = std::numeric_limits<std::uint32_t>::max();
  TRY_LET(metadata.inode_flags, small_integer(reader, "inode_flags", kMost));
  TRY_LET(metadata.inode_flags_known, reader.boolean("inode_flags_known"));
  TRY_LET(metadata.sparse, reader.boolean("sparse"));
  TRY_LET(metadata.extents, read_extents(reader));
  TRY(reader.done());
  return metadata;
}

}  // namespace remediate
