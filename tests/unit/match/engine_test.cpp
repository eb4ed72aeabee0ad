#include "remediate/match/engine.h"

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "remediate/crypto/digest.h"
#include "tests/unit/match/engine_run.h"

using namespace remediate;
using namespace remediate::match;
using namespace remediate::match::test;
using remediate::observe::Need;
using remediate::playbook::Authorises;
using remediate::playbook::Condition;
using remediate::playbook::leaf;
using remediate::playbook::node;
using remediate::playbook::regex;
using remediate::playbook::yara;
using Kind = Condition::Kind;

namespace {

/// Each expression alone, and all in one pass by either engine: the results are the same.
EngineOptions each_way() {
  EngineOptions options;
  options.portable = GENERATE(false, true);
  options.one_pass_at_once = GENERATE(false, true);
  return options;
}

std::vector<std::string> hits(Run& run, const std::string& below, std::string_view content) {
  run.see(below, content);
  std::vector<std::string> ids;
  for (const FileMatch& match : run.engine->take_matches()) ids.push_back(match.indicator);
  return ids;
}

Code refusal(Condition condition, std::string* text = nullptr) {
  const std::vector<playbook::Playbook> playbooks{book({{"bad-one", std::move(condition)}})};
  const auto engine = Engine::compile(playbooks, {});
  REQUIRE_FALSE(engine.has_value());
  if (text != nullptr) *text = engine.error().text();
  return engine.error().code;
}

using Ids = std::vector<std::string>;

}  // namespace

TEST_CASE("each kind of condition matches what it names and nothing else") {
  Condition size = leaf(Kind::size);
  size.min_size = 3;
  size.max_size = 4;
  Condition magic = leaf(Kind::magic);
  magic.offset = 1;
  magic.bytes = std::string("\0\xff", 2);
  Run run(book({{"path", leaf(Kind::path, {"**/shell.aspx"})},
                {"sha256", leaf(Kind::sha256, {crypto::sha256_hex("abc")})},
                {"sha1", leaf(Kind::sha1, {crypto::digest_hex(crypto::Algorithm::sha1, "abc")})},
                {"md5", leaf(Kind::md5, {crypto::digest_hex(crypto::Algorithm::md5, "abc")})},
                {"size", size},
                {"magic", magic},
                {"regex", regex("ev.l")}}),
          each_way());
  CHECK(hits(run, "x", "") == Ids{});
  CHECK(hits(run, "a/shell.aspx", "") == Ids{"path"});
  CHECK(hits(run, "x", "abc") == Ids{"md5", "sha1", "sha256", "size"});
  CHECK(hits(run, "x", "abcde") == Ids{});
  CHECK(hits(run, "x", std::string("a\0\xffxx", 5)) == Ids{"magic"});
  CHECK(hits(run, "x", std::string("\0\xff", 2)) == Ids{});
  CHECK(hits(run, "x", "an ev\nl one") == Ids{"regex"});
  CHECK(hits(run, "skip/shell.aspx", "abc") == Ids{});
  CHECK(run.engine->take_issues().empty());
}

TEST_CASE("a match tells its reason, place, digest and facts") {
  Run run(book({{"one",
                 node(Kind::all, {regex("ev[a-z]l", false, true), leaf(Kind::path, {"a.aspx"})})}}),
          each_way());
  const std::string content = std::string(200, 'x') + "\x1b[EVALy" + std::string(200, 'z');
  run.see("a.aspx", content);
  const auto matches = run.engine->take_matches();
  REQUIRE(matches.size() == 1);
  const FileMatch& match = matches[0];
  CHECK(match.playbook == "playbook--1");
  CHECK(match.scope == "web");
  CHECK(match.path.bytes() == "www/a.aspx");
  CHECK(match.authorises == Authorises::remove);
  CHECK(match.sha256 == crypto::sha256_hex(content));
  CHECK(match.exclusion.empty());
  CHECK(match.facts.filesystem == "ext4");
  REQUIRE(match.reasons.size() == 2);
  CHECK(match.reasons[0].kind == "path");
  CHECK(match.reasons[1].kind == "regex");
  CHECK(match.reasons[1].offset == 202);
  CHECK(match.reasons[1].excerpt.size() <= 80);
  CHECK(match.reasons[1].excerpt.find("\x1b[EVALy") != std::string::npos);
  CHECK(match.reasons[1].text == "regex /ev[a-z]l/ at byte 202");
  CHECK(run.engine->take_matches().empty());
}

