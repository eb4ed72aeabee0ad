// What all pattern sets promise: they name every expression that RE2 alone finds.
#include "remediate/match/pattern_set.h"

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <set>
#include <thread>
#include <tuple>

#include <catch2/catch.hpp>

#include "remediate/match/re2_options.h"
#include "remediate/playbook/parse.h"

namespace remediate::match {
namespace {

constexpr std::int64_t memory = 64 << 20;

/// A set and the positions, in the whole list, of what it has.
struct Made {
  std::unique_ptr<PatternSet> set;
  std::vector<std::size_t> members;
};

Made make_portable(const std::vector<Pattern>& patterns) {
  Made made;
  made.set = make_re2_set(patterns, memory, made.members);
  return made;
}

Made make_literal(const std::vector<Pattern>& patterns) {
  Made made;
  made.set = make_literal_set(patterns, memory, made.members);
  return made;
}

Made make_fast(const std::vector<Pattern>& patterns) {
  Made made;
  made.set = make_hyperscan_set(patterns, made.members);
  return made;
}

using Maker = Made (*)(const std::vector<Pattern>&);

std::vector<Maker> makers() {
  if (have_hyperscan()) return {make_portable, make_literal, make_fast};
  std::puts("pattern sets: no Hyperscan in this build or on this processor");
  return {make_portable, make_literal};
}

bool found_alone(const Pattern& pattern, const std::string& text) {
  const RE2 single(pattern.text, re2_options(memory, pattern.ignore_case));
  REQUIRE(single.ok());
  return RE2::PartialMatch({text.data(), text.size()}, single);
}

/// The expressions of the set that RE2 finds and the set does not.
std::string missed(const Made& made, const std::vector<Pattern>& patterns,
                   const std::string& text) {
  const auto found = made.set->find(text);
  REQUIRE(found.has_value());
  std::set<std::size_t> named;
  for (const std::size_t position : *found) named.insert(made.members.at(position));
  std::string left_out;
  for (const std::size_t member : made.members)
    if (!named.contains(member) && found_alone(patterns[member], text))
      left_out += patterns[member].text + "\n";
  return left_out;
}

const std::vector<Pattern>& dialect() {
  static const std::vector<Pattern> all = {
      {"eval\\(", false},
      {"eval\\s*\\(\\s*\\$_(?:POST|GET)", true},
      {"[^\\s]x", false},
      {"\\Sx", false},
      {"a\\sb", false},
      {"a[\\s,]b", false},
      {"p[\\s\\S]{1,3}q", true},
      {"a[^\\S,]b", false},
      {"[\\S-]x", false},
      {"[\\v]q", false},
      {"a\\vb", false},
      {"end$", false},
      {"(?m)^line$", false},
      {"^start", false},
      {"\\Astart", false},
      {"stop\\z", false},
      {"\\bword\\b", false},
      {"x{2,5}y", false},
      {"x{,5}y", false},
      {"a{b", false},
      {"[[:alpha:]]{3}7", false},
      {"[[:space:]]7", false},
      {"[]a]c", false},
      {"[^]a]c", false},
      {"(?P<name>n)amed", false},
      {"(?i)Mixed(?-i)Case", false},
      {"a.b", false},
      {"(?-s)a.c", false},
      {"\\x41\\xffz", false},
      {"\xe9t\xe9", false},
      {"\xe9t\xe9", true},
      {"caf\\xe9", true},
      {"\\101bc", false},
      {"\\pLq", false},
      {"\\Qa.b\\E", false},
      {"a\\\\b", false},
      {"\\d{1,3}(?:\\.\\d{1,3}){3}", false},
      {"\\W\\w\\W", false},
      {"(?U)a+b", false},
      {"(?s:.)z(?:y|)x", false},
      {std::string("nul\0byte", 8), false},
      {"#c", false},
      {"[a-f&&[c]]", false},
  };
  return all;
}

const std::vector<std::string> texts = {
    "",
    "eval (\t$_post",
    "EVAL( $_GET",
    "\vx \x85x \xa0x ax",
    "a b a\tb a\vb a\xa0"
    "b a\x85"
    "b",
    "a,b a\nb",
    "\vq",
    "the end\n",
    "the end",
    "x\nline\ny",
    "start\nstart stop",
    "a word, sword",
    "xxxy xy x{,5}y a{b",
    "abc7 \v7 \n7",
    "]c bc ac",
    "named mixedCase MIXEDcase",
    "a\nb a\nc axc",
    "A\xffz",
    "\xe9t\xe9 \xc9T\xc9 caf\xc9 CAF\xe9",
    "Abc \xe9q Kq a.b axb a\\b",
    "10.0.0.1 -z- aab",
    std::string("a\0z nul\0byte zyx #c", 19),
};

}  // namespace

TEST_CASE("a pattern set leaves nothing out that RE2 finds, in either dialect") {
  const Maker maker = GENERATE(from_range(makers()));
  const Made made = maker(dialect());
  REQUIRE(made.set);
  CHECK(made.members.size() >= dialect().size() / (maker == make_literal ? 3 : 2));
  for (const std::string& text : texts) CHECK(missed(made, dialect(), text) == "");
}

TEST_CASE("a pattern set is a filter: most of what is not there is not named") {
  const Maker maker = GENERATE(from_range(makers()));
  const std::vector<Pattern> patterns = {{"needle", false}, {"NEEDLE", false}, {"hay\\d+", false}};
  const Made made = maker(patterns);
  REQUIRE(made.set);
  const auto found = made.set->find(std::string(100'000, 'h') + "needle hay");
  REQUIRE(found.has_value());
  // The set of literals looks at no case and at nothing else.
  if (maker == make_literal)
    CHECK(*found == std::vector<std::size_t>{0, 1, 2});
  else
    CHECK(*found == std::vector<std::size_t>{0});
  CHECK(made.set->find(std::string(100'000, 'h'))->empty());
}

TEST_CASE("generated patterns and texts find the same in a set as alone") {
  const Maker maker = GENERATE(from_range(makers()));
  std::mt19937 random(20210302);
  const auto pick = [&](const auto& list) { return list[random() % std::size(list)]; };
  constexpr const char* atoms[] = {
      "a",   "b",      "\\s", "\\S",   ".",      "[ab]",  "[^a]",        "\\d",  "\\w",
      "\\W", "\\xe9",  "\\v", "\\n",   "[\\s0]", "^",     "$",           "\\b",  "(?:a|b0)",
      "\\.", "[^\\n]", "B",   "\\x0b", "\\t",    "[a-f]", "[[:space:]]", "\xe9", "(?i:a\\s)"};
  constexpr const char* times[] = {"", "", "", "", "?", "*", "+", "{2}", "{1,3}", "*?"};
  constexpr const char bytes[] = "aAbB0 \n\v\t\xe9\xc9\x85.\r\f";
  std::uint64_t checked = 0, hits = 0, sets = 0;
  for (int round = 0; round < 150; ++round) {
    std::vector<Pattern> patterns;
    while (patterns.size() < 20) {
      Pattern pattern{"", random() % 3 == 0};
      for (std::size_t more = 1 + random() % 5; more > 0; --more)
        pattern.text += std::string(pick(atoms)) + pick(times);
      const RE2 single(pattern.text, re2_options(memory, pattern.ignore_case));
      if (single.ok() && !RE2::PartialMatch("", single)) patterns.push_back(pattern);
    }
    const Made made = maker(patterns);
    if (!made.set) continue;
    ++sets;
    for (int more = 0; more < 20; ++more) {
      std::string text;
      for (std::size_t length = random() % 24; length > 0; --length)
        text += bytes[random() % (sizeof bytes - 1)];
      CHECK(missed(made, patterns, text) == "");
      checked += made.members.size();
      hits += made.set->find(text)->size();
    }
  }
  std::printf("pattern sets: %llu sets, %llu searches of a pattern, %llu hits\n",
              static_cast<unsigned long long>(sets), static_cast<unsigned long long>(checked),
              static_cast<unsigned long long>(hits));
  CHECK(sets > 100);
  CHECK(hits > 1000);
}

TEST_CASE("a literal is found wherever it stands and whatever stands before it") {
  // Vectorscan 5.4.9 misses this one at four places of ten.
  const Maker maker = GENERATE(from_range(makers()));
  const std::vector<Pattern> patterns = {{"r:]\xba\xba\xba\xba\xba", false}, {"other", false}};
  const Made made = maker(patterns);
  REQUIRE(made.set);
  std::size_t misses = 0;
  for (std::size_t shift = 0; shift < 64; ++shift)
    for (std::size_t before = 0; before < 200; ++before) {
      const std::string text = std::string(shift, 'q') + std::string(before, '\x83') +
                               "#^upper:]\xba\xba\xba\xba\xba\n\xba"
                               "1\xba";
      const auto found = made.set->find(std::string_view(text).substr(shift));
      misses += found && found->size() == 1 && found->front() == 0 ? 0 : 1;
    }
  CHECK(misses == 0);
}

TEST_CASE("a text that is searched in pieces loses nothing where it is cut") {
  std::vector<Pattern> patterns = {{"\\bone1\\b", false},       {"tw[o0]+\\s*x{0,9}2\\z", false},
                                   {"^three", false},           {"(?m)^four$", false},
                                   {"(?i)FI\\s*ve{2}5", false}, {"s[^i]*ix{3}6", false}};
  const std::size_t asked = patterns.size();
  // So many instructions that the pieces are short.
  for (int filler = 0; filler < 25; ++filler)
    patterns.push_back({"Q" + std::to_string(filler) + "[QR]{900}", false});
  const Made made = make_portable(patterns);
  REQUIRE(made.set);
  std::vector<std::unique_ptr<RE2>> alone;
  for (const Pattern& pattern : patterns)
    alone.push_back(std::make_unique<RE2>(pattern.text, re2_options(memory, pattern.ignore_case)));
  const std::vector<std::string> pieces = {" one1 ",   "two  xx2", "three",
                                           "\nfour\n", "fI  vEE5", "s  \nixxx6"};
  std::set<std::string> lost;
  std::uint64_t searches = 0, hits = 0;
  for (std::size_t at = 0; at < 9000; at += at % 900 < 40 ? 1 : 37)
    for (const std::string& piece : pieces) {
      const std::string content =
          std::string(at, '.') + piece + (&piece == &pieces[1] ? "" : std::string(9000 - at, '.'));
      const auto found = made.set->find(content);
      REQUIRE(found.has_value());
      for (std::size_t position = 0; position < made.members.size(); ++position) {
        const std::size_t member = made.members[position];
        if (member >= asked || !RE2::PartialMatch(content, *alone[member])) continue;
        ++hits;
        if (std::ranges::find(*found, position) == found->end()) lost.insert(patterns[member].text);
      }
      ++searches;
    }
  std::printf("pattern sets: %llu searches in pieces, %llu hits\n",
              static_cast<unsigned long long>(searches), static_cast<unsigned long long>(hits));
  CHECK(lost == std::set<std::string>{});
  CHECK(hits > searches / 2);
}

TEST_CASE("literals rule an expression out only in the combination that it asks for") {
  const std::vector<Pattern> patterns = {{"eval\\s*\\(\\s*(?:request|\\$_post)", true},
                                         {"[a-z]{3}\\d+", false},  // holds none
                                         {"x|yy", false},          // one is too short
                                         {"(?i)<%@|runat", false}};
  const Made made = make_literal(patterns);
  REQUIRE(made.set);
  CHECK(made.members == std::vector<std::size_t>{0, 3});
  const auto found = [&](const std::string& text) {
    auto positions = made.set->find(text);
    REQUIRE(positions.has_value());
    std::ranges::sort(*positions);
    return *positions;
  };
  CHECK(found("EVAL of nothing").empty());
  CHECK(found("a REQUEST alone").empty());
  CHECK(found("Request before eval") == std::vector<std::size_t>{0});
  CHECK(found("eval ($_POST <%@") == std::vector<std::size_t>{0, 1});
  CHECK(found("RunAt") == std::vector<std::size_t>{1});
  CHECK(found("").empty());
}

TEST_CASE("a literal is found where a large text is cut") {
  const Made made = make_literal({{"needle\\d", false}, {"other", false}});
  REQUIRE(made.set);
  constexpr std::size_t cut = 1u << 20;
  for (std::size_t at = cut - 9; at <= cut + 2; ++at) {
    std::string text(2 * cut + 100, '.');
    text.replace(at, 7, "needle7");
    CHECK(made.set->find(text) == std::vector<std::size_t>{0});
    CHECK_FALSE(made.set->find(text, SearchClock::time_point::min()).has_value());
  }
}

TEST_CASE("no text makes the search for literals slow") {
  std::vector<Pattern> patterns;
  for (int number = 0; number < 300; ++number)
    patterns.push_back({"(?:aab){" + std::to_string(number % 20 + 1) + "}c" +
                            std::to_string(number) + "[ab]*a[ab]{90}x",
                        false});
  const Made made = make_literal(patterns);
  REQUIRE(made.set);
  CHECK(made.members.size() == patterns.size());
  std::mt19937 random(7);
  std::string text;
  while (text.size() < (4u << 20))
    text += random() % 8 == 0   ? "c" + std::to_string(random() % 300)
            : random() % 3 == 0 ? "b"
                                : "a";
  // A second is what RE2's set of the same expressions takes for a thousandth of it.
  CHECK(made.set->find(text, SearchClock::now() + std::chrono::seconds(1)).has_value());
}

TEST_CASE("a hyphen after a set within a class is no range") {
  const Maker maker = GENERATE(from_range(makers()));
  const char* const pattern = GENERATE("[^\\s-[]x", "[^\\d-[]x", "[^\\w-[]x", "[^[:digit:]-[]x");
  CAPTURE(pattern);
  const Made made = maker({{pattern, false}, {"other", false}});
  if (maker == make_literal) {
    CHECK(made.members == std::vector<std::size_t>{1});  // the class holds no literal
    return;
  }
  REQUIRE(made.set);
  REQUIRE(made.set->find("=x").has_value());
  CHECK(made.set->find("=x")->size() == 1);
}

TEST_CASE("one set serves many threads") {
  const Maker maker = GENERATE(from_range(makers()));
  const Made made = maker({{"one\\d", false}, {"two\\d", false}});
  REQUIRE(made.set);
  std::atomic<int> wrong = 0;
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 8; ++thread)
    threads.emplace_back([&, thread] {
      const std::string text = std::string(5000, '.') + (thread % 2 == 0 ? "one1" : "two2");
      for (int times = 0; times < 200; ++times) {
        const auto found = made.set->find(text);
        if (!found || found->size() != 1 || found->front() != static_cast<std::size_t>(thread % 2))
          ++wrong;
      }
    });
  threads.clear();
  CHECK(wrong == 0);
}

namespace {

std::string word(std::size_t number) {
  std::string text;
  for (int letter = 0; letter < 6; ++letter, number /= 26)
    text += static_cast<char>('a' + number % 26);
  return text;
}

/// What the compiler has to do for the patterns of a set; both numbers are what it is bounded by.
HyperscanCost cost_of(const Made& made, const std::vector<Pattern>& patterns) {
  HyperscanCost sum;
  for (const std::size_t member : made.members) {
    const HyperscanCost one =
        hyperscan_cost(patterns[member], *hyperscan_spelling(patterns[member]));
    sum.instructions += one.instructions + 3 * one.beside;
    sum.nested += one.nested;
  }
  return sum;
}

void collect(const playbook::Condition& condition, std::vector<Pattern>& patterns) {
  if (condition.kind == playbook::Condition::Kind::regex)
    patterns.push_back({condition.pattern, condition.ignore_case});
  for (const playbook::Condition& child : condition.children) collect(child, patterns);
}

}  // namespace

TEST_CASE("of many large patterns Hyperscan takes the cheapest") {
  if (!have_hyperscan()) return;
  std::vector<Pattern> patterns;
  for (std::size_t number = 0; number < 400; ++number) {
    const std::string tail = word(1000 + 37 * number) + std::to_string(number);
    patterns.push_back({tail + "[^;]{0,200}" + word(number) + "[^;]{0,200}x", false});
  }
  const std::size_t costly = patterns.size();
  patterns.push_back({"one[^;]{0,900}two[^;]{0,900}three[^;]{0,900}four[^;]{0,900}five", true});
  for (std::size_t number = 0; number < 40; ++number)
    patterns.push_back({"(?:[a-z(]{1,3}" + word(number) + "\\s*){9}x", false});
  const std::size_t odd = patterns.size();  // that it does not take at all
  for (std::size_t number = 0; number < 80; ++number)
    patterns.push_back({"a^b" + word(number), true});
  const std::size_t small = patterns.size();
  for (std::size_t number = 0; number < 50; ++number)
    patterns.push_back({"\\b" + word(number) + "\\s*\\(", true});
  const Made made = make_fast(patterns);
  REQUIRE(made.set);
  CHECK(std::ranges::is_sorted(made.members));
  CHECK(std::ranges::count_if(made.members, [&](std::size_t one) { return one >= small; }) == 50);
  CHECK(std::ranges::none_of(made.members,
                             [&](std::size_t one) { return one >= odd && one < small; }));
  CHECK(std::ranges::find(made.members, costly) == made.members.end());
  const HyperscanCost cost = cost_of(made, patterns);
  CHECK(cost.instructions <= 34'000);
  CHECK(cost.instructions > 30'000);
  CHECK(cost.nested <= 160);
  CHECK(cost.nested > 120);
  const std::string text = word(1000) + "0 ; " + word(1000) + "0 ( " + word(0) + " x " + word(3) +
                           " ( (" + word(7) + "(";
  CHECK(missed(made, patterns, text) == "");
}

TEST_CASE("what Hyperscan's compiler takes is read off the pattern") {
  const auto cost = [](const std::string& text) {
    const Pattern pattern{text, false};
    return hyperscan_cost(pattern, *hyperscan_spelling(pattern));
  };
  CHECK(cost("abc").instructions < cost("abc[^;]{0,100}d").instructions);
  CHECK(cost("a+b{2,7}c*").beside == 9);
  CHECK(cost("a+(?:xb{2,7})c*\\bd{9}").beside == 11);
  CHECK(cost("a+[{}*]x{3}\\*+\\x2a{4}").beside == 6);
  CHECK(cost("a+(?:b{3}c)(?i)").beside == 3);
  CHECK(cost("a{9}").beside == 0);
  CHECK(cost("(?:a+b*){4}").nested == 8);
  CHECK(cost("(?:(?:a+b)c{2}){3,}").nested == 8);
  CHECK(cost("(?:(?:a+b){3}c){2}").nested == 11);
  CHECK(cost("(?:abc){40}(?:a+b)?[(+]").nested == 0);
}

TEST_CASE("Hyperscan takes all expressions of the shipped playbooks") {
  if (!have_hyperscan()) return;
  std::vector<Pattern> patterns;
  for (const auto& file : std::filesystem::directory_iterator(PLAYBOOKS)) {
    if (file.path().extension() != ".json") continue;
    std::ifstream stream(file.path(), std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(stream), {});
    const auto parsed = playbook::parse_playbook(bytes, file.path().string());
    REQUIRE(parsed);
    for (const playbook::Indicator& indicator : parsed->playbook.indicators)
      if (indicator.match) collect(*indicator.match, patterns);
  }
  const auto key = [](const Pattern& one) { return std::tie(one.text, one.ignore_case); };
  std::ranges::sort(patterns, {}, key);
  const auto same = [&](const Pattern& a, const Pattern& b) { return key(a) == key(b); };
  const auto again = std::ranges::unique(patterns, same);
  patterns.erase(again.begin(), again.end());
  CHECK(patterns.size() > 60);
  const Made made = make_fast(patterns);
  CHECK(made.members.size() == patterns.size());
  const HyperscanCost cost = cost_of(made, patterns);
  std::printf("pattern sets: %zu shipped expressions, work %llu, nested %llu\n", patterns.size(),
              static_cast<unsigned long long>(cost.instructions),
              static_cast<unsigned long long>(cost.nested));
}

TEST_CASE("patterns that would be written out many times are left to RE2") {
  CHECK_FALSE(hyperscan_spelling({"(?:(?:a{1,200}b){1,200}c){1,200}", false}).has_value());
  CHECK_FALSE(hyperscan_spelling({std::string(5000, 'a'), false}).has_value());
  CHECK_FALSE(hyperscan_spelling({"(?:a(?i)b{1,99}){1,99}", false}).has_value());
  CHECK(hyperscan_spelling({"a{1,200}", false}).has_value());
  // One after the other they add up.
  CHECK(hyperscan_spelling({"a{1,200}b[^;]{0,200}(?:c{2}|d){0,200}e{1,200}", false}).has_value());
}

}  // namespace remediate::match
