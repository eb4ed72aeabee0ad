#include <chrono>

#include <catch2/catch.hpp>

#include "remediate/crypto/digest.h"
#include "remediate/playbook/parse.h"

namespace remediate::playbook {
namespace {

const std::string digest(64, 'b');

std::string document() {
  return R"({"format_version": 1, "id": "playbook--0b1f3c52-7d7e-4f0a-9a53-2f6d1c8e4b10",
 "name": "N", "description": "D\nE", "revision": 7,
 "created": "2026-01-01T00:00:00Z", "modified": "2026-01-02T00:00:00Z",
 "valid_until": "2027-01-01T00:00:00Z", "revoked": true,
 "author": "A", "tlp": "amber+strict", "references": [{"source": "S"}], "attack": ["T1190"],
 "max_file_size": 4096, "variables": {"App": ["C:\\App\\", "C:\\Other\\"]},
 "scopes": [{"id": "w", "folder": ["%App%www"], "include": ["**\\*.aspx"], "exclude": ["x\\y"]},
            {"id": "p", "folder": "/srv", "include": ["*.php"], "case": "insensitive"},
            {"id": "q", "folder": "/opt/q", "include": ["*"]}],
 "indicators": [
  {"id": "f", "name": "F", "scopes": ["w"], "match": {"all": [{"path": ["a\\*.aspx"]},
    {"any": [{"sha256": [")" +
         digest + R"("]}, {"magic": {"offset": 2, "hex": "4D5a"}},
     {"regex": {"pattern": "e.al", "ignore_case": true, "encodings": ["utf16le"]}},
     {"structure": {"kind": "exchange-vdir-dump", "script_in_url": true}},
     {"yara": {"rules": "rule r { condition: true }", "min_score": 60}}]},
    {"not": {"size": {"max": 9}}}]},
   "exclude": {"sha256": [")" +
         std::string(64, 'c') + R"("]}, "confidence": "medium", "authorises": "remove",
   "source": {"format": "stix", "id": "indicator--1"}},
  {"id": "n", "name": "N", "scopes": ["p", "q"], "match": {"path": ["x.php"]},
   "confidence": "low", "authorises": "review"},
  {"id": "s", "name": "S", "setting": {"provider": "iis-xml", "files": "%windir%\\a.config",
    "kind": "element", "path": "system.web/httpRuntime",
    "where": [{"name": "a", "equals": "", "case": "sensitive"}, {"name": "b", "absent": true},
              {"name": "c", "matches": "^x+"}]},
   "confidence": "high", "authorises": "remove"}],
 "steps": [
  {"id": "1", "action": "reset_setting", "indicators": ["s"],
   "change": {"kind": "reset_to_baseline", "attribute": "a", "baseline": "C:\\clean\\a.config"}},
  {"id": "2", "action": "quarantine", "indicators": ["f"]},
  {"id": "3", "action": "instruct", "indicators": ["n"], "text": "T", "wait": true},
  {"id": "4", "action": "instruct", "text": "always"}]})";
}

