#include "remediate/match/condition.h"

#include <algorithm>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"

namespace remediate::match {
namespace {

using Kind = playbook::Condition::Kind;

constexpr std::size_t max_nesting = 64;

/// Cheap conditions decide first.
int cost(const CompiledCondition& condition) {
  switch (condition.kind) {
    case Kind::path:
    case Kind::size:
      return 0;
    case Kind::magic:
      return 1;
    case Kind::structure:
      return 2;
    case Kind::sha256:
    case Kind::sha1:
    case Kind::md5:
      return 3;
    case Kind::regex:
      return 4;
    case Kind::yara:
      return 5;
    case Kind::all:
    case Kind::any:
    case Kind::negation:
      break;
  }
  int highest = 0;
  for (const CompiledCondition& child : condition.children) {
    highest = std::max(highest, cost(child));
  }
  return highest;
}

std::size_t digest_length(Kind kind) {
  return kind == Kind::sha256 ? 64 : kind == Kind::sha1 ? 40 : 32;
}

Result<void> take_digests(const playbook::Condition& condition, CompiledCondition& compiled) {
  for (const std::string& value : condition.values) {
    const bool hex = value.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!hex || value.size() != digest_length(condition.kind)) {
      return fail(Code::bad_input, "\"" + display(value, 100) + "\" is not a digest",
                  "write " + std::to_string(digest_length(condition.kind)) +
                      " lower-case hexadecimal digits");
    }
    compiled.digests.insert(value);
  }
  return {};
}

Result<void> take_globs(const playbook::Condition& condition, CompiledCondition& compiled) {
  for (const std::string& value : condition.values) {
    for (const bool ignore_case : {false, true}) {
      TRY_LET(Glob glob, Glob::parse(value, ignore_case));
      compiled.globs[ignore_case ? 1 : 0].push_back(std::move(glob));
    }
  }
  return {};
}

Result<void> take_rules(const playbook::Condition& condition, Matchers& matchers,
                        CompiledCondition& compiled) {
  const auto known = matchers.sources.find(condition.rules);
  compiled.number = known == matchers.sources.end() ? matchers.sources.size() : known->second;
  if (known != matchers.sources.end()) return {};
  if (!matchers.compiler) {
    TRY_LET(matchers.compiler,
            matchers.apart == nullptr ? start_compiler() : start_compiler_apart(*matchers.apart));
  }
  TRY(matchers.compiler->add(condition.rules));
  matchers.sources.emplace(condition.rules, compiled.number);
  return {};
}

std::unexpected<Error> empty(std::string_view what) {
  return fail(Code::bad_input, "a condition has " + std::string(what), "give at least one");
}

Result<CompiledCondition> compile(const playbook::Condition& condition, Matchers& matchers,
                                  std::size_t nesting) {
  if (nesting > max_nesting) {
    return fail(Code::bad_input, "conditions nest too deep", "nest at most 64");
  }
  CompiledCondition compiled;
  compiled.kind = condition.kind;
  compiled.source = &condition;
  switch (condition.kind) {
    case Kind::negation:
      if (condition.children.size() != 1) {
        return fail(Code::bad_input, "a 'not' has other than one condition", "give exactly one");
      }
      [[fallthrough]];
    case Kind::all:
    case Kind::any:
      if (condition.children.empty()) return empty("no conditions within");
      for (const playbook::Condition& child : condition.children) {
        TRY_LET(CompiledCondition below, compile(child, matchers, nesting + 1));
        compiled.children.push_back(std::move(below));
      }
      std::ranges::stable_sort(compiled.children, {}, cost);
      break;
    case Kind::path:
      if (condition.values.empty()) return empty("no glob");
      TRY(take_globs(condition, compiled));
      break;
    case Kind::sha256:
    case Kind::sha1:
    case Kind::md5:
      if (condition.values.empty()) return empty("no digest");
      TRY(take_digests(condition, compiled));
      break;
    case Kind::size:
      if (condition.min_size > condition.max_size) {
        return fail(Code::bad_input, "a size condition has a minimum above its maximum",
                    "swap them");
      }
      break;
    case Kind::magic:
      if (condition.bytes.empty()) return empty("no magic bytes");
      break;
    case Kind::regex: {
      TRY_LET(compiled.number, matchers.regexes.add(condition));
      break;
    }
    case Kind::yara:
      TRY(take_rules(condition, matchers, compiled));
      break;
    case Kind::structure:
      if (condition.structure != "exchange-vdir-dump") {
        return fail(Code::bad_input,
                    "the structure \"" + display(condition.structure, 100) + "\" is not known",
                    "the known one is exchange-vdir-dump");
      }
      break;
  }
  return compiled;
}

Answer opposite(Answer answer) {
  if (answer == Answer::unknown) return answer;
  return answer == Answer::yes ? Answer::no : Answer::yes;
}

/// all, any and not over three values; `ask` answers a child.
template <class Ask>
Answer combine(const CompiledCondition& condition, Ask ask) {
  if (condition.kind == Kind::negation) return opposite(ask(condition.children.front()));
  const Answer decisive = condition.kind == Kind::all ? Answer::no : Answer::yes;
  Answer whole = opposite(decisive);
  for (const CompiledCondition& child : condition.children) {
    const Answer answer = ask(child);
    if (answer == decisive) return answer;
    if (answer == Answer::unknown) whole = answer;
  }
  return whole;
}

bool is_tree(Kind kind) { return kind == Kind::all || kind == Kind::any || kind == Kind::negation; }

const Glob* matching_glob(const CompiledCondition& condition, std::string_view below_scope,
                          bool ignore_case) {
  const std::vector<Glob>& globs = condition.globs[ignore_case ? 1 : 0];
  const auto found =
      std::ranges::find_if(globs, [&](const Glob& glob) { return glob.matches(below_scope); });
  return found == globs.end() ? nullptr : &*found;
}

}  // namespace

