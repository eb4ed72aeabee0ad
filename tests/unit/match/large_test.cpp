#include <algorithm>
#include <atomic>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"
#include "remediate/match/large_search.h"
#include "tests/unit/match/engine_run.h"

using namespace remediate;
using namespace remediate::match;
using namespace remediate::match::test;
using remediate::playbook::Authorises;
using remediate::playbook::Condition;
using remediate::playbook::leaf;
using remediate::playbook::node;
using remediate::playbook::regex;
using Kind = Condition::Kind;

namespace {

/// A file that is read as a large one.
class Bytes final : public observe::LargeContent {
 public:
  explicit Bytes(std::string bytes) : bytes_(std::move(bytes)) {}
  mutable std::size_t longest_read = 0;
  mutable std::size_t reads_left = SIZE_MAX;   // then it is shorter
  mutable std::size_t checks_left = SIZE_MAX;  // then it was written to
  /// What is read after the first pass, as through a mapping that leaves no trace in times.
  std::string afterwards;
  [[nodiscard]] std::uint64_t size() const override { return bytes_.size(); }
  [[nodiscard]] Result<void> read(std::uint64_t offset, std::span<char> into) const override {
    longest_read = std::max(longest_read, into.size());
    if (reads_left == 0) return fail(Code::changed, "it was cut");
    --reads_left;
    REQUIRE(offset + into.size() <= bytes_.size());
    const std::string& now = passed_ && !afterwards.empty() ? afterwards : bytes_;
    passed_ = passed_ || offset + into.size() == bytes_.size();
    std::copy_n(now.begin() + static_cast<std::ptrdiff_t>(offset), into.size(), into.begin());
    return {};
  }
  [[nodiscard]] Result<void> unchanged() const override {
    if (checks_left == 0) return fail(Code::changed, "it was written to");
    --checks_left;
    return {};
  }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
  mutable bool passed_ = false;
};

EngineOptions in_small_windows(EngineOptions options) {
  if (options.windows.max_length > 1u << 20)
    options.windows = {.max_length = 4096, .max_match = 1024};
  return options;
}

struct LargeRun : Run {
  explicit LargeRun(std::vector<std::pair<std::string, Condition>> conditions,
                    EngineOptions options = {})
      : Run(book(std::move(conditions)), in_small_windows(options)) {
    scope.spelled = "/www";
  }
  Result<void> see(const Bytes& bytes) {
    const auto place = file("a", bytes.size());
    return engine->observe_large(std::span(&place, 1), bytes, facts);
  }
  void see_held(const Bytes& bytes) { Run::see("a", bytes.bytes()); }
};

/// What a plan would say of it.
std::vector<std::string> told(const std::vector<FileMatch>& matches) {
  std::vector<std::string> all;
  for (const FileMatch& match : matches) {
    std::string line = match.indicator + " " + match.sha256;
    for (const Reason& reason : match.reasons)
      line += " | " + reason.kind + " " + reason.text + " @" + std::to_string(reason.offset) + " " +
              reason.excerpt;
    all.push_back(line);
  }
  return all;
}

std::string wide(std::string_view text, bool big) {
  std::string made;
  for (const char byte : text) {
    if (big) made += '\0';
    made += byte;
    if (!big) made += '\0';
  }
  return made;
}

/// Words of few letters, so that expressions are near misses everywhere.
std::string some_text(std::mt19937& random, std::size_t length) {
  constexpr std::string_view letters = "aaabbc d\n<%x";
  std::string made;
  while (made.size() < length) made += letters[random() % letters.size()];
  return made;
}

RegexMatcher::Finding in_windows(const RegexMatcher& matcher, std::string_view text,
                                 std::size_t number, std::size_t length, std::size_t overlap) {
  LargeSearch search(matcher, {{{number}, {}}}, overlap, std::chrono::seconds(60));
  for (std::size_t start = 0;; start += length - overlap) {
    const bool last = length >= text.size() - start;
    search.take(text.substr(start, length), start, last);
    if (last) return search.find(number);
  }
}

}  // namespace

