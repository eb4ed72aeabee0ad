// What a hostile file may cost the expressions, and that it is told.
#include <chrono>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "remediate/match/engine.h"
#include "remediate/match/regex_matcher.h"

using namespace remediate;
using namespace remediate::match;
using playbook::Condition;

namespace {

class Facts final : public observe::TargetSource {
  [[nodiscard]] Result<observe::TargetFacts> facts() const override {
    return observe::TargetFacts{};
  }
};

Condition expression(const std::string& pattern) {
  Condition condition;
  condition.kind = Condition::Kind::regex;
  condition.pattern = pattern;
  condition.encodings = {playbook::Encoding::ascii};
  return condition;
}

Condition negated(Condition inside) {
  Condition condition;
  condition.kind = Condition::Kind::negation;
  condition.children = {std::move(inside)};
  return condition;
}

std::string random_text(std::size_t size, std::string_view bytes) {
  std::mt19937 random(7);
  std::string text(size, ' ');
  for (char& c : text) c = bytes[random() % bytes.size()];
  return text;
}

/// RE2's automaton has no memory for these, and what it does instead takes seconds a mebibyte.
const std::vector<std::string>& slow() {
  static const std::vector<std::string> patterns = {"[ab]*a[ab]{900}x", "(.{0,40}a){20}Z",
                                                    "(?:[ab]{0,30}a){1,30}[ab]{900}x"};
  return patterns;
}

/// Of all threads.
double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

}  // namespace

TEST_CASE("padding does not hide a match from a large expression without a bound") {
  const std::string pattern =
      "\\beval\\s*\\(\\s*(?:(?:system\\.text|convert)[a-z0-9_.()\\s]{1,120}\\(\\s*){0,4}needle"
      "\\b[\\s\\S]{1,200}?[\"']mark[\"']";
  RegexMatcher matcher;
  const auto number = matcher.add(expression(pattern));
  REQUIRE(number);
  matcher.prepare();
  const double before = processor_seconds();
  for (const char filler : {'x', ' ', '('}) {
    const std::string text = std::string(12u << 20, filler) + " eval(needle,'a','mark')";
    RegexMatcher::Search search(matcher, text);
    const auto found = search.find(*number);
    CAPTURE(filler, found.doubt);
    CHECK(found.place.has_value());
  }
  CHECK(processor_seconds() - before < 4);
}

TEST_CASE("a file that is hostile to an expression costs bounded time and is told") {
  const std::string pattern = GENERATE(from_range(slow()));
  const bool portable = GENERATE(false, true);
  CAPTURE(pattern, portable);
  playbook::Playbook book;
  book.id = "playbook--1";
  book.scopes.push_back({});
  book.scopes[0].id = "web";
  book.scopes[0].include = {"**"};
  const auto add = [&](const std::string& id, Condition condition) {
    playbook::Indicator indicator;
    indicator.id = id;
    indicator.scopes = {"web"};
    indicator.match = std::move(condition);
    book.indicators.push_back(std::move(indicator));
  };
  add("slow", expression(pattern));
  add("not", negated(expression(pattern)));
  add("innocent", expression("inno[a-z]+\\s*mark"));
  add("absent", expression("absent"));
  const std::vector<playbook::Playbook> books{book};
  EngineOptions options;
  options.regex_timeout_seconds = 0;
  options.portable = portable;
  auto engine = Engine::compile(books, options);
  REQUIRE(engine.has_value());
  observe::ScopeInstance scope;
  scope.playbook = "playbook--1";
  scope.scope = "web";
  scope.spelled = "/www";
  const std::string content = random_text(2u << 20, "ab") + " innocent mark";
  const observe::FileObservation file{.scope = &scope,
                                      .path = *RawPath::parse("www/hostile.php"),
                                      .below_scope = "hostile.php",
                                      .size = content.size()};
  const double before = processor_seconds();
  (*engine)->observe(file, content, Facts());
  CHECK(processor_seconds() - before < 6);  // without a bound 10 and more
  const auto matches = (*engine)->take_matches();
  REQUIRE(matches.size() == 1);
  CHECK(matches[0].indicator == "innocent");
  CHECK(matches[0].reasons[0].offset == (2u << 20) + 1);
  const auto issues = (*engine)->take_issues();
  REQUIRE(issues.size() == 1);
  CHECK(issues[0].kind == observe::Issue::Kind::not_evaluated);
  CHECK(issues[0].where == "www/hostile.php");
  CHECK(issues[0].reason.starts_with(
      "indicator slow of playbook playbook--1 and 1 more indicator: regex: /" + pattern +
      "/ is too slow for this file and was not searched to its end"));
}

TEST_CASE("the time of a file is shared, and what is fast takes none of it") {
  RegexMatcher matcher(RegexMatcher::default_memory, RegexMatcher::Engines::portable);
  std::vector<std::size_t> numbers;
  for (const std::string& pattern : slow()) numbers.push_back(*matcher.add(expression(pattern)));
  for (int fast = 0; fast < 50; ++fast)
    numbers.push_back(*matcher.add(expression("mark-" + std::to_string(fast) + "\\s*[a-f]+")));
  GENERATE(0, 1) == 0 ? matcher.prepare() : matcher.prepare_when_worth_it();
  const std::string content = random_text(1u << 20, "ab") + " mark-49 a";
  const double before = processor_seconds();
  RegexMatcher::Search search(matcher, content, std::chrono::milliseconds(300));
  for (std::size_t i = 0; i < slow().size(); ++i) {
    const auto finding = search.find(numbers[i]);
    CHECK_FALSE(finding);
    CHECK_FALSE(finding.doubt.empty());
    CHECK(search.find(numbers[i]).doubt == finding.doubt);
  }
  CHECK(processor_seconds() - before < 6);
  for (std::size_t i = slow().size(); i < numbers.size(); ++i) {
    const auto finding = search.find(numbers[i]);
    CHECK(finding.doubt.empty());
    CHECK(finding.place.has_value() == (i + 1 == numbers.size()));
  }
}

TEST_CASE("a slow expression is searched to the end where the file is small") {
  RegexMatcher matcher(RegexMatcher::default_memory, RegexMatcher::Engines::portable);
  std::vector<std::size_t> numbers;
  for (const std::string& pattern : slow()) numbers.push_back(*matcher.add(expression(pattern)));
  matcher.prepare();
  std::string content = random_text(5'000, "ab") + "x";
  content[5'000 - 901] = 'a';
  RegexMatcher::Search search(matcher, content);
  CHECK(search.find(numbers[0]));
  CHECK_FALSE(search.find(numbers[1]));
  CHECK(search.find(numbers[1]).doubt.empty());
  CHECK(search.find(numbers[2]));
}

TEST_CASE("a match that spans the pieces of a text is found where it begins") {
  RegexMatcher matcher(RegexMatcher::default_memory, RegexMatcher::Engines::portable);
  const auto open = *matcher.add(expression("begin-[0-9a-z]*-end"));
  const auto wide = *matcher.add(expression("from.{1000}.{0,1000}?until"));
  matcher.prepare();
  const std::string content = std::string(5'000'000, '.') + "begin-" + std::string(8u << 20, 'x') +
                              "-end from" + std::string(1800, 'y') + "until";
  RegexMatcher::Search search(matcher, content);
  REQUIRE(search.find(open));
  CHECK(search.find(open)->offset == 5'000'000);
  CHECK(search.find(open)->length == (8u << 20) + 10);
  REQUIRE(search.find(wide));
  CHECK(search.find(wide)->offset == 5'000'000 + (8u << 20) + 11);
}
