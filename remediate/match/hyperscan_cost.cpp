#include <algorithm>
#include <vector>

#include <re2/re2.h>

#include "remediate/match/pattern_set.h"
#include "remediate/match/re2_options.h"

namespace remediate::match {
namespace {

constexpr std::string_view digits = "0123456789";
constexpr std::int64_t program_memory = 32 << 20;  // as what has compiled has had
constexpr std::uint64_t endless = 2;               // copies that a repetition without an end is

/// Reads what hyperscan_spelling() wrote: plain groups, classes and counts.
class CostReader {
 public:
  explicit CostReader(std::string_view spelling) : text_(spelling) {}

  HyperscanCost read() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '(') {
        open();
      } else if (c == ')') {
        close();
      } else if (c == '*' || c == '+' || c == '{') {
        repetition();
      } else if (c == '?') {
        ++at_;  // at most one copy
      } else if (c == '[') {
        skip_class();
      } else if (c == '\\') {
        const bool assertion = std::string_view("bBAz").contains(after(1));
        at_ += after(1) == 'x' ? 4 : 2;
        if (!assertion) plain();
      } else {
        step(c != '^' && c != '$');
      }
    }
    return cost_;
  }

 private:
  struct Open {
    std::uint64_t inside = 0;
    bool beside = false;
  };
  [[nodiscard]] char after(std::size_t more) const {
    return at_ + more < text_.size() ? text_[at_ + more] : '\0';
  }
  void plain() {
    repeated_before_ = beside_;
    beside_ = false;
    group_ = 0;
  }
  void step(bool is_plain) {
    ++at_;
    if (is_plain) plain();
  }
  /// Flags alone, `(?i)`, open nothing.
  void open() {
    const std::size_t flags = after(1) == '?' ? text_.find_first_of(":)", at_) : at_;
    at_ = std::min(flags, text_.size() - 1) + 1;
    if (text_[at_ - 1] == ')') return;
    open_.push_back({inside_, beside_});
    inside_ = 0;
  }
  void skip_class() {
    at_ += after(1) == '^' ? 2u : 1u;
    for (bool first = true; at_ < text_.size() && (first || text_[at_] != ']'); first = false) {
      if (text_[at_] == '[' && after(1) == ':')
        at_ = std::min(text_.find(":]", at_), text_.size() - 2) + 2;
      else
        at_ += text_[at_] == '\\' ? 2 : 1;
    }
    ++at_;
    plain();
  }
  void close() {
    ++at_;
    group_ = inside_;
    if (open_.empty()) return;
    repeated_before_ = open_.back().beside;
    inside_ += open_.back().inside;
    open_.pop_back();
  }
  void repetition() {
    std::uint64_t copies = endless;
    if (text_[at_] == '{') {
      const std::size_t end = std::min(text_.find('}', at_), text_.size() - 1);
      copies = largest(text_.substr(at_ + 1, end - at_ - 1));
      at_ = end;
    }
    ++at_;
    copies = std::clamp<std::uint64_t>(copies, 1, 10'000);
    cost_.nested += group_ * copies;
    inside_ += 1 + group_ * (copies - 1);
    group_ = 0;
    if (repeated_before_) cost_.beside += copies;
    beside_ = true;
  }
  static std::uint64_t largest(std::string_view counts) {
    std::uint64_t number = 0, most = 0;
    for (const char c : counts) {
      number = digits.contains(c) && number < 100'000
                   ? 10 * number + static_cast<std::uint64_t>(c - '0')
                   : 0;
      most = std::max(most, number);
    }
    return most + (counts.ends_with(',') ? 1 : 0);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::uint64_t inside_ = 0;      // repetitions of the group that is open, written out
  std::uint64_t group_ = 0;       // the same of the group that has just ended
  bool beside_ = false;           // what was read last is repeated
  bool repeated_before_ = false;  // what stands before that is
  std::vector<Open> open_;
  HyperscanCost cost_;
};

}  // namespace

HyperscanCost hyperscan_cost(const Pattern& pattern, std::string_view spelling) {
  HyperscanCost cost = CostReader(spelling).read();
  const RE2 program(pattern.text, re2_options(program_memory, pattern.ignore_case));
  cost.instructions =
      program.ok() ? static_cast<std::uint64_t>(std::max(program.ProgramSize(), 1)) : UINT32_MAX;
  return cost;
}

}  // namespace remediate::match
