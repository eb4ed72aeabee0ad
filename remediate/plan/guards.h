#pragma once

#include <optional>
#include <string>
#include <vector>

#include "remediate/match/engine.h"
#include "remediate/plan/planner.h"

namespace remediate::plan {

/// What keeps a target out of a plan whatever a playbook says. Each answer is the reason, told
/// to the person who reads the plan.
class Guards {
 public:
  /// Both must outlive the guards.
  Guards(const Policy& policy, const Survey& survey);
  [[nodiscard]] std::optional<std::string> against_removal(const RawPath& path,
                                                           const observe::TargetFacts& facts) const;
  /// As against_removal, and what cannot be replaced.
  [[nodiscard]] std::optional<std::string> against_replacement(
      const RawPath& path, const observe::TargetFacts& facts) const;
  [[nodiscard]] std::optional<std::string> against_edit(const RawPath& path,
                                                        const Precondition& precondition) const;
  /// Why a package's file may be removed although it is one; empty for files of no package.
  [[nodiscard]] std::string package_allowance(const RawPath& path) const;
  /// The same for an operation, and whether its provider is for files of that name at all.
  [[nodiscard]] std::optional<std::string> against_edit(const Operation& operation) const;
  /// What a rollback of a removal could not bring back on this file system and as this user.
  [[nodiscard]] std::vector<std::string> not_restorable(const observe::TargetFacts& facts) const;

 private:
  [[nodiscard]] std::optional<std::string> against_place(const RawPath& path,
                                                         const std::string& filesystem) const;
  [[nodiscard]] std::optional<std::string> against_package(const RawPath& path) const;
  [[nodiscard]] static std::optional<std::string> against_links(const Metadata& metadata);

  struct Protected {
    std::string pattern;
    match::Glob glob;
    bool by_policy = false;
    std::optional<RawPath> folder;  // that a pattern without wildcards may name: all below it too
    [[nodiscard]] bool covers(const RawPath& path) const;
  };
  const Policy& policy_;
  const Survey& survey_;
  std::vector<Protected> protected_;
  std::vector<match::Glob> allowed_package_files_;
  std::vector<std::string> bad_globs_;
};

}  // namespace remediate::plan
