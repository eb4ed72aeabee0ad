#include "remediate/plan/baseline.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>

#include "remediate/base/encoding.h"
#include "survey.h"

namespace remediate::plan {
namespace {

using test::must;
using test::path;

Baseline sample() {
  Baseline made;
  made.name = "A clean server";
  made.product = "Shop 4";
  made.builds = {"4.1", "4.2"};
  made.sources = {"unpacked from the vendor's archive"};
  made.created = {1'767'323'045, 0};
  made.tool = "tests";
  made.folders = {{{"C:\\inetpub\\wwwroot"}, true, {"**/*.aspx"}, {"old/**"}},
                  {{"D:\\site", "C:\\site"}, false, {"**/*"}, {}}};
  made.files = {{0, path("b/Default.aspx"), std::string(64, 'a'), 12, {0}},
                {0, path("b/Default.aspx"), std::string(64, 'b'), std::nullopt, {1}},
                {1, path("caf\xe9.php"), std::string(64, 'c'), 0, {}},
                {1, path("a\\b.php"), std::string(64, 'd'), 1, {0, 1}}};
  return made;
}

std::string refusal(const std::string& bytes) {
  const auto parsed = parse_baseline(bytes, "b.json");
  if (parsed) return "accepted";
  CHECK(parsed.error().code == Code::bad_input);
  const std::string& message = parsed.error().message;
  REQUIRE(message.starts_with("b.json: BL"));
  return message.substr(8, 5);
}

std::string with(std::string bytes, std::string_view old_text, std::string_view new_text) {
  const std::size_t at = bytes.find(old_text);
  REQUIRE(at != std::string::npos);
  return bytes.replace(at, old_text.size(), new_text);
}

TEST_CASE("a baseline comes back as it was written, sorted") {
  const std::string bytes = must(write_baseline(sample()));
  const Baseline back = must(parse_baseline(bytes, "b.json"));
  CHECK(must(write_baseline(back)) == bytes);
  CHECK(back.name == "A clean server");
  CHECK(back.builds == std::vector<std::string>{"4.1", "4.2"});
  CHECK(back.created == Timestamp{1'767'323'045, 0});
  REQUIRE(back.files.size() == 4);
  CHECK(back.files[2].path == path("a\\b.php"));
  CHECK(back.files[3].path == path("caf\xe9.php"));
  CHECK(back.files[0].size == 12u);
  CHECK_FALSE(back.files[1].size);
  CHECK(back.files[2].builds == std::vector<std::uint32_t>{0, 1});
  CHECK(back.folders[1].spelled == std::vector<std::string>{"D:\\site", "C:\\site"});
}

TEST_CASE("each fault of a baseline has its own stable code") {
  const std::string good = must(write_baseline(sample()));
  const std::string digest(64, 'a');
  struct Fault {
    std::string code, old_text, new_text;
  };
  const std::vector<Fault> faults = {
      {"BL002", "{", "["},
      {"BL003", "\"product\": \"Shop 4\",", "\"product\": \"Shop 4\",\n  \"product\": \"x\","},
      {"BL005", "Shop 4", "Shop \xff"},
      {"BL006", "\"size\": 12", "\"size\": 12.5"},
      {"BL010", "\"name\": \"A clean server\",", ""},
      {"BL010", "\"size\": 12", "\"size\": \"12\""},
      {"BL010", "\"size\": 12", "\"size\": -1"},
      {"BL010", "\"4.1\",", "4,"},
      {"BL011", "\"size\": 12", "\"size\": 12,\n      \"mode\": 1"},
      {"BL011", "\"tool\": \"tests\",", "\"tool\": \"tests\",\n  \"more\": 1,"},
      {"BL012", "\"format_version\": 1", "\"format_version\": 2"},
      {"BL012", "\"kind\": \"baseline\"", "\"kind\": \"plan\""},
      {"BL013", "2026-01-02T", "2026-13-02T"},
      {"BL020", "A clean server", ""},
      {"BL020", "A clean server", "a\\nb"},
      {"BL020", "A clean server", std::string(201, 'x')},
      {"BL021", "C:\\\\inetpub\\\\wwwroot", "wwwroot"},
      {"BL021", "C:\\\\inetpub\\\\wwwroot", "C:\\\\"},
      {"BL021", "C:\\\\site", "/site"},
      {"BL022", "**/*.aspx", "**\\\\*.aspx"},
      {"BL022", "**/*.aspx", "../*.aspx"},
      {"BL030", "b/Default.aspx", "b/../Default.aspx"},
      {"BL030", "b/Default.aspx", "/Default.aspx"},
      {"BL031", digest, std::string(64, 'A')},
      {"BL031", digest, std::string(63, 'a')},
      {"BL032", "\"folder\": 1", "\"folder\": 2"},
      {"BL032", "\"folder\": 1", "\"folder\": 4294967297"},
      {"BL033", "\"4.1\",\n    \"4.2\"", "\"4.1\",\n    \"4.1\""},
      {"BL034", digest, std::string(64, 'b')},
      {"BL034", digest, std::string(64, 'c')},
      {"BL040", "\"size\": 12", "\"size\":  12"},
      {"BL040", "\"sha256\"", "\"sha2\\u00356\""},
      {"BL040", "caf\\\\xe9.php", "cafe.php"},
  };
  for (const Fault& fault : faults) {
    INFO(fault.code << ": " << fault.old_text << " -> " << fault.new_text);
    CHECK(refusal(with(good, fault.old_text, fault.new_text)) == fault.code);
  }
  CHECK(refusal(good + "x") == "BL004");
  CHECK(refusal(good + "{}") == "BL004");
  CHECK(refusal(good + "\n") == "BL040");
  CHECK(refusal("") == "BL002");
  CHECK(refusal("[]") == "BL010");
  std::string deep(40, '[');
  CHECK(refusal(deep) == "BL001");
  Baseline none = sample();
  none.files.clear();
  const auto refused = write_baseline(none);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.starts_with("BL035"));
}

TEST_CASE("no byte of a baseline can change and mean the same") {
  const std::string good = must(write_baseline(sample()));
  std::size_t tries = 0, accepted = 0;
  for (std::size_t at = 0; at < good.size(); ++at)
    for (const unsigned flip : {1u, 2u, 32u, 128u}) {
      std::string bytes = good;
      bytes[at] = static_cast<char>(static_cast<unsigned char>(bytes[at]) ^ flip);
      ++tries;
      const auto parsed = parse_baseline(bytes, "b.json");
      if (!parsed) continue;
      ++accepted;  // another name, digest, ... : another baseline, with another digest of its own
      REQUIRE(must(write_baseline(*parsed)) == bytes);
    }
  for (std::size_t length = 0; length < good.size(); ++length)
    REQUIRE_FALSE(parse_baseline(good.substr(0, length), "b.json"));
  WARN(tries << " flips, " << accepted << " of them another well-formed baseline, " << good.size()
             << " truncations: none accepted");
  CHECK(accepted < tries / 4);
}

TEST_CASE("lookups: by digest anywhere, by place below a folder") {
  const KnownGood known(must(parse_baseline(must(write_baseline(sample())), "b")), "f00", "");
  using Answer = KnownGood::Answer;
  REQUIRE(known.file_with(std::string(64, 'b')));
  CHECK(known.file_with(std::string(64, 'b'))->path == path("b/Default.aspx"));
  CHECK_FALSE(known.file_with(std::string(64, 'e')));
  CHECK(known.ask(0, "B/default.ASPX", std::string(64, 'a')) == Answer::known);
  CHECK(known.ask(0, "b/Default.aspx", std::string(64, 'b')) == Answer::known);
  CHECK(known.ask(0, "b/Default.aspx", std::string(64, 'd')) == Answer::other_content);
  CHECK(known.ask(0, "b/x.aspx", std::string(64, 'a')) == Answer::not_listed);
  CHECK(known.ask(1, "A\\b.php", std::string(64, 'd')) == Answer::not_listed);
  CHECK(known.ask(1, "a\\b.php", std::string(64, 'd')) == Answer::known);
  CHECK(known.ask(7, "a\\b.php", std::string(64, 'd')) == Answer::not_listed);
  CHECK(known.title() == "baseline \"A clean server\" (sha256 f00, unsigned)");
  KnownGood moved = KnownGood(must(parse_baseline(must(write_baseline(sample())), "b")), "f", "s");
  std::vector<KnownGood> several;
  several.push_back(std::move(moved));
  several.reserve(10);
  CHECK(several.front().file_with(std::string(64, 'a'))->size == 12u);
}

TEST_CASE("a match whose bytes are known good is excluded, and the plan says by what") {
  Baseline baseline = sample();
  match::FileMatch good = test::match("www/a.aspx", "a", 11);
  match::FileMatch bad = test::match("www/b.aspx", "a", 12);
  match::FileMatch before = test::match("www/a.aspx", "b", 11);
  before.exclusion = "its indicator says so";
  baseline.files = {{0, path("x.aspx"), good.sha256, 10, {1}}};
  std::vector<KnownGood> known;
  known.emplace_back(must(parse_baseline(must(write_baseline(baseline)), "b")),
                     std::string(64, '7'), "signer");
  std::vector<match::FileMatch> matches{good, bad, before};
  exclude_known_good(matches, known);
  CHECK(matches[0].exclusion == "its SHA-256 " + good.sha256 +
                                    " is known good: baseline \"A clean server\" (sha256 " +
                                    std::string(64, '7') + ") lists it as x.aspx of build 4.2");
  CHECK(matches[1].exclusion.empty());
  CHECK(matches[2].exclusion == "its indicator says so");
}

TEST_CASE("every shipped baseline is good and says where it comes from") {
  namespace fs = std::filesystem;
  std::size_t count = 0;
  for (const auto& entry :
       fs::directory_iterator(fs::path(REMEDIATE_SOURCE_DIR) / "playbooks" / "baselines")) {
    if (entry.path().extension() != ".json") continue;
    std::ifstream in(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    const Baseline baseline = must(parse_baseline(bytes, entry.path().filename().string()));
    CHECK_FALSE(baseline.sources.empty());
    CHECK_FALSE(baseline.product.empty());
    ++count;
  }
  CHECK(count >= 1);
}

}  // namespace
}  // namespace remediate::plan
