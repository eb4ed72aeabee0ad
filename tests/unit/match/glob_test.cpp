#include <chrono>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <fnmatch.h>

#include "remediate/match/engine.h"

using remediate::Code;
using remediate::match::Glob;

namespace {

bool fits(const std::string& pattern, const std::string& path, bool ignore_case = false) {
  const auto glob = Glob::parse(pattern, ignore_case);
  INFO(pattern << " on " << path);
  REQUIRE(glob.has_value());
  return glob->matches(path);
}

struct Row {
  std::string pattern;
  std::string path;
  bool expected;
};

}  // namespace

TEST_CASE("globs follow the table of the playbook format") {
  const std::string odd = "sh\nell\x1b[31m\xff.aspx";
  const std::vector<Row> rows = {
      {"a.aspx", "a.aspx", true},
      {"a.aspx", "A.aspx", false},
      {"a.aspx", "x/a.aspx", false},
      {"*.aspx", ".aspx", true},
      {"*.aspx", "x/a.aspx", false},
      {"*", ".htaccess", true},
      {"*", odd, true},
      {"*.aspx", odd, true},
      {"?.php", "a.php", true},
      {"?.php", "/.php", false},
      {"?.php", "ab.php", false},
      {"**", "a", true},
      {"**", "a/b/c", true},
      {"**/*.aspx", "a.aspx", true},
      {"**/*.aspx", "x/y/z/a.aspx", true},
      {"**/*.aspx", "x/y/z/a.asp", false},
      {"**/web.config", "xweb.config", false},
      {"**/web.config", "a/xweb.config", false},
      {"a/**", "a/b", true},
      {"a/**", "a/b/c", true},
      {"a/**", "a", false},
      {"a/**", "ab/c", false},
      {"a/**/b", "a/b", true},
      {"a/**/b", "a/x/y/b", true},
      {"a/**/b", "a/xb", false},
      {"a/**/b", "ab", false},
      {"**/a/**/b", "x/a/y/b", true},
      {"**/a/**/b", "a/b", true},
      {"*.{aspx,ashx,asmx}", "x.ashx", true},
      {"*.{aspx,ashx,asmx}", "x.asp", false},
      {"{Current,15.*}/x", "15.1.2/x", true},
      {"{Current,15.*}/x", "14/x", false},
      {"a{,b}c", "ac", true},
      {"a{,b}c", "abc", true},
      {"a{,b}c", "abbc", false},
      {"{a,{b,c}d}", "cd", true},
      {"[a-c]x", "bx", true},
      {"[a-c]x", "dx", false},
      {"[!a-c]x", "dx", true},
      {"[!a-c]x", "/x", false},
      {"[^a-c]x", "ax", false},
      {"[]a]x", "]x", true},
      {"[a-]x", "-x", true},
      {"a[!b]c", "a/c", false},
      {"\\*", "*", true},
      {"\\*", "a", false},
      {"[\\]]", "]", true},
  };
  for (const Row& row : rows) {
    INFO(row.pattern << " on " << row.path);
    CHECK(fits(row.pattern, row.path) == row.expected);
  }
}

TEST_CASE("case is folded for ASCII letters only, in classes too") {
  CHECK(fits("OwA/**/*.ASPX", "owa/Auth/Shell.aspx", true));
  CHECK(fits("[a-c]", "B", true));
  CHECK_FALSE(fits("[!a-c]", "B", true));
  CHECK_FALSE(fits("\xc3\xa4", "\xc3\x84", true));
  CHECK_FALSE(fits("@", "`", true));
}

TEST_CASE("malformed globs are refused") {
  for (const std::string pattern : {"", "/a", "a/", "a//b", "a**", "**a", "a/**b/c", "{**,a}", "{a",
                                    "a}", "[a", "[", "[]", "a]", "[b-a]", "[a/b]", "a\\"}) {
    const auto glob = Glob::parse(pattern, false);
    INFO(pattern);
    REQUIRE_FALSE(glob.has_value());
    CHECK(glob.error().code == Code::bad_input);
    CHECK_FALSE(glob.error().remedy.empty());
  }
  CHECK_FALSE(Glob::parse(std::string(1025, 'a'), false).has_value());
  CHECK_FALSE(Glob::parse(std::string("a\0b", 3), false).has_value());
}

TEST_CASE("patterns with more than 64 positions match like short ones") {
  const std::string stem(100, 'x');
  CHECK(fits("**/" + stem + "*{a,b}", "d/" + stem + "yyb"));
  CHECK_FALSE(fits("**/" + stem + "*{a,b}", "d/" + stem + "yyc"));
  CHECK(fits(stem + "/**", stem + "/a/b"));
  CHECK_FALSE(fits(stem + "/**", stem + "x/a/b"));
}

TEST_CASE("hostile patterns take bounded time") {
  std::string pattern;
  for (int i = 0; i < 30; ++i) pattern += "*a";
  pattern += "*b";
  std::string braces;
  for (int i = 0; i < 60; ++i) braces += "{a,aa}";
  const std::string path(4000, 'a');
  const auto start = std::chrono::steady_clock::now();
  CHECK_FALSE(fits(pattern, path));
  CHECK(fits(pattern, path + "b"));
  CHECK_FALSE(fits(braces + "c", path));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(2));
}

TEST_CASE("without '**' and braces a glob agrees with fnmatch") {
  std::mt19937 random(20261121);
  const auto pick = [&](const std::vector<std::string>& from) {
    return from[std::uniform_int_distribution<std::size_t>(0, from.size() - 1)(random)];
  };
  const std::vector<std::string> tokens = {"a", "b",    "A",    "*",     "?",     "/",   ".",
                                           "-", "[ab]", "[!a]", "[a-c]", "[^b-]", "\\*", "\\a"};
  const std::vector<std::string> pieces = {"a", "b", "c", "A", "B", "/", ".", "-", "*"};
  std::size_t compared = 0;
  std::size_t matched = 0;
  for (int round = 0; round < 60'000; ++round) {
    std::string pattern;
    std::string path;
    const int tokens_wanted = 1 + static_cast<int>(random() % 6);
    const int pieces_wanted = 1 + static_cast<int>(random() % 6);
    for (int i = 0; i < tokens_wanted; ++i) pattern += pick(tokens);
    for (int i = 0; i < pieces_wanted; ++i) path += pick(pieces);
    if (pattern.find("**") != std::string::npos) continue;
    const bool ignore_case = random() % 2 == 0;
    const auto glob = Glob::parse(pattern, ignore_case);
    if (!glob) continue;
    const int flags = FNM_PATHNAME | (ignore_case ? FNM_CASEFOLD : 0);
    const bool expected = ::fnmatch(pattern.c_str(), path.c_str(), flags) == 0;
    ++compared;
    matched += expected ? 1 : 0;
    INFO(pattern << " on " << path << (ignore_case ? " without case" : ""));
    REQUIRE(glob->matches(path) == expected);
  }
  CHECK(compared > 20'000);
  CHECK(matched > 1'000);
}
