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
  /// Compiles one more source.
  [[nodiscard]] std::string prepare(std::string_view source);
  [[nodiscard]] Answer answer(std::string_view request, std::string_view content) const;

 private:
  std::shared_ptr<void> library_;
  std::vector<std::unique_ptr<YaraRules>> rules_;
};

/// Compiles `source` there, as source `number`, counted from 0. Errors as YaraRules::compile, and
/// what the place itself fails with. `apart` must outlive the result.
[[nodiscard]] Result<std::unique_ptr<RuleSource>> compile_apart(Apart& apart,
                                                                const std::string& source,
                                                                std::size_t number);

}  // namespace remediate::match
