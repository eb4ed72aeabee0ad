#include "remediate/match/in_pieces.h"

#include <algorithm>
#include <ctime>

namespace remediate::match {
namespace {

/// Instructions times bytes.
constexpr std::uint64_t work_of_piece = 20'000'000;
constexpr std::uint64_t shortest_piece = 1024;
/// So many pieces of a text are searched at once where matches have no bound.
constexpr std::size_t growth = 5;
constexpr double patience = 3;

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

namespace {

using Ended = Sought::Ended;

/// Without a bound a match can begin anywhere, so what is asked has to begin where the text does.
/// Windows alone show first whether the whole can be searched in time.
class FromStart {
 public:
  FromStart(const RE2& expression, const Between& where, SearchClock::time_point until)
      : expression_(expression),
        text_(where.text.data(), where.text.size()),
        from_(where.from),
        to_(where.to),
        until_(until) {}

  Sought search(std::size_t piece) {
    for (std::size_t start = from_; start < to_; start += piece) {
      const std::size_t end = start + std::min(piece, to_ - start);
      if (look(start, end)) return {Ended::found, match_};
      // Building the automaton's states takes time once; what is as slow again stays so.
      if (!fits(end - start) && (look(start, end), !fits(end - start)))
        return {Ended::out_of_time, {}};
    }
    for (std::size_t length = piece;; length *= 2) {
      length = std::min(length, to_ - from_);
      if (look(from_, from_ + length)) return {Ended::found, match_};
      if (length == to_ - from_) return {Ended::absent, {}};
      if (!fits(length)) return {Ended::out_of_time, {}};
    }
  }

 private:
  bool look(std::size_t start, std::size_t end) {
    const auto before = SearchClock::now();
    const bool matched = expression_.Match(text_, start, end, RE2::UNANCHORED, &match_, 1);
    took_ = SearchClock::now() - before;
    return matched;
  }
  /// Whether the whole text can be searched in a few times what is left, at the pace of the last
  /// `length` bytes: the slowest of them are no measure of all.
  [[nodiscard]] bool fits(std::size_t length) const {
    const double pace = static_cast<double>(took_.count()) / static_cast<double>(length);
    return pace * static_cast<double>(to_ - from_) <=
           patience * static_cast<double>((until_ - SearchClock::now()).count());
  }

  const RE2& expression_;
  const re2::StringPiece text_;
  const std::size_t from_;
  const std::size_t to_;
  const SearchClock::time_point until_;
  re2::StringPiece match_;
  std::chrono::nanoseconds took_{};
};

}  // namespace

Sought search_in_pieces(const RE2& expression, std::optional<std::size_t> longest,
                        const Between& where, SearchClock::time_point until, std::size_t piece) {
  if (where.from >= where.to && where.from > 0) return {Ended::absent, {}};
  const bool slides = longest && *longest <= piece / 2;
  if (!slides && where.to - where.from > piece * growth)
    return FromStart(expression, where, until).search(piece);
  if (!slides) piece *= growth;
  const re2::StringPiece whole(where.text.data(), where.text.size());
  re2::StringPiece match;
  for (std::size_t start = where.from, end = where.from;;) {
    end = piece < where.to - end ? end + piece : where.to;
    const bool last = end == where.to;
    const bool matched = expression.Match(whole, start, end, RE2::UNANCHORED, &match, 1);
    // Close to the end of a piece it may be another one, or end later, in the whole text.
    if (matched &&
        (last || static_cast<std::size_t>(match.data() - whole.data()) + *longest <= end))
      return {Ended::found, match};
    if (last) return {Ended::absent, {}};
    if (SearchClock::now() >= until) return {Ended::out_of_time, {}};
    start = end - std::min(end - where.from, *longest);
  }
}

}  // namespace remediate::match