TEST_CASE("trees of all, any and not") {
  const auto has = [](const std::string& text) { return regex(text); };
  Run run(book({{"all", node(Kind::all, {has("aa"), has("bb")})},
                {"any", node(Kind::any, {has("aa"), has("cc")})},
                {"none", node(Kind::negation, {node(Kind::any, {has("aa"), has("bb")})})},
                {"one", node(Kind::all, {has("aa"), node(Kind::negation, {has("bb")})})}}),
          each_way());
  CHECK(hits(run, "x", "aa bb") == Ids{"all", "any"});
  CHECK(hits(run, "x", "aa") == Ids{"any", "one"});
  CHECK(hits(run, "x", "cc") == Ids{"any", "none"});
  CHECK(hits(run, "x", "bb") == Ids{});
}

TEST_CASE("by path alone only what cannot match is skipped") {
  auto playbook =
      book({{"named", node(Kind::all, {leaf(Kind::path, {"owa/*.aspx"}), regex("x+y")})},
            {"not", node(Kind::all, {leaf(Kind::path, {"*.php"}),
                                     node(Kind::negation, {leaf(Kind::path, {"index.php"})})})}});
  Run run(std::move(playbook));
  const auto need = [&](const std::string& below) { return run.engine->need(run.scope, below); };
  CHECK(need("owa/a.aspx") == Need::content);
  CHECK(need("owa/a.css") == Need::skip);
  CHECK(need("a.php") == Need::content);
  CHECK(need("index.php") == Need::skip);
  CHECK(need("skip/a.php") == Need::skip);
  CHECK(run.engine->max_file_size(run.scope) == 16u << 20);
  observe::ScopeInstance other = run.scope;
  other.scope = "unknown";
  CHECK(run.engine->need(other, "a.php") == Need::skip);
}

TEST_CASE("known good files are reported with their exclusion") {
  auto playbook = book({{"p", leaf(Kind::path, {"*"})}});
  playbook.indicators[0].exclude_sha256 = {crypto::sha256_hex("good")};
  Run run(std::move(playbook));
  run.see("a", "good");
  run.see("b", "bad");
  const auto matches = run.engine->take_matches();
  REQUIRE(matches.size() == 2);
  CHECK_FALSE(matches[0].exclusion.empty());
  CHECK(matches[1].exclusion.empty());
}

TEST_CASE("a file in two scopes of one playbook is one match") {
  auto playbook = book({{"p", leaf(Kind::path, {"**/a"})}});
  playbook.scopes.push_back(playbook.scopes[0]);
  playbook.scopes[1].id = "inner";
  playbook.indicators[0].scopes.push_back("inner");
  Run run(std::move(playbook));
  observe::ScopeInstance inner = run.scope;
  inner.scope = "inner";
  auto second = run.file("d/a", 1);
  second.scope = &inner;
  second.below_scope = "a";
  const std::vector<observe::FileObservation> places{run.file("d/a", 1), second};
  run.engine->observe_in(places, "x", run.facts);
  const auto matches = run.engine->take_matches();
  REQUIRE(matches.size() == 1);
  CHECK(matches[0].scope == "inner");
}

TEST_CASE("UTF-16LE text is searched at both alignments, offsets are the file's") {
  Run run(book({{"wide", regex("evil", true)}, {"narrow", regex("evil")}}), each_way());
  const std::string wide("e\0v\0i\0l\0", 8);
  CHECK(hits(run, "x", "evil") == Ids{"narrow"});
  for (const std::size_t shift : {0u, 1u, 2u, 5u}) {
    run.see("x", std::string(shift, '\0') + wide + " in what is no UTF-16 text");
    const auto matches = run.engine->take_matches();
    INFO(shift);
    REQUIRE(matches.size() == 1);
    CHECK(matches[0].indicator == "wide");
    CHECK(matches[0].reasons[0].offset == shift);
  }
  CHECK(hits(run, "x", std::string("e\1v\0i\0l\0", 8)) == Ids{});
}

TEST_CASE("bytes above 0x7f are bytes, in files and in patterns") {
  Run run(book({{"high", regex("a\\xffb")}, {"any", regex("c.d")}}), each_way());
  CHECK(hits(run, "x",
             "a\xff"
             "b") == Ids{"high"});
  CHECK(hits(run, "x",
             "c\xc3"
             "d") == Ids{"any"});
  CHECK(hits(run, "x",
             "c\xc3\xa4"
             "d") == Ids{});
}

