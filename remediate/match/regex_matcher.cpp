#include "remediate/match/regex_matcher.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <tuple>
#include <utility>

#include "remediate/base/encoding.h"
#include "remediate/match/in_pieces.h"
#include "remediate/match/pattern_set.h"
#include "remediate/match/re2_options.h"
#include "remediate/match/wide.h"
#include "remediate/match/width.h"

namespace remediate::match {
namespace {

/// What one expression takes of memory while it is searched, and the same for a program that needs
/// more to be compiled.
constexpr std::int64_t usual_memory = 8 << 20;
constexpr std::int64_t single_memory = 32 << 20;
/// What a file is searched as: its bytes; both ways to cut them into UTF-16LE units; the UTF-16
/// text that it is.
constexpr std::size_t as_bytes = 0, as_units = 1, as_text = 3, text_count = 4;

constexpr std::size_t max_shown = 120;

/// What an expression takes where it is fast: nobody has to count it.
std::chrono::nanoseconds usual_time(std::size_t bytes, const FilePart& part) {
  return std::chrono::milliseconds(part.first ? 10 : 0) + std::chrono::nanoseconds(5 * bytes);
}

/// Instructions times bytes from which on a search counts as costly.
constexpr std::uint64_t costly_work = 5'000'000;

/// A pattern such as a* or \b would match every file.
bool matches_nothing(const RE2& pattern) {
  constexpr std::array<std::string_view, 6> probes = {"", "a", " ", "\n", "0 a", "a\na"};
  return std::ranges::any_of(probes, [&](std::string_view probe) {
    re2::StringPiece found;
    return pattern.Match({probe.data(), probe.size()}, 0, probe.size(), RE2::UNANCHORED, &found,
                         1) &&
           found.empty();
  });
}

/// Expressions that are sought in one kind of text.
struct Group {
  struct Part {
    std::vector<std::size_t> members;  // by position in the set
    std::unique_ptr<PatternSet> set;
    bool timed = false;  // counts into the time of a file
  };
  std::vector<std::size_t> members;
  std::vector<Part> parts;
  std::vector<std::size_t> alone;  // in no set: each is asked
};

struct Groups {
  Group narrow;
  Group wide;
};

}  // namespace

struct RegexMatcher::Impl {
  struct Expression {
    Pattern pattern;
    std::unique_ptr<RE2> single;
    std::optional<std::size_t> longest;  // match
    bool narrow = false;
    bool wide = false;
    [[nodiscard]] std::uint64_t instructions() const {
      return static_cast<std::uint64_t>(std::max(single->ProgramSize(), 1));
    }
  };
  std::int64_t max_memory = 0;
  bool accelerated = true;
  std::vector<Expression> expressions;
  /// By pattern, whether case is ignored, narrow, wide.
  std::map<std::tuple<std::string, bool, bool, bool>, std::size_t> numbers;
  Groups groups;  // nothing is built in it
  std::shared_ptr<const Groups> current = std::make_shared<const Groups>();
  bool built = false;
  bool building = false;
  std::condition_variable built_or_not;
  std::uint64_t left = UINT64_MAX;  // to search before it is worth it; then no more
  std::mutex mutex;                 // for these and the thread
  std::jthread builder;             // the last, so that it ends first

