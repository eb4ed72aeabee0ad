#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "remediate/observe/observation.h"
#include "remediate/playbook/model.h"

namespace remediate::match {

/// One fact that made an indicator match. `excerpt` holds raw bytes (at most 80) around the
/// place; show it only through display().
struct Reason {
  /// "path", "sha256", "regex", "magic", "size", "yara", "structure", "not"; "review" and "policy"
  /// tell why what the indicator authorises is not done, and why it is all the same.
  std::string kind;
  std::string text;  // for people: "SHA-256 is in the list", "regex /.../ at byte 12"
  std::uint64_t offset = 0;
  std::string excerpt{};
};

/// Fields of an Exchange virtual directory settings dump, as bytes.
struct DumpField {
  std::string name;
  std::string value;
};

struct FileMatch {
  std::string playbook;   // id
  std::string indicator;  // id
  /// As the indicator says, but never `remove` when nothing in the content was matched, nor when
  /// it rests on generic content and the options do not let that remove (playbook/evidence.h).
  playbook::Authorises authorises = playbook::Authorises::review;
  std::string scope;  // id
  RawPath path;
  std::string sha256;     // of the bytes that were matched
  std::string exclusion;  // not empty: matched, but known good for this reason
  std::vector<Reason> reasons;
  std::vector<DumpField> dump;  // DistinguishedName, Guid, WhenChangedUTC ... when a dump matched
  observe::TargetFacts facts;
};

class Apart;

/// How a file of more than observe::Selector::max_held bytes is cut. A match of an expression that
/// is longer than the overlap is not found: where one is possible, that is a doubt. Both are even,
/// the overlap is at most half of the length.
struct Windows {
  std::size_t max_length = 16u << 20;
  std::size_t max_match = 4u << 20;  // what two windows share
};

struct EngineOptions {
  unsigned yara_timeout_seconds = 10;  // for all rule sources of one file together
  /// Where YARA rules are compiled and asked; null for in this process, where only time is bounded.
  /// Must outlive the engine.
  Apart* apart = nullptr;
  /// Of what all matches say together (paths, attributes, reasons). What goes beyond it is counted
  /// and told by an issue.
  std::uint64_t max_match_bytes = 64u << 20;
  /// For all regular expressions of one file together, besides what any of them usually takes.
  unsigned regex_timeout_seconds = 5;
  /// Regular expressions without Hyperscan. The results are the same.
  bool portable = false;
  /// All expressions in one pass from the first file on; else from where that pays.
  bool one_pass_at_once = false;
  Windows windows{};
  /// The host's policy: a match that rests on generic content may be removed.
  bool generic_content_removes = false;
};

/// All indicators of all playbooks, compiled. Each file is matched once against all of them in
/// one read. Thread-safe as observe::Selector. What could not be evaluated (a matcher's limit,
/// out of memory, time) is an issue, never a "no".
class Engine final : public observe::Selector {
 public:
  /// The playbooks must outlive the engine. bad_input for a pattern that does not compile,
  /// unsupported for YARA rules in a build without YARA.
  [[nodiscard]] static Result<std::unique_ptr<Engine>> compile(
      const std::vector<playbook::Playbook>& playbooks, const EngineOptions& options);
  ~Engine() override;
  [[nodiscard]] observe::Need need(const observe::ScopeInstance& scope,
                                   std::string_view below_scope) const override;
  [[nodiscard]] bool wants(const observe::ScopeInstance& scope, std::string_view below_scope,
                           std::uint64_t size) const override;
  [[nodiscard]] std::uint64_t max_file_size(const observe::ScopeInstance& scope) const override;
  [[nodiscard]] std::string_view raises_limit() const override {
    return "the playbook's max_file_size raises that, to 268435456 at most";
  }
  void observe_unread(const observe::FileObservation& file) override;
  void observe(const observe::FileObservation& file, std::string_view content,
               const observe::TargetSource& target) override;
  /// The same for several scopes: digests and patterns are worked out once.
  void observe_in(std::span<const observe::FileObservation> places, std::string_view content,
                  const observe::TargetSource& target) override;
  /// Searched window by window; only what YARA rules are asked about is in memory, one file at a
  /// time.
  [[nodiscard]] Result<void> observe_large(std::span<const observe::FileObservation> places,
                                           const observe::LargeContent& content,
                                           const observe::TargetSource& target) override;

  /// After the scan: matches sorted by path, playbook and indicator.
  [[nodiscard]] std::vector<FileMatch> take_matches();
  [[nodiscard]] std::vector<observe::Issue> take_issues();

 private:
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// A glob of the playbook format against a '/'-separated path of raw bytes: '*' and '?' stay
/// within a component, a component '**' spans any number of them, '[a-z]' and '[!a-z]' name
/// bytes, '{a,b}' alternatives, '\' takes the next character as it is; names that start with a
/// dot are no exception. Time grows with the product of both lengths at worst.
class Glob {
 public:
  /// bad_input for an empty or malformed pattern, or one of more than 1,024 characters.
  [[nodiscard]] static Result<Glob> parse(std::string_view pattern, bool ignore_case);
  [[nodiscard]] static Result<std::vector<Glob>> parse_all(const std::vector<std::string>& patterns,
                                                           bool ignore_case);
  [[nodiscard]] bool matches(std::string_view path) const;

 private:
  struct Node;
  std::shared_ptr<const Node> node_;
};

/// Reads an Exchange virtual directory settings dump ("Name   : OAB (Default Web Site)" lines,
/// bytes of any code page, CRLF or LF, continuation lines). Nothing when it is not one.
struct Dump {
  std::vector<DumpField> fields;
  bool script_in_url = false;
  std::uint64_t script_offset = 0;
};
[[nodiscard]] std::optional<Dump> parse_dump(std::string_view bytes);

/// True in a build with YARA.
[[nodiscard]] bool have_yara();

}  // namespace remediate::match
