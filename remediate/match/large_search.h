#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "remediate/match/pattern_set.h"
#include "remediate/match/regex_matcher.h"

namespace remediate::match {

/// Some expressions in a file that is given window by window. It finds what RegexMatcher::Search
/// finds in the whole file, as long as a match is shorter than the overlap of the windows. One that
/// was too slow in a window is in doubt and not searched in later ones.
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

  /// Where expressions were found so far.
  [[nodiscard]] std::vector<std::uint64_t> offsets() const;

  /// After the last window. An expression that has a longer match than the overlap, perhaps, is in
  /// doubt where a part that each of its matches has was seen, or none is known; also one that is
  /// in no group.
  [[nodiscard]] RegexMatcher::Finding find(std::size_t number) const;

 private:
  /// Of an expression with matches that may be longer than the overlap.
  enum class Longer : std::uint8_t { no, maybe, out_of_time };
  struct Entry {
    std::size_t number = 0;
    RegexMatcher::Finding finding;
    Longer longer = Longer::no;
    [[nodiscard]] bool open(std::uint64_t start) const;
  };
  struct Group {
    std::vector<Entry> entries;
    std::unique_ptr<PatternSet> parts;   // what each match of some entries has; may be null
    std::vector<std::size_t> with_part;  // these entries, by position in `parts`
    std::chrono::nanoseconds left{};
  };
  void look_for_parts(Group& group, RegexMatcher::Search& search) const;

  const RegexMatcher& matcher_;
  std::size_t overlap_;
  std::chrono::nanoseconds may_take_;
  std::array<Group, 2> groups_;
  std::optional<Utf16Text> utf16_;  // of the file
};

}  // namespace remediate::match
