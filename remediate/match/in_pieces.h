#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include <re2/re2.h>

#include "remediate/match/search_clock.h"

namespace remediate::match {

/// RE2 takes, at worst, some ten nanoseconds for each instruction of a program and byte of a text,
/// and nothing can interrupt it: a piece of so many bytes takes less than half a second.
[[nodiscard]] std::size_t piece_length(std::uint64_t instructions);

struct Sought {
  enum class Ended : std::uint8_t { found, absent, out_of_time };
  Ended ended = Ended::absent;
  re2::StringPiece match;
};

/// What is searched of a text: matches lie between the two, and what is beside them is looked at.
struct Between {
  std::string_view text;
  std::size_t from = 0;
  std::size_t to = 0;
  static Between all(std::string_view text) { return {text, 0, text.size()}; }
};

/// Looks for an expression, at the clock after each piece. Where its matches have at most `longest`
/// bytes, and two of them fit into a piece, the match is the one that RE2 finds in the whole text.
/// Else each piece is searched alone, to see how long the whole would take, and then longer and
/// longer parts from the start: whether there is a match is exact, but it may be another than the
/// first. The last part is one call that nothing interrupts: it may take longer than its pieces did
/// where what it holds at the beginning makes its end slow.
[[nodiscard]] Sought search_in_pieces(const RE2& expression, std::optional<std::size_t> longest,
                                      const Between& where, SearchClock::time_point until,
                                      std::size_t piece);

}  // namespace remediate::match