TEST_CASE("what cannot be compiled is refused with the names of playbook and indicator") {
  std::string text;
  CHECK(refusal(regex("a(b"), &text) == Code::bad_input);
  CHECK(text.find("bad-one") != std::string::npos);
  CHECK(text.find("playbook--1") != std::string::npos);
  for (const std::string pattern : {"a*", "", "x?", "(?m)^", "\\b", "$", "(?=a)b", "a)(b"}) {
    INFO(pattern);
    CHECK(refusal(regex(pattern)) == Code::bad_input);
  }
  CHECK(refusal(leaf(Kind::path, {"a**"})) == Code::bad_input);
  CHECK(refusal(leaf(Kind::sha256, {"abc"})) == Code::bad_input);
  CHECK(refusal(leaf(Kind::sha256, {crypto::sha256_hex("x").replace(0, 1, "G")})) ==
        Code::bad_input);
  CHECK(refusal(leaf(Kind::structure)) == Code::bad_input);
  CHECK(refusal(leaf(Kind::magic)) == Code::bad_input);
  CHECK(refusal(node(Kind::all, {})) == Code::bad_input);
  auto playbook = book({{"p", leaf(Kind::path, {"*"})}});
  playbook.indicators[0].scopes = {"nowhere"};
  const std::vector<playbook::Playbook> playbooks{playbook};
  CHECK_FALSE(Engine::compile(playbooks, {}).has_value());
}

TEST_CASE("what was not read is unknown, never a no") {
  Run run(book({{"absent", node(Kind::negation, {regex("good")})},
                {"path", leaf(Kind::path, {"*.aspx"})},
                {"other", node(Kind::all, {leaf(Kind::path, {"*.php"}), regex("x")})}}));
  run.engine->observe(run.file("a.aspx", 10), "", run.facts);
  CHECK(run.engine->take_matches().empty());
  const auto issues = run.engine->take_issues();
  REQUIRE(issues.size() == 2);
  CHECK(issues[0].kind == observe::Issue::Kind::not_evaluated);
  CHECK(issues[0].where == "www/a.aspx");
  CHECK(issues[0].reason.find("absent") != std::string::npos);
  CHECK(issues[1].reason.find("path") != std::string::npos);
}

