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

struct YaraRule {
  std::size_t source = 0;  // the number of the source that holds it, in the order of add()
  std::string name;
  std::string author;
  std::string reference;
  std::int64_t score = 0;  // 0 when the rule has none
};

struct YaraHit {
  std::size_t rule = 0;  // its number among RuleSet::rules()
  /// Of the first string found that says something of the content: one that is nothing but
  /// wildcards is found in every file and does not count.
  std::uint64_t offset = 0;
  bool has_offset = false;
};

/// A bound was reached: rules that are missing among the hits may match.
struct YaraDoubt {
  std::size_t source = 0;
  std::string why;
};

struct YaraOutcome {
  std::vector<YaraHit> hits;
  std::vector<YaraDoubt> doubts;  // of single sources, at most one of each
  std::string incomplete;         // not empty: a doubt about all sources
};

/// Keeps libyara started for as long as it lives; null in a build without it.
[[nodiscard]] std::shared_ptr<const void> start_yara();

/// The YARA type of a file, as LOKI and THOR spell it: "EXE", "PHP", "UNKNOWN".
[[nodiscard]] std::string_view yara_file_type(std::string_view content);

/// Several rule sources, ready to be asked together: a file is searched once. Each source has a
/// namespace of its own. Thread-safe.
class RuleSet {
 public:
  virtual ~RuleSet() = default;
  RuleSet(const RuleSet&) = delete;
  RuleSet& operator=(const RuleSet&) = delete;

  /// `within` is rounded up to whole seconds where libyara itself looks at the clock.
  [[nodiscard]] virtual YaraOutcome scan(std::string_view content, const YaraTarget& target,
                                         std::chrono::milliseconds within) const = 0;
  /// Sorted by source.
  [[nodiscard]] const std::vector<YaraRule>& rules() const { return rules_; }
  [[nodiscard]] std::size_t sources() const { return sources_; }
  /// Of a source, for people: "rule NAME and 3 more".
  [[nodiscard]] std::string name(std::size_t source) const;

 protected:
  RuleSet(std::vector<YaraRule> rules, std::size_t sources)
      : rules_(std::move(rules)), sources_(sources) {}

 private:
  std::vector<YaraRule> rules_;
  std::size_t sources_;
};

/// Takes the sources one after the other.
class RuleCompiler {
 public:
  virtual ~RuleCompiler() = default;
  RuleCompiler() = default;
  RuleCompiler(const RuleCompiler&) = delete;
  RuleCompiler& operator=(const RuleCompiler&) = delete;

  /// bad_input when the source does not compile or has no rule, limit when memory ends. After an
  /// error nothing more can be added.
  [[nodiscard]] virtual Result<void> add(const std::string& source) = 0;
  /// Once, after the last source.
  [[nodiscard]] virtual Result<std::unique_ptr<RuleSet>> finish() = 0;
};

/// When it is found out which strings are nothing but wildcards; that takes some searching.
enum class Probe : std::uint8_t { with_the_first_scan, with_finish };

/// Compiles in this process. unsupported in a build without YARA.
[[nodiscard]] Result<std::unique_ptr<RuleCompiler>> start_compiler(
    Probe probe = Probe::with_the_first_scan);

/// One source by itself.
[[nodiscard]] Result<std::unique_ptr<RuleSet>> compile_rules(const std::string& source);

}  // namespace remediate::match
