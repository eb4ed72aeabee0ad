#include "remediate/interchange/import.h"

#include <algorithm>
#include <chrono>
#include <map>

#include <catch2/catch.hpp>

#include "remediate/base/clock.h"
#include "remediate/crypto/digest.h"
#include "remediate/interchange/items.h"
#include "remediate/match/engine.h"
#include "remediate/match/yara_matcher.h"

namespace remediate::interchange {
namespace {

using Catch::Matchers::Contains;

ImportOptions options(std::optional<ImportFormat> format = {}) {
  ImportOptions made;
  made.format = format;
  made.folders = {"/var/www"};
  made.now = *parse_utc("2026-11-22T00:00:00Z");
  return made;
}

/// Place to reason; "" for what was taken.
using Outcome = std::map<std::string, std::string>;

Outcome outcome_of(const ImportReport& report) {
  REQUIRE(report.read == report.items.size());
  Outcome outcome;
  for (const ImportedItem& item : report.items) outcome[item.place] = item.reason;
  return outcome;
}

Outcome imported(const std::vector<ImportFile>& files, const ImportOptions& how) {
  const auto made = import_indicators(files, how);
  if (!made) FAIL(made.error().text());
  return outcome_of(made->report);
}

std::string sha256(std::string_view text) { return crypto::sha256_hex(text); }

const std::string good = sha256("a good example of a bad file");
/// Something that is always taken, so that there is a playbook.
const ImportFile always{"always.sha256", good + "  always\n"};

// STIX

Json indicator(const std::string& id, const std::string& modified, const Json& more = {}) {
  Json object{{"type", "indicator"},
              {"id", "indicator--" + id},
              {"created", "2026-01-01T00:00:00Z"},
              {"modified", modified},
              {"pattern_type", "stix"},
              {"valid_from", "2026-01-01T00:00:00Z"},
              {"pattern", "[file:hashes.'SHA-256' = '" + sha256(id + modified) + "']"}};
  if (more.is_object()) object.update(more);
  return object;
}
ImportFile bundle(const std::string& name, const std::vector<Json>& objects) {
  return {name, Json{{"type", "bundle"}, {"id", "bundle--1"}, {"objects", objects}}.dump()};
}

TEST_CASE("a STIX indicator revoked in another file is left out, in either order of the files") {
  const ImportFile first = bundle("a.json", {indicator("x", "2026-01-01T00:00:00Z")});
  const ImportFile second =
      bundle("b.json", {indicator("x", "2026-02-01T00:00:00Z", Json{{"revoked", true}})});
  for (const auto& files :
       {std::vector{first, second, always}, std::vector{always, second, first}}) {
    Outcome outcome = imported(files, options());
    CHECK_THAT(outcome["a.json:/objects/0"], Contains("revoked"));
    CHECK_THAT(outcome["b.json:/objects/0"], Contains("revoked"));
    CHECK(outcome["always.sha256:1"].empty());
  }
}

TEST_CASE("a STIX revocation holds against a version that says to be later") {
  Outcome outcome =
      imported({bundle("a.json", {indicator("x", "2026-03-01T00:00:00Z"),
                                  indicator("x", "2026-02-01T00:00:00Z", Json{{"revoked", true}})}),
                always},
               options());
  CHECK_THAT(outcome["a.json:/objects/0"], Contains("revoked"));
}

TEST_CASE("versions of STIX are ordered as times, not as texts") {
  const auto [older, later] = GENERATE(table<std::string, std::string>(
      {{"2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z"},     // as texts: '.' < 'Z'
       {"2026-01-01T00:00:00.9Z", "2026-01-01T00:00:00.95Z"},  // as texts: '5' < 'Z'
       {"2026-01-01T00:00:00.000001Z", "2026-01-01T00:00:00.1Z"},
       {"2026-01-01T00:00:00.5Z", "2026-01-01T00:00:01Z"}}));
  Outcome outcome = imported(
      {bundle("a.json", {indicator("x", older)}), bundle("b.json", {indicator("x", later)})},
      options());
  CHECK_THAT(outcome["a.json:/objects/0"], Contains("later version"));
  CHECK(outcome["b.json:/objects/0"].empty());
}

TEST_CASE("the same time in two spellings of STIX is one version") {
  Outcome outcome = imported({bundle("a.json", {indicator("x", "2026-01-01T00:00:00.10Z"),
                                                indicator("x", "2026-01-01T00:00:00.1Z")})},
                             options());
  CHECK(outcome["a.json:/objects/0"].empty());
  CHECK(outcome["a.json:/objects/1"].empty());
}

TEST_CASE("STIX that is expired, benign, not for today or of a wrong time is left out") {
  const auto [more, reason] = GENERATE(table<Json, std::string>(
      {{Json{{"valid_until", "2026-11-22T00:00:00Z"}}, "no longer valid"},
       {Json{{"valid_until", "tomorrow"}}, "valid_until is no UTC time"},
       {Json{{"valid_from", "2026-11-23T00:00:00Z"}}, "not valid yet"},
       {Json{{"modified", "2026-13-01T00:00:00Z"}}, "modified or created is no UTC time"},
       {Json{{"modified", "2026-01-01T00:00:00+02:00"}}, "modified or created is no UTC time"},
       {Json{{"revoked", true}}, "revoked"},
       {Json{{"indicator_types", {"benign"}}}, "benign"},
       {Json{{"indicator_types", {"malicious-activity", "Benign"}}}, "benign"},
       {Json{{"indicator_types", "benign"}}, "benign"},
       {Json{{"labels", {"benign"}}}, "benign"},
       {Json{{"pattern_type", "snort"}}, "neither STIX nor YARA"},
       {Json{{"pattern", "[file:size > 1]"}}, "size alone"},
       {Json{{"pattern", "[file:name != 'x']"}}, "what a file is not"}}));
  Outcome outcome = imported(
      {bundle("a.json", {indicator("x", "2026-01-01T00:00:00Z", more)}), always}, options());
  CHECK_THAT(outcome["a.json:/objects/0"], Contains(reason));
}

// MISP

Json attribute(const std::string& uuid, const std::string& time, const Json& more = {}) {
  Json made{{"uuid", uuid},   {"type", "sha256"}, {"value", sha256(uuid + time)},
            {"to_ids", true}, {"deleted", false}, {"timestamp", time}};
  if (more.is_object()) made.update(more);
  return made;
}
ImportFile event(const std::string& name, const std::vector<Json>& attributes) {
  return {
      name,
      Json{{"Event", Json{{"uuid", name}, {"info", "case"}, {"Attribute", attributes}}}}.dump()};
}

TEST_CASE("a MISP attribute deleted in another event's file is left out") {
  const ImportFile first = event("a.json", {attribute("x", "1000"), attribute("y", "1000")});
  const ImportFile second = event("b.json", {attribute("x", "2000", Json{{"deleted", true}})});
  for (const auto& files : {std::vector{first, second}, std::vector{second, first}}) {
    Outcome outcome = imported(files, options());
    CHECK_THAT(outcome["a.json:/Event/Attribute/0"], Contains("deleted"));
    CHECK(outcome["a.json:/Event/Attribute/1"].empty());
  }
}

TEST_CASE("versions of MISP are ordered as numbers, not as texts") {
  Outcome outcome = imported(
      {event("a.json", {attribute("x", "999")}), event("b.json", {attribute("x", "1000")})},
      options());
  CHECK_THAT(outcome["a.json:/Event/Attribute/0"], Contains("later version"));
  CHECK(outcome["b.json:/Event/Attribute/0"].empty());
}

TEST_CASE("MISP that is not for detection, warned of or malformed is left out") {
  const auto [more, reason] = GENERATE(table<Json, std::string>(
      {{Json{{"to_ids", false}}, "not meant for detection"},
       {Json{{"warnings", {{{"value", "x"}}}}}, "warning lists"},
       {Json{{"type", "md5"}}, "wrong length"},
       {Json{{"type", "ip-dst"}}, "no indicator of files"},
       {Json{{"type", "filename"}, {"value", "a\x01*"}}, "a glob cannot say"},
       {Json{{"value", std::string(64, '0')}}, "placeholder"},
       {Json{{"value", std::string(5000, 'a')}}, "longer than 4096"}}));
  Outcome outcome = imported({event("a.json", {attribute("x", "1000", more)}), always}, options());
  CHECK_THAT(outcome["a.json:/Event/Attribute/0"], Contains(reason));
}

// LOKI

TEST_CASE("LOKI: hostile lines are left out one by one, the rest is taken") {
  const std::string long_line(5000, 'a');
  Outcome outcome = imported(
      {{"hash-iocs.txt", good + ";80;good\n" + "zz;80;none\n" + long_line + "\n\x1b[2J;1;x\n"}},
      options(ImportFormat::loki));
  CHECK(outcome["hash-iocs.txt:1"].empty());
  CHECK_THAT(outcome["hash-iocs.txt:2"], Contains("no MD5"));
  CHECK_THAT(outcome["hash-iocs.txt:3"], Contains("longer than 4096"));
  CHECK_THAT(outcome["hash-iocs.txt:4"], Contains("no MD5"));
}

TEST_CASE("LOKI: a digest of a list of good files is never taken, in whatever order") {
  const ImportFile bad{"hash-iocs.txt", good + ";80;bad\n" + sha256("other") + ";80;bad\n"};
  const ImportFile fine{"falsepositive-hashes.txt", good + ";fine\n"};
  for (const auto& files : {std::vector{bad, fine}, std::vector{fine, bad}}) {
    Outcome outcome = imported(files, options(ImportFormat::loki));
    CHECK_THAT(outcome["hash-iocs.txt:1"], Contains("list of good files"));
    CHECK(outcome["hash-iocs.txt:2"].empty());
  }
}

TEST_CASE("a regular expression stands in the report with its own backslashes") {
  const std::string pattern = R"(\\(evil|worse)\.php;80;\\backup\\)";
  const auto made = import_indicators({{"filename-iocs.txt", pattern + "\nalways\\.php$;80\n"}},
                                      options(ImportFormat::loki));
  REQUIRE(made);
  CHECK(made->report.items[0].what == pattern);
  CHECK_THAT(report_text(made->report), Contains(pattern + "\n"));
  CHECK(report_json(made->report)["left_out_items"][0]["what"] == pattern);
  CHECK(made->report.items[1].what == R"(always\.php$)");
}

// Lists of digests

TEST_CASE("digests of what says nothing are left out and listed") {
  const std::vector<std::string> contents = {std::string(4096, '\0'),
                                             std::string(1, '\0'),
                                             std::string(512, '\0'),
                                             std::string(65536, '\0'),
                                             std::string(10240, '\0'),
                                             std::string(1 << 20, '\0'),
                                             std::string(4096, '\xff'),
                                             std::string(7, ' '),
                                             std::string(3, '\n'),
                                             "",
                                             "\n",
                                             "\xEF\xBB\xBF",
                                             "<?php\n// Silence is golden.\n",
                                             "<!DOCTYPE html><title></title>\n",
                                             "{}"};
  std::string list = good + "  always\n";
  for (const std::string& content : contents)
    for (const auto algorithm :
         {crypto::Algorithm::sha256, crypto::Algorithm::sha1, crypto::Algorithm::md5})
      list += crypto::digest_hex(algorithm, content) + "  trivial\n";
  const auto made = import_indicators({{"list.txt", list}}, options());
  REQUIRE(made);
  CHECK(made->report.taken == 1);
  CHECK(made->report.left_out == 3 * contents.size());
  for (std::size_t i = 1; i < made->report.items.size(); ++i)
    CHECK_THAT(made->report.items[i].reason, Contains("would take every such file"));
  CHECK_THAT(made->playbook, !Contains(sha256(contents.front())));
}

TEST_CASE("hostile lines of a list are left out, and none of their bytes reaches the report raw") {
  const auto made = import_indicators(
      {{"list.txt", good + "  " + std::string(3000, 'n') + "\x1b[2J\nno digest \x1b]0;x\x07\n" +
                        std::string(128, 'a') + "  sha512\n" + std::string(63, 'a') + "\n"}},
      options(ImportFormat::hashes));
  REQUIRE(made);
  CHECK(made->report.taken == 1);
  CHECK(made->report.left_out == 3);
  const std::string all = report_text(made->report) + report_json(made->report).dump();
  CHECK(std::ranges::none_of(all,
                             [](char c) { return (c > 0 && c < 0x20 && c != '\n') || c == 0x7f; }));
}

// YARA

std::string rule(const std::string& strings, const std::string& condition) {
  return "rule r { meta: score = 90 strings: " + strings + " condition: " + condition + " }";
}

TEST_CASE("a YARA string that is nothing but wildcards is no evidence of content") {
  if (!match::have_yara()) return;
  const auto [strings, evidence] =
      GENERATE(table<std::string, bool>({{"$a = { ?? }", false},
                                         {"$a = { ?? ?? [2-4] ?? }", false},
                                         {"$a = /./", false},
                                         {"$a = /[\\x00-\\xff]{3}/", false},
                                         {"$a = /\\w/", false},
                                         {"$a = { ?? } $b = \"inert mark\"", true},
                                         {"$a = \"inert mark\"", true},
                                         {"$a = { 69 6e ?? 72 74 }", true}}));
  const auto rules = match::compile_rules(rule(strings, "any of them"));
  REQUIRE(rules);
  const match::YaraOutcome outcome =
      (*rules)->scan("some text with an inert mark in it", {}, std::chrono::seconds(5));
  REQUIRE(outcome.hits.size() == 1);
  CAPTURE(strings);
  CHECK(outcome.hits[0].has_offset == evidence);
}

TEST_CASE("YARA files that cannot be held are left out") {
  if (!match::have_yara()) return;
  const auto [text, reason] = GENERATE(table<std::string, std::string>(
      {{"rule r { condition: nonsense }", "do not compile"},
       {"include \"other.yar\"\nrule r { condition: false }", "include another file"},
       {"// nothing\n", "no rule"},
       {"rule r { condition: false } \x01", "do not compile"},
       {std::string("rule r { condition: false } \0", 29), "NUL byte"},
       {"rule r { condition: false } // \xff", "not UTF-8"}}));
  Outcome outcome = imported({{"r.yar", text}, always}, options());
  CHECK_THAT(outcome["r.yar"], Contains(reason));
}

}  // namespace
}  // namespace remediate::interchange
