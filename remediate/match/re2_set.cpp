#include <algorithm>

#include <re2/set.h>

#include "remediate/match/in_pieces.h"
#include "remediate/match/pattern_set.h"
#include "remediate/match/re2_options.h"
#include "remediate/match/width.h"

namespace remediate::match {
namespace {

/// What bounds the time of a piece, which reads as much again as the longest match.
constexpr std::size_t max_longest = 4096;
constexpr std::uint64_t max_instructions = 50'000;

class Re2Set final : public PatternSet {
 public:
  /// Of so many patterns, with the longest match of any.
  Re2Set(std::unique_ptr<RE2::Set> set, std::size_t patterns, std::uint64_t instructions,
         std::size_t longest)
      : set_(std::move(set)),
        patterns_(patterns),
        piece_(std::max(piece_length(instructions), 2 * longest)),
        // A byte more on each side: what \b and ^ look at.
        overlap_(longest + 2) {}

  [[nodiscard]] std::optional<std::vector<std::size_t>> find(
      std::string_view text, SearchClock::time_point until) const override {
    std::vector<std::size_t> all;
    std::vector<int> found;
    for (std::size_t end = 0; all.size() < patterns_;) {
      const std::size_t start = end - std::min(end, overlap_);
      end = piece_ < text.size() - end ? end + piece_ : text.size();
      RE2::Set::ErrorInfo error{RE2::Set::kNoError};
      set_->Match({text.data() + start, end - start}, &found, &error);
      if (error.kind != RE2::Set::kNoError) return std::nullopt;
      if (all.empty()) {
        all.assign(found.begin(), found.end());
      } else {
        for (const int one : found)
          if (std::ranges::find(all, static_cast<std::size_t>(one)) == all.end())
            all.push_back(static_cast<std::size_t>(one));
      }
      if (end == text.size()) break;
      if (SearchClock::now() >= until) return std::nullopt;
    }
    return all;
  }

 private:
  std::unique_ptr<RE2::Set> set_;
  std::size_t patterns_;
  std::size_t piece_;
  std::size_t overlap_;
};

}  // namespace

std::unique_ptr<PatternSet> make_re2_set(std::span<const Pattern> patterns, std::int64_t max_memory,
                                         std::vector<std::size_t>& taken) {
  taken.clear();
  auto set = std::make_unique<RE2::Set>(re2_options(max_memory, false), RE2::UNANCHORED);
  std::uint64_t instructions = 0;
  std::size_t longest = 0;
  for (std::size_t index = 0; index < patterns.size(); ++index) {
    const auto part = bounded_part(patterns[index].text);
    if (!part || part->longest > max_longest) continue;
    const std::string spelled =
        (patterns[index].ignore_case ? "(?i:" : "(?:") + part->pattern + ")";
    const RE2 alone(spelled, re2_options(max_memory, false));
    if (!alone.ok()) continue;
    const auto more = static_cast<std::uint64_t>(std::max(alone.ProgramSize(), 1));
    if (instructions + more > max_instructions || set->Add(spelled, nullptr) < 0) continue;
    instructions += more;
    longest = std::max(longest, part->longest);
    taken.push_back(index);
  }
  if (taken.empty() || !set->Compile()) {
    taken.clear();
    return nullptr;
  }
  return std::make_unique<Re2Set>(std::move(set), taken.size(), instructions, longest);
}

}  // namespace remediate::match
