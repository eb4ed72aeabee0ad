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

/// A worker that a hostile file has taken over says what it likes.
class TakenOver final : public match::Apart {
 public:
  explicit TakenOver(std::string_view says) : says_(says) {}
  /// The first answer; every other source is compiled.
  std::string_view prepared;
  Result<std::string> prepare(std::string_view) override { return std::string(prepared); }
  Result<std::string> ask(std::string_view, std::string_view, std::chrono::milliseconds) override {
    return std::string(says_);
  }

 private:
  std::string_view says_;
};

}  // namespace

/// An answer to a question, and to the compilation before it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string content = "content of a file";
  TakenOver place(bytes);
  place.prepared = bytes;
  if (const auto rules = match::compile_apart(place, "rule", 0); !rules)
    require(!rules.error().message.empty());
  // Compiled: zero, the name's length and the name, an empty text.
  const std::string compiled =
      std::string(8, '\0') + '\1' + std::string(7, '\0') + 'n' + std::string(8, '\0');
  place.prepared = compiled;
  const auto rules = match::compile_apart(place, "rule", 0);
  require(rules.has_value() && (*rules)->name() == "n");
  const match::YaraOutcome outcome = (*rules)->scan(content, {}, std::chrono::milliseconds(1000));
  require(outcome.hits.size() <= 64);
  std::size_t total = outcome.incomplete.size();
  for (const match::YaraHit& hit : outcome.hits) {
    require(hit.offset <= content.size());
    total += hit.rule.size() + hit.author.size() + hit.reference.size();
  }
  require(total <= size + 100);
  return 0;
}
