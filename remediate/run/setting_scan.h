#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "remediate/match/engine.h"
#include "remediate/plan/planner.h"
#include "remediate/playbook/model.h"

namespace remediate::run {

/// Looks, during the one scan of the files, for the configuration files of a scope that hold a
/// setting somebody asks for: .htaccess and the like lie anywhere. What it finds is only a place;
/// the planner reads and judges the file again. Passes everything on to the engine.
class SettingScan final : public observe::Selector {
 public:
  static constexpr std::size_t max_places = 10'000;
  /// No provider reads a larger file (setting/xml_scan.h, the largest).
  static constexpr std::uint64_t max_setting_bytes = 32u << 20;

  /// Both must outlive this. bad_input for a glob that does not compile or an unknown provider.
  [[nodiscard]] static Result<std::unique_ptr<SettingScan>> make(
      const std::vector<playbook::Playbook>& playbooks, match::Engine& engine);
  ~SettingScan() override;

  [[nodiscard]] observe::Need need(const observe::ScopeInstance& scope,
                                   std::string_view below_scope) const override;
  [[nodiscard]] bool wants(const observe::ScopeInstance& scope, std::string_view below_scope,
                           std::uint64_t size) const override;
  [[nodiscard]] std::uint64_t max_file_size(const observe::ScopeInstance& scope) const override;
  [[nodiscard]] std::string_view raises_limit() const override;
  void observe_unread(const observe::FileObservation& file) override;
  void observe(const observe::FileObservation& file, std::string_view content,
               const observe::TargetSource& target) override;
  void observe_in(std::span<const observe::FileObservation> places, std::string_view content,
                  const observe::TargetSource& target) override;
  [[nodiscard]] Result<void> observe_large(std::span<const observe::FileObservation> places,
                                           const observe::LargeContent& content,
                                           const observe::TargetSource& target) override;

  /// For ScanOptions::missed.
  void missed(const observe::ScopeInstance& scope, const RawPath& path,
              std::string_view below_scope, const std::string& reason);

  struct Place {
    std::string playbook;
    std::string indicator;
    RawPath path;
    auto operator<=>(const Place&) const = default;
  };
  /// After the scan, in order.
  [[nodiscard]] std::set<Place> take_places();
  /// By path: files that may have PHP run others with every page and that nobody could read, and
  /// why. After max_places the scope's folder stands for all of it.
  [[nodiscard]] std::vector<plan::UnreadSetting> take_unread();
  /// Files that could not be read as what they should be, and how many places were left out.
  [[nodiscard]] std::vector<observe::Issue> take_issues();

 private:
  struct Impl;
  explicit SettingScan(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace remediate::run
