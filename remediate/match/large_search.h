#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "remediate/match/pattern_set.h"
#include "remediate/match/regex_matcher.h"

namespace remediate::match {

/// Some expressions in a file that is given window by window. It finds what RegexMatcher::Search
/// finds in the whole file, as long as a match is shorter than the overlap of the windows.
class LargeSearch {
 public:
  /// Two groups of expressions, none in both, of which neither takes the time of the other:
  /// `may_take` each, as for RegexMatcher::Search, for the whole file. `matcher` must outlive it.
  using Groups = std::array<std::vector<std::size_t>, 2>;
  LargeSearch(const RegexMatcher& matcher, const Groups& numbers, std::size_t overlap,
              std::chrono::nanoseconds may_take);
  ~LargeSearch();
  LargeSearch(const LargeSearch&) = delete;
  LargeSearch& operator=(const LargeSearch&) = delete;

  /// The next window, which begins at the even byte `start` of the file with the last `overlap`
  /// bytes of the window before.
  void take(std::string_view window, std::uint64_t start, bool last);

  /// After the last window. An expression that has a longer match than the overlap, perhaps, is in
  /// doubt where a part that each of its matches has was seen.
  [[nodiscard]] RegexMatcher::Finding find(std::size_t number) const;

 private:
  struct Sought {
    std::size_t number = 0;
    std::size_t group = 0;
    RegexMatcher::Finding finding;
    bool may_be_longer = false;  // than the overlap, and its part was seen
  };
  void look_for_parts(RegexMatcher::Search& search);

  const RegexMatcher& matcher_;
  std::size_t overlap_;
  std::chrono::nanoseconds may_take_;
  std::array<std::chrono::nanoseconds, 2> left_;
  std::vector<Sought> sought_;  // by group
  /// Those without a bound below the overlap, as positions in sought_; a part of each that is
  /// looked for (none: it may be anywhere).
  std::vector<std::size_t> long_ones_;
  std::unique_ptr<PatternSet> parts_;
  std::vector<std::size_t> with_part_;  // positions in long_ones_, by position in parts_
  std::optional<Utf16Text> utf16_;      // of the file
};

}  // namespace remediate::match
