#include "remediate/match/large_search.h"

#include <algorithm>

namespace remediate::match {
namespace {

constexpr std::int64_t parts_memory = 16 << 20;
/// What a match looks at beside itself, in bytes of the widest encoding.
constexpr std::size_t beside = 4;

}  // namespace

LargeSearch::LargeSearch(const RegexMatcher& matcher, const Groups& numbers, std::size_t overlap,
                         std::chrono::nanoseconds may_take)
    : matcher_(matcher), overlap_(overlap), may_take_(may_take), left_{may_take, may_take} {
  std::vector<Pattern> patterns;
  for (std::size_t group = 0; group < numbers.size(); ++group) {
    for (const std::size_t number : numbers[group]) {
      const auto longest = matcher.longest(number);
      if (!longest || 2 * *longest + beside > overlap) {
        long_ones_.push_back(sought_.size());
        patterns.push_back(matcher.pattern(number));
      }
      sought_.push_back({.number = number, .group = group, .finding = {}});
    }
  }
  if (!patterns.empty()) parts_ = make_re2_set(patterns, parts_memory, with_part_);
  for (const std::size_t position : long_ones_) sought_[position].may_be_longer = true;
  for (const std::size_t position : with_part_) sought_[long_ones_[position]].may_be_longer = false;
}
LargeSearch::~LargeSearch() = default;

void LargeSearch::take(std::string_view window, std::uint64_t start, bool last) {
  RegexMatcher::Search search(matcher_, window, may_take_,
                              {.first = start == 0, .last = last, .utf16 = utf16_});
  if (start == 0) utf16_ = search.utf16();
  std::size_t group = 0;
  search.set_left(left_[group]);
  for (Sought& one : sought_) {
    if (one.group != group) {
      left_[group] = search.left();
      search.set_left(left_[group = one.group]);
    }
    // Found in the overlap it may be a shorter match within a longer one.
    if (!one.finding.doubt.empty() || (one.finding && one.finding->offset <= start)) continue;
    RegexMatcher::Finding found = search.find(one.number);
    if (found.place) found.place->offset += start;
    if (one.finding && (!found || one.finding->offset <= found->offset))
      found.place = one.finding.place;
    one.finding = std::move(found);
  }
  look_for_parts(search);
  left_[group] = search.left();
}

void LargeSearch::look_for_parts(RegexMatcher::Search& search) {
  const auto open = [this](std::size_t position) {
    const Sought& one = sought_[long_ones_[position]];
    return !one.finding && !one.may_be_longer;
  };
  if (!parts_ || std::ranges::none_of(with_part_, open)) return;
  const auto found = search.may_hold(*parts_);
  for (std::size_t part = 0; part < with_part_.size(); ++part)
    if (!found || std::ranges::find(*found, part) != found->end())
      sought_[long_ones_[with_part_[part]]].may_be_longer = true;
}

RegexMatcher::Finding LargeSearch::find(std::size_t number) const {
  const auto one = std::ranges::find(sought_, number, &Sought::number);
  RegexMatcher::Finding finding = one->finding;
  if (!finding && finding.doubt.empty() && one->may_be_longer)
    finding.doubt = "/" + matcher_.shown(number) +
                    "/ has matches of any length, and the file is so large that those of more "
                    "than " +
                    std::to_string(overlap_) +
                    " bytes are not found. Look at the file, or spell the expression with counts, "
                    "as in .{0,200}";
  return finding;
}

}  // namespace remediate::match