TEST_CASE("windows find what is in the whole file, or say that it may be there") {
  const std::vector<std::string> patterns = {
      "ab{3}",    "^abc",        "(?m)^ab",  "c$",        R"(\bab\b)",  R"(x\z)",
      R"(\Aa)",   "a.{0,20}bb",  "<%.*abcc", "[bc]{4,}",  "c[^c]{12}c", "a.*b.*cc",
      "<%[^%]+%", R"(\Bb{4}\B)", "(?m)b$",   "xx[ab ]+x", "a.*q",       "cab.{30}a"};
  const auto engines = GENERATE(RegexMatcher::Engines::portable, RegexMatcher::Engines::fastest);
  const bool one_pass = GENERATE(false, true);
  std::mt19937 random(20'211'122);
  std::size_t found = 0, absent = 0, doubts = 0, wide_found = 0;
  RegexMatcher matcher(RegexMatcher::default_memory, engines);
  std::vector<std::size_t> numbers;
  for (const std::string& pattern : patterns) {
    for (const bool wide_one : {false, true}) {
      const auto number = matcher.add(regex(pattern, wide_one));
      REQUIRE(number.has_value());
      numbers.push_back(*number);
    }
  }
  if (one_pass) {
    matcher.prepare();
  } else {
    matcher.prepare_when_worth_it(UINT64_MAX);
  }
  for (int tries = 0; tries < 150; ++tries) {
    std::string text = some_text(random, 300 + random() % 900);
    const auto kind = tries % 5;
    if (kind == 1) text = wide(text, false);
    if (kind == 2) text = wide(text, true);
    if (kind == 3) text = "\xFF\xFE" + wide(text, false) + "z";
    if (kind == 4) text = text + "q" + wide(text.substr(0, 200), false);
    const std::size_t overlap = 64 + 2 * (random() % 40);
    const std::size_t length = 2 * overlap + 2 * (random() % 100);
    for (const std::size_t number : numbers) {
      const auto whole = RegexMatcher::Search(matcher, text).find(number);
      const auto part = in_windows(matcher, text, number, length, overlap);
      REQUIRE(whole.doubt.empty());
      const auto longest = matcher.longest(number);
      const bool exact = longest && 2 * *longest + 4 <= overlap;
      INFO(matcher.shown(number) << " in " << text.size() << " bytes of kind " << kind
                                 << ", windows " << length << "/" << overlap);
      if (part) {
        REQUIRE(whole);
        ++found;
        wide_found += part->encoding.empty() ? 0u : 1u;
        if (exact) {
          CHECK(part->offset == whole->offset);
          CHECK(part->length == whole->length);
          CHECK(part->encoding == whole->encoding);
        }
      } else if (whole) {
        CHECK_FALSE(exact);
        CHECK(part.doubt.find("not found") != std::string::npos);
        ++doubts;
      } else {
        if (exact) CHECK(part.doubt.empty());
        absent += part.doubt.empty() ? 1u : 0u;
      }
    }
  }
  CHECK(found > 500);
  CHECK(wide_found > 100);
  CHECK(absent > 1000);
  CHECK(doubts > 5);
}

