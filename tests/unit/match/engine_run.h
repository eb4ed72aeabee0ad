#pragma once

// An engine with one playbook, and files that it is shown.

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "remediate/match/engine.h"
#include "tests/unit/playbook/conditions.h"

namespace remediate::match::test {

class Facts final : public observe::TargetSource {
 public:
  bool broken = false;
  std::vector<ExtendedAttribute> attributes;
  [[nodiscard]] Result<observe::TargetFacts> facts() const override {
    if (broken) return fail(Code::changed, "it changed");
    observe::TargetFacts facts;
    facts.filesystem = "ext4";
    facts.metadata.attributes = attributes;
    return facts;
  }
};

/// An indicator for each condition, all of which may remove, in one scope without `skip/`.
inline playbook::Playbook book(
    std::vector<std::pair<std::string, playbook::Condition>> conditions) {
  playbook::Playbook made;
  made.id = "playbook--1";
  playbook::Scope scope;
  scope.id = "web";
  scope.include = {"**"};
  scope.exclude = {"skip/**"};
  made.scopes.push_back(scope);
  for (auto& [id, condition] : conditions) {
    playbook::Indicator indicator;
    indicator.id = id;
    indicator.scopes = {"web"};
    indicator.match = std::move(condition);
    indicator.authorises = playbook::Authorises::remove;
    made.indicators.push_back(std::move(indicator));
  }
  return made;
}

/// An engine with the playbook it looks at.
struct Run {
  explicit Run(playbook::Playbook playbook, EngineOptions options = {})
      : playbooks{std::move(playbook)} {
    auto compiled = Engine::compile(playbooks, options);
    if (!compiled) FAIL(compiled.error().text());
    engine = std::move(*compiled);
    scope.playbook = "playbook--1";
    scope.scope = "web";
    scope.spelled = "C:\\www";
    scope.folder = *RawPath::parse("www");
  }
  void see(const std::string& below, std::string_view content) {
    engine->observe(file(below, content.size()), content, facts);
  }
  [[nodiscard]] observe::FileObservation file(const std::string& below, std::uint64_t size) const {
    return {.scope = &scope,
            .path = *RawPath::parse("www/" + below),
            .below_scope = below,
            .size = size};
  }
  std::vector<playbook::Playbook> playbooks;
  std::unique_ptr<Engine> engine;
  observe::ScopeInstance scope;
  Facts facts;
};

}  // namespace remediate::match::test
