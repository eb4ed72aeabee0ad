#include "remediate/base/raw_path.h"

#include <random>

#include <catch2/catch.hpp>

namespace remediate {
namespace {

RawPath path(std::string_view joined) {
  auto parsed = RawPath::parse(joined);
  if (!parsed) FAIL(parsed.error().text());
  return *parsed;
}

}  // namespace

TEST_CASE("a path is its components") {
  const RawPath p = path("var/www/a b");
  CHECK(p.components() == std::vector<std::string_view>{"var", "www", "a b"});
  CHECK(p.name() == "a b");
  CHECK(p.parent() == path("var/www"));
  CHECK(p.parent().parent().parent().is_root());
  CHECK(p.bytes() == "var/www/a b");
  CHECK(path("x").parent().is_root());
}

TEST_CASE("the root") {
  const RawPath root;
  CHECK(path("") == root);
  CHECK(root.is_root());
  CHECK(root.name().empty());
  CHECK(root.parent() == root);
  CHECK(root.components().empty());
  CHECK(root.child("a")->bytes() == "a");
}

TEST_CASE("what is no component is refused") {
  for (const std::string& bad :
       {std::string("/"), std::string("/a"), std::string("a/"), std::string("a//b"),
        std::string("."), std::string(".."), std::string("a/../b"), std::string("a/./b"),
        std::string("a\0b", 3), std::string(256, 'x')}) {
    INFO(bad);
    const auto refused = RawPath::parse(bad);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::bad_input);
    CHECK_FALSE(refused.error().remedy.empty());
  }
  for (const std::string_view bad : {"", ".", "..", "a/b", "/"}) {
    CHECK_FALSE(RawPath().child(bad));
    CHECK_FALSE(path("a").child(bad));
  }
  for (const std::string& good : {std::string("..."), std::string("..a"), std::string("a\\b"),
                                  std::string("\xff\n\x1b"), std::string(255, 'x')}) {
    CHECK(RawPath::check_component(good).has_value());
  }
}

TEST_CASE("within counts whole components") {
  CHECK(path("a/b").within(path("a")));
  CHECK(path("a").within(path("a")));
  CHECK(path("a").within(RawPath()));
  CHECK(RawPath().within(RawPath()));
  CHECK_FALSE(path("ab").within(path("a")));
  CHECK_FALSE(path("a").within(path("a/b")));
  CHECK_FALSE(RawPath().within(path("a")));
}

TEST_CASE("random components come back as they went in") {
  std::mt19937 random(46);
  for (int round = 0; round < 500; ++round) {
    RawPath p;
    std::vector<std::string> names;
    for (std::size_t i = 0, count = 1 + random() % 6; i < count; ++i) {
      std::string name = "x";
      for (std::size_t k = 0, length = random() % 20; k < length; ++k) {
        const char c = static_cast<char>(random() & 0xff);
        if (c != '/' && c != '\0') name += c;
      }
      auto child = p.child(name);
      REQUIRE(child.has_value());
      CHECK(child->parent() == p);
      CHECK(child->name() == name);
      CHECK(child->within(p));
      p = *child;
      names.push_back(name);
    }
    const RawPath read = path(p.bytes());
    CHECK(read == p);
    const auto components = read.components();
    CHECK(std::vector<std::string>(components.begin(), components.end()) == names);
  }
}

TEST_CASE("a path is shown escaped") { CHECK(path("a\n/\xff").display() == "a\\n/\\xff"); }

}  // namespace remediate
