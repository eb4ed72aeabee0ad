#include <fstream>
#include <set>
#include <string>

#include <catch2/catch.hpp>

#include "remediate/playbook/evidence.h"
#include "remediate/playbook/reader.h"

namespace remediate::playbook {
namespace {

std::string code_of(const std::optional<Refusal>& refusal) {
  return refusal ? std::string(refusal->rule->code) : "";
}

std::string glob_code(std::string glob, Spelling spelling = Spelling::posix) {
  return code_of(check_glob(glob, spelling));
}

TEST_CASE("codes are unique, in order and well formed") {
  std::set<std::string> codes;
  for (const Rule& rule : rules()) {
    INFO(rule.code);
    CHECK(rule.code.size() == 5);
    CHECK((rule.code.starts_with("PB") || rule.code.starts_with("PW")));
    CHECK(!rule.summary.empty());
    CHECK(codes.insert(std::string(rule.code)).second);
    CHECK(*codes.rbegin() == rule.code);
  }
}

TEST_CASE("the documentation describes every code, and no other") {
  std::ifstream in(std::string(REMEDIATE_SOURCE_DIR) + "/docs/playbook-diagnostics.md");
  REQUIRE(in);
  std::set<std::string> described;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("| PB") || line.starts_with("| PW")) {
      CHECK(described.insert(line.substr(2, 5)).second);
    }
  }
  std::set<std::string> codes{"PB900", "PB901", "PB902", "PW900"};  // of the command `check` itself
  for (const Rule& rule : rules()) codes.insert(std::string(rule.code));
  CHECK(described == codes);
}

TEST_CASE("globs that the matcher knows pass, others do not") {
  for (const char* good : {"*", "**", "**/*.{aspx,ashx}", "a/**/b", "[a-z]?.php", "[!a].php",
                           "[]a].php", ".htaccess", "{a,b}c{d,e}", "a b", "...", "x-[0-9a-f-]"}) {
    INFO(good);
    CHECK(glob_code(good) == "");
  }
  for (const char* bad : {"/a", "a/", "a//b", "../a", "a/./b", "**a", "a**", "***", "[", "[]",
                          "[z-a]", "a]", "{a", "a}", "{a,{b,c}}", "{a/b,c}", "[a/b]", "a\\b"}) {
    INFO(bad);
    CHECK(glob_code(bad) == "PB048");
  }
  CHECK(glob_code(std::string(1024, 'a')) == "");
  CHECK(glob_code(std::string(1025, 'a')) == "PB048");

  std::string windows = "**\\x\\*.aspx";
  CHECK_FALSE(check_glob(windows, Spelling::windows));
  CHECK(windows == "**/x/*.aspx");
  CHECK(glob_code("C:\\x", Spelling::windows) == "PB048");
  CHECK(glob_code("x.aspx::$DATA", Spelling::windows) == "PB048");
}

TEST_CASE("only absolute folders below a root pass") {
  const std::vector<Variable> variables = {{"App", {"C:\\App\\"}}, {"Wide", {"C:\\"}}};
  const auto windows = [&](std::string_view path) {
    return code_of(check_path(path, Spelling::windows, variables, false));
  };
  const auto posix = [&](std::string_view path) {
    return code_of(check_path(path, Spelling::posix, variables, false));
  };
  for (const char* good :
       {"C:\\inetpub", "C:\\inetpub\\", "c:/inetpub/x", "\\\\?\\C:\\ProgramData\\CON", "%App%www",
        "%app%", "%SystemDrive%\\inetpub", "%windir%", "%ProgramFiles%\\Common Files"}) {
    INFO(good);
    CHECK(windows(good) == "");
  }
  CHECK(windows("C:\\") == "PB041");
  CHECK(windows("C:") == "PB041");
  CHECK(windows("\\\\?\\C:\\") == "PB041");
  CHECK(windows("%SystemDrive%") == "PB041");
  CHECK(windows("%systemdrive%\\") == "PB041");
  CHECK(windows("C:x") == "PB042");
  CHECK(windows("\\inetpub") == "PB042");
  CHECK(windows("C:\\a\\..\\b") == "PB043");
  CHECK(windows("C:\\a\\.") == "PB043");
  CHECK(windows("C:\\\\") == "PB043");
  CHECK(windows("%App%..\\b") == "PB043");
  CHECK(windows("%SystemDrive%\\..") == "PB043");
  CHECK(windows("%SystemDrive%\\\\") != "");
  CHECK(windows("C:\\a*") == "PB044");
  CHECK(windows("C:\\a:stream") == "PB044");
  CHECK(windows("C:\\%App%") == "PB044");
  CHECK(windows("\\\\server\\share") == "PB046");
  CHECK(windows("\\\\.\\C:\\x") == "PB046");
  CHECK(windows("%Nope%x") == "PB033");
  CHECK(windows("%App") == "PB033");
  CHECK(windows("%%x") == "PB033");
  CHECK(windows("%App%\\www") == "PB034");
  CHECK(windows("%SystemDrive%inetpub") == "PB034");

  CHECK(posix("/var/www") == "");
  CHECK(posix("/var/www/") == "");
  CHECK(posix("/var/www/100%") == "");
  CHECK(posix("/") == "PB041");
  CHECK(posix("//") == "PB041");
  CHECK(posix("/var/..") == "PB043");
  CHECK(posix("//var") == "PB043");
  CHECK(posix("/./") == "PB043");
  CHECK(posix("/var/[a]") == "PB044");

  CHECK(code_of(check_path("C:\\web.config", Spelling::windows, variables, true)) == "");
  CHECK(code_of(check_path("C:\\x\\", Spelling::windows, variables, true)) == "PB043");
  CHECK(code_of(check_path("/etc/", Spelling::posix, variables, true)) == "PB043");
}

