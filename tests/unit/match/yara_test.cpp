// Several rule sources that are asked together, in this process and apart.
#include <chrono>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "remediate/match/engine.h"
#include "remediate/match/yara_apart.h"
#include "remediate/match/yara_matcher.h"

namespace remediate::match {
namespace {

using namespace std::chrono_literals;

/// The other side without a process between.
class Near final : public Apart {
 public:
  Result<std::string> prepare(std::string_view bytes) override { return place_.prepare(bytes); }
  Result<std::string> ask(std::string_view request, std::string_view content,
                          std::chrono::milliseconds /*within*/) override {
    YaraPlace::Answer answer = place_.answer(request, content);
    last = answer.last;
    longest = std::max(longest, answer.bytes.size());
    return forged.empty() ? std::move(answer.bytes) : forged;
  }
  bool last = false;
  std::size_t longest = 0;
  std::string forged;

 private:
  YaraPlace place_;
};

/// Both compilers, which have to say the same.
struct Both {
  explicit Both(const std::vector<std::string>& sources) {
    here = finished(*start_compiler(), sources);
    there = finished(*start_compiler_apart(apart), sources);
  }
  static std::unique_ptr<RuleSet> finished(const std::unique_ptr<RuleCompiler>& compiler,
                                           const std::vector<std::string>& sources) {
    for (const std::string& source : sources) REQUIRE(compiler->add(source));
    auto made = compiler->finish();
    REQUIRE(made);
    return std::move(*made);
  }
  YaraOutcome scan(std::string_view content) {
    YaraOutcome outcome = here->scan(content, {}, 10s);
    const YaraOutcome other = there->scan(content, {}, 10s);
    CHECK(outcome.incomplete == other.incomplete);
    REQUIRE(outcome.hits.size() == other.hits.size());
    for (std::size_t i = 0; i < outcome.hits.size(); ++i) {
      CHECK(outcome.hits[i].rule == other.hits[i].rule);
      CHECK(outcome.hits[i].offset == other.hits[i].offset);
      CHECK(outcome.hits[i].has_offset == other.hits[i].has_offset);
    }
    REQUIRE(outcome.doubts.size() == other.doubts.size());
    for (std::size_t i = 0; i < outcome.doubts.size(); ++i) {
      CHECK(outcome.doubts[i].source == other.doubts[i].source);
      CHECK(outcome.doubts[i].why == other.doubts[i].why);
    }
    return outcome;
  }
  std::set<std::string> hits(std::string_view content) {
    std::set<std::string> found;
    for (const YaraHit& hit : scan(content).hits) {
      const YaraRule& rule = here->rules()[hit.rule];
      CHECK(rule.name == there->rules()[hit.rule].name);
      found.insert(std::to_string(rule.source) + " " + rule.name);
    }
    return found;
  }

