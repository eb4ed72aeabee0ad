#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "remediate/match/in_pieces.h"
#include "remediate/match/pattern_set.h"
#include "remediate/match/re2_options.h"
#include "remediate/match/width.h"

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
    const Sought sought =
        search_in_pieces(expression, longest, text, never, std::max<std::size_t>(piece, 1));
    if ((sought.ended == Sought::Ended::found) != found) std::abort();
    const bool slides = longest && 2 * *longest <= piece;
    if (found && slides &&
        (sought.match.data() != match.data() || sought.match.size() != match.size()))
      std::abort();
  }
}

}  // namespace

/// The first line is a pattern ("i" before it: without case), the rest a text. Both sets must find
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
  if (!RE2::PartialMatch({text.data(), text.size()}, single)) return 0;
  std::vector<std::size_t> taken;
  if (const auto fast = make_hyperscan_set(patterns, taken)) {
    const auto found = fast->find(text);
    if (!found) std::abort();
    if (taken.front() == 0 && std::ranges::find(*found, 0u) == found->end()) std::abort();
  }
  if (const auto portable = make_re2_set(patterns, memory, taken)) {
    const auto found = portable->find(text);
    if (taken.front() == 0 && found && std::ranges::find(*found, 0u) == found->end()) std::abort();
  }
  return 0;
}
