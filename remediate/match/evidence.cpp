#include "remediate/match/evidence.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "remediate/match/content.h"

namespace remediate::match {
namespace {

using Kind = playbook::Condition::Kind;
using playbook::Rests;

struct Way {
  Rests rests = Rests::nothing;
  std::vector<Reason> reasons;
  bool dump = false;
};
/// None of them says all that another one says, so they are one, or a place and content.
using Ways = std::vector<Way>;

void add(Ways& ways, Way way) {
  const auto says = [](Rests a, Rests b) { return playbook::together(a, b) == a; };
  if (std::ranges::any_of(ways, [&](const Way& known) { return says(known.rests, way.rests); }))
    return;
  std::erase_if(ways, [&](const Way& known) { return says(way.rests, known.rests); });
  ways.push_back(std::move(way));
}

Way both(Way a, const Way& b) {
  a.rests = playbook::together(a.rests, b.rests);
  a.reasons.insert(a.reasons.end(), b.reasons.begin(), b.reasons.end());
  a.dump = a.dump || b.dump;
  return a;
}

class Search {
 public:
  Search(std::string_view below_scope, bool ignore_case, Content& content, std::string& beside)
      : below_scope_(below_scope), ignore_case_(ignore_case), content_(content), beside_(beside) {}

  /// Of a condition that is true.
  Ways ways(const CompiledCondition& condition) {
    switch (condition.kind) {
      case Kind::all:
        return of_all(condition);
      case Kind::any:
        return of_any(condition);
      case Kind::path:
        return of_path(condition);
      default:
        return of_leaf(condition);
    }
  }

  /// Why an alternative that could be stronger was not evaluated.
  [[nodiscard]] const std::string& doubt() const { return doubt_; }

 private:
  Answer ask(const CompiledCondition& condition, Evaluation& evaluation) {
    return evaluate(condition, below_scope_, ignore_case_, content_, evaluation);
  }

  Ways of_all(const CompiledCondition& condition) {
    Ways whole = {Way{}};
    for (const CompiledCondition& child : condition.children) {
      const Ways below = ways(child);
      Ways product;
      for (const Way& a : whole)
        for (const Way& b : below) add(product, both(a, b));
      whole = std::move(product);
    }
    return whole;
  }

  Ways of_any(const CompiledCondition& condition) {
    Ways whole;
    for (const CompiledCondition& child : condition.children) {
      Evaluation evaluation;
      const Answer answer = ask(child, evaluation);
      if (answer == Answer::unknown && doubt_.empty()) doubt_ = evaluation.doubt;
      if (answer != Answer::yes) continue;
      for (Way& way : ways(child)) add(whole, std::move(way));
      if (!whole.empty() && whole.front().rests == Rests::exact) break;
    }
    return whole;
  }

  Ways of_path(const CompiledCondition& condition) {
    const std::vector<Glob>& globs = condition.globs[ignore_case_ ? 1 : 0];
    const std::vector<std::string>& spelled = condition.source->values;
    for (std::size_t i = 0; i < globs.size(); ++i)
      if (playbook::names_a_place(spelled[i]) && globs[i].matches(below_scope_))
        return {{.rests = Rests::place, .reasons = {path_fits(spelled[i])}}};
    return of_leaf(condition);
  }

  Ways of_leaf(const CompiledCondition& condition) {
    Evaluation evaluation;
    (void)ask(condition, evaluation);
    if (beside_.empty()) beside_ = std::move(evaluation.beside);
    Way way{.rests = rests(condition, evaluation.reasons),
            .reasons = std::move(evaluation.reasons),
            .dump = evaluation.dump};
    Ways ways;
    ways.push_back(std::move(way));
    return ways;
  }

  static Rests rests(const CompiledCondition& condition, const std::vector<Reason>& reasons) {
    switch (condition.kind) {
      case Kind::sha256:
      case Kind::sha1:
      case Kind::md5:
      case Kind::structure:
        return Rests::exact;
      case Kind::regex:
        return Rests::content;
      case Kind::magic:
        return condition.source->bytes.size() < playbook::least_magic ? Rests::nothing
                                                                      : Rests::content;
      case Kind::yara:
        // A rule may match by a name or a size alone: only a string that it found is evidence.
        return std::ranges::all_of(reasons, &std::string::empty, &Reason::excerpt) ? Rests::nothing
                                                                                   : Rests::content;
      default:
        return Rests::nothing;
    }
  }

  std::string_view below_scope_;
  bool ignore_case_;
  Content& content_;
  std::string& beside_;
  std::string doubt_;
};

}  // namespace

Rests strongest_way(const CompiledCondition& condition, std::string_view below_scope,
                    bool ignore_case, Content& content, Evaluation& evaluation) {
  Search search(below_scope, ignore_case, content, evaluation.beside);
  Ways ways = search.ways(condition);
  if (ways.empty()) return playbook::Rests::nothing;
  const auto strongest = std::ranges::max_element(ways, {}, &Way::rests);
  if (strongest->rests != Rests::exact && evaluation.beside.empty())
    evaluation.beside = search.doubt();
  evaluation.reasons = std::move(strongest->reasons);
  evaluation.dump = strongest->dump;
  return strongest->rests;
}

}  // namespace remediate::match
