#include <algorithm>

#include "remediate/base/encoding.h"
#include "remediate/match/content.h"

namespace remediate::match {
namespace {

using Kind = playbook::Condition::Kind;

constexpr std::size_t max_shown = 120;
constexpr std::size_t max_why = 400;

std::string_view kind_word(Kind kind) {
  switch (kind) {
    case Kind::path:
      return "path";
    case Kind::sha256:
      return "sha256";
    case Kind::sha1:
      return "sha1";
    case Kind::md5:
      return "md5";
    case Kind::size:
      return "size";
    case Kind::magic:
      return "magic";
    case Kind::regex:
      return "regex";
    case Kind::yara:
      return "yara";
    case Kind::structure:
      return "structure";
    case Kind::all:
    case Kind::any:
    case Kind::negation:
      break;
  }
  return "not";
}

class Evaluator {
 public:
  Evaluator(std::string_view below_scope, bool ignore_case, Content& content,
            Evaluation& evaluation)
      : below_scope_(below_scope),
        ignore_case_(ignore_case),
        content_(content),
        evaluation_(evaluation) {}

  Answer ask(const CompiledCondition& condition) {
    switch (condition.kind) {
      case Kind::all:
      case Kind::any:
        return several(condition);
      case Kind::negation:
        return negation(condition);
      case Kind::path:
        return path(condition);
      default:
        break;
    }
    if (!content_.complete()) return doubt(condition, "the file was not read");
    switch (condition.kind) {
      case Kind::size:
        return size(*condition.source);
      case Kind::magic:
        return magic(condition);
      case Kind::regex:
        return regex(condition);
      case Kind::yara:
        return yara(condition);
      case Kind::structure:
        return structure(*condition.source);
      default:
        return digest(condition);
    }
  }

 private:
  Answer several(const CompiledCondition& condition) {
    const Answer decisive = condition.kind == Kind::all ? Answer::no : Answer::yes;
    Answer whole = decisive == Answer::no ? Answer::yes : Answer::no;
    const std::size_t known = evaluation_.reasons.size();
    const std::string beside = evaluation_.beside;
    for (const CompiledCondition& child : condition.children) {
      const Answer answer = ask(child);
      if (answer == decisive) {
        whole = decisive;
        break;
      }
      if (answer == Answer::unknown) whole = answer;
    }
    if (whole != Answer::yes) {
      evaluation_.reasons.resize(known);
      evaluation_.beside = beside;
    }
    return whole;
  }

  Answer negation(const CompiledCondition& condition) {
    const std::size_t known = evaluation_.reasons.size();
    const bool had_dump = evaluation_.dump;
    const std::string beside = evaluation_.beside;
    const Answer answer = ask(condition.children.front());
    evaluation_.reasons.resize(known);
    evaluation_.dump = had_dump;
    evaluation_.beside = beside;
    if (answer == Answer::unknown) return answer;
    if (answer == Answer::yes) return Answer::no;
    const std::string_view word = kind_word(condition.children.front().kind);
    const bool leaf = word != "not";
    return yes({.kind = "not",
                .text = leaf ? "the " + std::string(word) + " condition under 'not' does not hold"
                             : std::string("the conditions under 'not' do not hold")});
  }

  Answer path(const CompiledCondition& condition) {
    const std::vector<Glob>& globs = condition.globs[ignore_case_ ? 1 : 0];
    for (std::size_t i = 0; i < globs.size(); ++i) {
      if (!globs[i].matches(below_scope_)) continue;
      return yes(path_fits(condition.source->values[i]));
    }
    return Answer::no;
  }

  Answer digest(const CompiledCondition& condition) {
    if (!condition.digests.contains(content_.digest(condition.kind))) return Answer::no;
    const std::string name = condition.kind == Kind::sha256 ? "SHA-256"
                             : condition.kind == Kind::sha1 ? "SHA-1"
                                                            : "MD5";
    return yes({.kind = std::string(kind_word(condition.kind)), .text = name + " is in the list"});
  }

  Answer size(const playbook::Condition& source) {
    const std::uint64_t bytes = content_.size();
    if (bytes < source.min_size || bytes > source.max_size) return Answer::no;
    std::string text =
        "size " + std::to_string(bytes) + " is at least " + std::to_string(source.min_size);
    if (source.max_size != UINT64_MAX) text += " and at most " + std::to_string(source.max_size);
    return yes({.kind = "size", .text = std::move(text)});
  }

