#include <algorithm>
#include <array>
#include <map>
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
      note(questions, window, start);
      if (last) break;
    }
    for (auto& [kind, digest] : digests) digests_.emplace_back(kind, digest.finish_hex());
    return content_.unchanged();
  }

  [[nodiscard]] std::uint64_t size() const override { return content_.size(); }
  [[nodiscard]] bool complete() const override { return true; }
  [[nodiscard]] Answer holds_at(std::uint64_t offset, std::string_view bytes) override {
    if (offset > size() || bytes.size() > size() - offset) return Answer::no;
    const auto known = magics_.find({offset, bytes});
    if (known == magics_.end()) return Answer::unknown;
    return known->second ? Answer::yes : Answer::no;
  }
  [[nodiscard]] std::string bytes_at(std::uint64_t offset, std::size_t most) override {
    const auto known = shown_.find(offset);
    return known == shown_.end() ? std::string() : known->second.substr(0, most);
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
    yara_.emplace();
    if (!read) {
      yara_->incomplete = read.error().text();
    } else if (crypto::sha256_hex(whole) != digest(Kind::sha256)) {
      yara_->incomplete = "it was written to while it was read";
    } else {
      yara_ = matchers_.rules->scan(whole, target_,
                                    std::chrono::seconds(matchers_.yara_timeout_seconds));
      for (const YaraHit& hit : yara_->hits)
        if (hit.has_offset) show(hit.offset, whole, 0);
    }
    return *yara_;
  }

 private:
  /// What the window has of what is asked for and of what is shown.
  void note(const Questions& questions, std::string_view window, std::uint64_t start) {
    for (const Questions::Magic& magic : questions.magics) {
      if (magic.offset < start || magic.offset - start > window.size()) continue;
      const std::string_view there = window.substr(static_cast<std::size_t>(magic.offset - start));
      if (there.size() < magic.bytes.size()) continue;
      magics_[{magic.offset, magic.bytes}] = there.starts_with(magic.bytes);
      show(magic.offset, window, start);
    }
    for (const std::uint64_t offset : search_->offsets()) show(offset, window, start);
  }
  /// Keeps the bytes around an offset; a later window may have more of them.
  void show(std::uint64_t offset, std::string_view window, std::uint64_t start) {
    const std::uint64_t first = offset - std::min(offset, excerpt_before);
    if (first >= start && first - start < window.size())
      shown_[first] = window.substr(static_cast<std::size_t>(first - start), max_excerpt);
  }

  const Matchers& matchers_;
  const observe::LargeContent& content_;
  YaraTarget target_;
  std::mutex& one_whole_;
  std::vector<std::pair<Kind, std::string>> digests_;
  std::optional<LargeSearch> search_;
  std::map<std::pair<std::uint64_t, std::string_view>, bool> magics_;
  std::map<std::uint64_t, std::string> shown_;  // by the first byte
  std::optional<YaraOutcome> yara_;
  std::optional<Dump> no_dump_;  // the server writes none so large
};

}  // namespace

void Questions::add(const CompiledCondition& condition, playbook::Authorises authorises) {
  for (const CompiledCondition& child : condition.children) add(child, authorises);
  sha1 = sha1 || condition.kind == Kind::sha1;
  md5 = md5 || condition.kind == Kind::md5;
  if (condition.kind == Kind::magic) {
    const Magic magic{condition.source->offset, condition.source->bytes};
    if (std::ranges::find(magics, magic) == magics.end()) magics.push_back(magic);
  }
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
