#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "remediate/crypto/digest.h"
#include "remediate/match/engine.h"
#include "remediate/match/regex_matcher.h"
#include "remediate/match/yara_apart.h"
#include "remediate/match/yara_matcher.h"
#include "remediate/playbook/model.h"

namespace remediate::match {

class Content;

enum class Answer : std::uint8_t { no, unknown, yes };

/// A playbook's condition, ready to be asked.
struct CompiledCondition {
  playbook::Condition::Kind kind = playbook::Condition::Kind::all;
  const playbook::Condition* source = nullptr;
  std::vector<CompiledCondition> children;  // the cheapest first
  std::vector<Glob> globs[2];               // minding case, ignoring case
  std::unordered_set<std::string> digests;
  std::size_t number = 0;  // of the regex or the rule source
};

/// What conditions share: each regex and each rule source is there once.
struct Matchers {
  RegexMatcher regexes;
  std::unordered_map<std::string_view, std::size_t> sources;  // the playbooks' texts
  std::unique_ptr<RuleCompiler> compiler;  // from the first source to finish_rules()
  std::unique_ptr<RuleSet> rules;          // of all sources; null when there are none
  Apart* apart = nullptr;                  // where rules are asked; null for in this process
  unsigned yara_timeout_seconds = 10;
  std::chrono::nanoseconds regex_time{};  // for one file
};

[[nodiscard]] Result<CompiledCondition> compile_condition(const playbook::Condition& condition,
                                                          Matchers& matchers);

/// After the last condition.
[[nodiscard]] Result<void> finish_rules(Matchers& matchers);

/// What can be said by path, and by size where it is known; `unknown` when the file has to be read.
[[nodiscard]] Answer answer_unread(const CompiledCondition& condition, std::string_view below_scope,
                                   bool ignore_case,
                                   std::optional<std::uint64_t> size = std::nullopt);
/// Whether any size is asked for.
[[nodiscard]] bool asks_for_size(const CompiledCondition& condition);

/// Of the three kinds of digest.
[[nodiscard]] crypto::Algorithm digest_algorithm(playbook::Condition::Kind kind);

/// The path of one file as YARA rules see it.
[[nodiscard]] YaraTarget yara_target(const RawPath& path, bool windows);

/// The evaluation of one indicator for one file.
struct Evaluation {
  std::vector<Reason> reasons;  // of a yes
  std::string doubt;            // of an unknown
  std::string beside;           // of a yes: why there may be more reasons
  bool dump = false;            // a structure condition was true
};
[[nodiscard]] Answer evaluate(const CompiledCondition& condition, std::string_view below_scope,
                              bool ignore_case, Content& content, Evaluation& evaluation);
/// The reason that a path condition gives.
[[nodiscard]] Reason path_fits(std::string_view glob);

}  // namespace remediate::match
