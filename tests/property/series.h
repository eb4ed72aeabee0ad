#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace property {

/// What a worker counts; the sums of all workers are what a series ends with.
using Counts = std::map<std::string, std::uint64_t>;

struct Series {
  std::uint64_t seed = 20211112;
  std::uint64_t first = 0;
  std::uint64_t cases = 0;
  unsigned workers = 2;
};

struct SeriesResult {
  Counts counts;
  std::uint64_t done = 0;
  std::uint64_t failures = 0;  // workers that died count too
  double seconds = 0;
};

/// Runs case(number, seed) for each number in worker processes. A case fails by throwing; that is
/// printed with its seed at once. A worker gives up after ten failures.
[[nodiscard]] SeriesResult run_series(
    const Series& series,
    const std::function<std::function<void(std::uint64_t, std::uint64_t, Counts&)>(unsigned)>&
        make_worker);

/// --cases, --seed and --workers. False for any other word and for a bad value.
[[nodiscard]] bool read_option(const std::string& word, const std::string& value, Series& series);

/// What main() is when the words were understood: 77 without root, 1 when `run` throws.
[[nodiscard]] int run_as_root(const std::string& program, const std::function<int()>& run);

}  // namespace property
