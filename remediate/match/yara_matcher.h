#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "remediate/base/error.h"

namespace remediate::match {

/// What YARA rules may ask of a file besides its bytes.
struct YaraTarget {
  std::string filename;
  std::string filepath;   // the folder, without a final separator
  std::string extension;  // lower case, with the dot
};

struct YaraHit {
  std::string rule;
  std::string author;
  std::string reference;
  std::int64_t score = 0;  // 0 when the rule has none
  /// Of the first string found that says something of the content: one that is nothing but
  /// wildcards is found in every file and does not count.
  std::uint64_t offset = 0;
  bool has_offset = false;
};

struct YaraOutcome {
  std::vector<YaraHit> hits;
  std::string incomplete;  // not empty: a bound was reached, rules that are missing may match
};

/// Keeps libyara started for as long as it lives; null in a build without it.
[[nodiscard]] std::shared_ptr<void> start_yara();

/// One rule source, ready to be asked. Thread-safe.
class RuleSource {
 public:
  virtual ~RuleSource() = default;
  RuleSource() = default;
  RuleSource(const RuleSource&) = delete;
  RuleSource& operator=(const RuleSource&) = delete;

  /// `within` is rounded up to whole seconds where libyara itself looks at the clock.
  [[nodiscard]] virtual YaraOutcome scan(std::string_view content, const YaraTarget& target,
                                         std::chrono::milliseconds within) const = 0;
  /// For people: "rule NAME and 3 more".
  [[nodiscard]] virtual const std::string& name() const = 0;
};

/// Compiled in this process.
class YaraRules final : public RuleSource {
 public:
  /// bad_input when the source does not compile, unsupported in a build without YARA.
  [[nodiscard]] static Result<std::unique_ptr<YaraRules>> compile(const std::string& source);
  ~YaraRules() override;
  [[nodiscard]] YaraOutcome scan(std::string_view content, const YaraTarget& target,
                                 std::chrono::milliseconds within) const override;
  [[nodiscard]] const std::string& name() const override;

 private:
  struct Impl;
  explicit YaraRules(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace remediate::match