Result<CompiledCondition> compile_condition(const playbook::Condition& condition,
                                            Matchers& matchers) {
  return compile(condition, matchers, 0);
}

Result<void> finish_rules(Matchers& matchers) {
  if (!matchers.compiler) return {};
  TRY_LET(matchers.rules, matchers.compiler->finish());
  matchers.compiler.reset();
  return {};
}

Answer answer_unread(const CompiledCondition& condition, std::string_view below_scope,
                     bool ignore_case, std::optional<std::uint64_t> size) {
  if (condition.kind == Kind::path) {
    return matching_glob(condition, below_scope, ignore_case) != nullptr ? Answer::yes : Answer::no;
  }
  if (condition.kind == Kind::size && size) {
    return *size >= condition.source->min_size && *size <= condition.source->max_size ? Answer::yes
                                                                                      : Answer::no;
  }
  if (!is_tree(condition.kind)) return Answer::unknown;
  return combine(condition, [&](const CompiledCondition& child) {
    return answer_unread(child, below_scope, ignore_case, size);
  });
}

bool asks_for_size(const CompiledCondition& condition) {
  return condition.kind == Kind::size || std::ranges::any_of(condition.children, asks_for_size);
}

YaraTarget yara_target(const RawPath& path, bool windows) {
  YaraTarget target;
  target.filename = path.name();
  const std::size_t dot = target.filename.rfind('.');
  if (dot != std::string::npos) target.extension = ascii_lower(target.filename.substr(dot));
  target.filepath = (windows ? "C:/" : "/") + path.parent().bytes();
  if (path.parent().is_root()) target.filepath.pop_back();
  if (windows) std::ranges::replace(target.filepath, '/', '\\');
  return target;
}

crypto::Algorithm digest_algorithm(Kind kind) {
  return kind == Kind::sha256 ? crypto::Algorithm::sha256
         : kind == Kind::sha1 ? crypto::Algorithm::sha1
                              : crypto::Algorithm::md5;
}

}  // namespace remediate::match
