#include "remediate/base/clock.h"

#include <chrono>
#include <cstdint>
#include <limits>
#include <random>

#include <catch2/catch.hpp>

namespace remediate {

TEST_CASE("known moments") {
  const std::pair<std::int64_t, const char*> moments[] = {
      {0, "1970-01-01T00:00:00Z"},
      {-1, "1969-12-31T23:59:59Z"},
      {951'782'400, "2000-02-29T00:00:00Z"},
      {951'868'800, "2000-03-01T00:00:00Z"},
      {1'709'210'096, "2024-02-29T12:34:56Z"},
      {2'147'483'648, "2038-01-19T03:14:08Z"},
      {4'107'542'400, "2100-03-01T00:00:00Z"},
      {-2'203'891'200, "1900-03-01T00:00:00Z"},
      {-11'644'473'600, "1601-01-01T00:00:00Z"},
      {253'402'300'799, "9999-12-31T23:59:59Z"},
      {-62'167'219'200, "0000-01-01T00:00:00Z"},
  };
  for (const auto& [seconds, text] : moments) {
    INFO(text);
    CHECK(format_utc({seconds, 0}) == text);
    CHECK(parse_utc(text) == Timestamp{seconds, 0});
  }
}

TEST_CASE("nanoseconds are left out, not rounded") {
  CHECK(format_utc({-1, 999'999'999}) == "1969-12-31T23:59:59Z");
}

TEST_CASE("moments that no file format of ours can state are still shown") {
  CHECK(format_utc({253'402'300'800, 0}) == "+010000-01-01T00:00:00Z");
  CHECK(format_utc({-62'167'219'201, 0}) == "-000001-12-31T23:59:59Z");
  CHECK(format_utc({std::numeric_limits<std::int64_t>::max(), 0}) ==
        "+292277026596-12-04T15:30:07Z");
  CHECK(format_utc({std::numeric_limits<std::int64_t>::min(), 0}) ==
        "-292277022657-01-27T08:29:52Z");
  CHECK_FALSE(parse_utc("+010000-01-01T00:00:00Z"));
}

TEST_CASE("what is not exactly a real moment is refused") {
  for (const char* bad : {"",
                          "2026-11-21",
                          "2026-11-21T19:42:00",
                          "2026-11-21t19:42:00Z",
                          "2026-11-21T19:42:00z",
                          "2026-11-21 19:42:00Z",
                          "2026-11-21T19:42:00.0Z",
                          "2026-11-21T19:42:00+00:00",
                          " 2026-11-21T19:42:00Z",
                          "2026-11-21T19:42:00Z ",
                          "2026-00-21T19:42:00Z",
                          "2026-13-21T19:42:00Z",
                          "2026-11-00T19:42:00Z",
                          "2026-11-31T19:42:00Z",
                          "2026-02-29T00:00:00Z",
                          "1900-02-29T00:00:00Z",
                          "2100-02-29T00:00:00Z",
                          "2026-11-21T24:00:00Z",
                          "2026-11-21T19:60:00Z",
                          "2026-11-21T19:42:60Z",
                          "-026-11-21T19:42:00Z",
                          "2O26-11-21T19:42:00Z"}) {
    INFO(bad);
    CHECK_FALSE(parse_utc(bad));
  }
}

TEST_CASE("random moments agree with the standard calendar and read back") {
  std::mt19937_64 random(45);
  std::uniform_int_distribution<std::int64_t> seconds(-62'167'219'200, 253'402'300'799);
  for (int round = 0; round < 5'000; ++round) {
    const Timestamp time{seconds(random), 0};
    const std::string text = format_utc(time);
    CHECK(parse_utc(text) == time);
    const std::chrono::sys_seconds moment{std::chrono::seconds{time.seconds}};
    const std::chrono::year_month_day date{std::chrono::floor<std::chrono::days>(moment)};
    CHECK(std::stoi(text.substr(0, 4)) == static_cast<int>(date.year()));
    CHECK(std::stoul(text.substr(5, 2)) == static_cast<unsigned>(date.month()));
    CHECK(std::stoul(text.substr(8, 2)) == static_cast<unsigned>(date.day()));
  }
}

}  // namespace remediate
