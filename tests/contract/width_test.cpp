// How long matches can be, as it is read from an expression, and what is found in pieces by it.
#include "remediate/match/width.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <set>

#include <catch2/catch.hpp>

#include "remediate/match/in_pieces.h"
#include "remediate/match/re2_options.h"

#if defined(REMEDIATE_HAVE_HYPERSCAN)
#include <hs/hs.h>

#include "remediate/match/pattern_set.h"
#endif

namespace remediate::match {
namespace {

constexpr std::int64_t memory = 8 << 20;

class Maker {
 public:
  explicit Maker(unsigned seed) : random_(seed) {}
  std::size_t number(std::size_t below) { return random_() % below; }

  std::string pattern(int nesting = 0) {
    std::string made;
    for (std::size_t more = 1 + number(4); more > 0; --more) made += atom(nesting) + times();
    if (number(6) == 0) made += "|" + atom(nesting);
    return made;
  }
  std::string text(std::size_t length) {
    constexpr std::string_view bytes = "aAbB0 \n{}[]Eq\xe9\xc9.";
    std::string made;
    while (made.size() < length) made += bytes[number(bytes.size())];
    return made;
  }

 private:
  std::string atom(int nesting) {
    constexpr const char* atoms[] = {"a",          "b",
                                     "0",          "\\s",
                                     ".",          "[ab]",
                                     "[^a]",       "\\d",
                                     "\\w",        "\\xe9",
                                     "\\x{e9}",    "\\101",
                                     "\\0",        "^",
                                     "$",          "\\b",
                                     "\\B",        "\\Qa*b\\E",
                                     "\\Q\\E",     "[]a]",
                                     "[^]b]",      "[[:alpha:]b]",
                                     "[\\]a]",     "\\pL",
                                     "\\p{Lu}",    "\\C",
                                     "(?i)",       "(?s:.)",
                                     "\\A",        "\\z",
                                     "\\{",        "{",
                                     "a{,2}",      "(?P<n>a)",
                                     "[a\\x{62}]", "(?U)a+",
                                     "(?i:B)",     "\\.",
                                     "[[a]",       "}"};
    if (nesting < 3 && number(5) == 0)
      return (number(2) == 0 ? "(?:" : "(") + pattern(nesting + 1) + ")";
    return atoms[number(std::size(atoms))];
  }
  std::string times() {
    constexpr const char* all[] = {"",  "",    "",      "",   "",    "?",    "*",
                                   "+", "{2}", "{1,3}", "*?", "{0}", "{2,}", "{0,4}?"};
    return all[number(std::size(all))];
  }
  std::mt19937 random_;
};

RE2::Options longest_options() {
  RE2::Options options = re2_options(memory, false);
  options.set_longest_match(true);
  return options;
}

/// Tries of a short test, and as many as REMEDIATE_WIDTH_TRIES says.
int tries() {
  const char* asked = std::getenv("REMEDIATE_WIDTH_TRIES");
  return asked == nullptr ? 4000 : std::atoi(asked);
}

bool finds(const RE2& expression, const std::string& text, re2::StringPiece& match) {
  return expression.Match(text, 0, text.size(), RE2::UNANCHORED, &match, 1);
}

}  // namespace

TEST_CASE("the longest match of an expression is read from its syntax") {
  const auto longest = [](std::string_view pattern) { return longest_match(pattern); };
  CHECK(longest("eval") == 4);
  CHECK(longest("(?:eval|assert)\\(") == 7);
  CHECK(longest("a.{0,40}b") == 42);
  CHECK(longest("(.{0,40}a){20}Z") == 821);
  CHECK(longest("\\x41\\x{41}\\101\\pN\\p{Greek}\\C[^]a]") == 7);
  CHECK(longest("\\Qa*b\\E") == 3);
  CHECK_FALSE(longest("\\Qab\\E{0}c"));
  CHECK(longest("^\\bx$\\z") == 1);
  CHECK(longest("a{,5}") == 5);
  CHECK(longest("a{3") == 3);
  CHECK(longest("(?i)ab(?-i:c)") == 3);
  CHECK(longest("[[:alpha:]\\]]x{0}") == 1);
  CHECK(longest("(?:\\b)*x") == std::nullopt);  // nothing is repeated: not worth the care
  for (const char* open : {"a*", "ab+c", "a{2,}", "(?:ab?)*", "\\s*\\(", "\\Qab\\E+", "a(?i)*",
                           "a\\Q\\E*", "[a]*", "(a{300}){300}", "a\\Q\\E{3}"})
    CHECK(longest(open) == std::nullopt);
  CHECK(longest(std::string(500, '(') + "a" + std::string(500, ')')) == std::nullopt);
}

TEST_CASE("an expression without a bound has a part with one") {
  const auto part = [](std::string_view pattern) {
    const auto found = bounded_part(pattern);
    return found ? found->pattern : std::string();
  };
  CHECK(part("eval.{0,9}") == "eval.{0,9}");
  CHECK(part("eval\\s*\\(\\s*\\$_GET\\[") == "\\$_GET\\[");
  CHECK(part("(?i)eval\\s*\\(") == "(?i)eval");
  CHECK(part("a+(?i)bcd(?s).*longer") == "(?i)(?s)longer");
  CHECK(part("hay\\d+") == "hay\\d");
  CHECK(part("a+bcd*") == "abc");
  CHECK(part("\\Qabcd\\E+ef.*") == "\\Qabcd\\E");  // abcddef holds no abcdef
  CHECK(part("x(?:ab){2,}.*") == "x(?:ab)");
  CHECK(part("ab*|eval").empty());
  CHECK(part("a\\s*b").empty());
  CHECK(part("[a-z]+.*").empty());
}

TEST_CASE("no match is longer than what is read, and the part is in each match") {
  Maker maker(20261122);
  const auto longest_first = longest_options();
  std::uint64_t expressions = 0, bounded = 0, parts = 0, matches = 0;
  std::set<std::string> wrong;
  for (int round = 0; round < tries(); ++round) {
    const std::string pattern = maker.pattern();
    const RE2 expression(pattern, longest_first);
    if (!expression.ok()) continue;
    ++expressions;
    const auto longest = longest_match(pattern);
    const auto part = bounded_part(pattern);
    bounded += longest ? 1 : 0;
    parts += part ? 1 : 0;
    const auto of_part =
        std::make_unique<RE2>(part ? part->pattern : "", re2_options(memory, false));
    if (!of_part->ok()) wrong.insert(pattern + " has the part " + part->pattern);
    for (int more = 0; more < 15; ++more) {
      const std::string text = maker.text(maker.number(40));
      re2::StringPiece match;
      if (!finds(expression, text, match)) continue;
      ++matches;
      if (longest && match.size() > *longest) wrong.insert(pattern + " is longer");
      re2::StringPiece inside;
      if (part && !finds(*of_part, text, inside))
        wrong.insert(pattern + " without its part " + part->pattern);
    }
  }
  std::printf("width: %llu expressions, %llu with a bound, %llu with a part, %llu matches\n",
              static_cast<unsigned long long>(expressions),
              static_cast<unsigned long long>(bounded), static_cast<unsigned long long>(parts),
              static_cast<unsigned long long>(matches));
  CHECK(wrong == std::set<std::string>{});
  CHECK(bounded > expressions / 4);
  CHECK(matches > expressions);
}

#if defined(REMEDIATE_HAVE_HYPERSCAN)
TEST_CASE("what is read is not below what Hyperscan reads") {
  if (!have_hyperscan()) return;
  Maker maker(20261123);
  std::uint64_t compared = 0;
  std::set<std::string> wrong;
  for (int round = 0; round < tries(); ++round) {
    const Pattern pattern{maker.pattern(), false};
    const RE2 expression(pattern.text, re2_options(memory, false));
    const auto spelling = expression.ok() ? hyperscan_spelling(pattern) : std::nullopt;
    if (!spelling) continue;
    hs_expr_info_t* info = nullptr;
    hs_compile_error_t* error = nullptr;
    if (hs_expression_info(spelling->c_str(), HS_FLAG_DOTALL | HS_FLAG_ALLOWEMPTY, &info, &error) !=
        HS_SUCCESS) {
      hs_free_compile_error(error);
      continue;
    }
    const unsigned theirs = info->max_width;
    std::free(info);
    ++compared;
    const auto ours = longest_match(pattern.text);
    if (ours && *ours < theirs) wrong.insert(pattern.text);
  }
  std::printf("width: %llu expressions compared with Hyperscan\n",
              static_cast<unsigned long long>(compared));
  CHECK(wrong == std::set<std::string>{});
  CHECK(compared > static_cast<std::uint64_t>(tries()) / 10);
}
#endif

TEST_CASE("in pieces RE2 finds what it finds in the whole text") {
  Maker maker(20261124);
  const auto never = SearchClock::time_point::max();
  std::uint64_t searches = 0, slid = 0, hits = 0;
  std::set<std::string> wrong;
  for (int round = 0; round < tries(); ++round) {
    const std::string pattern = maker.pattern();
    const RE2 expression(pattern, re2_options(memory, false));
    re2::StringPiece match;
    if (!expression.ok() || finds(expression, "", match)) continue;
    const auto longest = longest_match(pattern);
    for (int more = 0; more < 4; ++more) {
      const std::string text = std::string(maker.number(50), 'q') + maker.text(maker.number(30)) +
                               std::string(maker.number(50), 'q') + maker.text(maker.number(30));
      const bool found = finds(expression, text, match);
      hits += found ? 1 : 0;
      for (const std::size_t piece :
           {std::size_t{1}, std::size_t{5}, std::size_t{16}, 2 * longest.value_or(8)}) {
        if (piece == 0) continue;
        const Sought sought =
            search_in_pieces(expression, longest, Between::all(text), never, piece);
        const bool slides = longest && *longest <= piece / 2;
        slid += slides ? 1 : 0;
        ++searches;
        if ((sought.ended == Sought::Ended::found) != found ||
            (found && slides &&
             (sought.match.data() != match.data() || sought.match.size() != match.size())))
          wrong.insert(pattern);
      }
    }
  }
  std::printf("in pieces: %llu searches, %llu of them in pieces that slide, %llu hits\n",
              static_cast<unsigned long long>(searches), static_cast<unsigned long long>(slid),
              static_cast<unsigned long long>(hits));
  CHECK(wrong == std::set<std::string>{});
  CHECK(slid > searches / 8);
}

TEST_CASE("a bound below the truth would lose matches in pieces") {
  const RE2 expression("ab{3}c", re2_options(memory, false));
  const std::string text = "qqqabbbcqqq";
  const auto never = SearchClock::time_point::max();
  const auto search = [&](std::size_t longest) {
    return search_in_pieces(expression, longest, Between::all(text), never, 2 * longest).ended;
  };
  CHECK(search(5) == Sought::Ended::found);
  CHECK(search(1) == Sought::Ended::absent);
}

TEST_CASE("the clock is looked at after each piece") {
  const RE2 expression("needle", re2_options(memory, false));
  const std::string text = std::string(100, 'x') + "needle";
  const auto before = SearchClock::now();
  const auto search = [&](SearchClock::time_point until, std::size_t piece) {
    return search_in_pieces(expression, longest_match("needle"), Between::all(text), until, piece)
        .ended;
  };
  CHECK(search(before, 20) == Sought::Ended::out_of_time);
  CHECK(search(before, 200) == Sought::Ended::found);  // one piece
  CHECK(search(SearchClock::time_point::max(), 20) == Sought::Ended::found);
}

}  // namespace remediate::match
