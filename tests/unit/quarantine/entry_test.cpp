#include "quarantine/entry.h"

#include <functional>

#include "support.h"

namespace quarantine::test {
namespace {

Entry entry() {
  Entry made;
  made.id = "op-0001";
  made.action = "quarantine";
  made.playbook = "playbook--1";
  made.indicator = "shells";
  made.path = must(RawPath::parse("www/\xff\x1b[2J.php"));
  made.sha256 = std::string(64, 'a');
  made.metadata.stat.kind = remediate::FileKind::regular;
  made.metadata.stat.id = {8, 11, 1};
  made.metadata.stat.size = 12;
  made.metadata.stat.mode = 04755;
  made.metadata.stat.modified = {-1, 999'999'999};
  made.metadata.attributes = {{"user.x", std::string("\0\xfe", 2)}};
  made.parent = {8, 3, 1};
  made.parent_before = {5, 6};
  made.parent_after = {7, 8};
  made.hold = HoldPlace::mount_top;
  made.hold_name = "op-0001";
  made.object = std::string(64, 'b');
  made.object_size = 600;
  made.open_for_writing = true;
  made.after_sha256 = std::string(64, 'c');
  made.details = {{"Name", "OAB\xff"}, {"", ""}};
  return made;
}

Manifest manifest() {
  Manifest made;
  made.run = "run-1";
  made.plan_id = "p";
  made.plan_sha256 = "ps";
  made.plan_signature_sha256 = "pss";
  made.host_id = "h";
  made.host_name = "EX01";
  made.boot = "b";
  made.root = "/mnt/\xff";
  made.tool = "remediate test";
  made.created = {1'767'225'600, 0};
  made.approvers = {"CN=Alice", "CN=Bob"};
  made.signer = "s";
  made.recovery = {"r1", "r2"};
  made.journal_head = "head";
  made.journal_length = 9;
  made.copies = {{must(RawPath::parse("old/\xfe.config")),
                  {3, 4},
                  std::string(64, 'd'),
                  77,
                  std::string(64, 'e'),
                  700}};
  made.entries = {entry(), entry()};
  made.entries.back().hold = HoldPlace::store;
  made.entries.back().object.clear();
  made.outcomes = {{"op-0001", "quarantine", "www/x", "quarantined", "because"}};
  return made;
}

}  // namespace

TEST_CASE("an entry comes back whole", "[entry]") {
  const Entry made = entry();
  const Entry read = must(entry_from_json(to_json(made), "/entry"));
  CHECK(to_json(read) == to_json(made));
  CHECK(read.path == made.path);
  CHECK(read.metadata.stat.id == made.metadata.stat.id);
  CHECK(read.metadata.stat.mode == 04755);
  CHECK(read.metadata.stat.modified == made.metadata.stat.modified);
  CHECK(read.metadata.attributes == made.metadata.attributes);
  CHECK(read.parent == made.parent);
  CHECK(read.parent_before == made.parent_before);
  CHECK(read.parent_after == made.parent_after);
  CHECK(read.hold == HoldPlace::mount_top);
  CHECK(read.open_for_writing);
  CHECK(read.details == made.details);
}

TEST_CASE("a manifest comes back whole and is written the same again", "[manifest]") {
  const std::string bytes = write_manifest(manifest());
  const Manifest read = must(read_manifest(bytes));
  CHECK(write_manifest(read) == bytes);
  CHECK(read.root == "/mnt/\xff");
  CHECK(read.created == Timestamp{1'767'225'600, 0});
  CHECK(read.approvers.size() == 2);
  CHECK(read.recovery.size() == 2);
  CHECK(read.journal_length == 9);
  REQUIRE(read.entries.size() == 2);
  CHECK(read.entries[1].object.empty());
  CHECK(read.outcomes.front().reason == "because");
  CHECK(bytes.find('\xff') == std::string::npos);
  CHECK(bytes.find('\x1b') == std::string::npos);
}

TEST_CASE("no field of an entry or a manifest may be missing, unknown or of another kind",
          "[manifest]") {
  const Json whole = to_json(entry());
  for (const auto& [key, value] : whole.items()) {
    Json changed = whole;
    changed.erase(key);
    INFO(key);
    const auto read = entry_from_json(changed, "/entry");
    REQUIRE_FALSE(read);
    CHECK(read.error().code == remediate::Code::bad_input);
    CHECK(read.error().text().find("/entry") != std::string::npos);
    changed = whole;
    changed[key] = value.is_array() ? Json(1) : Json(Json::array());
    CHECK_FALSE(entry_from_json(changed, "/entry"));
  }
  Json more = whole;
  more["more"] = 1;
  CHECK_FALSE(entry_from_json(more, "/entry"));

  const Json document = must(remediate::parse_json(write_manifest(manifest()), "manifest"));
  for (const auto& [key, value] : document.items()) {
    Json changed = document;
    changed.erase(key);
    INFO(key);
    CHECK_FALSE(read_manifest(remediate::write_json(changed)));
    changed = document;
    changed[key] = value.is_array() ? Json(1) : Json(Json::array({1}));
    CHECK_FALSE(read_manifest(remediate::write_json(changed)));
  }
  more = document;
  more["more"] = 1;
  CHECK_FALSE(read_manifest(remediate::write_json(more)));
}

TEST_CASE("an entry that leads elsewhere is refused", "[entry]") {
  Json json = to_json(entry());
  const auto raw = [](const char* base64) { return Json{{"display", "x"}, {"raw", base64}}; };
  SECTION("path above the root") { json["path"] = raw("Li4vZXRj"); }    // ../etc
  SECTION("absolute path") { json["path"] = raw("L2V0Yy9wYXNzd2Q="); }  // /etc/passwd
  SECTION("hold name with a slash") { json["hold_name"] = "../x"; }
  SECTION("hold name of the folder itself") { json["hold_name"] = ".."; }
  SECTION("object that is no digest") { json["object"] = "../../etc/passwd"; }
  SECTION("a hold that is not known") { json["hold"] = "elsewhere"; }
  SECTION("sizes that disagree") { json["size"] = 13; }
  CHECK(entry_from_json(json, "/entry").error().code == remediate::Code::bad_input);
}

namespace {

/// Every field below `at`, however deep, missing, unknown or of another kind is refused.
void no_field_is_free(const Json& document, const Json::json_pointer& at,
                      const std::function<bool(const Json&)>& reads) {
  const Json& here = document.at(at);
  if (here.is_array()) {
    Json changed = document;
    changed[at] = Json::array({1});
    INFO(at.to_string());
    CHECK_FALSE(reads(changed));
  }
  if (here.is_array() && !here.empty()) no_field_is_free(document, at / 0, reads);
  if (!here.is_object()) return;
  Json more = document;
  more[at]["more"] = 1;
  INFO(at.to_string());
  CHECK_FALSE(reads(more));
  for (const auto& [key, value] : here.items()) {
    Json changed = document;
    changed[at].erase(key);
    CHECK_FALSE(reads(changed));
    changed = document;
    changed[at][key] = value.is_array() ? Json(1) : Json(Json::array());
    INFO(key);
    CHECK_FALSE(reads(changed));
    no_field_is_free(document, at / key, reads);
  }
}

}  // namespace

TEST_CASE("no field of any depth may be missing, unknown or of another kind", "[manifest]") {
  Manifest made = manifest();
  const Json document = must(remediate::parse_json(write_manifest(made), "manifest"));
  no_field_is_free(document, Json::json_pointer(), [](const Json& changed) {
    return read_manifest(remediate::write_json(changed)).has_value();
  });

  Entry of_directory = entry();
  of_directory.directory = remediate::DirectoryValue{};
  of_directory.directory->dn = "CN=OAB,DC=example,DC=org";
  of_directory.directory->guid = "457e0398-cafe-43fb-b128-23c9e9f47c20";
  of_directory.directory->before = "https://x/";
  of_directory.directory->attribute = "msExchExternalHostName";
  const Json json = to_json(of_directory);
  const auto read = entry_from_json(json, "/entry");
  INFO((read ? std::string() : read.error().text()));
  REQUIRE(read);
  CHECK(to_json(*read) == json);
  no_field_is_free(json, Json::json_pointer(), [](const Json& changed) {
    return entry_from_json(changed, "/entry").has_value();
  });
}

TEST_CASE("a manifest that is none is refused", "[manifest]") {
  const Json document = must(remediate::parse_json(write_manifest(manifest()), "manifest"));
  Json changed = document;
  std::string bytes;
  SECTION("no JSON") { bytes = "{"; }
  SECTION("a later format") {
    changed["format_version"] = 2;
    bytes = remediate::write_json(changed);
  }
  SECTION("a time that is none") {
    changed["created"] = "yesterday";
    bytes = remediate::write_json(changed);
  }
  SECTION("a digest of the right length that is none") {
    changed["entries"][0]["object"] = std::string(64, 'x');
    bytes = remediate::write_json(changed);
  }
  CHECK(read_manifest(bytes).error().code == remediate::Code::bad_input);
}

}  // namespace quarantine::test
