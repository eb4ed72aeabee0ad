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
    : matcher_(matcher), overlap_(overlap), may_take_(may_take) {
  for (std::size_t which = 0; which < numbers.size(); ++which) {
    Group& group = groups_[which];
    group.left = may_take;
    std::vector<Pattern> patterns;
    std::vector<std::size_t> long_ones, taken;
    for (const std::size_t number : numbers[which]) {
      const auto longest = matcher.longest(number);
      const bool bounded = longest && 2 * *longest + beside <= overlap;
      if (!bounded) {
        patterns.push_back(matcher.pattern(number));
        long_ones.push_back(group.entries.size());
      }
      group.entries.push_back(
          {.number = number, .finding = {}, .longer = bounded ? Longer::no : Longer::maybe});
    }
    if (!patterns.empty()) group.parts = make_re2_set(patterns, parts_memory, taken);
    for (const std::size_t position : taken) {
      group.with_part.push_back(long_ones[position]);
      group.entries[long_ones[position]].longer = Longer::no;
    }
  }
}
LargeSearch::~LargeSearch() = default;

/// Found in the overlap it may be a shorter match within a longer one.
bool LargeSearch::Entry::open(std::uint64_t start) const {
  return finding.doubt.empty() && !(finding && finding->offset <= start);
}

void LargeSearch::take(std::string_view window, std::uint64_t start, bool last) {
  const auto any_open = [&](const Group& group) {
    return std::ranges::any_of(group.entries, [&](const Entry& one) { return one.open(start); });
  };
  if (std::ranges::none_of(groups_, any_open)) return;
  RegexMatcher::Search search(matcher_, window, may_take_,
                              {.first = start == 0, .last = last, .utf16 = utf16_});
  if (start == 0) utf16_ = search.utf16();
  for (Group& group : groups_) {
    if (!any_open(group)) continue;
    search.set_left(group.left);
    for (Entry& one : group.entries) {
      if (!one.open(start)) continue;
      RegexMatcher::Finding found = search.find(one.number);
      if (found.place) found.place->offset += start;
      if (one.finding && (!found || one.finding->offset <= found->offset))
        found.place = one.finding.place;
      one.finding = std::move(found);
    }
    look_for_parts(group, search);
    group.left = search.left();
  }
}

void LargeSearch::look_for_parts(Group& group, RegexMatcher::Search& search) const {
  const auto undecided = [&](std::size_t position) {
    const Entry& one = group.entries[position];
    return !one.finding && one.finding.doubt.empty() && one.longer == Longer::no;
  };
  if (!group.parts || std::ranges::none_of(group.with_part, undecided)) return;
  const auto found = search.may_hold(*group.parts);
  for (std::size_t part = 0; part < group.with_part.size(); ++part) {
    if (!undecided(group.with_part[part])) continue;
    Longer& longer = group.entries[group.with_part[part]].longer;
    if (!found) longer = Longer::out_of_time;
    if (found && std::ranges::find(*found, part) != found->end()) longer = Longer::maybe;
  }
}

std::vector<std::uint64_t> LargeSearch::offsets() const {
  std::vector<std::uint64_t> all;
  for (const Group& group : groups_)
    for (const Entry& one : group.entries)
      if (one.finding) all.push_back(one.finding->offset);
  return all;
}

RegexMatcher::Finding LargeSearch::find(std::size_t number) const {
  for (const Group& group : groups_) {
    const auto one = std::ranges::find(group.entries, number, &Entry::number);
    if (one == group.entries.end()) continue;
    RegexMatcher::Finding finding = one->finding;
    if (finding || !finding.doubt.empty() || one->longer == Longer::no) return finding;
    finding.doubt = "/" + matcher_.shown(number) +
                    "/ has matches of any length, and the file is so large that those of more "
                    "than " +
                    std::to_string(overlap_) + " bytes are not found" +
                    (one->longer == Longer::out_of_time
                         ? "; whether it may have one could not be found out in time"
                         : "") +
                    ". Look at the file, or spell the expression with counts, as in .{0,200}";
    return finding;
  }
  return {.place = {}, .doubt = "it was not searched"};
}

}  // namespace remediate::match
