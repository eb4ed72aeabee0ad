#include "remediate/match/regex_matcher.h"

#include <algorithm>
#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/unit/playbook/conditions.h"

using namespace remediate;
using namespace remediate::match;
using remediate::playbook::Condition;
using remediate::playbook::regex;

namespace {

RegexMatcher::Engines both_engines() {
  return GENERATE(RegexMatcher::Engines::portable, RegexMatcher::Engines::fastest);
}

}  // namespace

TEST_CASE("many expressions find the same as each of them alone, short of memory too") {
  const auto engines = both_engines();
  std::vector<Condition> conditions;
  for (int i = 0; i < 60; ++i) {
    conditions.push_back(regex("k" + std::to_string(i) + "[a-f]*z", false, i % 2 == 0));
    conditions.push_back(regex("[a-z]+" + std::to_string(i) + ".{3,40}q"));
  }
  std::string content;
  for (int i = 0; i < 60; i += 3) content += "K" + std::to_string(i) + "abz k";
  content += std::string(5000, 'y') + "7 abcdefq";
  std::vector<std::vector<bool>> results;
  for (const std::int64_t memory :
       {RegexMatcher::default_memory, std::int64_t{1} << 17, std::int64_t{1} << 14}) {
    RegexMatcher matcher(memory, engines);
    for (const Condition& condition : conditions) REQUIRE(matcher.add(condition).has_value());
    matcher.prepare();
    RegexMatcher::Search search(matcher, content);
    std::vector<bool> found;
    for (std::size_t i = 0; i < conditions.size(); ++i) found.push_back(search.find(i).has_value());
    results.push_back(found);
  }
  std::vector<bool> alone;
  for (const Condition& condition : conditions) {
    RegexMatcher matcher;
    REQUIRE(matcher.add(condition).has_value());
    matcher.prepare();
    alone.push_back(RegexMatcher::Search(matcher, content).find(0).has_value());
  }
  CHECK(std::count(alone.begin(), alone.end(), true) > 5);
  CHECK(std::count(alone.begin(), alone.end(), false) > 5);
  for (const auto& result : results) CHECK(result == alone);
}

TEST_CASE("an expression that several indicators ask for is there once") {
  RegexMatcher matcher(RegexMatcher::default_memory, both_engines());
  const auto add = [&](const Condition& condition) {
    const auto number = matcher.add(condition);
    REQUIRE(number.has_value());
    return *number;
  };
  const std::size_t first = add(regex("eval\\("));
  const std::size_t other = add(regex("exec\\("));
  Condition ignoring = regex("eval\\(");
  ignoring.ignore_case = !ignoring.ignore_case;
  Condition both = regex("eval\\(");
  both.encodings = {playbook::Encoding::utf16le, playbook::Encoding::ascii};
  const std::size_t third = add(ignoring);
  const std::size_t fourth = add(both);
  CHECK(std::set<std::size_t>{first, other, third, fourth}.size() == 4);
  CHECK(add(regex("eval\\(")) == first);
  CHECK(add(regex("exec\\(")) == other);
  CHECK(add(ignoring) == third);
  std::ranges::reverse(both.encodings);
  CHECK(add(both) == fourth);
  matcher.prepare();
  RegexMatcher::Search search(matcher, "x eval(");
  CHECK(search.find(first).has_value());
  CHECK_FALSE(search.find(other).has_value());
}

TEST_CASE("a text that is worth the common pass by itself waits for it") {
  RegexMatcher matcher(RegexMatcher::default_memory, both_engines());
  for (int number = 0; number < 64; ++number)
    REQUIRE(matcher.add(regex("mark-" + std::to_string(number) + "[a-f]{2}")).has_value());
  matcher.prepare_when_worth_it();
  CHECK(RegexMatcher::Search(matcher, "a mark-0ab").find(0).has_value());
  CHECK_FALSE(matcher.prepared());
  const std::string text = std::string(5u << 20, 'x') + "mark-63ab";
  RegexMatcher::Search search(matcher, text);
  CHECK(search.find(63)->offset == 5u << 20);
  CHECK(matcher.prepared());
  CHECK_FALSE(search.find(0).has_value());
}

TEST_CASE("the common pass that is built on the way changes no result") {
  std::vector<Condition> conditions;
  for (int number = 0; number < 40; ++number)
    conditions.push_back(regex("mark-" + std::to_string(number) + "[a-f]{2}"));
  RegexMatcher matcher(RegexMatcher::default_memory, both_engines());
  for (const Condition& condition : conditions) REQUIRE(matcher.add(condition).has_value());
  matcher.prepare_when_worth_it(4u << 20);
  CHECK_FALSE(matcher.prepared());
  std::atomic<int> wrong{0};
  std::atomic<int> searched{0};
  const auto search = [&](int round) {
    const int which = round % 40;
    const std::string content = std::string(5000, 'x') + "mark-" + std::to_string(which) + "ab";
    RegexMatcher::Search one(matcher, content);
    for (int number = 0; number < 40; ++number) {
      const auto place = one.find(static_cast<std::size_t>(number));
      if (place.has_value() != (number == which) || (place && place->offset != 5000)) ++wrong;
    }
    ++searched;
  };
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 3; ++thread)
      threads.emplace_back([&, thread] {
        for (int round = 0; round < 200 || (!matcher.prepared() && round < 200'000); ++round)
          search(round + thread);
      });
  }
  CHECK(matcher.prepared());
  for (int round = 0; round < 40; ++round) search(round);
  CHECK(wrong == 0);
  CHECK(searched >= 640);
  RegexMatcher never;
  REQUIRE(never.add(conditions.front()).has_value());
  never.prepare_when_worth_it();
  CHECK(RegexMatcher::Search(never, "a mark-0ab").find(0).has_value());
  CHECK_FALSE(RegexMatcher::Search(never, "a mark-1ab").find(0).has_value());
  CHECK_FALSE(never.prepared());
}