  /// What a search uses that asks for so many bytes times expressions.
  [[nodiscard]] std::shared_ptr<const Groups> use(std::uint64_t work) {
    std::unique_lock lock(mutex);
    if (left != UINT64_MAX) {
      left -= std::min(left, work);
      if (left == 0) start();
    }
    // What asking alone would get done meanwhile is not worth the processor that it takes.
    built_or_not.wait(lock, [this] { return !building; });
    return current;
  }
  /// With the mutex held.
  void start() {
    left = UINT64_MAX;
    building = true;
    try {
      builder = std::jthread([this] {
        publish();
        const std::lock_guard lock(mutex);
        building = false;
        built_or_not.notify_all();
      });
    } catch (const std::system_error&) {
      building = false;  // no thread to be had: each is asked alone for good
    }
  }
  void publish() {
    try {
      auto made = std::make_shared<Groups>();
      made->narrow.members = groups.narrow.members;
      made->wide.members = groups.wide.members;
      build(made->narrow);
      build(made->wide);
      const std::lock_guard lock(mutex);
      current = std::move(made);
      built = true;
    } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch)
      // No memory for it: each is asked alone for good.
    }
  }

  [[nodiscard]] std::vector<Pattern> patterns_of(const std::vector<std::size_t>& members) const {
    std::vector<Pattern> patterns;
    patterns.reserve(members.size());
    for (const std::size_t member : members) patterns.push_back(expressions[member].pattern);
    return patterns;
  }

  void build(Group& group) const {
    group.alone = group.members;
    if (group.alone.size() < 2) return;
    std::vector<std::size_t> taken;
    const auto take = [&](std::unique_ptr<PatternSet> set, bool timed) {
      if (!set) return;
      Group::Part part{{}, std::move(set), timed};
      for (const std::size_t position : taken) part.members.push_back(group.alone[position]);
      std::erase_if(group.alone, [&](std::size_t member) {
        return std::ranges::binary_search(part.members, member);
      });
      group.parts.push_back(std::move(part));
    };
    if (accelerated) take(make_hyperscan_set(patterns_of(group.alone), taken), false);
    if (group.alone.size() < 2) return;
    take(make_literal_set(patterns_of(group.alone), max_memory, taken), true);
    if (group.alone.size() < 2) return;
    take(make_re2_set(patterns_of(group.alone), max_memory, taken), true);
  }
};

RegexMatcher::RegexMatcher(std::int64_t max_memory, Engines engines)
    : impl_(std::make_unique<Impl>()) {
  impl_->max_memory = max_memory;
  impl_->accelerated = engines == Engines::fastest;
}
RegexMatcher::~RegexMatcher() = default;
RegexMatcher::RegexMatcher(RegexMatcher&&) noexcept = default;
RegexMatcher& RegexMatcher::operator=(RegexMatcher&&) noexcept = default;

Result<std::size_t> RegexMatcher::add(const playbook::Condition& condition) {
  const std::string shown = "the regex \"" + display(condition.pattern, 200) + "\" ";
  const auto asks_for = [&](playbook::Encoding encoding) {
    return std::ranges::find(condition.encodings, encoding) != condition.encodings.end();
  };
  const bool narrow = asks_for(playbook::Encoding::ascii);
  const bool wide = asks_for(playbook::Encoding::utf16le);
  const std::tuple key(condition.pattern, condition.ignore_case, narrow, wide);
  if (const auto known = impl_->numbers.find(key); known != impl_->numbers.end())
    return known->second;
  auto single =
      std::make_unique<RE2>(condition.pattern, re2_options(usual_memory, condition.ignore_case));
  if (single->error_code() == RE2::ErrorPatternTooLarge)
    single =
        std::make_unique<RE2>(condition.pattern, re2_options(single_memory, condition.ignore_case));
  if (!single->ok()) {
    return fail(Code::bad_input, shown + "does not compile: " + display(single->error(), 200),
                "write it in RE2 syntax (no look-around, no back-references)");
  }
  if (matches_nothing(*single)) {
    return fail(Code::bad_input, shown + "matches the empty string and so every file",
                "make it ask for at least one byte");
  }
  if (condition.encodings.empty()) {
    return fail(Code::bad_input, shown + "has no encoding", "give ascii, utf16le or both");
  }
  const std::size_t number = impl_->expressions.size();
  Impl::Expression expression;
  expression.pattern = {condition.pattern, condition.ignore_case};
  expression.single = std::move(single);
  expression.longest = longest_match(condition.pattern);
  expression.narrow = narrow;
  expression.wide = wide;
  if (narrow) impl_->groups.narrow.members.push_back(number);
  if (wide) impl_->groups.wide.members.push_back(number);
  impl_->expressions.push_back(std::move(expression));
  impl_->numbers.emplace(key, number);
  return number;
}

