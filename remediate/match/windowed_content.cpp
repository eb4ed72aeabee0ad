#include <algorithm>
#include <array>
#include <mutex>
#include <utility>

#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"
#include "remediate/match/content.h"
#include "remediate/match/large_search.h"

namespace remediate::match {
namespace {

using Kind = playbook::Condition::Kind;

class WindowedContent final : public Content {
 public:
  WindowedContent(const Matchers& matchers, const observe::LargeContent& content, YaraTarget target,
                  std::mutex& one_whole)
      : matchers_(matchers), content_(content), target_(std::move(target)), one_whole_(one_whole) {}

  [[nodiscard]] Result<void> read(const Questions& questions, const Windows& windows) {
    std::vector<std::pair<Kind, crypto::Digest>> digests;
    digests.emplace_back(Kind::sha256, digest_algorithm(Kind::sha256));
    if (questions.sha1) digests.emplace_back(Kind::sha1, digest_algorithm(Kind::sha1));
    if (questions.md5) digests.emplace_back(Kind::md5, digest_algorithm(Kind::md5));
    search_.emplace(matchers_.regexes, std::array{questions.removing, questions.reviewing},
                    windows.max_match, matchers_.regex_time);
    std::string window;
    std::size_t kept = 0;  // bytes at its beginning that the one before had too
    for (std::uint64_t start = 0;; start += window.size()) {
      if (start != 0) {
        kept = windows.max_match;
        std::copy(window.end() - static_cast<std::ptrdiff_t>(kept), window.end(), window.begin());
        start -= kept;
      }
      const std::uint64_t left = size() - start;
      window.resize(static_cast<std::size_t>(std::min<std::uint64_t>(left, windows.max_length)));
      TRY(content_.read(start + kept, std::span(window).subspan(kept)));
      for (auto& [kind, digest] : digests) digest.update(std::string_view(window).substr(kept));
      const bool last = window.size() == left;
      search_->take(window, start, last);
      if (last) break;
    }
    for (auto& [kind, digest] : digests) digests_.emplace_back(kind, digest.finish_hex());
    return content_.unchanged();
  }

  [[nodiscard]] std::uint64_t size() const override { return content_.size(); }
  [[nodiscard]] bool complete() const override { return true; }
  [[nodiscard]] Answer holds_at(std::uint64_t offset, std::string_view bytes) override {
    if (offset > size() || bytes.size() > size() - offset) return Answer::no;
    std::string read(bytes.size(), '\0');
    if (!content_.read(offset, read)) return Answer::unknown;
    return read == bytes ? Answer::yes : Answer::no;
  }
  [[nodiscard]] std::string bytes_at(std::uint64_t offset, std::size_t most) override {
    const std::uint64_t left = size() - std::min(offset, size());
    std::string read(static_cast<std::size_t>(std::min<std::uint64_t>(most, left)), '\0');
    if (!content_.read(offset, read)) read.clear();
    return read;
  }
  [[nodiscard]] const std::string& digest(Kind kind) override {
    return std::ranges::find(digests_, kind, &std::pair<Kind, std::string>::first)->second;
  }
  [[nodiscard]] RegexMatcher::Finding regex(std::size_t number) override {
    return search_->find(number);
  }
  [[nodiscard]] const RuleSet& rules() const override { return *matchers_.rules; }
  [[nodiscard]] const std::optional<Dump>& dump() override { return no_dump_; }

  [[nodiscard]] const YaraOutcome& yara() override {
    if (yara_) return *yara_;
    const std::lock_guard lock(one_whole_);
    std::string whole(static_cast<std::size_t>(size()), '\0');
    Result<void> read = content_.read(0, whole);
    if (read) read = content_.unchanged();
    yara_.emplace();
    if (read) {
      yara_ = matchers_.rules->scan(whole, target_,
                                    std::chrono::seconds(matchers_.yara_timeout_seconds));
    } else {
      yara_->incomplete = read.error().text();
    }
    return *yara_;
  }

 private:
  const Matchers& matchers_;
  const observe::LargeContent& content_;
  YaraTarget target_;
  std::mutex& one_whole_;
  std::vector<std::pair<Kind, std::string>> digests_;
  std::optional<LargeSearch> search_;
  std::optional<YaraOutcome> yara_;
  std::optional<Dump> no_dump_;  // the server writes none so large
};

}  // namespace

void Questions::add(const CompiledCondition& condition, playbook::Authorises authorises) {
  for (const CompiledCondition& child : condition.children) add(child, authorises);
  sha1 = sha1 || condition.kind == Kind::sha1;
  md5 = md5 || condition.kind == Kind::md5;
  if (condition.kind != Kind::regex) return;
  const auto known = [&](const std::vector<std::size_t>& numbers) {
    return std::ranges::find(numbers, condition.number) != numbers.end();
  };
  if (known(removing) || known(reviewing)) return;
  (authorises == playbook::Authorises::remove ? removing : reviewing).push_back(condition.number);
}

Result<std::unique_ptr<Content>> windowed_content(const Matchers& matchers,
                                                  const observe::LargeContent& content,
                                                  const Questions& questions,
                                                  const Windows& windows, YaraTarget target,
                                                  std::mutex& one_whole) {
  auto made = std::make_unique<WindowedContent>(matchers, content, std::move(target), one_whole);
  TRY(made->read(questions, windows));
  return made;
}

}  // namespace remediate::match
