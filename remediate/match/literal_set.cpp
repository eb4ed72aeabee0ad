#include <algorithm>

#include <re2/filtered_re2.h>
#include <re2/set.h>

#include "remediate/match/pattern_set.h"
#include "remediate/match/re2_options.h"

namespace remediate::match {
namespace {

/// Shorter literals are in every file.
constexpr int least_literal = 2;
/// The automaton for the literals has at most so many states, so it fits into its memory: it is
/// never built anew, whatever the text is.
constexpr std::size_t max_literals = 50'000;  // bytes of them all
constexpr std::size_t piece = 1u << 20;
/// What an expression may take to be compiled, as in RegexMatcher.
constexpr std::int64_t pattern_memory = 8 << 20;
/// Of the programs of all expressions, which the filter keeps: some 20 bytes each.
constexpr std::uint64_t max_programs = 500'000;

class LiteralSet final : public PatternSet {
 public:
  /// `positions` has, for each expression of `filter`, where it is in the set, and `none` for those
  /// that no literal rules out.
  static constexpr std::size_t none = SIZE_MAX;
  LiteralSet(std::unique_ptr<re2::FilteredRE2> filter, std::unique_ptr<RE2::Set> literals,
             std::vector<std::size_t> positions, std::size_t longest)
      : filter_(std::move(filter)),
        literals_(std::move(literals)),
        positions_(std::move(positions)),
        overlap_(longest - 1) {}

  [[nodiscard]] std::optional<std::vector<std::size_t>> find(
      std::string_view text, SearchClock::time_point until) const override {
    std::vector<int> held, in_piece;
    for (std::size_t end = 0; end < text.size();) {
      const std::size_t start = end - std::min(end, overlap_);
      end += std::min(piece, text.size() - end);
      RE2::Set::ErrorInfo error{RE2::Set::kNoError};
      literals_->Match({text.data() + start, end - start}, &in_piece, &error);
      if (error.kind != RE2::Set::kNoError) return std::nullopt;
      held.insert(held.end(), in_piece.begin(), in_piece.end());
      if (end < text.size() && SearchClock::now() >= until) return std::nullopt;
    }
    std::vector<std::size_t> found;
    if (held.empty()) return found;
    std::ranges::sort(held);
    held.erase(std::ranges::unique(held).begin(), held.end());
    std::vector<int> potential;
    filter_->AllPotentials(held, &potential);
    for (const int one : potential)
      if (const std::size_t position = positions_[static_cast<std::size_t>(one)]; position != none)
        found.push_back(position);
    return found;
  }

 private:
  std::unique_ptr<re2::FilteredRE2> filter_;
  std::unique_ptr<RE2::Set> literals_;
  std::vector<std::size_t> positions_;
  std::size_t overlap_;
};

}  // namespace

std::unique_ptr<PatternSet> make_literal_set(std::span<const Pattern> patterns,
                                             std::int64_t max_memory,
                                             std::vector<std::size_t>& taken) {
  taken.clear();
  auto filter = std::make_unique<re2::FilteredRE2>(least_literal);
  std::vector<std::size_t> known;  // by number in the filter
  std::uint64_t instructions = 0;
  for (std::size_t index = 0; index < patterns.size() && instructions < max_programs; ++index) {
    int number = 0;
    const Pattern& one = patterns[index];
    if (filter->Add(one.text, re2_options(pattern_memory, one.ignore_case), &number) !=
        RE2::NoError)
      continue;
    known.push_back(index);
    instructions += static_cast<std::uint64_t>(std::max(filter->GetRE2(number).ProgramSize(), 1));
  }
  if (known.empty()) return nullptr;
  std::vector<std::string> texts;
  filter->Compile(&texts);
  if (texts.empty()) return nullptr;
  // What may match without a literal may always match.
  std::vector<int> unruled;
  filter->AllPotentials({}, &unruled);
  std::vector<bool> is_unruled(known.size());
  for (const int number : unruled) is_unruled[static_cast<std::size_t>(number)] = true;
  std::vector<std::size_t> positions(known.size(), LiteralSet::none);
  for (std::size_t number = 0; number < known.size(); ++number) {
    if (is_unruled[number]) continue;
    positions[number] = taken.size();
    taken.push_back(known[number]);
  }
  auto literals = std::make_unique<RE2::Set>(re2_options(max_memory, true), RE2::UNANCHORED);
  std::size_t bytes = 0, longest = 1;
  bool added = !taken.empty();
  for (const std::string& text : texts) {
    bytes += text.size();
    longest = std::max(longest, text.size());
    added = added && bytes <= max_literals && literals->Add(RE2::QuoteMeta(text), nullptr) >= 0;
  }
  if (!added || !literals->Compile()) {
    taken.clear();
    return nullptr;
  }
  return std::make_unique<LiteralSet>(std::move(filter), std::move(literals), std::move(positions),
                                      longest);
}

}  // namespace remediate::match
