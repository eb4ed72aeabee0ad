#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "remediate/match/condition.h"

namespace remediate::match {

/// What is shown of a file around a place: so many bytes, of which so many are before it.
inline constexpr std::size_t max_excerpt = 80;
inline constexpr std::uint64_t excerpt_before = 16;

/// What conditions ask of one file's content; each answer is worked out once.
class Content {
 public:
  virtual ~Content() = default;
  Content() = default;
  Content(const Content&) = delete;
  Content& operator=(const Content&) = delete;

  [[nodiscard]] virtual std::uint64_t size() const = 0;
  /// False when there is less than the whole file: only paths can be judged.
  [[nodiscard]] virtual bool complete() const = 0;
  [[nodiscard]] virtual Answer holds_at(std::uint64_t offset, std::string_view bytes) = 0;
  /// At most `most` bytes from `offset` on, for people; nothing where they are not known.
  [[nodiscard]] virtual std::string bytes_at(std::uint64_t offset, std::size_t most) = 0;
  [[nodiscard]] virtual const std::string& digest(playbook::Condition::Kind kind) = 0;
  [[nodiscard]] virtual RegexMatcher::Finding regex(std::size_t number) = 0;
  /// Of all rule sources at once.
  [[nodiscard]] virtual const YaraOutcome& yara() = 0;
  [[nodiscard]] virtual const RuleSet& rules() const = 0;
  [[nodiscard]] virtual const std::optional<Dump>& dump() = 0;
};

/// Of a file that is in memory. `bytes` must outlive it.
[[nodiscard]] std::unique_ptr<Content> held_content(const Matchers& matchers,
                                                    std::string_view bytes, bool complete,
                                                    YaraTarget target);

/// What may be asked of a file that is not; anything else is unknown.
struct Questions {
  struct Magic {
    std::uint64_t offset = 0;
    std::string_view bytes;
    bool operator==(const Magic&) const = default;
  };
  std::vector<std::size_t> removing;   // regexes that a removal may rest on
  std::vector<std::size_t> reviewing;  // all others
  std::vector<Magic> magics;           // the bytes are the playbook's
  bool sha1 = false;
  bool md5 = false;
  /// Those that may remove first.
  void add(const CompiledCondition& condition, playbook::Authorises authorises);
};

/// Reads the file once, in windows: its digests, expressions, magics and what is shown of them are
/// of the same bytes. Only libyara is given the whole file, read anew with `one_whole` held, and
/// what it says counts where the SHA-256 is the same. `content` must outlive it. An error when it
/// cannot be read.
[[nodiscard]] Result<std::unique_ptr<Content>> windowed_content(
    const Matchers& matchers, const observe::LargeContent& content, const Questions& questions,
    const Windows& windows, YaraTarget target, std::mutex& one_whole);

}  // namespace remediate::match
