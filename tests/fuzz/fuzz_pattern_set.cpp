#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "remediate/match/in_pieces.h"
#include "remediate/match/large_search.h"
#include "remediate/match/pattern_set.h"
#include "remediate/match/re2_options.h"
#include "remediate/match/width.h"
#include "tests/unit/playbook/conditions.h"

namespace {

/// In pieces RE2 must find the match that it finds in the whole text; where the pieces do not
/// slide, one in any place.
void in_pieces_as_whole(const RE2& expression, std::optional<std::size_t> longest,
                        std::string_view text) {
  using namespace remediate::match;
  const auto never = SearchClock::time_point::max();
  re2::StringPiece match;
  const bool found =
      expression.Match({text.data(), text.size()}, 0, text.size(), RE2::UNANCHORED, &match, 1);
  if (found && longest && match.size() > *longest) std::abort();
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, 2 * longest.value_or(40)}) {
    const Sought sought = search_in_pieces(expression, longest, Between::all(text), never,
                                           std::max<std::size_t>(piece, 1));
    if ((sought.ended == Sought::Ended::found) != found) std::abort();
    const bool slides = longest && 2 * *longest <= piece;
    if (found && slides &&
        (sought.match.data() != match.data() || sought.match.size() != match.size()))
      std::abort();
  }
}

/// Window by window the same is found as in the whole text, or a doubt told where a match may be
/// longer than the overlap.
void in_windows_as_whole(const remediate::playbook::Condition& condition, std::string_view text) {
  using namespace remediate::match;
  constexpr std::size_t overlap = 64, length = 160;
  const auto utf16 = utf16_text(text), begins = utf16_text(text.substr(0, length));
  // A real window holds all that decides this.
  if (utf16.has_value() != begins.has_value() || (utf16 && utf16->order != begins->order)) return;
  RegexMatcher matcher;
  if (!matcher.add(condition)) return;
  matcher.prepare();
  LargeSearch search(matcher, {{{0}, {}}}, overlap, std::chrono::seconds(60));
  for (std::size_t start = 0;; start += length - overlap) {
    const bool last = length >= text.size() - start;
    search.take(text.substr(start, length), start, last);
    if (last) break;
  }
  const auto whole = RegexMatcher::Search(matcher, text, std::chrono::seconds(60)).find(0);
  const auto found = search.find(0);
  const auto longest = matcher.longest(0);
  if (!whole.doubt.empty()) return;
  if (found && !whole) std::abort();
  if (!found && whole && found.doubt.empty()) std::abort();
  if (longest && 2 * *longest + 4 <= overlap &&
      (found.has_value() != whole.has_value() || (found && found->offset != whole->offset)))
    std::abort();
}

}  // namespace

/// The first line is a pattern ("i" before it: without case), the rest a text. All sets must find
/// what RE2 alone finds.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace remediate::match;
  constexpr std::int64_t memory = 16 << 20;
  constexpr std::size_t max_pattern = 200, max_text = 2000;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (input.empty()) return 0;
  const std::size_t cut = std::min(input.find('\n'), input.size());
  const bool ignore_case = input.front() == 'i';
  const std::vector<Pattern> patterns = {
      {std::string(input.substr(1, std::max<std::size_t>(cut, 1) - 1)), ignore_case},
      {"other", false}};
  const std::string_view text = input.substr(std::min(cut + 1, input.size()));
  if (patterns.front().text.size() > max_pattern || text.size() > max_text) return 0;
  const RE2 single(patterns.front().text, re2_options(memory, ignore_case));
  if (!single.ok() || RE2::PartialMatch("", single)) return 0;
  in_pieces_as_whole(single, longest_match(patterns.front().text), text);
  in_windows_as_whole(
      remediate::playbook::regex(patterns.front().text, text.size() % 2 != 0, ignore_case), text);
  if (!RE2::PartialMatch({text.data(), text.size()}, single)) return 0;
  std::vector<std::size_t> taken;
  if (const auto fast = make_hyperscan_set(patterns, taken)) {
    const auto found = fast->find(text);
    if (!found) std::abort();
    if (taken.front() == 0 && std::ranges::find(*found, 0u) == found->end()) std::abort();
  }
  for (const auto make : {make_re2_set, make_literal_set}) {
    const auto portable = make(patterns, memory, taken);
    if (!portable || taken.front() != 0) continue;
    const auto found = portable->find(text);
    if (found && std::ranges::find(*found, 0u) == found->end()) std::abort();
  }
  return 0;
}
