#include "remediate/base/clock.h"

#include <array>
#include <cstdint>

namespace remediate {
namespace {

constexpr std::int64_t kDaySeconds = 86'400;
constexpr std::int64_t kEraDays = 146'097;   // 400 years
constexpr std::int64_t kEpochDay = 719'468;  // days from 0000-03-01 to 1970-01-01

struct Date {
  std::int64_t year;
  unsigned month;
  unsigned day;
};

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

// Years are counted from March, so that the leap day is a year's last day.
Date date_of(std::int64_t days_since_1970) {
  const std::int64_t days = days_since_1970 + kEpochDay;
  const std::int64_t era = floor_div(days, kEraDays);
  const std::int64_t in_era = days - era * kEraDays;
  const std::int64_t year_in_era =
      (in_era - in_era / 1460 + in_era / 36'524 - in_era / 146'096) / 365;
  const std::int64_t in_year = in_era - (365 * year_in_era + year_in_era / 4 - year_in_era / 100);
  const std::int64_t shifted_month = (5 * in_year + 2) / 153;
  const auto day = static_cast<unsigned>(in_year - (153 * shifted_month + 2) / 5 + 1);
  const auto month =
      static_cast<unsigned>(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
  return {era * 400 + year_in_era + (month <= 2 ? 1 : 0), month, day};
}

std::int64_t days_of(const Date& date) {
  const std::int64_t year = date.year - (date.month <= 2 ? 1 : 0);
  const std::int64_t era = floor_div(year, 400);
  const std::int64_t year_in_era = year - era * 400;
  const std::int64_t shifted_month = (static_cast<std::int64_t>(date.month) + 9) % 12;
  const std::int64_t in_year = (153 * shifted_month + 2) / 5 + date.day - 1;
  const std::int64_t in_era = year_in_era * 365 + year_in_era / 4 - year_in_era / 100 + in_year;
  return era * kEraDays + in_era - kEpochDay;
}

unsigned days_in_month(std::int64_t year, unsigned month) {
  constexpr std::array<unsigned, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : kDays[month - 1];
}

std::string padded(std::uint64_t value, std::size_t width) {
  std::string digits = std::to_string(value);
  return digits.size() < width ? std::string(width - digits.size(), '0') + digits : digits;
}

std::string year_text(std::int64_t year) {
  if (year >= 0 && year <= 9999) return padded(static_cast<std::uint64_t>(year), 4);
  return (year < 0 ? "-" : "+") + padded(static_cast<std::uint64_t>(year < 0 ? -year : year), 6);
}

}  // namespace

std::string format_utc(Timestamp time) {
  const std::int64_t days = floor_div(time.seconds, kDaySeconds);
  const std::int64_t rest = time.seconds % kDaySeconds;
  const auto second = static_cast<std::uint64_t>(rest < 0 ? rest + kDaySeconds : rest);
  const Date date = date_of(days);
  return year_text(date.year) + "-" + padded(date.month, 2) + "-" + padded(date.day, 2) + "T" +
         padded(second / 3600, 2) + ":" + padded(second / 60 % 60, 2) + ":" +
         padded(second % 60, 2) + "Z";
}

std::optional<Timestamp> parse_utc(std::string_view text) {
  constexpr std::string_view kShape = "dddd-dd-ddTdd:dd:ddZ";
  if (text.size() != kShape.size()) return std::nullopt;
  for (std::size_t i = 0; i < kShape.size(); ++i) {
    const bool right = kShape[i] == 'd' ? text[i] >= '0' && text[i] <= '9' : text[i] == kShape[i];
    if (!right) return std::nullopt;
  }
  const auto number = [text](std::size_t at, std::size_t length) {
    unsigned value = 0;
    for (const char c : text.substr(at, length))
      value = value * 10 + static_cast<unsigned>(c - '0');
    return value;
  };
  const Date date{number(0, 4), number(5, 2), number(8, 2)};
  const unsigned hour = number(11, 2);
  const unsigned minute = number(14, 2);
  const unsigned second = number(17, 2);
  if (date.month < 1 || date.month > 12 || date.day < 1 ||
      date.day > days_in_month(date.year, date.month) || hour > 23 || minute > 59 || second > 59) {
    return std::nullopt;
  }
  return Timestamp{days_of(date) * kDaySeconds + hour * 3600 + minute * 60 + second, 0};
}

}  // namespace remediate