  Answer magic(const CompiledCondition& condition) {
    const playbook::Condition& source = *condition.source;
    const Answer answer = content_.holds_at(source.offset, source.bytes);
    if (answer == Answer::unknown) return doubt(condition, "it was not looked at");
    if (answer == Answer::no) return answer;
    return located("magic", "bytes " + display(hex_encode(source.bytes), max_shown), source.offset);
  }

  Answer regex(const CompiledCondition& condition) {
    const RegexMatcher::Finding place = content_.regex(condition.number);
    if (!place) return place.doubt.empty() ? Answer::no : doubt(condition, place.doubt);
    return located("regex",
                   "regex /" + display(condition.source->pattern, max_shown) + "/" +
                       (place->encoding.empty() ? "" : " in " + std::string(place->encoding)),
                   place->offset);
  }

  Answer yara(const CompiledCondition& condition) {
    const YaraOutcome& outcome = content_.yara();
    bool any = false;
    for (const YaraHit& hit : outcome.hits) {
      const YaraRule& rule = content_.rules().rules()[hit.rule];
      if (rule.source != condition.number || rule.score < condition.source->min_score) continue;
      any = true;
      std::string text =
          "YARA rule " + display(rule.name, max_shown) + ", score " + std::to_string(rule.score);
      if (!rule.author.empty()) text += ", author " + display(rule.author, max_shown);
      if (!rule.reference.empty()) text += ", reference " + display(rule.reference, max_shown);
      if (hit.has_offset) {
        (void)located("yara", std::move(text), hit.offset);
      } else {
        (void)yes({.kind = "yara", .text = std::move(text)});
      }
    }
    const std::string why = yara_doubt(outcome, condition.number);
    // A string that was not searched to its end may stand behind a "not" or in a count.
    if (std::ranges::find(outcome.doubts, condition.number, &YaraDoubt::source) !=
        outcome.doubts.end())
      return doubt(condition, why);
    if (any && !why.empty() && evaluation_.beside.empty()) evaluation_.beside = "yara: " + why;
    if (any) return Answer::yes;
    return why.empty() ? Answer::no : doubt(condition, why);
  }

  /// What concerns all sources reads the same for each of them.
  std::string yara_doubt(const YaraOutcome& outcome, std::size_t source) {
    const RuleSet& rules = content_.rules();
    const auto of = std::ranges::find(outcome.doubts, source, &YaraDoubt::source);
    const bool alone = of != outcome.doubts.end();
    const std::string_view why = alone ? of->why : outcome.incomplete;
    if (why.empty()) return {};
    return (alone || rules.sources() == 1 ? rules.name(source) + ": " : std::string()) +
           display(why, max_why);
  }

  Answer structure(const playbook::Condition& source) {
    const std::optional<Dump>& dump = content_.dump();
    if (!dump || (source.script_in_url && !dump->script_in_url)) return Answer::no;
    evaluation_.dump = true;
    const std::string text = "the file is an Exchange virtual directory settings dump";
    if (!dump->script_in_url) return yes({.kind = "structure", .text = text});
    return located("structure", text + " with a script in a URL", dump->script_offset);
  }

  Answer located(std::string kind, std::string text, std::uint64_t offset) {
    return yes(
        {.kind = std::move(kind),
         .text = std::move(text) + " at byte " + std::to_string(offset),
         .offset = offset,
         .excerpt = content_.bytes_at(offset - std::min(offset, excerpt_before), max_excerpt)});
  }

  Answer yes(Reason reason) {
    evaluation_.reasons.push_back(std::move(reason));
    return Answer::yes;
  }

  Answer doubt(const CompiledCondition& condition, std::string_view why) {
    if (evaluation_.doubt.empty()) {
      evaluation_.doubt = std::string(kind_word(condition.kind)) + ": " + std::string(why);
    }
    return Answer::unknown;
  }

  std::string_view below_scope_;
  bool ignore_case_;
  Content& content_;
  Evaluation& evaluation_;
};

}  // namespace

Reason path_fits(std::string_view glob) {
  return {.kind = "path", .text = "the path fits " + display(glob, max_shown)};
}

Answer evaluate(const CompiledCondition& condition, std::string_view below_scope, bool ignore_case,
                Content& content, Evaluation& evaluation) {
  return Evaluator(below_scope, ignore_case, content, evaluation).ask(condition);
}

}  // namespace remediate::match
