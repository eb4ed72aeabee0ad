#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace remediate::match {

/// A longer match counts as one without a bound.
constexpr std::size_t max_width = 64u << 10;

/// The most bytes that a match of the expression can have, or a little more; nothing when there is
/// no such number up to max_width. For RE2 syntax that has compiled, in Latin-1.
[[nodiscard]] std::optional<std::size_t> longest_match(std::string_view pattern);

/// What every match of the expression holds a match of: the whole of it when its matches have a
/// bound, else the part at its top level that asks for the most bytes among those with one. Nothing
/// when no part asks for three bytes or more.
struct BoundedPart {
  std::string pattern;
  std::size_t longest = 0;
};
[[nodiscard]] std::optional<BoundedPart> bounded_part(std::string_view pattern);

}  // namespace remediate::match
