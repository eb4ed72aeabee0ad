#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <vector>

#include "remediate/match/engine.h"
#include "remediate/observe/observation.h"
#include "remediate/plan/planner.h"

namespace remediate::run {

/// Files above this are an issue, neither listed nor compared.
inline constexpr std::uint64_t max_baseline_file_size = 256u << 20;

/// Which files below the folders of baselines are looked at. A place's `playbook` is the number of
/// the baseline, its `scope` the number of the folder.
class BaselineSelector : public observe::Selector {
 public:
  [[nodiscard]] observe::Need need(const observe::ScopeInstance& scope,
                                   std::string_view below_scope) const override;
  [[nodiscard]] std::uint64_t max_file_size(const observe::ScopeInstance& scope) const override;

 protected:
  struct Folder {
    std::size_t baseline = 0;
    std::uint32_t number = 0;
    std::vector<match::Glob> include;
    std::vector<match::Glob> exclude;
  };
  [[nodiscard]] Result<void> add(std::size_t number, const plan::Baseline& baseline);
  [[nodiscard]] const Folder* find(const observe::ScopeInstance& scope) const;

 private:
  std::vector<Folder> folders_;
};

/// Compares. Both that are given must outlive it; finish() after the scan.
class BaselineScan final : public BaselineSelector {
 public:
  [[nodiscard]] static Result<std::unique_ptr<BaselineScan>> make(
      std::span<const plan::KnownGood> known, std::vector<plan::BaselineComparison>& into);
  void observe(const observe::FileObservation& file, std::string_view content,
               const observe::TargetSource& target) override;
  void observe_in(std::span<const observe::FileObservation> places, std::string_view content,
                  const observe::TargetSource& target) override;
  [[nodiscard]] Result<void> observe_large(std::span<const observe::FileObservation> places,
                                           const observe::LargeContent& content,
                                           const observe::TargetSource& target) override;
  void finish();

 private:
  BaselineScan(std::span<const plan::KnownGood> known, std::vector<plan::BaselineComparison>& into)
      : known_(known), into_(into), findings_(known.size()) {}
  void compare(std::span<const observe::FileObservation> places, const std::string& digest);
  std::span<const plan::KnownGood> known_;
  std::vector<plan::BaselineComparison>& into_;
  std::mutex mutex_;
  std::vector<std::set<plan::BaselineComparison::Finding>> findings_;  // the first by path
};

/// Lists.
class BaselineMaker final : public BaselineSelector {
 public:
  [[nodiscard]] static Result<std::unique_ptr<BaselineMaker>> make(plan::Baseline& into);
  void observe(const observe::FileObservation& file, std::string_view content,
               const observe::TargetSource& target) override;
  [[nodiscard]] Result<void> observe_large(std::span<const observe::FileObservation> places,
                                           const observe::LargeContent& content,
                                           const observe::TargetSource& target) override;
  /// limit when there were more than max_baseline_files.
  [[nodiscard]] Result<void> finish();

 private:
  explicit BaselineMaker(plan::Baseline& into) : into_(into) {}
  void list(const observe::FileObservation& file, std::string digest, std::uint64_t size);
  plan::Baseline& into_;
  std::mutex mutex_;
  std::uint64_t left_out_ = 0;
};

}  // namespace remediate::run