TEST_CASE("patterns that match everything or are not RE2 are refused") {
  for (const char* good : {"eval", "(?i)abc", "a|bc", "x+y*", "<\\?php", "[a-z]{3}", "(?:a|b)+",
                           "\\x41\\x{42}", "\\QA.B\\E", "a{2,}", "[^]]x", "[[:alpha:]]+",
                           "\\d\\d\\d", "(?P<n>abc)", "a{x}", "(?i:abc).*"}) {
    INFO(good);
    CHECK(code_of(check_regex(good)) == "");
  }
  for (const char* wide :
       {".*.*",   "...",    "(.*)",      "^.*$",   "(?s).*",     "a*b*",   "abc|",
        "(abc)?", "(a|.)+", "[\\s\\S]+", "a{0,9}", "(?:abc){0}", "x?y?z?", "\\b\\b",
        "(?i)",   "[^a]+",  "\\S+",      "\\C\\C", "^^^",        "()()"}) {
    INFO(wide);
    CHECK(code_of(check_regex(wide)) == "PB059");
  }
  for (const char* wrong : {"a(?=b)", "a(?!b)", "(?<=a)b", "(?<!a)b", "(?>ab)", "(a)\\1", "(ab",
                            "ab)", "[ab", "abc\\", "*ab", "(?P<nabc"}) {
    INFO(wrong);
    CHECK(code_of(check_regex(wrong)) == "PB060");
  }
  CHECK(code_of(check_regex(std::string(4096, 'a'))) == "");
  CHECK(code_of(check_regex(std::string(4097, 'a'))) == "PB058");
  CHECK(code_of(check_regex(std::string(4000, '('))) == "PB060");
}

TEST_CASE("evidence must hold in every way a match tree can be true") {
  using Kind = Condition::Kind;
  const auto leaf = [](Kind kind) {
    Condition condition;
    condition.kind = kind;
    return condition;
  };
  const auto node = [](Kind kind, std::vector<Condition> children) {
    Condition condition;
    condition.kind = kind;
    condition.children = std::move(children);
    return condition;
  };
  for (const Kind kind :
       {Kind::sha256, Kind::sha1, Kind::md5, Kind::regex, Kind::yara, Kind::structure}) {
    CHECK(has_evidence(leaf(kind)));
    CHECK_FALSE(has_evidence(node(Kind::negation, {leaf(kind)})));
  }
  CHECK_FALSE(has_evidence(leaf(Kind::path)));
  CHECK_FALSE(has_evidence(leaf(Kind::size)));
  CHECK_FALSE(has_evidence(node(Kind::any, {})));
  CHECK_FALSE(has_evidence(node(Kind::all, {})));
  Condition magic = leaf(Kind::magic);
  magic.bytes = "<";
  CHECK_FALSE(has_evidence(magic));
  magic.bytes = "MZ";
  CHECK(has_evidence(magic));
  CHECK(has_evidence(node(Kind::all, {leaf(Kind::path), leaf(Kind::regex)})));
  CHECK_FALSE(has_evidence(node(Kind::any, {leaf(Kind::path), leaf(Kind::regex)})));
  CHECK(
      has_evidence(node(Kind::any, {node(Kind::all, {leaf(Kind::path), leaf(Kind::md5)}), magic})));
  CHECK_FALSE(has_evidence(node(Kind::negation, {node(Kind::negation, {leaf(Kind::sha256)})})));
}

}  // namespace
}  // namespace remediate::playbook
