#include "remediate/run/setting_scan.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/plan/setting_plan.h"
#include "remediate/setting/needed.h"
#include "remediate/setting/provider.h"

namespace remediate::run {
namespace {

constexpr std::size_t max_issues = 1000;

struct Wanted {
  const playbook::Playbook* playbook;
  const playbook::Indicator* indicator;
  const setting::FileProvider* provider;
  setting::Query query;
};

struct Scope {
  const playbook::Playbook* playbook;
  const playbook::Scope* scope;
  std::vector<match::Glob> include;
  std::vector<match::Glob> exclude;
  std::vector<Wanted> wanted;

  [[nodiscard]] bool covers(std::string_view path) const {
    const auto fits = [&](const match::Glob& glob) { return glob.matches(path); };
    return std::ranges::any_of(include, fits) && std::ranges::none_of(exclude, fits);
  }
};

}  // namespace

struct SettingScan::Impl {
  explicit Impl(match::Engine& the_engine) : engine(the_engine) {}

  match::Engine& engine;
  std::vector<Scope> scopes{};  // only those that settings are looked for in
  std::mutex mutex{};
  std::set<Place> places{};
  std::map<RawPath, plan::UnreadSetting> unread{};
  std::vector<observe::Issue> issues{};
  std::size_t dropped = 0;

  Result<void> add(const playbook::Playbook& playbook, const playbook::Indicator& indicator) {
    const setting::FileProvider* provider = setting::find_provider(indicator.setting->provider);
    if (provider == nullptr)
      return fail(
          Code::bad_input,
          display(playbook.file) + ": no provider is named " + display(indicator.setting->provider),
          "run `remediate check`");
    for (const std::string& id : indicator.scopes) {
      TRY_LET(Scope* const scope, scope_of(playbook, id));
      scope->wanted.push_back(
          {&playbook, &indicator, provider, plan::query_of(*indicator.setting)});
    }
    return {};
  }

  Result<Scope*> scope_of(const playbook::Playbook& playbook, const std::string& id) {
    for (Scope& known : scopes)
      if (known.playbook == &playbook && known.scope->id == id) return &known;
    const auto scope = std::ranges::find(playbook.scopes, id, &playbook::Scope::id);
    if (scope == playbook.scopes.end())
      return fail(Code::bad_input, "the scope " + display(id, 100) + " does not exist",
                  "name one of the playbook's scopes");
    Scope made{&playbook, &*scope, {}, {}, {}};
    TRY_LET(made.include, match::Glob::parse_all(scope->include, scope->ignore_case));
    TRY_LET(made.exclude, match::Glob::parse_all(scope->exclude, scope->ignore_case));
    scopes.push_back(std::move(made));
    return &scopes.back();
  }

  [[nodiscard]] const Scope* find(const observe::ScopeInstance& instance) const {
    for (const Scope& scope : scopes)
      if (scope.scope->id == instance.scope && scope.playbook->id == instance.playbook)
        return &scope;
    return nullptr;
  }

  /// With the mutex held.
  void keep_unread(const observe::ScopeInstance& scope, const RawPath& path,
                   const std::string& reason) {
    if (!setting::may_need_files(path.name())) return;
    if (unread.size() < max_places || unread.contains(path))
      unread.try_emplace(path, plan::UnreadSetting{path, path.parent(), reason});
    else
      unread.try_emplace(scope.folder,
                         plan::UnreadSetting{scope.folder, scope.folder,
                                             "too many configuration files could not be read"});
  }

  void refuse(const Wanted& wanted, const observe::FileObservation& file,
              const std::string& reason) {
    const std::lock_guard lock(mutex);
    keep_unread(*file.scope, file.path, reason);
    if (issues.size() < max_issues)
      issues.push_back({observe::Issue::Kind::not_evaluated, file.path.display(),
                        "for settings of " + std::string(wanted.provider->name()) + ": " + reason});
    else
      ++dropped;
  }

  void look(const Wanted& wanted, const observe::FileObservation& file, std::string_view content) {
    const auto found = wanted.provider->find(content, wanted.query);
    if (!found) return refuse(wanted, file, found.error().text());
    const std::lock_guard lock(mutex);
    if (found->empty()) return;
    if (places.size() < max_places)
      places.insert({wanted.playbook->id, wanted.indicator->id, file.path});
    else
      keep_dropped(file);
  }

