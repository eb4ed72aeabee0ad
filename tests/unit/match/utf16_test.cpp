// A file that is UTF-16 text is searched as that text, without being asked.
#include <cstddef>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "remediate/match/regex_matcher.h"
#include "remediate/match/wide.h"

using namespace remediate;
using namespace remediate::match;

namespace {

std::string utf16(std::string_view text, ByteOrder order, bool mark) {
  std::string wide;
  const auto unit = [&](char high, char low) {
    wide += order == ByteOrder::big ? high : low;
    wide += order == ByteOrder::big ? low : high;
  };
  if (mark) unit('\xfe', '\xff');
  for (const char c : text) unit('\0', c);
  return wide;
}

playbook::Condition expression(const std::string& pattern, playbook::Encoding encoding) {
  playbook::Condition condition;
  condition.kind = playbook::Condition::Kind::regex;
  condition.pattern = pattern;
  condition.encodings = {encoding};
  return condition;
}

/// Finds "evil[0-9]" (0), "^evil" (1), "good" (2), and "evil[0-9]" as UTF-16LE (3).
struct Searcher {
  explicit Searcher(bool prepared, RegexMatcher::Engines engines)
      : matcher(RegexMatcher::default_memory, engines) {
    for (const char* pattern : {"evil[0-9]", "^evil", "good"})
      REQUIRE(matcher.add(expression(pattern, playbook::Encoding::ascii)).has_value());
    REQUIRE(matcher.add(expression("evil[0-9]", playbook::Encoding::utf16le)).has_value());
    if (prepared) {
      matcher.prepare();
    } else {
      matcher.prepare_when_worth_it();
    }
  }
  RegexMatcher matcher;
};

}  // namespace

TEST_CASE("UTF-16 text is found by its mark or by its NULs") {
  const auto order = GENERATE(ByteOrder::little, ByteOrder::big);
  const bool mark = GENERATE(false, true);
  const std::string text = std::string(10'000, 'x') + " evil7";
  const std::string wide = utf16(text, order, mark);
  const auto found = utf16_text(wide);
  REQUIRE(found);
  CHECK(found->order == order);
  CHECK(found->start == (mark ? 2 : 0));
  CHECK(narrowed(std::string_view(wide).substr(found->start), order) == text);
}

TEST_CASE("what has some NULs is no UTF-16 text") {
  using namespace std::string_literals;
  CHECK_FALSE(utf16_text(""));
  CHECK_FALSE(utf16_text("a\0"s));
  CHECK_FALSE(utf16_text("plain text"));
  CHECK_FALSE(utf16_text("plain\0text\0with\0NULs"s));
  CHECK_FALSE(utf16_text(std::string(5000, '\0')));
  CHECK_FALSE(utf16_text("\xef\xbb\xbf text"));
  std::string numbers;  // of 32 bits
  for (int i = 0; i < 2000; ++i) numbers += {static_cast<char>(1 + i % 100), '\0', '\0', '\0'};
  CHECK_FALSE(utf16_text(numbers));
  // One foreign unit of eight is borne, more is not.
  const auto mixed = [](int every) {
    std::string text;
    for (int i = 0; i < 4000; ++i) text += {'a', i % every == 0 ? '\x04' : '\0'};
    return text;
  };
  CHECK(utf16_text(mixed(8)));
  CHECK_FALSE(utf16_text(mixed(7)));
  CHECK(utf16_text("a\0b\0c"s)->order == ByteOrder::little);  // an odd length
}

TEST_CASE("an expression for ascii finds its text in UTF-16 files of both byte orders") {
  const auto engines = GENERATE(RegexMatcher::Engines::portable, RegexMatcher::Engines::fastest);
  const Searcher searcher(GENERATE(false, true), engines);
  const auto order = GENERATE(ByteOrder::little, ByteOrder::big);
  const bool mark = GENERATE(false, true);
  const bool odd = GENERATE(false, true);
  const std::string wide =
      utf16("evil; good, evil5", order, mark) + (odd ? std::string(1, 'x') : std::string());
  RegexMatcher::Search search(searcher.matcher, wide);
  const std::size_t start = mark ? 2 : 0;
  const std::string_view name = order == ByteOrder::little ? "UTF-16LE" : "UTF-16BE";
  const auto last = search.find(0);
  REQUIRE(last);
  CHECK(last->offset == start + std::size_t{2} * 12);
  CHECK(last->length == 10);
  CHECK(last->encoding == name);
  REQUIRE(search.find(1));  // the mark is no part of the text
  CHECK(search.find(1)->offset == start);
  REQUIRE(search.find(2));
  CHECK(search.find(2)->offset == start + std::size_t{2} * 6);
}

TEST_CASE("a file that is not UTF-16 text is searched as its bytes only") {
  const auto engines = GENERATE(RegexMatcher::Engines::portable, RegexMatcher::Engines::fastest);
  const Searcher searcher(GENERATE(false, true), engines);
  const std::string inside = utf16("evil5 good", ByteOrder::little, false);
  const std::string content = std::string(100, 'x') + inside + std::string(100, 'x') + "good";
  RegexMatcher::Search search(searcher.matcher, content);
  CHECK_FALSE(search.find(0));
  REQUIRE(search.find(2));
  CHECK(search.find(2)->offset == content.size() - 4);
  CHECK(search.find(2)->encoding.empty());
  REQUIRE(search.find(3));
  CHECK(search.find(3)->offset == 100);
}

TEST_CASE("what stands in the bytes of a UTF-16 file is found there too") {
  const auto engines = GENERATE(RegexMatcher::Engines::portable, RegexMatcher::Engines::fastest);
  const Searcher searcher(GENERATE(false, true), engines);
  const std::string content = utf16(std::string(3000, 'x'), ByteOrder::little, true) + "evil3";
  RegexMatcher::Search search(searcher.matcher, content);
  REQUIRE(search.find(0));
  CHECK(search.find(0)->offset == 6002);
  CHECK(search.find(0)->encoding.empty());
}
