#include "remediate/match/engine.h"

#include <algorithm>
#include <array>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <tuple>
#include <utility>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/match/content.h"
#include "remediate/match/evidence.h"
#include "remediate/observe/issue_log.h"

namespace remediate::match {
namespace {

constexpr std::size_t max_matches = 100'000;
constexpr std::size_t max_dump_value = 4096;
/// What a report and the reset of the directory object need.
constexpr std::array<std::string_view, 14> dump_fields = {
    "Name",           "Server",           "MetabasePath",      "Path",
    "InternalUrl",    "ExternalUrl",      "DistinguishedName", "Identity",
    "Guid",           "WhenChanged",      "WhenCreated",       "WhenChangedUTC",
    "WhenCreatedUTC", "OriginatingServer"};

struct CompiledIndicator {
  const playbook::Playbook* playbook = nullptr;
  const playbook::Indicator* indicator = nullptr;
  CompiledCondition condition;
};

struct CompiledScope {
  const playbook::Playbook* playbook = nullptr;
  const playbook::Scope* scope = nullptr;
  std::vector<Glob> include;
  std::vector<Glob> exclude;
  std::vector<const CompiledIndicator*> indicators;
  bool sizes = false;  // an indicator asks for one

  [[nodiscard]] bool may_match(std::string_view below_scope,
                               std::optional<std::uint64_t> size) const {
    return std::ranges::any_of(indicators, [&](const CompiledIndicator* indicator) {
      return answer_unread(indicator->condition, below_scope, scope->ignore_case, size) !=
             Answer::no;
    });
  }
  [[nodiscard]] bool covers(std::string_view below_scope) const {
    const auto fits = [&](const Glob& glob) { return glob.matches(below_scope); };
    return std::ranges::any_of(include, fits) && std::ranges::none_of(exclude, fits);
  }
};

std::string named(const playbook::Playbook& playbook, const playbook::Indicator& indicator) {
  return "indicator " + display(indicator.id, 100) + " of playbook " + display(playbook.id, 100);
}

std::vector<DumpField> chosen_fields(const Dump& dump) {
  std::vector<DumpField> chosen;
  for (const DumpField& field : dump.fields) {
    const bool wanted = std::ranges::any_of(
        dump_fields, [&](std::string_view name) { return ascii_iequals(name, field.name); });
    if (wanted && field.value.size() <= max_dump_value) chosen.push_back(field);
  }
  return chosen;
}

/// What several indicators could not be asked of one file for one reason is one issue.
class Doubts {
 public:
  void add(const std::string& where, const std::string& what, const std::string& who) {
    Those& those = all_[{where, what}];
    if (those.all.empty()) those.first = who;
    those.all.insert(who);
  }
  void tell(observe::IssueLog& issues) const {
    for (const auto& [key, those] : all_) {
      std::string who = those.first;
      const std::size_t more = those.all.size() - 1;
      if (more > 0)
        who +=
            " and " + std::to_string(more) + (more == 1 ? " more indicator" : " more indicators");
      issues.add(observe::Issue::Kind::not_evaluated, key.first, who + key.second);
    }
  }

 private:
  struct Those {
    std::string first;
    std::set<std::string> all;
  };
  std::map<std::pair<std::string, std::string>, Those> all_;  // by where and what
};

bool spelled_for_windows(const std::string& spelled) {
  return spelled.find('\\') != std::string::npos || (spelled.size() > 1 && spelled[1] == ':');
}

YaraTarget target_of(const observe::FileObservation& file) {
  return yara_target(file.path, spelled_for_windows(file.scope->spelled));
}

}  // namespace

struct Engine::Impl {
  Matchers matchers;
  std::vector<std::unique_ptr<CompiledIndicator>> indicators;
  std::vector<CompiledScope> scopes;  // sorted by playbook and id
  bool generic_content_removes = false;
  observe::IssueLog issues;
  std::mutex mutex;
  std::vector<FileMatch> matches;
  std::uint64_t matches_dropped = 0;
  std::uint64_t max_match_bytes = 0;
  std::uint64_t match_bytes = 0;
  std::uint64_t too_long = 0;  // matches that the bytes were no room for
  std::string first_too_long;
  Windows windows{};
  std::mutex one_whole;