TEST_CASE("a large file gives the reasons that the same file gives in memory") {
  std::string content = some_text(*std::make_unique<std::mt19937>(7), 40'000);
  content.replace(9'000, 6, "needle");
  content.replace(4'094, 4, "edge");
  content.replace(39'990, 10, "the end !!");
  const Bytes bytes(content);
  Condition magic = leaf(Kind::magic);
  magic.bytes = "edge";
  magic.offset = 4'094;
  Condition elsewhere = magic;
  elsewhere.offset = 39'998;
  Condition size = leaf(Kind::size);
  size.min_size = 40'000;
  size.max_size = 40'000;
  const std::vector<std::pair<std::string, Condition>> conditions = {
      {"a-sha256", leaf(Kind::sha256, {crypto::digest_hex(crypto::Algorithm::sha256, content)})},
      {"b-sha1", leaf(Kind::sha1, {crypto::digest_hex(crypto::Algorithm::sha1, content)})},
      {"c-md5", leaf(Kind::md5, {crypto::digest_hex(crypto::Algorithm::md5, content)})},
      {"d-magic", node(Kind::all, {magic, size})},
      {"e-regex", regex("n[e]{2}dle")},
      {"f-end", regex("the end !!$")},
      {"g-none", regex("nobody has this")},
      {"h-other", node(Kind::all, {elsewhere, regex("needle")})},
      {"i-not", node(Kind::all, {regex("needle"), node(Kind::negation, {regex("haystack")})})},
      {"j-structure", [] {
         Condition dump = leaf(Kind::structure);
         dump.structure = "exchange-vdir-dump";
         return dump;
       }()}};
  LargeRun large(conditions);
  REQUIRE(large.see(bytes).has_value());
  CHECK(bytes.longest_read <= 4096);
  LargeRun held(conditions);
  held.see_held(bytes);
  const auto seen = told(large.engine->take_matches());
  CHECK(seen == told(held.engine->take_matches()));
  CHECK(seen.size() == 7);
  CHECK(large.engine->take_issues().empty());
}

TEST_CASE("what path and size rule out is not asked of a large file") {
  const Condition elsewhere = node(Kind::all, {leaf(Kind::path, {"b"}), regex("nothing")});
  LargeRun run({{"one", node(Kind::all, {regex("needle"), elsewhere})}});
  const Bytes bytes(std::string(10'000, 'x') + "needle");
  REQUIRE(run.see(bytes).has_value());
  CHECK(run.engine->take_matches().empty());
  CHECK(run.engine->take_issues().empty());
}

TEST_CASE("what windows cannot decide is told, and not removed where it stands below a not") {
  const std::string content = "begin" + std::string(9'000, 'x') + "end" + std::string(1'000, 'x');
  const auto apart = regex("begin.*end");
  LargeRun run({{"long", apart},
                {"not-long", node(Kind::all, {regex("begin"), node(Kind::negation, {apart})})},
                {"absent", regex("begun.*end")}});
  REQUIRE(run.see(Bytes(content)).has_value());
  CHECK(run.engine->take_matches().empty());
  const auto issues = run.engine->take_issues();
  REQUIRE(issues.size() == 1);
  CHECK(issues[0].kind == observe::Issue::Kind::not_evaluated);
  CHECK(issues[0].reason.find("long") != std::string::npos);
  CHECK(issues[0].reason.find("1 more indicator") != std::string::npos);
  CHECK(issues[0].reason.find("more than 1024 bytes are not found") != std::string::npos);
  LargeRun near({{"long", apart}});
  REQUIRE(near.see(Bytes("begin" + std::string(900, 'x') + "end" + std::string(9'000, 'x'))));
  CHECK(near.engine->take_matches().size() == 1);
  CHECK(near.engine->take_issues().empty());
}

TEST_CASE("of a large file that changes nothing is kept") {
  LargeRun run({{"one", regex("needle")}});
  const std::string content = std::string(10'000, 'x') + "needle";
  // Once behind the reading, once behind the judgement.
  for (const std::size_t checks : {std::size_t{0}, std::size_t{1}}) {
    const Bytes written(content);
    written.checks_left = checks;
    const auto ended = run.see(written);
    REQUIRE_FALSE(ended.has_value());
    CHECK(ended.error().code == Code::changed);
  }
  for (std::size_t reads = 0; reads < 3; ++reads) {
    const Bytes cut(content);
    cut.reads_left = reads;
    REQUIRE_FALSE(run.see(cut).has_value());
  }
  CHECK(run.engine->take_matches().empty());
  CHECK(run.engine->take_issues().empty());
  REQUIRE(run.see(Bytes(content)).has_value());
  CHECK(run.engine->take_matches().size() == 1);
}

TEST_CASE("what a large file says comes from the bytes of its digest") {
  const std::string good = "good" + std::string(10'000, 'x');
  std::string marked = good;
  marked.replace(0, 4, "MARK");
  Condition magic = leaf(Kind::magic);
  magic.bytes = "MARK";
  const std::string rule = "rule m { strings: $a = \"MARK\" condition: $a at 0 }";
  std::vector<std::pair<std::string, Condition>> conditions = {{"magic", magic},
                                                               {"regex", regex("MARK|good")}};
  if (have_yara()) conditions.emplace_back("yara", playbook::yara(rule));
  LargeRun run(conditions);
  Bytes bytes(good);
  bytes.afterwards = marked;
  REQUIRE(run.see(bytes).has_value());
  const auto matches = run.engine->take_matches();
  REQUIRE(matches.size() == 1);
  CHECK(matches[0].indicator == "regex");
  CHECK(matches[0].sha256 == crypto::sha256_hex(good));
  CHECK(matches[0].reasons[0].excerpt.starts_with("goodxx"));
  const auto issues = run.engine->take_issues();
  REQUIRE(issues.size() == (have_yara() ? 1u : 0u));
  if (have_yara())
    CHECK(issues[0].reason.find("written to while it was read") != std::string::npos);
  if (!have_yara()) return;
  LargeRun again({{"yara", playbook::yara(rule)}});
  REQUIRE(again.see(Bytes(marked)).has_value());
  const auto seen = told(again.engine->take_matches());
  REQUIRE(seen.size() == 1);
  LargeRun held({{"yara", playbook::yara(rule)}});
  held.see_held(Bytes(marked));
  CHECK(seen == told(held.engine->take_matches()));
}

TEST_CASE("what is slow for review leaves what may be removed decided") {
  const Condition removes =
      node(Kind::all, {regex("MARK-[0-9]"), node(Kind::negation, {regex("begun[^;]*finis")})});
  std::vector<std::pair<std::string, Condition>> conditions = {{"z", removes}};
  for (const char* pattern : {"(.{0,40}a){20}Z[^q]*qqq", "(.{0,40}a){20}Y", "[ab]*a[ab]{900}x"})
    conditions.emplace_back("review-" + std::to_string(conditions.size()), regex(pattern));
  EngineOptions options;
  options.regex_timeout_seconds = 1;
  options.windows = {.max_length = 256u << 10, .max_match = 64u << 10};
  LargeRun run(std::move(conditions), options);
  for (playbook::Indicator& indicator : run.playbooks[0].indicators)
    if (indicator.id != "z") indicator.authorises = Authorises::review;
  std::mt19937 random(7);
  std::string text = "MARK-1";
  while (text.size() < 1'000'000) text += random() % 2 == 0 ? 'a' : 'b';
  REQUIRE(run.see(Bytes(text)).has_value());
  const auto matches = run.engine->take_matches();
  REQUIRE(matches.size() == 1);
  CHECK(matches[0].indicator == "z");
  CHECK_FALSE(run.engine->take_issues().empty());
}

TEST_CASE("expressions that may remove are searched before those for review") {
  // These take all the time of the file.
  std::vector<std::pair<std::string, Condition>> conditions;
  for (const char* pattern : {"(.{0,40}a){20}Z", "(.{0,40}a){21}Z", "[ab]*a[ab]{900}x"})
    conditions.emplace_back("review-" + std::to_string(conditions.size()), regex(pattern));
  conditions.emplace_back("z", regex("(.{0,20}a){10}needle"));
  EngineOptions options;
  options.regex_timeout_seconds = 2;
  options.windows = {.max_length = 128u << 10, .max_match = 32u << 10};
  LargeRun run(std::move(conditions), options);
  for (playbook::Indicator& indicator : run.playbooks[0].indicators)
    if (indicator.id != "z") indicator.authorises = Authorises::review;
  std::mt19937 random(7);
  std::string text(400'000, 'a');
  for (char& byte : text) byte = random() % 2 == 0 ? 'a' : 'b';
  const Bytes bytes(text + "aneedle");
  SECTION("in memory") { run.see_held(bytes); }
  SECTION("in windows") { REQUIRE(run.see(bytes)); }
  const auto matches = run.engine->take_matches();
  REQUIRE(matches.size() == 1);
  CHECK(matches[0].indicator == "z");
  const auto issues = run.engine->take_issues();
  REQUIRE_FALSE(issues.empty());
  CHECK(issues[0].reason.find("too slow") != std::string::npos);
}
