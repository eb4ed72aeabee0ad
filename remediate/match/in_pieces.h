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

/// Looks for an expression, at the clock after each piece. Where its matches have at most `longest`
/// bytes, and two of them fit into a piece, the match is the one that RE2 finds in the whole text.
/// Else each piece, five times as long, begins where the text does: then a match that ends in an
/// earlier piece comes before one that begins earlier and ends later.
[[nodiscard]] Sought search_in_pieces(const RE2& expression, std::optional<std::size_t> longest,
                                      std::string_view text, SearchClock::time_point until,
                                      std::size_t piece);

}  // namespace remediate::match
