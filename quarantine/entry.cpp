#include "quarantine/entry.h"

#include "remediate/base/clock.h"
#include "remediate/base/encoding.h"
#include "remediate/base/try.h"

namespace quarantine {
namespace {

using remediate::base64_encode;
using remediate::Code;
using remediate::display;
using remediate::fail;
using remediate::JsonReader;

constexpr std::int64_t manifest_format = 1;

Json raw(const std::string& bytes) {
  return Json{{"display", display(bytes)}, {"raw", base64_encode(bytes)}};
}

Result<std::string> read_raw(JsonReader& reader, const char* key) {
  TRY_LET(const Json* object, reader.object(key));
  JsonReader inner(*object, reader.pointer() + "/" + key);
  TRY(inner.string("display"));
  TRY_LET(std::string bytes, inner.bytes("raw"));
  TRY(inner.done());
  return bytes;
}

Result<Timestamp> read_timestamp(JsonReader& reader, const char* key) {
  TRY_LET(const Json* json, reader.object(key));
  return remediate::timestamp_from_json(*json, reader.pointer() + "/" + key);
}

Result<std::vector<std::string>> read_strings(JsonReader& reader, const char* key) {
  TRY_LET(const Json* array, reader.array(key));
  std::vector<std::string> strings;
  for (const Json& element : *array) {
    if (!element.is_string())
      return fail(Code::bad_input,
                  reader.pointer() + "/" + key + " holds something else than text");
    strings.push_back(element.get<std::string>());
  }
  return strings;
}

Json to_json(const Outcome& outcome) {
  return Json{{"id", outcome.id},
              {"action", outcome.action},
              {"address", outcome.address},
              {"outcome", outcome.outcome},
              {"reason", outcome.reason}};
}

Result<Outcome> outcome_from_json(const Json& json, const std::string& pointer) {
  JsonReader reader(json, pointer);
  Outcome outcome;
  TRY_LET(outcome.id, reader.string("id"));
  TRY_LET(outcome.action, reader.string("action"));
  TRY_LET(outcome.address, reader.string("address"));
  TRY_LET(outcome.outcome, reader.string("outcome"));
  TRY_LET(outcome.reason, reader.string("reason"));
  TRY(reader.done());
  return outcome;
}

Result<std::string> read_object(JsonReader& reader) {
  TRY_LET(std::string object, reader.string("object"));
  if (!object.empty() && (object.size() != 64 || !remediate::hex_decode(object)))
    return fail(Code::bad_input, reader.pointer() + "/object is not a SHA-256");
  return object;
}

Result<SealedCopy> copy_from_json(const Json& json, const std::string& pointer) {
  JsonReader reader(json, pointer);
  SealedCopy copy;
  TRY_LET(const std::string path, read_raw(reader, "path"));
  TRY_LET(copy.path, RawPath::parse(path));
  TRY_LET(copy.modified, read_timestamp(reader, "modified"));
  TRY_LET(copy.sha256, reader.string("sha256"));
  TRY_LET(copy.size, reader.unsigned_integer("size"));
  TRY_LET(copy.object, read_object(reader));
  if (copy.object.empty()) return fail(Code::bad_input, pointer + " has no object");
  TRY_LET(copy.object_size, reader.unsigned_integer("object_size"));
  TRY(reader.done());
  return copy;
}

}  // namespace

namespace {

using Details = std::vector<std::pair<std::string, std::string>>;

Result<Details> read_details(JsonReader& reader) {
  TRY_LET(const Json* list, reader.array("details"));
  Details details;
  for (const Json& element : *list) {
    JsonReader detail(element, reader.pointer() + "/details");
    std::pair<std::string, std::string> pair;
    TRY_LET(pair.first, read_raw(detail, "name"));
    TRY_LET(pair.second, read_raw(detail, "value"));
    TRY(detail.done());
    details.push_back(std::move(pair));
  }
  return details;
}

}  // namespace

Json to_json(const Entry& entry) {
  Json details = Json::array();
  for (const auto& [name, value] : entry.details)
    details.push_back(Json{{"name", raw(name)}, {"value", raw(value)}});
  if (entry.directory)
    return Json{{"id", entry.id},
                {"action", entry.action},
                {"playbook", entry.playbook},
                {"indicator", entry.indicator},
                {"directory", remediate::to_json(*entry.directory)},
                {"details", std::move(details)}};
  return Json{{"id", entry.id},
              {"action", entry.action},
              {"playbook", entry.playbook},
              {"indicator", entry.indicator},
              {"path", raw(entry.path.bytes())},
              {"sha256", entry.sha256},
              {"size", entry.metadata.stat.size},
              {"metadata", remediate::to_json(entry.metadata)},
              {"parent", remediate::to_json(entry.parent)},
              {"parent_before", remediate::to_json(entry.parent_before)},
              {"parent_after", remediate::to_json(entry.parent_after)},
              {"hold", entry.hold == HoldPlace::store ? "store" : "mount_top"},
              {"hold_name", entry.hold_name},
              {"object", entry.object},
              {"object_size", entry.object_size},
              {"open_for_writing", entry.open_for_writing},
              {"after_sha256", entry.after_sha256},
              {"details", std::move(details)}};
}

Result<Entry> entry_from_json(const Json& json, const std::string& pointer) {
  JsonReader reader(json, pointer);
  Entry entry;
  TRY_LET(entry.id, reader.string("id"));
  TRY_LET(entry.action, reader.string("action"));
  TRY_LET(entry.playbook, reader.string("playbook"));
  TRY_LET(entry.indicator, reader.string("indicator"));
  if (reader.has("directory")) {
    TRY_LET(const Json* value, reader.object("directory"));
    TRY_LET(entry.directory, remediate::directory_value_from_json(*value, pointer + "/directory"));
    TRY_LET(entry.details, read_details(reader));
    TRY(reader.done());
    return entry;
  }
  TRY_LET(const std::string path, read_raw(reader, "path"));
  TRY_LET(entry.path, RawPath::parse(path));
  TRY_LET(entry.sha256, reader.string("sha256"));
  TRY_LET(const std::uint64_t size, reader.unsigned_integer("size"));
  TRY_LET(const Json* metadata, reader.object("metadata"));
  TRY_LET(entry.metadata, remediate::metadata_from_json(*metadata, pointer + "/metadata"));
  if (size != entry.metadata.stat.size)
    return fail(Code::bad_input, pointer + ": size and metadata disagree");
  TRY_LET(const Json* parent, reader.object("parent"));
  TRY_LET(entry.parent, remediate::file_id_from_json(*parent, pointer + "/parent"));
  TRY_LET(entry.parent_before, read_timestamp(reader, "parent_before"));
  TRY_LET(entry.parent_after, read_timestamp(reader, "parent_after"));
  TRY_LET(const std::string hold, reader.string("hold"));
  if (hold != "store" && hold != "mount_top")
    return fail(Code::bad_input, pointer + "/hold is neither store nor mount_top");
  entry.hold = hold == "store" ? HoldPlace::store : HoldPlace::mount_top;
  TRY_LET(entry.hold_name, reader.string("hold_name"));
  TRY(RawPath::check_component(entry.hold_name));
  TRY_LET(entry.object, read_object(reader));
  TRY_LET(entry.object_size, reader.unsigned_integer("object_size"));
  TRY_LET(entry.open_for_writing, reader.boolean("open_for_writing"));
  TRY_LET(entry.after_sha256, reader.string("after_sha256"));
  TRY_LET(entry.details, read_details(reader));
  TRY(reader.done());
  return entry;
}

Json to_json(const std::vector<SealedCopy>& copies) {
  Json array = Json::array();
  for (const SealedCopy& copy : copies)
    array.push_back(Json{{"path", raw(copy.path.bytes())},
                         {"modified", remediate::to_json(copy.modified)},
                         {"sha256", copy.sha256},
                         {"size", copy.size},
                         {"object", copy.object},
                         {"object_size", copy.object_size}});
  return array;
}

Result<std::vector<SealedCopy>> copies_from_json(const Json& array, const std::string& pointer) {
  if (!array.is_array()) return fail(Code::bad_input, pointer + " is no list");
  std::vector<SealedCopy> copies;
  for (const Json& element : array) {
    TRY_LET(SealedCopy copy,
            copy_from_json(element, pointer + "/" + std::to_string(copies.size())));
    copies.push_back(std::move(copy));
  }
  return copies;
}

std::string write_manifest(const Manifest& manifest) {
  Json entries = Json::array();
  for (const Entry& entry : manifest.entries) entries.push_back(to_json(entry));
  Json outcomes = Json::array();
  for (const Outcome& outcome : manifest.outcomes) outcomes.push_back(to_json(outcome));
  return remediate::write_json(Json{{"format_version", manifest_format},
                                    {"run", manifest.run},
                                    {"plan_id", manifest.plan_id},
                                    {"plan_sha256", manifest.plan_sha256},
                                    {"plan_signature_sha256", manifest.plan_signature_sha256},
                                    {"host_id", manifest.host_id},
                                    {"host_name", display(manifest.host_name)},
                                    {"boot", manifest.boot},
                                    {"root", raw(manifest.root)},
                                    {"tool", manifest.tool},
                                    {"created", remediate::format_utc(manifest.created)},
                                    {"approvers", manifest.approvers},
                                    {"signer", manifest.signer},
                                    {"recovery", manifest.recovery},
                                    {"journal_head", manifest.journal_head},
                                    {"journal_length", manifest.journal_length},
                                    {"copies", to_json(manifest.copies)},
                                    {"entries", std::move(entries)},
                                    {"outcomes", std::move(outcomes)}});
}

Result<Manifest> read_manifest(std::string_view bytes) {
  TRY_LET(const Json json,
          remediate::parse_json(bytes, "the manifest",
                                remediate::JsonLimits{256u << 20, 32, 20'000'000}));
  JsonReader reader(json, "");
  TRY_LET(const std::int64_t version, reader.integer("format_version"));
  if (version != manifest_format)
    return fail(Code::bad_input, "manifest: /format_version is " + std::to_string(version),
                "use the version of the tool that wrote it");
  Manifest manifest;
  TRY_LET(manifest.run, reader.string("run"));
  TRY_LET(manifest.plan_id, reader.string("plan_id"));
  TRY_LET(manifest.plan_sha256, reader.string("plan_sha256"));
  TRY_LET(manifest.plan_signature_sha256, reader.string("plan_signature_sha256"));
  TRY_LET(manifest.host_id, reader.string("host_id"));
  TRY_LET(manifest.host_name, reader.string("host_name"));
  TRY_LET(manifest.boot, reader.string("boot"));
  TRY_LET(manifest.root, read_raw(reader, "root"));
  TRY_LET(manifest.tool, reader.string("tool"));
  TRY_LET(const std::string created, reader.string("created"));
  const auto time = remediate::parse_utc(created);
  if (!time) return fail(Code::bad_input, "manifest: /created is not a UTC time");
  manifest.created = *time;
  TRY_LET(manifest.approvers, read_strings(reader, "approvers"));
  TRY_LET(manifest.signer, reader.string("signer"));
  TRY_LET(manifest.recovery, read_strings(reader, "recovery"));
  TRY_LET(manifest.journal_head, reader.string("journal_head"));
  TRY_LET(manifest.journal_length, reader.unsigned_integer("journal_length"));
  TRY_LET(const Json* copies, reader.array("copies"));
  TRY_LET(manifest.copies, copies_from_json(*copies, "/copies"));
  TRY_LET(const Json* entries, reader.array("entries"));
  for (const Json& element : *entries) {
    TRY_LET(Entry entry,
            entry_from_json(element, "/entries/" + std::to_string(manifest.entries.size())));
    manifest.entries.push_back(std::move(entry));
  }
  TRY_LET(const Json* outcomes, reader.array("outcomes"));
  for (const Json& element : *outcomes) {
    TRY_LET(Outcome outcome,
            outcome_from_json(element, "/outcomes/" + std::to_string(manifest.outcomes.size())));
    manifest.outcomes.push_back(std::move(outcome));
  }
  TRY(reader.done());
  return manifest;
}

}  // namespace quarantine
