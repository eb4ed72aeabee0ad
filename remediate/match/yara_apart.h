#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "remediate/match/yara_matcher.h"

namespace remediate::match {

/// Somewhere else, where rules can be compiled and asked without harm to this process: what gives
/// an error here was not evaluated.
class Apart {
 public:
  virtual ~Apart() = default;
  Apart() = default;
  Apart(const Apart&) = delete;
  Apart& operator=(const Apart&) = delete;
  [[nodiscard]] virtual Result<std::string> prepare(std::string_view bytes) = 0;
  /// By any thread.
  [[nodiscard]] virtual Result<std::string> ask(std::string_view request, std::string_view content,
                                                std::chrono::milliseconds within) = 0;
};

/// The other side: what the answers to these two are made by.
class YaraPlace {
 public:
  struct Answer {
    std::string bytes;
    bool last = false;  // libyara reached a bound; its state is not trusted again
  };
  /// Starts libyara, which reads files then. Not needed where files can be read at any time.
  void begin();
  /// One step of a RuleCompiler.
  [[nodiscard]] std::string prepare(std::string_view step);
  [[nodiscard]] Answer answer(std::string_view request, std::string_view content) const;

 private:
  std::shared_ptr<const void> library_;
  std::unique_ptr<RuleCompiler> compiler_;
  std::unique_ptr<RuleSet> rules_;
};

/// Compiles there; a compiler before it and its rules are given up. Errors as in this process, and
/// what the place itself fails with. `apart` must outlive the rules.
[[nodiscard]] Result<std::unique_ptr<RuleCompiler>> start_compiler_apart(Apart& apart);

}  // namespace remediate::match