void RegexMatcher::prepare() {
  prepare_when_worth_it(UINT64_MAX);
  impl_->publish();
}

void RegexMatcher::prepare_when_worth_it(std::uint64_t after) {
  auto alone = std::make_shared<Groups>(Groups{});
  alone->narrow.alone = impl_->groups.narrow.members;
  alone->wide.alone = impl_->groups.wide.members;
  const std::lock_guard lock(impl_->mutex);
  impl_->current = std::move(alone);
  impl_->left = after;
}

bool RegexMatcher::prepared() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->built;
}

const Pattern& RegexMatcher::pattern(std::size_t number) const {
  return impl_->expressions[number].pattern;
}
std::string RegexMatcher::shown(std::size_t number) const {
  return display(pattern(number).text, max_shown);
}
std::optional<std::size_t> RegexMatcher::longest(std::size_t number) const {
  return impl_->expressions[number].longest;
}

struct RegexMatcher::Search::Text {
  std::string owned;
  std::string_view bytes;
  std::vector<std::size_t> candidates;  // sorted; all others are not in it
};

RegexMatcher::Search::Search(const RegexMatcher& matcher, std::string_view content,
                             std::chrono::nanoseconds may_take, const FilePart& part)
    : matcher_(matcher),
      content_(content),
      part_(part),
      may_take_(may_take),
      left_(may_take),
      texts_(text_count) {
  if (part_.first) return;
  utf16_ = part_.utf16;
  if (*utf16_) (*utf16_)->start = 0;
}
RegexMatcher::Search::~Search() = default;

RegexMatcher::Search::Text& RegexMatcher::Search::text(std::size_t which) {
  if (texts_[which]) return *texts_[which];
  auto made = std::make_unique<Text>();
  const bool narrow = which == as_bytes || which == as_text;
  if (which == as_bytes) {
    made->bytes = content_;
  } else if (which != as_text) {
    made->bytes = decoded(which - as_units);
  } else if (utf16()->order == ByteOrder::little) {
    made->bytes = std::string_view(decoded(0)).substr(utf16()->start / 2);
  } else {
    made->owned = narrowed(content_.substr(utf16()->start), ByteOrder::big);
    made->bytes = made->owned;
  }
  const Groups& known = matcher_.impl_->groups;
  const std::size_t asked = (narrow ? known.narrow : known.wide).members.size();
  const auto groups = matcher_.impl_->use(made->bytes.size() * asked);
  const Group& group = narrow ? groups->narrow : groups->wide;
  made->candidates = group.alone;
  for (const Group::Part& part : group.parts) {
    // A filter that takes long leaves most of the time to those that decide.
    const auto start = SearchClock::now();
    const auto usual = usual_time(made->bytes.size(), part_) * part.members.size();
    const auto found = part.set->find(made->bytes, start + usual + left_ / 4);
    if (part.timed) count(start, usual);
    if (!found) {
      made->candidates.insert(made->candidates.end(), part.members.begin(), part.members.end());
    } else {
      for (const std::size_t position : *found) made->candidates.push_back(part.members[position]);
    }
  }
  std::ranges::sort(made->candidates);
  texts_[which] = std::move(made);
  return *texts_[which];
}

const std::string& RegexMatcher::Search::decoded(std::size_t shift) {
  if (!decoded_[shift])
    decoded_[shift] = narrowed(content_.substr(std::min(shift, content_.size())));
  return *decoded_[shift];
}

const std::optional<Utf16Text>& RegexMatcher::Search::utf16() {
  if (!utf16_) utf16_ = utf16_text(content_);
  return *utf16_;
}

