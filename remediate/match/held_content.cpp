#include <unordered_map>
#include <utility>

#include "remediate/crypto/digest.h"
#include "remediate/match/content.h"

namespace remediate::match {
namespace {

using Kind = playbook::Condition::Kind;

class HeldContent final : public Content {
 public:
  HeldContent(const Matchers& matchers, std::string_view bytes, bool complete, YaraTarget target)
      : matchers_(matchers),
        bytes_(bytes),
        complete_(complete),
        target_(std::move(target)),
        search_(matchers.regexes, bytes, matchers.regex_time) {}

  [[nodiscard]] std::uint64_t size() const override { return bytes_.size(); }
  [[nodiscard]] bool complete() const override { return complete_; }
  [[nodiscard]] Answer holds_at(std::uint64_t offset, std::string_view bytes) override {
    return offset <= bytes_.size() && from(offset).starts_with(bytes) ? Answer::yes : Answer::no;
  }
  [[nodiscard]] std::string bytes_at(std::uint64_t offset, std::size_t most) override {
    return std::string(from(std::min<std::uint64_t>(offset, bytes_.size())).substr(0, most));
  }

  [[nodiscard]] const std::string& digest(Kind kind) override {
    std::string& cached = kind == Kind::sha256 ? sha256_ : kind == Kind::sha1 ? sha1_ : md5_;
    if (cached.empty()) cached = crypto::digest_hex(digest_algorithm(kind), bytes_);
    return cached;
  }

  [[nodiscard]] RegexMatcher::Finding regex(std::size_t number) override {
    const auto known = findings_.find(number);
    return known != findings_.end() ? known->second
                                    : findings_.emplace(number, search_.find(number)).first->second;
  }

  [[nodiscard]] const YaraOutcome& yara() override {
    if (!yara_)
      yara_ = matchers_.rules->scan(bytes_, target_,
                                    std::chrono::seconds(matchers_.yara_timeout_seconds));
    return *yara_;
  }
  [[nodiscard]] const RuleSet& rules() const override { return *matchers_.rules; }

  [[nodiscard]] const std::optional<Dump>& dump() override {
    if (!dump_) dump_ = parse_dump(bytes_);
    return *dump_;
  }

 private:
  [[nodiscard]] std::string_view from(std::uint64_t offset) const {
    return bytes_.substr(static_cast<std::size_t>(offset));
  }

  const Matchers& matchers_;
  std::string_view bytes_;
  bool complete_;
  YaraTarget target_;
  std::string sha256_;
  std::string sha1_;
  std::string md5_;
  RegexMatcher::Search search_;
  std::unordered_map<std::size_t, RegexMatcher::Finding> findings_;
  std::optional<YaraOutcome> yara_;
  std::optional<std::optional<Dump>> dump_;
};

}  // namespace

std::unique_ptr<Content> held_content(const Matchers& matchers, std::string_view bytes,
                                      bool complete, YaraTarget target) {
  return std::make_unique<HeldContent>(matchers, bytes, complete, std::move(target));
}

}  // namespace remediate::match