  /// With the mutex held. What it says is not looked at, so what it needs is not known either.
  void keep_dropped(const observe::FileObservation& file) {
    ++dropped;
    keep_unread(*file.scope, file.path, "more configuration files than are looked at");
  }
};

SettingScan::SettingScan(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SettingScan::~SettingScan() = default;

Result<std::unique_ptr<SettingScan>> SettingScan::make(
    const std::vector<playbook::Playbook>& playbooks, match::Engine& engine) {
  auto impl = std::make_unique<Impl>(engine);
  for (const playbook::Playbook& playbook : playbooks)
    for (const playbook::Indicator& indicator : playbook.indicators)
      if (indicator.setting && !indicator.scopes.empty()) TRY(impl->add(playbook, indicator));
  return std::unique_ptr<SettingScan>(new SettingScan(std::move(impl)));
}

observe::Need SettingScan::need(const observe::ScopeInstance& scope,
                                std::string_view below_scope) const {
  const Scope* known = impl_->find(scope);
  if (known != nullptr && known->covers(below_scope)) return observe::Need::content;
  return impl_->engine.need(scope, below_scope);
}

bool SettingScan::wants(const observe::ScopeInstance& scope, std::string_view below_scope,
                        std::uint64_t size) const {
  const Scope* known = impl_->find(scope);
  if (known != nullptr && known->covers(below_scope)) return true;
  return impl_->engine.wants(scope, below_scope, size);
}

void SettingScan::observe_unread(const observe::FileObservation& file) {
  impl_->engine.observe_unread(file);
}

std::string_view SettingScan::raises_limit() const { return impl_->engine.raises_limit(); }

std::uint64_t SettingScan::max_file_size(const observe::ScopeInstance& scope) const {
  return impl_->engine.max_file_size(scope);
}

void SettingScan::observe(const observe::FileObservation& file, std::string_view content,
                          const observe::TargetSource& target) {
  observe_in(std::span(&file, 1), content, target);
}

void SettingScan::observe_in(std::span<const observe::FileObservation> places,
                             std::string_view content, const observe::TargetSource& target) {
  impl_->engine.observe_in(places, content, target);
  for (const observe::FileObservation& place : places) {
    const Scope* known = impl_->find(*place.scope);
    if (known == nullptr || !known->covers(place.below_scope)) continue;
    for (const Wanted& wanted : known->wanted) impl_->look(wanted, place, content);
  }
}

Result<void> SettingScan::observe_large(std::span<const observe::FileObservation> places,
                                        const observe::LargeContent& content,
                                        const observe::TargetSource& target) {
  const auto covering = [this](const observe::FileObservation& place) {
    const Scope* known = impl_->find(*place.scope);
    return known != nullptr && known->covers(place.below_scope) ? known : nullptr;
  };
  const bool small = content.size() <= max_setting_bytes;
  std::string whole;
  if (small && std::ranges::any_of(places, covering)) {
    whole.resize(static_cast<std::size_t>(content.size()));
    TRY(content.read(0, whole));
    TRY(content.unchanged());
  }
  TRY(impl_->engine.observe_large(places, content, target));
  for (const observe::FileObservation& place : places) {
    const Scope* known = covering(place);
    if (known == nullptr) continue;
    for (const Wanted& wanted : known->wanted) {
      if (small) {
        impl_->look(wanted, place, whole);
      } else {
        impl_->refuse(wanted, place,
                      "it has " + std::to_string(content.size()) + " bytes, more than the " +
                          std::to_string(max_setting_bytes) +
                          " that are read of a configuration file");
      }
    }
  }
  return {};
}

std::set<SettingScan::Place> SettingScan::take_places() { return std::move(impl_->places); }

void SettingScan::missed(const observe::ScopeInstance& scope, const RawPath& path,
                         std::string_view below_scope, const std::string& reason) {
  const Scope* known = impl_->find(scope);
  if (known == nullptr || !known->covers(below_scope)) return;
  const std::lock_guard lock(impl_->mutex);
  impl_->keep_unread(scope, path, reason);
}

std::vector<plan::UnreadSetting> SettingScan::take_unread() {
  std::vector<plan::UnreadSetting> all;
  for (auto& [path, file] : impl_->unread) all.push_back(std::move(file));
  return all;
}

std::vector<observe::Issue> SettingScan::take_issues() {
  if (impl_->dropped != 0)
    impl_->issues.push_back(
        {observe::Issue::Kind::not_evaluated, "",
         std::to_string(impl_->dropped) + " further files with such settings are not looked at"});
  return std::move(impl_->issues);
}

}  // namespace remediate::run