bool RegexMatcher::Search::asked(std::size_t number, std::size_t which) {
  const Impl::Expression& expression = matcher_.impl_->expressions[number];
  if (which == as_bytes) return expression.narrow;
  if (which == as_text) return expression.narrow && utf16();
  if (!expression.wide) return false;
  return has_nul();
}

bool RegexMatcher::Search::has_nul() {
  if (!has_nul_) has_nul_ = content_.find('\0') != std::string_view::npos;
  return *has_nul_;
}

std::optional<std::vector<std::size_t>> RegexMatcher::Search::may_hold(const PatternSet& set) {
  std::vector<std::size_t> all;
  for (std::size_t which = 0; which < text_count; ++which) {
    if (which == as_text ? !utf16() : which != as_bytes && !has_nul()) continue;
    const std::string_view searched = text(which).bytes;
    const auto start = SearchClock::now();
    const auto usual = usual_time(searched.size(), part_);
    const auto found = set.find(searched, start + usual + left_ / 4);
    count(start, usual);
    if (!found) return std::nullopt;
    all.insert(all.end(), found->begin(), found->end());
  }
  return all;
}

/// Takes what was spent since `start` beyond the usual from the file's time.
void RegexMatcher::Search::count(SearchClock::time_point start, std::chrono::nanoseconds usual) {
  const auto more = SearchClock::now() - start - usual;
  left_ -= std::clamp(more, std::chrono::nanoseconds(0), left_);
}

RegexMatcher::Finding RegexMatcher::Search::find(std::size_t number) {
  if (const auto known = costly_.find(number); known != costly_.end()) return known->second;
  const std::uint64_t instructions = matcher_.impl_->expressions[number].instructions();
  if (instructions * content_.size() < costly_work) return look_for(number);
  return costly_.emplace(number, look_for(number)).first->second;
}

RegexMatcher::Finding RegexMatcher::Search::look_for(std::size_t number) {
  const Impl::Expression& expression = matcher_.impl_->expressions[number];
  Finding finding;
  for (std::size_t which = 0; which < text_count; ++which) {
    if (!asked(number, which)) continue;
    const Text& searched = text(which);
    if (!std::ranges::binary_search(searched.candidates, number)) continue;
    const auto start = SearchClock::now();
    const auto usual = usual_time(searched.bytes.size(), part_);
    // Works without the DFA when that has no memory left, so "absent" here is a real no.
    const Between where{
        .text = searched.bytes,
        .from = part_.first ? 0u : 1u,
        .to = searched.bytes.size() - (part_.last || searched.bytes.empty() ? 0u : 1u)};
    const Sought sought =
        search_in_pieces(*expression.single, expression.longest, where, start + usual + left_,
                         piece_length(expression.instructions()));
    count(start, usual);
    if (sought.ended == Sought::Ended::out_of_time) finding.doubt = too_slow(number);
    if (sought.ended != Sought::Ended::found) continue;
    const auto at = static_cast<std::uint64_t>(sought.match.data() - searched.bytes.data());
    const std::uint64_t unit = which == as_bytes ? 1 : 2;
    const std::uint64_t first = which == as_text    ? utf16()->start
                                : which == as_bytes ? 0
                                                    : which - as_units;
    const bool big = which == as_text && utf16()->order == ByteOrder::big;
    const Place place{.offset = first + at * unit,
                      .length = sought.match.size() * unit,
                      .encoding = which == as_bytes ? ""
                                  : big             ? "UTF-16BE"
                                                    : "UTF-16LE"};
    if (!finding.place || place.offset < finding.place->offset) finding.place = place;
  }
  return finding;
}

std::string RegexMatcher::Search::too_slow(std::size_t number) const {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(may_take_);
  return "/" + matcher_.shown(number) +
         "/ is too slow for this file and was not searched to its end: all expressions together "
         "may take " +
         std::to_string(seconds.count()) +
         " s for a file. Look at the file, and spell the expression with fewer or shorter "
         "repetitions";
}

}  // namespace remediate::match
