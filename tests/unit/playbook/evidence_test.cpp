#include "remediate/playbook/evidence.h"

#include <array>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/unit/playbook/conditions.h"

namespace remediate::playbook {
namespace {

using Kind = Condition::Kind;

TEST_CASE("a glob names a place when one of its components spells a folder or a file") {
  for (const std::string glob : {"**/uploads/**",
                                 "**/uploads/**/*.php",
                                 "**/{uploads,upload}/**/*.{php,phtml}",
                                 "system_web/*.aspx",
                                 "a/**",
                                 "15.*/**",
                                 "**/shell.aspx",
                                 "shell.aspx",
                                 "s.aspx",
                                 "**/{s,t}.aspx",
                                 "**/App_Web_*.dll",
                                 "**/spinstall[0-9].aspx",
                                 "**/.htaccess",
                                 "**/.user.ini",
                                 "**/web.config",
                                 "LICENSE",
                                 "**/x/*/*.php",
                                 "**/{shell,discover}.{as,ph}p",
                                 "jquery.min.js",
                                 "**/**/old/**"}) {
    INFO(glob);
    CHECK(names_a_place(glob));
  }
  for (const std::string glob : {"**",
                                 "*",
                                 "**/*",
                                 "*.aspx",
                                 "**/*.aspx",
                                 "**/*.{aspx,ashx}",
                                 "**/*.aspx.cs",
                                 "**/?.php",
                                 "**/[a-z]*.php",
                                 "**/*/*.php",
                                 "**/a*.php",
                                 "**/{shell,*}.php",
                                 "**/{shell,ab*}.aspx",
                                 "**/.*",
                                 "**/*.*",
                                 "?/[!a]*/*.php",
                                 "**/*{.php,.phtml}",
                                 "**/{*,uploads}/**",
                                 "**/*[!]zzz]*",
                                 "**/*[]abc]*",
                                 "**/[^]abcd]/**",
                                 ""}) {
    INFO(glob);
    CHECK_FALSE(names_a_place(glob));
  }
}

TEST_CASE("alternatives that multiply beyond the bound name nothing, quickly") {
  std::string glob = "**/";
  for (int i = 0; i < 10; ++i) glob += "{ab,cd}";
  CHECK(names_a_place(glob + "/**"));
  for (int i = 0; i < 100; ++i) glob += "{ab,cd}";
  CHECK_FALSE(names_a_place(glob + "/**"));
}

TEST_CASE("what two true conditions say together") {
  const std::array all = {Rests::nothing, Rests::place, Rests::content, Rests::exact};
  for (const Rests a : all) {
    CHECK(together(a, a) == a);
    CHECK(together(a, Rests::nothing) == a);
    CHECK(together(a, Rests::exact) == Rests::exact);
    for (const Rests b : all) CHECK(together(a, b) == together(b, a));
  }
  CHECK(together(Rests::place, Rests::content) == Rests::exact);
}

TEST_CASE("a match may rest on generic content where one way of the tree does") {
  const Condition text = leaf(Kind::regex);
  const Condition rules = leaf(Kind::yara);
  const Condition digest = leaf(Kind::sha256);
  const Condition named = leaf(Kind::path, {"**/uploads/**"});
  const Condition type = leaf(Kind::path, {"**/*.php"});
  const Condition either = leaf(Kind::path, {"**/uploads/**", "**/*.php"});
  Condition magic = leaf(Kind::magic);
  magic.bytes = "MZ";
  for (const Condition& generic :
       {text, rules, magic, node(Kind::all, {text, rules, magic, leaf(Kind::size)}),
        node(Kind::all, {type, text}), node(Kind::all, {either, text}),
        node(Kind::all, {node(Kind::negation, {named}), text}), node(Kind::any, {digest, text}),
        node(Kind::any, {node(Kind::all, {named, text}), rules}),
        node(Kind::all, {text, node(Kind::any, {named, leaf(Kind::size)})})})
    CHECK(may_rest_on_generic_content(generic));
  for (const Condition& exact :
       {digest, leaf(Kind::structure), leaf(Kind::md5), node(Kind::all, {digest, text}),
        node(Kind::all, {named, text}), node(Kind::all, {text, type, named}),
        node(Kind::any, {digest, node(Kind::all, {named, rules})}),
        node(Kind::all, {named, node(Kind::any, {text, magic})}),
        node(Kind::all, {node(Kind::any, {named, digest}), text})})
    CHECK_FALSE(may_rest_on_generic_content(exact));
}

}  // namespace
}  // namespace remediate::playbook
