#include "remediate/match/yara_apart.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "remediate/base/try.h"

namespace remediate::match {
namespace {

// Numbers have eight bytes, texts their length before them.
// A step of the preparation begins with one byte: 'b' begins, 's' and a source adds it, 'f'
// finishes, 't' and a number asks for rules from that one on. Its answer: 0, or a code and 1 and an
// error's two texts; then of 'f' how many sources and rules there are, of 't' a count and for each
// rule its source, name, author, reference and score. A question: milliseconds, name, folder,
// extension. Its answer: what is incomplete; a count of doubts, for each its source and why; a
// count of hits, for each its rule and place.
constexpr std::size_t max_text = 300;        // more of a rule's author or reference is not shown
constexpr std::uint64_t max_answers = 4096;  // hits
constexpr std::uint64_t max_doubts = 64;
constexpr std::uint64_t max_rules = 1'000'000;
constexpr std::size_t max_asked_text = 40'000;
constexpr std::size_t max_table = 100'000;        // bytes of rules in one answer, about
constexpr std::uint64_t no_place = UINT64_MAX;    // of a hit
constexpr std::chrono::milliseconds slack{1000};  // libyara's own limit is to come first

class Packer {
 public:
  Packer& number(std::uint64_t value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Packer& text(std::string_view text, std::size_t most) {
    text = text.substr(0, most);
    number(text.size());
    bytes_ += text;
    return *this;
  }
  Packer& raw(std::string_view bytes) {
    bytes_ += bytes;
    return *this;
  }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

/// What is not of the form gives zeros and empty texts, and is not good.
class Unpacker {
 public:
  explicit Unpacker(std::string_view bytes) : bytes_(bytes) {}
  std::uint64_t number() {
    std::uint64_t value = 0;
    const std::string_view raw = take(sizeof value);
    if (raw.size() == sizeof value) std::memcpy(&value, raw.data(), sizeof value);
    return value;
  }
  std::string text() { return std::string(take(number())); }
  [[nodiscard]] bool good() const { return good_; }
  [[nodiscard]] bool done() const { return good_ && bytes_.empty(); }

 private:
  std::string_view take(std::uint64_t length) {
    good_ = good_ && length <= bytes_.size();
    if (!good_) return {};
    const std::string_view taken = bytes_.substr(0, static_cast<std::size_t>(length));
    bytes_.remove_prefix(taken.size());
    return taken;
  }
  std::string_view bytes_;
  bool good_ = true;
};

std::string packed(const YaraOutcome& outcome) {
  Packer packer;
  packer.text(outcome.incomplete, max_text).number(outcome.doubts.size());
  for (const YaraDoubt& doubt : outcome.doubts)
    packer.number(doubt.source).text(doubt.why, max_text);
  packer.number(outcome.hits.size());
  for (const YaraHit& hit : outcome.hits)
    packer.number(hit.rule).number(hit.has_offset ? hit.offset : no_place);
  return packer.take();
}

/// Nothing when it is not one about these rules and this content: what comes back may be the
/// attacker's.
std::optional<YaraOutcome> unpacked(std::string_view bytes, const RuleSet& rules,
                                    std::size_t content_bytes) {
  Unpacker unpacker(bytes);
  YaraOutcome outcome;
  outcome.incomplete = unpacker.text();
  const std::uint64_t doubts = unpacker.number();
  if (doubts > max_doubts) return std::nullopt;
  for (std::uint64_t i = 0; i < doubts; ++i) {
    YaraDoubt doubt{.source = unpacker.number(), .why = unpacker.text()};
    if (doubt.source >= rules.sources()) return std::nullopt;
    outcome.doubts.push_back(std::move(doubt));
  }
  const std::uint64_t hits = unpacker.number();
  if (hits > max_answers) return std::nullopt;
  for (std::uint64_t i = 0; i < hits; ++i) {
    YaraHit hit{.rule = unpacker.number(), .offset = unpacker.number()};
    hit.has_offset = hit.offset != no_place;
    if (!hit.has_offset) hit.offset = 0;
    if (hit.rule >= rules.rules().size() || hit.offset > content_bytes) return std::nullopt;
    outcome.hits.push_back(hit);
  }
  if (!unpacker.done()) return std::nullopt;
  return outcome;
}

class RulesApart final : public RuleSet {
 public:
  RulesApart(Apart& apart, std::vector<YaraRule> rules, std::size_t sources)
      : RuleSet(std::move(rules), sources), apart_(apart) {}
  [[nodiscard]] YaraOutcome scan(std::string_view content, const YaraTarget& target,
                                 std::chrono::milliseconds within) const override {
    const auto in_doubt = [](std::string why) {
      return YaraOutcome{.hits = {}, .doubts = {}, .incomplete = std::move(why)};
    };
    Packer packer;
    packer.number(static_cast<std::uint64_t>(within.count()));
    packer.text(target.filename, max_asked_text).text(target.filepath, max_asked_text);
    packer.text(target.extension, max_asked_text);
    auto answer = apart_.ask(packer.take(), content, within + slack);
    if (!answer) return in_doubt(std::move(answer).error().message);
    auto outcome = unpacked(*answer, *this, content.size());
    if (!outcome) return in_doubt("the process that did it gave no answer that can be used");
    return std::move(*outcome);
  }

 private:
  Apart& apart_;
};

class CompilerApart final : public RuleCompiler {
 public:
  explicit CompilerApart(Apart& apart) : apart_(apart) {}

  Result<void> begin() {
    TRY(step("b"));
    return {};
  }

  Result<void> add(const std::string& source) override {
    TRY(step("s" + source));
    return {};
  }

  Result<std::unique_ptr<RuleSet>> finish() override {
    TRY_LET(const std::string finished, step("f"));
    Unpacker unpacker(finished);
    const std::uint64_t sources = unpacker.number();
    const std::uint64_t count = unpacker.number();
    if (!unpacker.done() || count > max_rules) return no_answer();
    std::vector<YaraRule> rules;
    while (rules.size() < count) TRY(take_rules(rules));
    const auto of_none = [&](const YaraRule& rule) { return rule.source >= sources; };
    if (rules.size() != count || std::ranges::any_of(rules, of_none)) return no_answer();
    return std::make_unique<RulesApart>(apart_, std::move(rules),
                                        static_cast<std::size_t>(sources));
  }

 private:
  static std::unexpected<Error> no_answer() {
    return fail(Code::internal, "the process that compiles YARA rules gave no answer", "report it");
  }

  /// What follows the code, when that is 0.
  Result<std::string> step(std::string_view bytes) {
    auto answer = apart_.prepare(bytes);
    if (!answer) {
      Error error = std::move(answer).error().wrapped("the YARA rules of all playbooks");
      if (error.code == Code::limit)
        error.remedy = "plan with fewer YARA rules at a time, each plan with some of the playbooks";
      return std::unexpected(std::move(error));
    }
    Unpacker unpacker(*answer);
    const std::uint64_t fault = unpacker.number();
    if (fault == 0 && unpacker.good()) return answer->substr(sizeof fault);
    std::string text = unpacker.text();
    std::string remedy = unpacker.text();
    if (!unpacker.done() || fault > 1 + static_cast<std::uint64_t>(Code::internal) || text.empty())
      return no_answer();
    return fail(static_cast<Code>(fault - 1), std::move(text), std::move(remedy));
  }

  /// At least one more.
  Result<void> take_rules(std::vector<YaraRule>& rules) {
    TRY_LET(const std::string table, step("t" + Packer().number(rules.size()).take()));
    Unpacker unpacker(table);
    const std::uint64_t count = unpacker.number();
    for (std::uint64_t i = 0; i < count && unpacker.good(); ++i) {
      YaraRule rule;
      rule.source = unpacker.number();
      rule.name = unpacker.text();
      rule.author = unpacker.text();
      rule.reference = unpacker.text();
      rule.score = static_cast<std::int64_t>(unpacker.number());
      rules.push_back(std::move(rule));
    }
    if (count == 0 || !unpacker.done()) return no_answer();
    return {};
  }

  Apart& apart_;
};

Packer told(const Error& error) {
  Packer packer;
  packer.number(static_cast<std::uint64_t>(error.code) + 1);
  packer.text(error.message, max_asked_text).text(error.remedy, max_asked_text);
  return packer;
}

Packer told(const std::vector<YaraRule>& rules, std::uint64_t from) {
  const auto first = static_cast<std::size_t>(std::min<std::uint64_t>(from, rules.size()));
  std::uint64_t count = 0;
  Packer table;
  std::size_t bytes = 0;
  for (std::size_t at = first; at < rules.size() && bytes < max_table; ++at, ++count) {
    const YaraRule& rule = rules[at];
    table.number(rule.source).text(rule.name, max_text).text(rule.author, max_text);
    table.text(rule.reference, max_text).number(static_cast<std::uint64_t>(rule.score));
    bytes = table.size();
  }
  Packer packer;
  packer.number(0).number(count).raw(table.take());
  return packer;
}

}  // namespace

void YaraPlace::begin() { library_ = start_yara(); }

std::string YaraPlace::prepare(std::string_view step) {
  const char kind = step.empty() ? '\0' : step.front();
  step.remove_prefix(std::min<std::size_t>(step.size(), 1));
  const auto done = [] { return Packer().number(0).take(); };
  if (kind == 'b') {
    rules_.reset();
    compiler_.reset();
    auto started = start_compiler(Probe::with_finish);
    if (!started) return told(started.error()).take();
    compiler_ = std::move(*started);
    return done();
  }
  if (kind == 's' && compiler_) {
    const auto added = compiler_->add(std::string(step));
    return added ? done() : told(added.error()).take();
  }
  if (kind == 'f' && compiler_) {
    auto finished = compiler_->finish();
    compiler_.reset();
    if (!finished) return told(finished.error()).take();
    rules_ = std::move(*finished);
    return Packer().number(0).number(rules_->sources()).number(rules_->rules().size()).take();
  }
  if (kind == 't' && rules_) {
    Unpacker unpacker(step);
    return told(rules_->rules(), unpacker.number()).take();
  }
  return told(Error{Code::internal, "rules were asked for out of order", "report it"}).take();
}

YaraPlace::Answer YaraPlace::answer(std::string_view request, std::string_view content) const {
  Unpacker unpacker(request);
  const std::chrono::milliseconds within(unpacker.number());
  YaraTarget target;
  target.filename = unpacker.text();
  target.filepath = unpacker.text();
  target.extension = unpacker.text();
  if (!unpacker.done() || !rules_) return {.bytes = {}, .last = true};
  const YaraOutcome outcome = rules_->scan(content, target, within);
  return {.bytes = packed(outcome), .last = !outcome.incomplete.empty() || !outcome.doubts.empty()};
}

Result<std::unique_ptr<RuleCompiler>> start_compiler_apart(Apart& apart) {
  auto compiler = std::make_unique<CompilerApart>(apart);
  TRY(compiler->begin());
  return compiler;
}

}  // namespace remediate::match