  Result<void> add(const playbook::Playbook& playbook);
  Result<void> add_indicator(const playbook::Playbook& playbook,
                             const playbook::Indicator& indicator, std::size_t first_scope);
  [[nodiscard]] const CompiledScope* find(const observe::ScopeInstance& instance) const;
  /// What one file is found to be; kept once it is known that it did not change.
  struct Judgement {
    std::vector<FileMatch> matches;
    std::vector<observe::Issue> issues;
    Doubts doubts;
  };
  void judge(const CompiledScope& scope, const CompiledIndicator& indicator,
             const observe::FileObservation& file, Content& content,
             const observe::TargetSource& target, Judgement& judgement);
  template <class Each>
  void for_each_asked(std::span<const observe::FileObservation> places, const Each& each) const;
  void keep(Judgement judgement);
  void weigh(playbook::Rests rests, FileMatch& match) const;
  void keep(FileMatch match);
};

Result<void> Engine::Impl::add(const playbook::Playbook& playbook) {
  const std::size_t first = scopes.size();
  for (const playbook::Scope& scope : playbook.scopes) {
    CompiledScope compiled;
    compiled.playbook = &playbook;
    compiled.scope = &scope;
    const std::string name =
        "scope " + display(scope.id, 100) + " of playbook " + display(playbook.id, 100);
    auto include = Glob::parse_all(scope.include, scope.ignore_case);
    if (!include) return std::unexpected(std::move(include).error().wrapped(name));
    auto exclude = Glob::parse_all(scope.exclude, scope.ignore_case);
    if (!exclude) return std::unexpected(std::move(exclude).error().wrapped(name));
    if (include->empty()) {
      return fail(Code::bad_input, name + " includes no file", "give at least one glob");
    }
    compiled.include = std::move(*include);
    compiled.exclude = std::move(*exclude);
    scopes.push_back(std::move(compiled));
  }
  for (const playbook::Indicator& indicator : playbook.indicators) {
    if (!indicator.match) continue;
    if (auto added = add_indicator(playbook, indicator, first); !added) {
      return std::unexpected(std::move(added).error().wrapped(named(playbook, indicator)));
    }
  }
  return {};
}

Result<void> Engine::Impl::add_indicator(const playbook::Playbook& playbook,
                                         const playbook::Indicator& indicator,
                                         std::size_t first_scope) {
  auto compiled = std::make_unique<CompiledIndicator>();
  compiled->playbook = &playbook;
  compiled->indicator = &indicator;
  TRY_LET(compiled->condition, compile_condition(*indicator.match, matchers));
  for (const std::string& id : indicator.scopes) {
    const auto scope =
        std::find_if(scopes.begin() + static_cast<std::ptrdiff_t>(first_scope), scopes.end(),
                     [&](const CompiledScope& candidate) { return candidate.scope->id == id; });
    if (scope == scopes.end()) {
      return fail(Code::bad_input, "the scope " + display(id, 100) + " does not exist",
                  "name one of the playbook's scopes");
    }
    scope->indicators.push_back(compiled.get());
    scope->sizes = scope->sizes || asks_for_size(compiled->condition);
  }
  if (indicator.scopes.empty()) {
    return fail(Code::bad_input, "it has no scope", "name at least one of the playbook's scopes");
  }
  indicators.push_back(std::move(compiled));
  return {};
}

const CompiledScope* Engine::Impl::find(const observe::ScopeInstance& instance) const {
  const auto key = [](const CompiledScope& scope) {
    return std::tuple<std::string_view, std::string_view>(scope.playbook->id, scope.scope->id);
  };
  const std::tuple<std::string_view, std::string_view> wanted(instance.playbook, instance.scope);
  const auto found = std::ranges::lower_bound(scopes, wanted, {}, key);
  return found == scopes.end() || key(*found) != wanted ? nullptr : &*found;
}

/// Takes the right to remove from what rests on too little, and says so.
void Engine::Impl::weigh(playbook::Rests rests, FileMatch& match) const {
  if (rests == playbook::Rests::exact) return;
  if (rests == playbook::Rests::content && generic_content_removes) {
    match.reasons.push_back(
        {.kind = "policy", .text = "rests on generic content alone, which the policy lets remove"});
    return;
  }
  match.authorises = playbook::Authorises::review;
  match.reasons.push_back(
      {.kind = "review",
       .text = rests == playbook::Rests::content
                   ? "rests on generic content alone (no digest, no structure, no path that names "
                     "a file or a folder), so it is for review only; a policy with "
                     "\"generic_content\": \"remove\" lets it be removed"
                   : "nothing in its content was matched, so it is for review only"});
}

void Engine::Impl::judge(const CompiledScope& scope, const CompiledIndicator& indicator,
                         const observe::FileObservation& file, Content& content,
                         const observe::TargetSource& target, Judgement& judgement) {
  // Said of few files, and asked about all.
  const auto name = [&] { return named(*indicator.playbook, *indicator.indicator); };
  Evaluation evaluation;
  const Answer answer = evaluate(indicator.condition, file.below_scope, scope.scope->ignore_case,
                                 content, evaluation);
  if (answer == Answer::unknown)
    judgement.doubts.add(file.path.display(), ": " + evaluation.doubt, name());
  if (answer != Answer::yes) return;
  std::optional<playbook::Rests> rests;
  if (indicator.indicator->authorises == playbook::Authorises::remove && content.complete())
    rests = strongest_way(indicator.condition, file.below_scope, scope.scope->ignore_case, content,
                          evaluation);
  if (!evaluation.beside.empty())
    judgement.doubts.add(file.path.display(), " (matches; more of it may): " + evaluation.beside,
                         name());
  if (!content.complete()) {
    judgement.issues.push_back({observe::Issue::Kind::not_evaluated, file.path.display(),
                                name() + " matches by path, but the file was not read"});
    return;
  }
  auto facts = target.facts();
  if (!facts) {
    judgement.issues.push_back({observe::Issue::Kind::unreadable, file.path.display(),
                                name() + " matches, but: " + facts.error().text()});
    return;
  }
  FileMatch match;
  match.playbook = indicator.playbook->id;
  match.indicator = indicator.indicator->id;
  match.authorises = indicator.indicator->authorises;
  match.scope = scope.scope->id;
  match.path = file.path;
  match.sha256 = content.digest(playbook::Condition::Kind::sha256);
  if (std::ranges::find(indicator.indicator->exclude_sha256, match.sha256) !=
      indicator.indicator->exclude_sha256.end()) {
    match.exclusion = "its SHA-256 is in the indicator's list of known good files";
  }
  match.reasons = std::move(evaluation.reasons);
  if (rests) weigh(*rests, match);
  if (evaluation.dump && content.dump()) match.dump = chosen_fields(*content.dump());
  match.facts = std::move(*facts);
  judgement.matches.push_back(std::move(match));
}

/// What may lead to a removal first: whoever makes a file slow to search shall not spend its time
/// on what is for review.
template <class Each>
void Engine::Impl::for_each_asked(std::span<const observe::FileObservation> places,
                                  const Each& each) const {
  for (const auto authorises : {playbook::Authorises::remove, playbook::Authorises::review}) {
    for (const observe::FileObservation& place : places) {
      const CompiledScope* scope = find(*place.scope);
      if (scope == nullptr || !scope->covers(place.below_scope)) continue;
      for (const CompiledIndicator* indicator : scope->indicators)
        if (indicator->indicator->authorises == authorises) each(*scope, *indicator, place);
    }
  }
}

/// What whoever made the file decides about.
static std::uint64_t size_of(const FileMatch& match) {
  std::uint64_t size = sizeof match + match.path.bytes().size() + match.exclusion.size();
  for (const Reason& reason : match.reasons)
    size += sizeof reason + reason.text.size() + reason.excerpt.size();
  for (const DumpField& field : match.dump)
    size += sizeof field + field.name.size() + field.value.size();
  const Metadata& metadata = match.facts.metadata;
  for (const ExtendedAttribute& attribute : metadata.attributes)
    size += sizeof attribute + attribute.name.size() + attribute.value.size();
  return size + metadata.extents.size() * sizeof metadata.extents.front();
}

void Engine::Impl::keep(FileMatch match) {
  const std::uint64_t size = size_of(match);
  const std::lock_guard lock(mutex);
  if (matches.size() >= max_matches) {
    ++matches_dropped;
  } else if (size > max_match_bytes - match_bytes) {
    if (too_long++ == 0) first_too_long = match.path.display();
  } else {
    match_bytes += size;
    matches.push_back(std::move(match));
  }
}

void Engine::Impl::keep(Judgement judgement) {
  for (FileMatch& match : judgement.matches) keep(std::move(match));
  for (observe::Issue& issue : judgement.issues)
    issues.add(issue.kind, std::move(issue.where), std::move(issue.reason));
  judgement.doubts.tell(issues);
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::compile(const std::vector<playbook::Playbook>& playbooks,
                                                const EngineOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->max_match_bytes = options.max_match_bytes;
  impl->generic_content_removes = options.generic_content_removes;
  impl->matchers.yara_timeout_seconds = options.yara_timeout_seconds;
  impl->matchers.regex_time = std::chrono::seconds(options.regex_timeout_seconds);
  impl->matchers.apart = options.apart;
  impl->windows = options.windows;
  if (options.portable)
    impl->matchers.regexes =
        RegexMatcher(RegexMatcher::default_memory, RegexMatcher::Engines::portable);
  for (const playbook::Playbook& playbook : playbooks) TRY(impl->add(playbook));
  TRY(finish_rules(impl->matchers));
  std::ranges::sort(impl->scopes, {}, [](const CompiledScope& scope) {
    return std::tuple<std::string_view, std::string_view>(scope.playbook->id, scope.scope->id);
  });
  if (options.one_pass_at_once) {
    impl->matchers.regexes.prepare();
  } else {
    impl->matchers.regexes.prepare_when_worth_it();
  }
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

observe::Need Engine::need(const observe::ScopeInstance& scope,
                           std::string_view below_scope) const {
  const CompiledScope* compiled = impl_->find(scope);
  if (compiled == nullptr || !compiled->covers(below_scope)) return observe::Need::skip;
  // A match by path alone needs the content too: its digest is what a plan binds.
  return compiled->may_match(below_scope, std::nullopt) ? observe::Need::content
                                                        : observe::Need::skip;
}

bool Engine::wants(const observe::ScopeInstance& scope, std::string_view below_scope,
                   std::uint64_t size) const {
  const CompiledScope* compiled = impl_->find(scope);
  return compiled != nullptr && (!compiled->sizes || compiled->may_match(below_scope, size));
}

void Engine::observe_unread(const observe::FileObservation& file) {
  const CompiledScope* scope = impl_->find(*file.scope);
  if (scope == nullptr || !scope->covers(file.below_scope)) return;
  Doubts doubts;
  for (const CompiledIndicator* indicator : scope->indicators) {
    const Answer answer =
        answer_unread(indicator->condition, file.below_scope, scope->scope->ignore_case, file.size);
    if (answer == Answer::yes)
      doubts.add(file.path.display(),
                 " would match: nothing in the content is asked for. But the file has " +
                     std::to_string(file.size) +
                     " bytes and was not read, so it is not listed as a match. Look at it, or "
                     "raise the playbook's max_file_size",
                 named(*indicator->playbook, *indicator->indicator));
  }
  doubts.tell(impl_->issues);
}

std::uint64_t Engine::max_file_size(const observe::ScopeInstance& scope) const {
  const CompiledScope* compiled = impl_->find(scope);
  return compiled == nullptr ? 0 : compiled->playbook->max_file_size;
}

void Engine::observe(const observe::FileObservation& file, std::string_view content,
                     const observe::TargetSource& target) {
  observe_in(std::span(&file, 1), content, target);
}

void Engine::observe_in(std::span<const observe::FileObservation> places, std::string_view content,
                        const observe::TargetSource& target) {
  if (places.empty()) return;
  const observe::FileObservation& front = places.front();
  try {
    const auto held =
        held_content(impl_->matchers, content, content.size() == front.size, target_of(front));
    Impl::Judgement judgement;
    impl_->for_each_asked(places, [&](const auto& scope, const auto& indicator, const auto& place) {
      impl_->judge(scope, indicator, place, *held, target, judgement);
    });
    impl_->keep(std::move(judgement));
  } catch (const std::exception& thrown) {
    impl_->issues.add(observe::Issue::Kind::not_evaluated, front.path.display(), thrown.what());
  }
}

Result<void> Engine::observe_large(std::span<const observe::FileObservation> places,
                                   const observe::LargeContent& content,
                                   const observe::TargetSource& target) {
  if (places.empty()) return {};
  const observe::FileObservation& front = places.front();
  try {
    const auto open = [&](const auto& scope, const auto& indicator, const auto& place) {
      return answer_unread(indicator.condition, place.below_scope, scope.scope->ignore_case,
                           content.size()) != Answer::no;
    };
    Questions questions;
    impl_->for_each_asked(places, [&](const auto& scope, const auto& indicator, const auto& place) {
      if (open(scope, indicator, place))
        questions.add(indicator.condition, indicator.indicator->authorises);
    });
    TRY_LET(const auto windowed,
            windowed_content(impl_->matchers, content, questions, impl_->windows, target_of(front),
                             impl_->one_whole));
    Impl::Judgement judgement;
    impl_->for_each_asked(places, [&](const auto& scope, const auto& indicator, const auto& place) {
      if (open(scope, indicator, place))
        impl_->judge(scope, indicator, place, *windowed, target, judgement);
    });
    TRY(content.unchanged());
    impl_->keep(std::move(judgement));
  } catch (const std::exception& thrown) {
    impl_->issues.add(observe::Issue::Kind::not_evaluated, front.path.display(), thrown.what());
  }
  return {};
}

std::vector<FileMatch> Engine::take_matches() {
  const std::lock_guard lock(impl_->mutex);
  std::vector<FileMatch> matches = std::exchange(impl_->matches, {});
  const auto key = [](const FileMatch& match) {
    return std::tie(match.path, match.playbook, match.indicator, match.scope);
  };
  std::ranges::sort(matches, [&](const auto& a, const auto& b) { return key(a) < key(b); });
  // Seen through two scopes of one playbook it is still one match.
  const auto repeated = std::ranges::unique(matches, [](const auto& a, const auto& b) {
    return a.path == b.path && a.playbook == b.playbook && a.indicator == b.indicator;
  });
  matches.erase(repeated.begin(), repeated.end());
  return matches;
}

std::vector<observe::Issue> Engine::take_issues() {
  std::uint64_t dropped = 0;
  std::uint64_t too_long = 0;
  {
    const std::lock_guard lock(impl_->mutex);
    dropped = std::exchange(impl_->matches_dropped, 0);
    too_long = std::exchange(impl_->too_long, 0);
  }
  auto issues = impl_->issues.take().first;
  if (too_long > 0) {
    issues.push_back(
        {.kind = observe::Issue::Kind::not_evaluated,
         .where = "(all scopes)",
         .reason = std::to_string(too_long) +
                   " more matches were found that are neither listed nor acted on (one is " +
                   impl_->first_too_long +
                   "): with their paths and attributes the matches have "
                   "more than " +
                   std::to_string(impl_->max_match_bytes) +
                   " bytes. Look for very long paths and attributes there, remove what this plan "
                   "lists, then make a new plan"});
  }
  if (dropped > 0) {
    issues.push_back({.kind = observe::Issue::Kind::not_evaluated,
                      .where = "(all scopes)",
                      .reason = std::to_string(dropped) + " more matches were found than the " +
                                std::to_string(max_matches) + " that are listed"});
  }
  return issues;
}

}  // namespace remediate::match
