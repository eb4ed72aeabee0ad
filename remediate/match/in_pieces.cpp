#include "remediate/match/in_pieces.h"

#include <algorithm>
#include <ctime>

namespace remediate::match {
namespace {

/// Instructions times bytes.
constexpr std::uint64_t work_of_piece = 20'000'000;
constexpr std::uint64_t shortest_piece = 1024;
/// Longer where each begins at the start, so that few of them read the same again.
constexpr std::size_t growth = 5;

}  // namespace

SearchClock::time_point SearchClock::now() {
#if defined(CLOCK_THREAD_CPUTIME_ID)
  if (timespec spent{}; clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent) == 0)
    return time_point(std::chrono::seconds(spent.tv_sec) + std::chrono::nanoseconds(spent.tv_nsec));
#endif
  return time_point(std::chrono::steady_clock::now().time_since_epoch());
}

std::size_t piece_length(std::uint64_t instructions) {
  return static_cast<std::size_t>(
      std::max(work_of_piece / std::max<std::uint64_t>(instructions, 1), shortest_piece));
}

Sought search_in_pieces(const RE2& expression, std::optional<std::size_t> longest,
                        std::string_view text, SearchClock::time_point until, std::size_t piece) {
  using Ended = Sought::Ended;
  const bool slides = longest && *longest <= piece / 2;
  if (!slides) piece *= growth;
  const re2::StringPiece whole(text.data(), text.size());
  re2::StringPiece match;
  for (std::size_t start = 0, end = 0;;) {
    end = piece < text.size() - end ? end + piece : text.size();
    const bool last = end == text.size();
    const bool matched = expression.Match(whole, start, end, RE2::UNANCHORED, &match, 1);
    // Close to the end of a piece it may be another one, or end later, in the whole text.
    if (matched &&
        (last || !slides || static_cast<std::size_t>(match.data() - text.data()) + *longest <= end))
      return {Ended::found, match};
    if (last) return {Ended::absent, {}};
    if (SearchClock::now() >= until) return {Ended::out_of_time, {}};
    if (slides) start = end - std::min(end, *longest);
  }
}

}  // namespace remediate::match
