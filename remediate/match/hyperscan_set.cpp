#include <algorithm>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <utility>

#include "remediate/match/pattern_set.h"

#if defined(REMEDIATE_HAVE_HYPERSCAN)
#include <hs/hs.h>
#endif

namespace remediate::match {

#if defined(REMEDIATE_HAVE_HYPERSCAN)
namespace {

struct Free {
  void operator()(hs_database_t* database) const { hs_free_database(database); }
  void operator()(hs_scratch_t* scratch) const { hs_free_scratch(scratch); }
  void operator()(hs_compile_error_t* error) const { hs_free_compile_error(error); }
};
using Database = std::unique_ptr<hs_database_t, Free>;
using Scratch = std::unique_ptr<hs_scratch_t, Free>;

/// What the search may not need: a database above it costs more to walk than it saves.
constexpr std::size_t max_database = 128u << 20;
/// By hs_compile_multi(), once hs_expression_info() has taken them.
constexpr int max_refused = 4;
/// What the compiler's time is known by before it works: it takes 10 to 100 us for a unit of work,
/// and up to 15 ms for a nested repetition. The shipped expressions have 27,000 and 74.
constexpr std::uint64_t max_work = 34'000;
constexpr std::uint64_t max_nested = 160;

unsigned flags_of(const Pattern& pattern) {
  return HS_FLAG_DOTALL | HS_FLAG_SINGLEMATCH | (pattern.ignore_case ? HS_FLAG_CASELESS : 0u);
}

class HyperscanSet final : public PatternSet {
 public:
  HyperscanSet(Database database, Scratch first, std::size_t patterns)
      : database_(std::move(database)), patterns_(patterns) {
    scratches_.push_back(std::move(first));
  }

  [[nodiscard]] std::optional<std::vector<std::size_t>> find(
      std::string_view text, SearchClock::time_point) const override {
    if (text.size() > std::numeric_limits<unsigned>::max()) return std::nullopt;
    Scratch scratch = take_scratch();
    if (!scratch) return std::nullopt;
    Hits hits{{}, patterns_};
    const hs_error_t ended =
        hs_scan(database_.get(), text.data(), static_cast<unsigned>(text.size()), 0, scratch.get(),
                note, &hits);
    give_back(std::move(scratch));
    if (ended != HS_SUCCESS && ended != HS_SCAN_TERMINATED) return std::nullopt;
    return std::move(hits.found);
  }

 private:
  struct Hits {
    std::vector<std::size_t> found;
    std::size_t all;
  };
  static int note(unsigned pattern, unsigned long long, unsigned long long, unsigned, void* to) {
    Hits& hits = *static_cast<Hits*>(to);
    hits.found.push_back(pattern);
    return hits.found.size() == hits.all ? 1 : 0;
  }

  /// As many as there are searches at a time; null when there is no memory for one more.
  Scratch take_scratch() const {
    const std::lock_guard lock(mutex_);
    if (scratches_.size() > 1) {
      Scratch scratch = std::move(scratches_.back());
      scratches_.pop_back();
      return scratch;
    }
    hs_scratch_t* made = nullptr;
    hs_clone_scratch(scratches_.front().get(), &made);
    return Scratch(made);
  }
  void give_back(Scratch scratch) const {
    const std::lock_guard lock(mutex_);
    scratches_.push_back(std::move(scratch));
  }

