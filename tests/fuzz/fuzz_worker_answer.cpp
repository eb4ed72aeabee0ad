#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "remediate/match/yara_apart.h"

namespace {

using namespace remediate;

void require(bool holds) {
  if (!holds) std::abort();
}

std::string number(std::uint64_t value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::string text(std::string_view value) { return number(value.size()) + std::string(value); }

/// A worker that a hostile file has taken over says what it likes.
class TakenOver final : public match::Apart {
 public:
  explicit TakenOver(std::string_view says) : says_(says) {}
  bool from_the_start = false;  // also when rules are compiled
  Result<std::string> prepare(std::string_view step) override {
    if (from_the_start) return std::string(says_);
    if (step.starts_with("f")) return number(0) + number(1) + number(2);  // one source, two rules
    if (!step.starts_with("t")) return number(0);
    const std::string rule = number(0) + text("n") + text("author") + text("") + number(80);
    return number(0) + number(2) + rule + rule;
  }
  Result<std::string> ask(std::string_view, std::string_view, std::chrono::milliseconds) override {
    return std::string(says_);
  }

 private:
  std::string_view says_;
};

Result<std::unique_ptr<match::RuleSet>> compiled(TakenOver& place) {
  auto compiler = match::start_compiler_apart(place);
  if (!compiler) return std::unexpected(std::move(compiler).error());
  if (auto added = (*compiler)->add("rule"); !added)
    return std::unexpected(std::move(added).error());
  return (*compiler)->finish();
}

}  // namespace

/// An answer to a question, and to the compilation before it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string content = "content of a file";
  TakenOver place(bytes);
  place.from_the_start = true;
  if (const auto rules = compiled(place); !rules) require(!rules.error().message.empty());
  place.from_the_start = false;
  const auto rules = compiled(place);
  require(rules.has_value() && (*rules)->name(0) == "rule n and 1 more");
  const match::YaraOutcome outcome = (*rules)->scan(content, {}, std::chrono::milliseconds(1000));
  require(outcome.hits.size() <= 4096 && outcome.doubts.size() <= 64);
  std::size_t total = outcome.incomplete.size();
  for (const match::YaraHit& hit : outcome.hits)
    require(hit.offset <= content.size() && hit.rule < (*rules)->rules().size());
  for (const match::YaraDoubt& doubt : outcome.doubts) {
    require(doubt.source < (*rules)->sources());
    total += doubt.why.size();
  }
  require(total <= size + 100);
  return 0;
}