  Near apart;
  std::unique_ptr<RuleSet> here;
  std::unique_ptr<RuleSet> there;
};

std::string text_rule(const std::string& name, const std::string& text) {
  return "rule " + name + " { strings: $a = \"" + text + "\" condition: $a }";
}

using Names = std::set<std::string>;

}  // namespace

TEST_CASE("YARA sources do not see each other") {
  if (!have_yara()) return;
  Both rules({text_rule("same", "first"), text_rule("same", "second"),
              "global rule never { condition: false } rule held { condition: true }",
              "import \"hash\" private rule helper { strings: $a = \"third\" condition: $a } "
              "rule user { condition: helper }",
              text_rule("hash", "first"), text_rule("helper", "fourth")});
  CHECK(rules.hits("the first one") == Names{"0 same", "4 hash"});
  CHECK(rules.hits("the second one") == Names{"1 same"});
  CHECK(rules.hits("the third one") == Names{"3 user"});
  CHECK(rules.hits("the fourth one") == Names{"5 helper"});
  CHECK(rules.hits("none of them").empty());
  CHECK(rules.here->sources() == 6);
  CHECK(rules.here->name(2) == "rule never and 1 more");
  CHECK(rules.there->name(2) == "rule never and 1 more");
}

TEST_CASE("a YARA source that does not compile is told by itself") {
  if (!have_yara()) return;
  Near apart;
  for (const bool there : {false, true}) {
    const auto compiler = there ? *start_compiler_apart(apart) : *start_compiler();
    REQUIRE(compiler->add(text_rule("good", "first")));
    const auto bad = compiler->add("\n\nrule bad { condition: nonsense }");
    REQUIRE_FALSE(bad);
    CHECK(bad.error().code == Code::bad_input);
    CHECK(bad.error().message.find("line 3") != std::string::npos);
    CHECK(bad.error().message.find("nonsense") != std::string::npos);
    CHECK_FALSE(compiler->add(text_rule("more", "first")));
    CHECK_FALSE(compiler->finish());
  }
  // What came before is forgotten with a new compiler.
  const Both rules({text_rule("alone", "first")});
  CHECK(rules.there->sources() == 1);
  auto compiler = *start_compiler();
  REQUIRE(compiler->add(text_rule("good", "first")));
  CHECK(compiler->add("// nothing\n").error().code == Code::bad_input);
}

TEST_CASE("thousands of YARA rules that match one file are all told") {
  if (!have_yara()) return;
  std::string source;
  for (int i = 0; i < 4096; ++i)
    source += "rule a" + std::to_string(i) + " { meta: author = \"" + std::string(200, 'x') +
              "\" strings: $a = \"needle\" condition: $a } ";
  Both rules({source, text_rule("other", "thread")});
  const YaraOutcome all = rules.scan("a needle");
  CHECK(all.hits.size() == 4096);
  CHECK(all.incomplete.empty());
  CHECK_FALSE(rules.apart.last);
  CHECK(rules.apart.longest < 128u << 10);
  CHECK(rules.there->rules().at(4095).author == std::string(200, 'x'));
  const YaraOutcome more = rules.scan("a needle and a thread");
  CHECK(more.hits.size() == 4096);
  CHECK(more.incomplete == "more than 4096 rules match");
  CHECK(rules.apart.last);
}

TEST_CASE("a bound that one YARA source reaches leaves the others as they are") {
  if (!have_yara()) return;
  Both rules({text_rule("first", "needle"),
              "rule fibers { strings: $a = /xa(.{1,2}){1,2000}z/ condition: $a } " +
                  text_rule("beside", "needle"),
              "rule many { strings: $a = \"a\" condition: #a > 100000000 }",
              text_rule("last", "thread")});
  const YaraOutcome fibers = rules.scan("x" + std::string(20'000, 'a') + " needle and thread");
  CHECK(fibers.hits.size() == 3);
  REQUIRE(fibers.doubts.size() == 1);
  CHECK(fibers.doubts[0].source == 1);
  CHECK(fibers.doubts[0].why.find("too complex") != std::string::npos);
  CHECK(fibers.incomplete.empty());
  CHECK(rules.hits("a needle") == Names{"0 first", "1 beside"});
  const YaraOutcome many = rules.scan(std::string(1'200'000, 'a') + " thread");
  CHECK(many.hits.size() == 1);
  REQUIRE(many.doubts.size() == 1);
  CHECK(many.doubts[0].source == 2);
}

TEST_CASE("a YARA source whose wildcards cannot be told leaves the others as they are") {
  if (!have_yara()) return;
  // Too complex for a text of one letter, which is how wildcards are told.
  const std::string bad =
      "rule bad { strings: $a = \"needle\" $b = /xx(.{1,2}){1,2000}z/ condition: $a or $b }";
  const std::string endless =
      "rule endless { strings: $a = \"needle\" $b = \"x\" condition: $a and (not $b or "
      "for all i in (1..2000000000) : (i > 0)) }";
  const std::string wild = "rule wild { strings: $a = /[^q]{2}/ condition: $a }";
  Both rules({text_rule("first", "needle"), bad, endless, wild, text_rule("last", "needle")});
  const YaraOutcome outcome = rules.scan("a needle");
  CHECK(outcome.incomplete.empty());
  REQUIRE(outcome.doubts.size() == 1);
  CHECK(outcome.doubts[0].source == 1);
  CHECK(outcome.doubts[0].why.find("only wildcards could not be told") != std::string::npos);
  REQUIRE(outcome.hits.size() == 5);
  std::set<std::string> content;
  for (const YaraHit& hit : outcome.hits)
    if (hit.has_offset) content.insert(rules.here->rules()[hit.rule].name);
  CHECK(content == Names{"first", "endless", "last"});
  CHECK(rules.scan("nothing").doubts.empty());
}

TEST_CASE("an answer about YARA rules that are not there is none") {
  if (!have_yara()) return;
  Both rules({text_rule("only", "needle")});
  const auto number = [](std::uint64_t value) {
    return std::string(reinterpret_cast<const char*>(&value), sizeof value);
  };
  const auto answer = [&](std::uint64_t rule, std::uint64_t offset) {
    return number(0) + number(0) + number(1) + number(rule) + number(offset);
  };
  rules.apart.forged = answer(0, 2);
  CHECK(rules.there->scan("a needle", {}, 1s).hits.size() == 1);
  const std::uint64_t most = UINT64_MAX;
  for (const std::string& forged :
       {answer(1, 2), answer(most, 2), answer(0, 9), answer(0, most - 1), answer(0, 2) + "x",
        answer(0, 2).substr(0, 39), number(0) + number(0) + number(most), number(0) + number(most),
        number(most), number(0) + number(1) + number(1) + number(0) + number(0)}) {
    rules.apart.forged = forged;
    const YaraOutcome outcome = rules.there->scan("a needle", {}, 1s);
    CHECK(outcome.hits.empty());
    CHECK_FALSE(outcome.incomplete.empty());
  }
}

TEST_CASE("YARA's type of a file is spelled as rules ask for it") {
  const auto [content, type] =
      GENERATE(table<std::string, std::string>({{"MZ\x90", "EXE"},
                                                {"\x7f"
                                                 "ELF",
                                                 "ELF"},
                                                {"\xef\xbb\xbf\n<?PHP echo 1;", "PHP"},
                                                {"<?= 1 ?>", "PHP"},
                                                {"<?xml version=\"1.0\"?>", "XML"},
                                                {"@echo OFF\r\n", "BATCH"},
                                                {"Function A()", "VBS"},
                                                {"function a() {}", "UNKNOWN"},
                                                {"On Error Resume Next\r\n", "VBS"},
                                                {"#!/usr/bin/env python3\n", "Python"},
                                                {"#!/bin/sh\n# python\n", "UNIX SCRIPT"},
                                                {"<%@ page import=\"java.io.*\" %>", "JSP"},
                                                {"<%@ Page Language=\"C#\" %>", "ASP"},
                                                {"{\\rtf1", "RTF"},
                                                {"MDMP", "MDMP"},
                                                {"\xcf\xfa\xed\xfe", "MACH-O"},
                                                {"", "UNKNOWN"},
                                                {" \n", "UNKNOWN"},
                                                {"some text", "UNKNOWN"}}));
  CHECK(yara_file_type(content) == type);
}

}  // namespace remediate::match