  Database database_;
  std::size_t patterns_;
  mutable std::mutex mutex_;
  mutable std::vector<Scratch> scratches_;  // the first stays, to be copied
};

struct Candidate {
  std::size_t position = 0;
  std::string spelling;
  unsigned flags = 0;
  HyperscanCost cost;
  [[nodiscard]] std::uint64_t work() const { return cost.instructions + 3 * cost.beside; }
};

/// Takes a moment where compiling it takes a tenth of a second.
bool is_understood(const Candidate& candidate) {
  hs_expr_info_t* info = nullptr;
  hs_compile_error_t* error = nullptr;
  const hs_error_t ended =
      hs_expression_info(candidate.spelling.c_str(), candidate.flags, &info, &error);
  const std::unique_ptr<hs_compile_error_t, Free> error_kept(error);
  std::free(info);  // NOLINT(cppcoreguidelines-no-malloc): the library's own allocation
  return ended == HS_SUCCESS;
}

/// The cheapest first, as many as the compiler's time is for: the work of a large one is not taken
/// from the others.
void keep_affordable(std::vector<Candidate>& candidates) {
  std::ranges::sort(candidates, {},
                    [](const Candidate& one) { return std::pair(one.work(), one.position); });
  std::uint64_t work = 0, nested = 0;
  std::erase_if(candidates, [&](const Candidate& one) {
    if (one.work() > max_work - work || one.cost.nested > max_nested - nested) return true;
    work += one.work();
    nested += one.cost.nested;
    return false;
  });
}

/// Null when it cannot be: then the expression that it does not take is gone.
Database compile(std::vector<Candidate>& candidates) {
  std::vector<const char*> texts;
  std::vector<unsigned> flags, ids;
  for (std::size_t index = 0; index < candidates.size(); ++index) {
    texts.push_back(candidates[index].spelling.c_str());
    flags.push_back(candidates[index].flags);
    ids.push_back(static_cast<unsigned>(index));
  }
  hs_database_t* made = nullptr;
  hs_compile_error_t* error = nullptr;
  const hs_error_t ended =
      hs_compile_multi(texts.data(), flags.data(), ids.data(), static_cast<unsigned>(texts.size()),
                       HS_MODE_BLOCK, nullptr, &made, &error);
  const std::unique_ptr<hs_compile_error_t, Free> error_kept(error);
  if (ended == HS_SUCCESS) return Database(made);
  const bool named = error != nullptr && error->expression >= 0 &&
                     std::cmp_less(error->expression, candidates.size());
  if (named)
    candidates.erase(candidates.begin() + error->expression);
  else  // nobody knows which one
    candidates.clear();
  return nullptr;
}

}  // namespace

bool have_hyperscan() { return hs_valid_platform() == HS_SUCCESS; }

std::unique_ptr<PatternSet> make_hyperscan_set(std::span<const Pattern> patterns,
                                               std::vector<std::size_t>& taken) {
  taken.clear();
  if (!have_hyperscan()) return nullptr;
  std::vector<Candidate> candidates;
  for (std::size_t index = 0; index < patterns.size(); ++index) {
    auto spelling = hyperscan_spelling(patterns[index]);
    if (!spelling) continue;
    const HyperscanCost cost = hyperscan_cost(patterns[index], *spelling);
    candidates.push_back({index, std::move(*spelling), flags_of(patterns[index]), cost});
    if (!is_understood(candidates.back())) candidates.pop_back();
  }
  keep_affordable(candidates);
  std::ranges::sort(candidates, {}, &Candidate::position);
  Database database;
  for (int refused = 0; !database && refused <= max_refused && !candidates.empty(); ++refused)
    database = compile(candidates);
  hs_scratch_t* scratch = nullptr;
  std::size_t size = 0;
  if (!database || hs_database_size(database.get(), &size) != HS_SUCCESS || size > max_database ||
      hs_alloc_scratch(database.get(), &scratch) != HS_SUCCESS)
    return nullptr;
  for (const Candidate& candidate : candidates) taken.push_back(candidate.position);
  return std::make_unique<HyperscanSet>(std::move(database), Scratch(scratch), taken.size());
}

#else

bool have_hyperscan() { return false; }

std::unique_ptr<PatternSet> make_hyperscan_set(std::span<const Pattern>,
                                               std::vector<std::size_t>& taken) {
  taken.clear();
  return nullptr;
}

#endif

}  // namespace remediate::match
