#include <re2/set.h>

#include "remediate/match/pattern_set.h"
#include "remediate/match/re2_options.h"

namespace remediate::match {
namespace {

class Re2Set final : public PatternSet {
 public:
  explicit Re2Set(std::unique_ptr<RE2::Set> set) : set_(std::move(set)) {}
  [[nodiscard]] std::optional<std::vector<std::size_t>> find(std::string_view text) const override {
    std::vector<int> found;
    RE2::Set::ErrorInfo error{RE2::Set::kNoError};
    set_->Match({text.data(), text.size()}, &found, &error);
    if (error.kind != RE2::Set::kNoError) return std::nullopt;
    return std::vector<std::size_t>(found.begin(), found.end());
  }

 private:
  std::unique_ptr<RE2::Set> set_;
};

}  // namespace

std::unique_ptr<PatternSet> make_re2_set(std::span<const Pattern> patterns,
                                         std::int64_t max_memory) {
  auto set = std::make_unique<RE2::Set>(re2_options(max_memory, false), RE2::UNANCHORED);
  for (const Pattern& pattern : patterns)
    if (set->Add((pattern.ignore_case ? "(?i:" : "(?:") + pattern.text + ")", nullptr) < 0)
      return nullptr;
  if (!set->Compile()) return nullptr;
  return std::make_unique<Re2Set>(std::move(set));
}

}  // namespace remediate::match