TEST_CASE("every field of a playbook reaches the model") {
  const std::string bytes = document();
  const auto parsed = parse_playbook(bytes, "p.json");
  REQUIRE(parsed);
  CHECK(parsed->warnings.empty());
  const Playbook& playbook = parsed->playbook;
  CHECK(playbook.id == "playbook--0b1f3c52-7d7e-4f0a-9a53-2f6d1c8e4b10");
  CHECK(playbook.description == "D\nE");
  CHECK(playbook.revision == 7);
  CHECK(playbook.created == "2026-01-01T00:00:00Z");
  CHECK(playbook.modified == "2026-01-02T00:00:00Z");
  CHECK(playbook.valid_until == "2027-01-01T00:00:00Z");
  CHECK(playbook.revoked);
  CHECK(playbook.tlp == "amber+strict");
  REQUIRE(playbook.references.size() == 1);
  CHECK(playbook.references[0].url.empty());
  CHECK(playbook.max_file_size == 4096);
  REQUIRE(playbook.variables.size() == 1);
  CHECK(playbook.variables[0].values == std::vector<std::string>{"C:\\App\\", "C:\\Other\\"});
  CHECK(playbook.file == "p.json");
  CHECK(playbook.sha256 == crypto::sha256_hex(bytes));

  REQUIRE(playbook.scopes.size() == 3);
  CHECK(playbook.scopes[0].folders[0].text == "%App%www");
  CHECK(playbook.scopes[0].folders[0].spelling == Spelling::windows);
  CHECK(playbook.scopes[0].include == std::vector<std::string>{"**/*.aspx"});
  CHECK(playbook.scopes[0].exclude == std::vector<std::string>{"x/y"});
  CHECK(playbook.scopes[0].ignore_case);
  CHECK(playbook.scopes[1].folders[0].spelling == Spelling::posix);
  CHECK(playbook.scopes[1].ignore_case);
  CHECK_FALSE(playbook.scopes[2].ignore_case);

  REQUIRE(playbook.indicators.size() == 3);
  const Indicator& file = playbook.indicators[0];
  CHECK(file.confidence == "medium");
  CHECK(file.authorises == Authorises::remove);
  CHECK(file.exclude_sha256 == std::vector<std::string>{std::string(64, 'c')});
  REQUIRE(file.source);
  CHECK(file.source->format == "stix");
  CHECK(file.source->id == "indicator--1");
  CHECK(file.source->object.empty());
  REQUIRE(file.match);
  REQUIRE(file.match->children.size() == 3);
  CHECK(file.match->children[0].values == std::vector<std::string>{"a/*.aspx"});
  const auto& any = file.match->children[1].children;
  REQUIRE(any.size() == 5);
  CHECK(any[0].values == std::vector<std::string>{digest});
  CHECK(any[1].offset == 2);
  CHECK(any[1].bytes == "MZ");
  CHECK(any[2].pattern == "e.al");
  CHECK(any[2].ignore_case);
  CHECK(any[2].encodings == std::vector{Encoding::utf16le});
  CHECK(any[3].script_in_url);
  CHECK(any[4].min_score == 60);
  const Condition& negation = file.match->children[2];
  CHECK(negation.kind == Condition::Kind::negation);
  CHECK(negation.children[0].min_size == 0);
  CHECK(negation.children[0].max_size == 9);

  const auto& setting = playbook.indicators[2].setting;
  REQUIRE(setting);
  CHECK(setting->files[0].text == "%windir%\\a.config");
  CHECK(setting->path == "system.web/httpRuntime");
  REQUIRE(setting->where.size() == 3);
  CHECK(setting->where[0].equals == "");
  CHECK_FALSE(setting->where[0].ignore_case);
  CHECK(setting->where[1].absent);
  CHECK(setting->where[2].matches == "^x+");
  CHECK(setting->where[2].ignore_case);

  REQUIRE(playbook.steps.size() == 4);
  REQUIRE(playbook.steps[0].change);
  CHECK(playbook.steps[0].change->attribute == "a");
  REQUIRE(playbook.steps[0].change->baseline);
  CHECK(playbook.steps[0].change->baseline->text == "C:\\clean\\a.config");
  CHECK(playbook.steps[1].action == Action::quarantine);
  CHECK(playbook.steps[2].indicators == std::vector<std::string>{"n"});
  CHECK(playbook.steps[2].wait);
  CHECK(playbook.steps[3].text == "always");
  CHECK_FALSE(playbook.steps[3].wait);
}

TEST_CASE("all errors of a playbook are told at once, in document order") {
  std::string bytes = document();
  const auto replace = [&](const std::string& from, const std::string& to) {
    const auto at = bytes.find(from);
    REQUIRE(at != std::string::npos);
    bytes.replace(at, from.size(), to);
  };
  replace("\"name\": \"N\", \"description\"", "\"nam\": \"N\", \"description\"");
  replace("\"tlp\": \"amber+strict\"", "\"tlp\": \"AMBER\"");
  replace("\"/opt/q\"", "\"/\"");
  replace("[\"f\"]", "[\"g\"]");
  const auto parsed = parse_playbook(bytes, "p\n.json");
  REQUIRE_FALSE(parsed);
  std::vector<std::string> found;
  for (const Diagnostic& diagnostic : parsed.error()) {
    CHECK(diagnostic.is_error());
    CHECK(diagnostic.text().starts_with("p\\n.json:"));
    found.push_back(diagnostic.code + " " + diagnostic.pointer);
  }
  CHECK(found == std::vector<std::string>{"PB010 ", "PB011 /nam", "PB015 /tlp",
                                          "PB041 /scopes/2/folder", "PB082 /steps/1/indicators/0"});
}

TEST_CASE("hostile documents are refused in bounded time") {
  std::string keys = "{\"\": 0";
  for (int i = 0; i < 400'000; ++i) keys += ",\"k" + std::to_string(i) + "\":0";
  keys += "}";
  const auto start = std::chrono::steady_clock::now();
  const auto parsed = parse_playbook(keys, "hostile.json");
  const auto elapsed = std::chrono::steady_clock::now() - start;
  REQUIRE_FALSE(parsed);
  CHECK(parsed.error().size() == 100);
  CHECK(parsed.error().back().code == "PB009");
  CHECK(elapsed < std::chrono::seconds(20));
}

}  // namespace
}  // namespace remediate::playbook