TEST_CASE("a size decides before a file is read") {
  const auto sized = [](std::uint64_t from, std::uint64_t to) {
    Condition size = leaf(Kind::size);
    size.min_size = from;
    size.max_size = to;
    return size;
  };
  Run small(book(
      {{"small", node(Kind::all, {leaf(Kind::path, {"*.php"}), sized(0, 4096), regex("evil")})},
       {"not",
        node(Kind::all, {node(Kind::negation, {sized(0, 9999)}), leaf(Kind::path, {"*.big"})})}}));
  const auto wants = [&](const std::string& below, std::uint64_t size) {
    return small.engine->wants(small.scope, below, size);
  };
  CHECK(wants("a.php", 0));
  CHECK(wants("a.php", 4096));
  CHECK_FALSE(wants("a.php", 4097));
  CHECK_FALSE(wants("a.big", 9999));
  CHECK(wants("a.big", 10'000));
  Run any(book({{"either", node(Kind::any, {sized(0, 4096), regex("evil")})}}));
  CHECK(any.engine->wants(any.scope, "a.php", 1u << 30));
  Run none(book({{"content", regex("evil")}}));
  CHECK(none.engine->wants(none.scope, "a.php", 1u << 30));
}

TEST_CASE("what matches by path and size though the file is too large is told with the indicator") {
  Condition huge = leaf(Kind::size);
  huge.min_size = 1u << 20;
  huge.max_size = UINT64_MAX;
  Run run(book({{"path", leaf(Kind::path, {"*.aspx"})},
                {"size", node(Kind::all, {leaf(Kind::path, {"*.aspx"}), huge})},
                {"content", regex("evil")},
                {"other", leaf(Kind::path, {"*.php"})}}));
  run.engine->observe_unread(run.file("a.aspx", 300u << 20));
  CHECK(run.engine->take_matches().empty());
  const auto issues = run.engine->take_issues();
  REQUIRE(issues.size() == 1);
  CHECK(issues[0].kind == observe::Issue::Kind::not_evaluated);
  CHECK(issues[0].where == "www/a.aspx");
  CHECK(issues[0].reason.starts_with(
      "indicator path of playbook playbook--1 and 1 more indicator would match"));
  CHECK(issues[0].reason.find("314572800 bytes") != std::string::npos);
}

TEST_CASE("a match whose facts cannot be had is an issue") {
  Run run(book({{"p", leaf(Kind::path, {"*"})}}));
  run.facts.broken = true;
  run.see("a", "x");
  CHECK(run.engine->take_matches().empty());
  const auto issues = run.engine->take_issues();
  REQUIRE(issues.size() == 1);
  CHECK(issues[0].reason.find("it changed") != std::string::npos);
}

TEST_CASE("what matches say together is bounded, and what is left out is told") {
  EngineOptions options;
  options.max_match_bytes = 100'000;
  Run run(book({{"p", regex("x")}}), options);
  std::string deep;
  for (int level = 0; level < 200; ++level) deep += std::string(200, 'd') + "/";
  for (int number = 0; number < 5; ++number) run.see(deep + std::to_string(number), "x");
  run.see("short", "x");  // still fits
  CHECK(run.engine->take_matches().size() == 3);
  const auto issues = run.engine->take_issues();
  REQUIRE(issues.size() == 1);
  CHECK(issues[0].kind == observe::Issue::Kind::not_evaluated);
  CHECK(issues[0].reason.starts_with("3 more matches were found"));
  CHECK(issues[0].reason.find("www/ddd") != std::string::npos);
  CHECK(issues[0].reason.find("100000 bytes") != std::string::npos);
  CHECK(run.engine->take_issues().empty());
}

TEST_CASE("extended attributes count among what matches say") {
  EngineOptions options;
  options.max_match_bytes = 100'000;
  Run run(book({{"p", regex("x")}}), options);
  run.facts.attributes = {{"user.big", std::string(60'000, 'a')}};
  run.see("one", "x");
  run.see("two", "x");
  CHECK(run.engine->take_matches().size() == 1);
  CHECK(run.engine->take_issues().size() == 1);
}

TEST_CASE("a settings dump is matched by its structure and its fields are kept") {
  Condition condition = leaf(Kind::structure);
  condition.structure = "exchange-vdir-dump";
  condition.script_in_url = true;
  Run run(book({{"dump", condition}}));
  std::string text;
  for (const std::string key : {"Name", "PollInterval", "Server", "MetabasePath", "InternalUrl",
                                "DistinguishedName", "Guid", "WhenChangedUTC", "IsValid"}) {
    text += key + std::string(32 - key.size(), ' ') + ": value of " + key + "\r\n";
  }
  const std::string script = "http://f/<scr" + std::string("ipt>");
  const std::string field = "ExternalUrl" + std::string(21, ' ') + ": ";
  CHECK(hits(run, "x", text + field + "https://x/\r\n") == Ids{});
  run.see("x", text + field + script + "\r\n");
  const auto matches = run.engine->take_matches();
  REQUIRE(matches.size() == 1);
  CHECK(matches[0].reasons[0].offset == text.size() + field.size() + 9);
  std::string guid;
  for (const DumpField& kept : matches[0].dump) {
    if (kept.name == "Guid") guid = kept.value;
    CHECK(kept.name != "PollInterval");
  }
  CHECK(guid == "value of Guid");
}

TEST_CASE("one engine serves several threads") {
  Run run(book({{"a", regex("needle")},
                {"b", regex("n..dle", true)},
                {"p", leaf(Kind::path, {"**/*.aspx"})}}),
          each_way());
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&run, t] {
      for (int i = 0; i < 200; ++i) {
        const std::string content = std::string(static_cast<std::size_t>(i), ' ') + "needle";
        run.see(std::to_string(t) + "/" + std::to_string(i) + ".aspx", content);
      }
    });
  }
  threads.clear();
  CHECK(run.engine->take_matches().size() == 1600);
}

TEST_CASE("YARA rules match with externals, scores and reasons") {
  if (!have_yara()) {
    CHECK(refusal(yara("rule a { condition: true }")) == Code::unsupported);
    return;
  }
  const std::string meta = "meta: author=\"An Author\" reference=\"https://r.example\" score=80 ";
  Run run(book(
      {{"text", yara("rule t { " + meta + "strings: $a=\"needle\" condition: $a }", 75)},
       {"low", yara("rule l { meta: score=40 strings: $a=\"needle\" condition: $a }", 75)},
       {"externals", yara("rule e { condition: filename == \"Shell.aspx\" and extension == "
                          "\".aspx\" and filepath == \"C:\\\\www\\\\d\" and filetype == \"EXE\" "
                          "and owner == \"\" }")}}));
  CHECK(hits(run, "d/Shell.aspx", "MZ") == Ids{"externals"});
  run.see("x", "a needle");
  const auto matches = run.engine->take_matches();
  REQUIRE(matches.size() == 1);
  CHECK(matches[0].indicator == "text");
  const Reason& reason = matches[0].reasons.at(0);
  CHECK(reason.offset == 2);
  CHECK(reason.kind == "yara");
  CHECK(reason.text ==
        "YARA rule t, score 80, author An Author, reference https://r.example at byte 2");
  CHECK(run.engine->take_issues().empty());
}

TEST_CASE("a YARA rule without a matched string authorises no removal") {
  if (!have_yara()) return;
  auto playbooks = book({{"named", yara("rule n { condition: filename == \"index.php\" }")},
                         {"found", yara("rule f { strings: $a=\"needle\" condition: $a }")}});
  Run run(playbooks, {.generic_content_removes = true});
  run.see("index.php", "a needle");
  const auto matches = run.engine->take_matches();
  REQUIRE(matches.size() == 2);
  for (const auto& match : matches)
    CHECK(match.authorises == (match.indicator == "found" ? playbook::Authorises::remove
                                                          : playbook::Authorises::review));
}

TEST_CASE("YARA rules that do not compile or include files are refused") {
  if (!have_yara()) return;
  std::string text;
  CHECK(refusal(yara("rule a { condition: nothing }"), &text) == Code::bad_input);
  CHECK(text.find("bad-one") != std::string::npos);
  CHECK(refusal(yara("include \"/etc/passwd\" rule a { condition: true }")) == Code::bad_input);
  CHECK(refusal(yara("")) == Code::bad_input);
}

TEST_CASE("a YARA source with a string that reaches a bound is unknown, whatever else matches") {
  if (!have_yara()) return;
  const std::string both =
      "rule needle { strings: $a = \"needle\" condition: $a } "
      "rule many { strings: $a = \"a\" condition: #a > 100000000 }";
  Run run(book({{"both", yara(both)},
                {"other", yara("rule o { strings: $a = \"needle\" condition: $a }")},
                {"not", node(Kind::negation, {yara(both)})}}));
  CHECK(hits(run, "x", std::string(1'200'000, 'a') + " needle") == Ids{"other"});
  const auto issues = run.engine->take_issues();
  REQUIRE(issues.size() == 1);
  CHECK(issues[0].kind == observe::Issue::Kind::not_evaluated);
  CHECK(issues[0].reason ==
        "indicator both of playbook playbook--1 and 1 more indicator: yara: rule needle and 1 "
        "more: too many matches of $a in rule many");
}

TEST_CASE("a YARA rule whose string was not searched to its end is unknown, also under not") {
  if (!have_yara()) return;
  const std::string bound =
      "rule r { strings: $a = \"needle\" $w = /xa(.{1,2}){1,2000}z/ condition: $a and not $w }";
  const std::string count =
      "rule r { strings: $a = \"needle\" $m = \"a\" condition: $a and #m < 1100000 }";
  const std::string many = "rule many { strings: $a = \"a\" condition: #a > 100000000 }";
  const auto [rules, size, why] = GENERATE_COPY(table<std::string, std::size_t, std::string>(
      {{bound, 20'000, ""},
       {count, 1'200'000, "too many matches of $m in rule r"},
       {many, 3'000'000, "too many matches of $a in rule many"}}));
  Run run(book({{"yes", yara(rules)}, {"not", node(Kind::negation, {yara(rules)})}}));
  CHECK(hits(run, "x", "x" + std::string(size, 'a') + " needle").empty());
  const auto issues = run.engine->take_issues();
  REQUIRE(issues.size() == 1);
  CHECK(issues[0].kind == observe::Issue::Kind::not_evaluated);
  CHECK(issues[0].reason.find("indicator yes of playbook playbook--1 and 1 more indicator: ") == 0);
  CHECK(issues[0].reason.find(why) != std::string::npos);
}

TEST_CASE("hundreds of YARA hits of one file lose none") {
  if (!have_yara()) return;
  std::vector<std::pair<std::string, Condition>> indicators;
  for (int i = 0; i < 300; ++i)
    indicators.emplace_back("i" + std::to_string(i),
                            yara("rule same { strings: $a = \"needle\" condition: $a and " +
                                 std::to_string(i) + " >= 0 }"));
  Run run(book(std::move(indicators)));
  CHECK(hits(run, "x", "a needle").size() == 300);
  CHECK(run.engine->take_issues().empty());
}
