#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "remediate/base/error.h"
#include "remediate/match/search_clock.h"
#include "remediate/match/wide.h"
#include "remediate/playbook/model.h"

namespace remediate::match {

class PatternSet;
struct Pattern;

/// Which part of a file a content is. Where it is not the first or the last, its first or last byte
/// (in UTF-16, two) is only looked at by what stands beside it.
struct FilePart {
  bool first = true;
  bool last = true;
  std::optional<Utf16Text> utf16{};  // the file's, when it is not the first
};

/// All regular expressions of all indicators: one pass over a file finds those that match.
/// Bounded time; thread-safe after prepare().
class RegexMatcher {
 public:
  static constexpr std::int64_t default_memory = 64 << 20;

  /// Whether the common pass may use Hyperscan, where the build and the processor have it. The
  /// results are the same.
  enum class Engines : std::uint8_t { portable, fastest };

  /// `max_memory` bounds what the common pass of the portable engine may use; without enough the
  /// expressions are tried one by one.
  explicit RegexMatcher(std::int64_t max_memory = default_memory,
                        Engines engines = Engines::fastest);
  ~RegexMatcher();
  RegexMatcher(RegexMatcher&&) noexcept;
  RegexMatcher& operator=(RegexMatcher&&) noexcept;

  /// The number of the expression: the same when it is known already. bad_input when it does not
  /// compile or matches nothing at all.
  [[nodiscard]] Result<std::size_t> add(const playbook::Condition& condition);
  /// Builds the common pass at once.
  void prepare();
  /// Builds it in a thread of its own once so much has been searched that it is worth its time (a
  /// tenth of a second or more): bytes of text, times the expressions. Before that each expression
  /// is asked alone; while it is built, searches wait for it. The results are the same.
  /// Destruction waits for that thread.
  void prepare_when_worth_it(std::uint64_t after = worth_it_after);
  static constexpr std::uint64_t worth_it_after = 128u << 20;
  /// Whether the common pass is in use.
  [[nodiscard]] bool prepared() const;

  [[nodiscard]] const Pattern& pattern(std::size_t number) const;
  /// For people.
  [[nodiscard]] std::string shown(std::size_t number) const;
  /// As longest_match() says of it.
  [[nodiscard]] std::optional<std::size_t> longest(std::size_t number) const;

  struct Place {
    std::uint64_t offset = 0;  // in the file
    std::uint64_t length = 0;
    std::string_view encoding{};  // "UTF-16LE", "UTF-16BE"; empty for the bytes as they are
  };
  /// Whether and where an expression is in a file. Without a place and with a doubt nobody knows.
  struct Finding {
    std::optional<Place> place;
    std::string doubt{};  // why it was not searched to the end
    [[nodiscard]] bool has_value() const { return place.has_value(); }
    [[nodiscard]] explicit operator bool() const { return has_value(); }
    const Place* operator->() const { return &*place; }
  };
  /// What the expressions of one file may take together, besides what any expression usually takes.
  /// See SearchClock for what counts.
  static constexpr unsigned max_file_seconds = 5;

  /// What one file has, worked out when first asked for.
  class Search {
   public:
    Search(const RegexMatcher& matcher, std::string_view content,
           std::chrono::nanoseconds may_take = std::chrono::seconds(max_file_seconds),
           const FilePart& part = {});
    ~Search();
    /// The first place of expression `number`, in the encodings it asks for. A file that is UTF-16
    /// text, of either byte order, is also searched as that text by each that asks for ascii.
    [[nodiscard]] Finding find(std::size_t number);
    /// What `set` names in any text that expressions are searched in; nothing when it could not be
    /// searched.
    [[nodiscard]] std::optional<std::vector<std::size_t>> may_hold(const PatternSet& set);
    /// How the file is UTF-16 text.
    [[nodiscard]] const std::optional<Utf16Text>& utf16();
    /// Of the time; what is set is there for the next ones.
    [[nodiscard]] std::chrono::nanoseconds left() const { return left_; }
    void set_left(std::chrono::nanoseconds left) { left_ = left; }

   private:
    struct Text;
    [[nodiscard]] Finding look_for(std::size_t number);
    void count(SearchClock::time_point start, std::chrono::nanoseconds usual);
    [[nodiscard]] std::string too_slow(std::size_t number) const;
    [[nodiscard]] Text& text(std::size_t which);
    [[nodiscard]] bool asked(std::size_t number, std::size_t which);
    [[nodiscard]] const std::string& decoded(std::size_t shift);
    [[nodiscard]] bool has_nul();
    const RegexMatcher& matcher_;
    std::string_view content_;
    FilePart part_;
    std::chrono::nanoseconds may_take_;
    std::chrono::nanoseconds left_;
    std::map<std::size_t, Finding> costly_;  // those that are not to be searched again
    std::vector<std::unique_ptr<Text>> texts_;
    std::optional<std::string> decoded_[2];  // as UTF-16LE from the first byte, from the second
    std::optional<std::optional<Utf16Text>> utf16_;
    std::optional<bool> has_nul_;
  };

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace remediate::match
