#include "remediate/match/yara_apart.h"

#include <cstring>
#include <optional>

#include "remediate/base/encoding.h"

namespace remediate::match {
namespace {

// A question: number of the source, milliseconds; name, folder, extension. An answer: what is
// incomplete, the count of hits; for each rule, author, reference, score, place, whether it has
// one. Numbers have eight bytes, texts their length before them.
constexpr std::size_t max_text = 300;      // more of a rule's author or reference is not shown
constexpr std::uint64_t max_answers = 64;  // hits
constexpr std::size_t max_asked_text = 40'000;
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
  packer.text(outcome.incomplete, max_text).number(outcome.hits.size());
  for (const YaraHit& hit : outcome.hits) {
    packer.text(hit.rule, max_text).text(hit.author, max_text).text(hit.reference, max_text);
    packer.number(static_cast<std::uint64_t>(hit.score)).number(hit.offset);
    packer.number(hit.has_offset ? 1 : 0);
  }
  return packer.take();
}

std::optional<YaraOutcome> unpacked(std::string_view bytes) {
  Unpacker unpacker(bytes);
  YaraOutcome outcome;
  outcome.incomplete = unpacker.text();
  const std::uint64_t count = unpacker.number();
  if (count > max_answers) return std::nullopt;
  for (std::uint64_t i = 0; i < count && unpacker.good(); ++i) {
    YaraHit hit;
    hit.rule = unpacker.text();
    hit.author = unpacker.text();
    hit.reference = unpacker.text();
    hit.score = static_cast<std::int64_t>(unpacker.number());
    hit.offset = unpacker.number();
    hit.has_offset = unpacker.number() != 0;
    outcome.hits.push_back(std::move(hit));
  }
  if (!unpacker.done()) return std::nullopt;
  return outcome;
}

class RulesApart final : public RuleSource {
 public:
  RulesApart(Apart& apart, std::size_t number, std::string name)
      : apart_(apart), number_(number), name_(std::move(name)) {}
  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] YaraOutcome scan(std::string_view content, const YaraTarget& target,
                                 std::chrono::milliseconds within) const override {
    Packer packer;
    packer.number(number_).number(static_cast<std::uint64_t>(within.count()));
    packer.text(target.filename, max_asked_text).text(target.filepath, max_asked_text);
    packer.text(target.extension, max_asked_text);
    const auto answer = apart_.ask(packer.take(), content, within + slack);
    if (!answer) return {.hits = {}, .incomplete = answer.error().message};
    auto outcome = unpacked(*answer);
    if (!outcome) return {.hits = {}, .incomplete = "the process that did it gave no answer"};
    for (const YaraHit& hit : outcome->hits)
      if (hit.offset > content.size())
        return {.hits = {}, .incomplete = "the process that did it named a place behind the end"};
    return std::move(*outcome);
  }

 private:
  Apart& apart_;
  std::size_t number_;
  std::string name_;
};

}  // namespace

void YaraPlace::begin() { library_ = start_yara(); }

std::string YaraPlace::prepare(std::string_view source) {
  auto rules = YaraRules::compile(std::string(source));
  Packer packer;
  if (!rules) {
    const Error& error = rules.error();
    packer.number(static_cast<std::uint64_t>(error.code) + 1);
    return packer.text(error.message, max_asked_text).text(error.remedy, max_asked_text).take();
  }
  rules_.push_back(std::move(*rules));
  return packer.number(0).text(rules_.back()->name(), max_text).text("", 0).take();
}

YaraPlace::Answer YaraPlace::answer(std::string_view request, std::string_view content) const {
  Unpacker unpacker(request);
  const std::uint64_t number = unpacker.number();
  const std::chrono::milliseconds within(unpacker.number());
  YaraTarget target;
  target.filename = unpacker.text();
  target.filepath = unpacker.text();
  target.extension = unpacker.text();
  if (!unpacker.done() || number >= rules_.size()) return {.bytes = {}, .last = true};
  const YaraOutcome outcome = rules_[number]->scan(content, target, within);
  return {.bytes = packed(outcome), .last = !outcome.incomplete.empty()};
}

Result<std::unique_ptr<RuleSource>> compile_apart(Apart& apart, const std::string& source,
                                                  std::size_t number) {
  const auto answer = apart.prepare(source);
  if (!answer) return std::unexpected(answer.error());
  Unpacker unpacker(*answer);
  const std::uint64_t fault = unpacker.number();
  std::string text = unpacker.text();
  std::string remedy = unpacker.text();
  if (!unpacker.done() || fault > 1 + static_cast<std::uint64_t>(Code::internal) ||
      (fault != 0 && text.empty()))
    return fail(Code::internal, "the process that compiles YARA rules gave no answer", "report it");
  if (fault != 0) return fail(static_cast<Code>(fault - 1), std::move(text), std::move(remedy));
  return std::unique_ptr<RuleSource>(
      std::make_unique<RulesApart>(apart, number, display(text, max_text)));
}

}  // namespace remediate::match
