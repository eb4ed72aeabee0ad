#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "remediate/match/search_clock.h"

namespace remediate::match {

/// Which of many expressions are in a text, found in one pass: a filter before each is asked alone.
/// It may name one that is not there and never leaves one out that is. Thread-safe.
class PatternSet {
 public:
  virtual ~PatternSet() = default;
  /// The positions, in the list that the set was made of; in any order. Nothing when the text could
  /// not be searched (memory, length, time): then every expression has to be asked.
  [[nodiscard]] virtual std::optional<std::vector<std::size_t>> find(
      std::string_view text,
      SearchClock::time_point until = SearchClock::time_point::max()) const = 0;
};

struct Pattern {
  std::string text;  // RE2 syntax; has compiled, and does not match the empty string
  bool ignore_case = false;
};

/// The portable set, for those patterns whose matches hold literals of two bytes or more, in the
/// combination that the pattern asks for: it looks for the literals of all of them in one pass, in
/// a time that grows with the text alone. `taken` gets the positions of these patterns, ascending,
/// and the set counts in that list. Null when it takes none, and when it cannot be built within
/// `max_memory` bytes.
[[nodiscard]] std::unique_ptr<PatternSet> make_literal_set(std::span<const Pattern> patterns,
                                                           std::int64_t max_memory,
                                                           std::vector<std::size_t>& taken);

/// Another, for those patterns that hold a part whose matches have a bound: it looks for these
/// parts in pieces of a text, and at the clock between them. `taken` and null as above.
[[nodiscard]] std::unique_ptr<PatternSet> make_re2_set(std::span<const Pattern> patterns,
                                                       std::int64_t max_memory,
                                                       std::vector<std::size_t>& taken);

/// The faster one, for those patterns that mean the same to Hyperscan, with `taken` as above. It
/// does not look at the clock: its time grows with the text alone. What its compiler takes is
/// bounded: of many and large patterns it takes the smallest, the others are left to another set.
/// Null when it takes none, in a build without it, and on a processor that it does not run on.
[[nodiscard]] std::unique_ptr<PatternSet> make_hyperscan_set(std::span<const Pattern> patterns,
                                                             std::vector<std::size_t>& taken);

/// Whether this build and this processor have it.
[[nodiscard]] bool have_hyperscan();

/// The pattern as Hyperscan (which reads PCRE syntax) has to be given it so that it finds at least
/// what RE2 finds in Latin-1. Nothing when there is no such spelling.
[[nodiscard]] std::optional<std::string> hyperscan_spelling(const Pattern& pattern);

/// What Hyperscan's compiler takes of time grows with these: see max_work in hyperscan_set.cpp.
struct HyperscanCost {
  std::uint64_t instructions = 0;  // of RE2's program
  /// Copies of repetitions that stand directly behind another one: `\w+.{0,1000}`.
  std::uint64_t beside = 0;
  /// Repetitions within repeated groups, written out: 8 in `(?:a+b*){4}`.
  std::uint64_t nested = 0;
};
[[nodiscard]] HyperscanCost hyperscan_cost(const Pattern& pattern, std::string_view spelling);

}  // namespace remediate::match
