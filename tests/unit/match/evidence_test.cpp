#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "remediate/crypto/digest.h"
#include "tests/unit/match/engine_run.h"

using namespace remediate;
using namespace remediate::match;
using namespace remediate::match::test;
using remediate::playbook::Authorises;
using remediate::playbook::Condition;
using remediate::playbook::leaf;
using remediate::playbook::node;
using remediate::playbook::regex;
using remediate::playbook::yara;
using Kind = Condition::Kind;

namespace {

Condition magic(const std::string& bytes) {
  Condition condition = leaf(Kind::magic);
  condition.bytes = bytes;
  return condition;
}

Condition dump() {
  Condition condition = leaf(Kind::structure);
  condition.structure = "exchange-vdir-dump";
  return condition;
}

const std::string content = "MZ inert words of a sample, alpha and beta";
const std::string place = "site/uploads/a.php";

/// What becomes of the one match of a file.
FileMatch match_of(const Condition& condition, const std::string& below = place,
                   EngineOptions options = {}, const std::string& bytes = content,
                   std::vector<observe::Issue>* issues = nullptr) {
  Run run(book({{"one", condition}}), options);
  run.scope.spelled = "/www";
  run.see(below, bytes);
  auto matches = run.engine->take_matches();
  REQUIRE(matches.size() == 1);
  if (issues != nullptr) *issues = run.engine->take_issues();
  return std::move(matches.front());
}

bool removes(const FileMatch& match) {
  const bool told =
      std::ranges::find(match.reasons, "review", &Reason::kind) != match.reasons.end();
  CHECK(told == (match.authorises == Authorises::review));
  return match.authorises == Authorises::remove;
}

const Condition named = leaf(Kind::path, {"**/uploads/**"});
const Condition type = leaf(Kind::path, {"**/*.php"});

}  // namespace

TEST_CASE("a digest, a structure, and content in a named place remove") {
  CHECK(removes(match_of(leaf(Kind::sha256, {crypto::sha256_hex(content)}))));
  std::string settings = "Name          : OAB (Default Web Site)\r\n";
  for (const std::string name :
       {"MetabasePath", "InternalUrl", "ExternalUrl", "DistinguishedName", "Guid", "ObjectClass",
        "Server", "Path", "Identity", "WhenChanged", "WhenCreated", "IsValid"})
    settings += name + std::string(14 - std::min<std::size_t>(name.size(), 13), ' ') + ": x\r\n";
  CHECK(removes(match_of(dump(), place, {}, settings)));
  CHECK(removes(match_of(node(Kind::all, {named, regex("alpha")}))));
  CHECK(removes(match_of(node(Kind::all, {magic("MZ"), named}))));
  CHECK(removes(match_of(
      node(Kind::all, {type, node(Kind::any, {named, regex("absent")}), regex("alpha")}))));
  CHECK(removes(match_of(
      node(Kind::all, {leaf(Kind::path, {"**/*.php", "**/uploads/**"}), regex("alpha")}))));
}

TEST_CASE("generic content is for review, and says which key of the policy lets it remove") {
  Condition small = leaf(Kind::size);
  small.max_size = 4096;
  for (const Condition& generic :
       {regex("alpha"), magic("MZ"), node(Kind::all, {regex("alpha"), regex("beta"), magic("MZ")}),
        node(Kind::all, {type, small, regex("alpha")}),
        node(Kind::all,
             {node(Kind::negation, {leaf(Kind::path, {"**/shop/**"})}), regex("alpha")})}) {
    const FileMatch match = match_of(generic);
    CHECK_FALSE(removes(match));
    CHECK(match.reasons.back().text.find("generic content") != std::string::npos);
    CHECK(match.reasons.back().text.find(R"("generic_content": "remove")") != std::string::npos);
    CHECK(match.reasons.size() > 1);

    const FileMatch allowed = match_of(generic, place, {.generic_content_removes = true});
    CHECK(removes(allowed));
    CHECK(allowed.reasons.back().kind == "policy");
  }
}

TEST_CASE("no policy lets what is no content remove") {
  const EngineOptions loose{.generic_content_removes = true};
  CHECK_FALSE(removes(match_of(named, place, loose)));
  CHECK_FALSE(removes(match_of(node(Kind::all, {named, magic("M")}), place, loose)));
  CHECK_FALSE(removes(match_of(node(Kind::negation, {regex("absent")}), place, loose)));
  const FileMatch match = match_of(named, place, loose);
  CHECK(match.reasons.back().text.find("nothing in its content") != std::string::npos);
}

TEST_CASE("of several ways only the true ones count") {
  const Condition exact = node(Kind::all, {named, regex("beta")});
  const Condition either = node(Kind::any, {regex("alpha"), exact});
  // Both are true, in whatever order they stand.
  CHECK(removes(match_of(either)));
  CHECK(removes(match_of(node(Kind::any, {exact, regex("alpha")}))));
  // Elsewhere only the generic one is, and without "alpha" only the exact one.
  CHECK_FALSE(removes(match_of(either, "site/shop/a.php")));
  CHECK(removes(match_of(either, place, {}, "only beta")));
  // A place that is true in one way and content in another one do not add up.
  const Condition apart = node(Kind::any, {regex("alpha"), node(Kind::all, {named, magic("M")})});
  CHECK_FALSE(removes(match_of(apart)));
  // A digest anywhere in the true way is enough; one in a false way is not.
  const Condition digest = leaf(Kind::sha256, {crypto::sha256_hex(content)});
  CHECK(removes(match_of(node(Kind::any, {regex("alpha"), digest}))));
  CHECK_FALSE(removes(match_of(node(Kind::any, {regex("alpha"), digest}), place, {}, "alpha!")));
  // What is told is the way that counts.
  const FileMatch match = match_of(either);
  CHECK(match.reasons.size() == 2);
  CHECK(match.reasons[0].text == "the path fits **/uploads/**");
  CHECK(match.reasons[1].text.find("beta") != std::string::npos);
}

TEST_CASE("YARA rules are generic content, and no content without a string") {
  if (!have_yara()) return;
  const Condition text = yara("rule text { strings: $a = \"alpha\" condition: $a }");
  const Condition size = yara("rule size { condition: filesize > 1 }");
  CHECK_FALSE(removes(match_of(text)));
  CHECK(removes(match_of(node(Kind::all, {named, text}))));
  CHECK_FALSE(removes(match_of(node(Kind::all, {named, size}))));
  CHECK(removes(match_of(text, place, {.generic_content_removes = true})));
  CHECK_FALSE(removes(match_of(size, place, {.generic_content_removes = true})));
  // The rule alone is no way to remove; with the other one the file is.
  CHECK(removes(
      match_of(node(Kind::any, {node(Kind::all, {named, size}), node(Kind::all, {named, text})}))));
}

TEST_CASE("a stronger way that was not evaluated is told beside the match") {
  if (!have_yara()) return;
  // Far more places than a string may have.
  std::string bytes = "alpha ";
  for (int i = 0; i < 1'100'000; ++i) bytes += "x";
  const Condition endless = yara("rule endless { strings: $a = \"x\" condition: #a > 2000000 }");
  std::vector<observe::Issue> issues;
  const FileMatch match =
      match_of(node(Kind::any, {regex("alpha"), node(Kind::all, {named, endless})}), place, {},
               bytes, &issues);
  CHECK_FALSE(removes(match));
  CHECK(std::ranges::any_of(issues, [](const observe::Issue& issue) {
    return issue.reason.find("matches; more of it may") != std::string::npos;
  }));
}
