#pragma once

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
  std::uint64_t offset = 0;
  bool has_offset = false;
};

struct YaraOutcome {
  std::vector<YaraHit> hits;
  std::string incomplete;  // not empty: a bound was reached, rules that are missing may match
};

/// One compiled rule source. Thread-safe.
class YaraRules {
 public:
  /// bad_input when the source does not compile, unsupported in a build without YARA.
  [[nodiscard]] static Result<std::unique_ptr<YaraRules>> compile(const std::string& source,
                                                                  unsigned timeout_seconds);
  ~YaraRules();
  [[nodiscard]] YaraOutcome scan(std::string_view content, const YaraTarget& target) const;

 private:
  struct Impl;
  explicit YaraRules(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace remediate::match
