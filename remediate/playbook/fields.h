#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "remediate/base/json.h"
#include "remediate/playbook/parse.h"
#include "remediate/playbook/rules.h"

namespace remediate::playbook {

/// What was found so far. Keeps the first 100 errors and counts the rest.
class Findings {
 public:
  explicit Findings(std::string_view file) : file_(file) {}
  void error(const Rule& rule, const std::string& pointer, std::string message,
             std::string expected);
  /// Counts an error that there is no room for; false when there is, and nothing is counted.
  [[nodiscard]] bool dropped();
  void warn(const Rule& rule, const std::string& pointer, std::string message,
            std::string expected);
  [[nodiscard]] bool failed() const { return !errors_.empty(); }
  [[nodiscard]] std::size_t count() const { return errors_.size() + dropped_; }
  /// In document order; the last one says so when there were more than 100.
  [[nodiscard]] std::vector<Diagnostic> take_errors(const Json& document);
  [[nodiscard]] std::vector<Diagnostic> take_warnings(const Json& document);

 private:
  std::string file_;
  std::vector<Diagnostic> errors_;
  std::vector<Diagnostic> warnings_;
  std::size_t dropped_ = 0;
};

/// A value of the document and where it is. The document must outlive it.
struct Node {
  const Json* json = nullptr;
  std::string pointer;
};

[[nodiscard]] std::string child(const std::string& pointer, std::string_view key);
[[nodiscard]] std::string child(const std::string& pointer, std::size_t index);
/// `text` in quotes, safe to show and short.
[[nodiscard]] std::string quote(std::string_view text);
/// "a string", "an object" ...
[[nodiscard]] std::string type_name(const Json& json);

struct TextRule {
  std::size_t max_bytes = 4096;
  bool lines = false;     // line breaks and tabs are part of it
  bool controls = false;  // so is every other byte but NUL
};
/// Nothing, with an error reported, when it is not a string that fits `rule`.
[[nodiscard]] std::optional<std::string> read_text(Findings& findings, const Node& node,
                                                   const TextRule& rule = {});
/// The items; none, with an error reported, when it is no list, an empty one or too long.
[[nodiscard]] std::vector<Node> read_list(Findings& findings, const Node& node,
                                          std::size_t max_items, const Rule& when_empty);
/// `text` when it is one of `words`, else nothing with an error reported.
[[nodiscard]] std::optional<std::string> read_choice(Findings& findings, const Node& node,
                                                     const std::vector<std::string_view>& words);

/// The members of one object: reports unknown, missing and mistyped ones.
class Fields {
 public:
  /// Reports at once when `node` is no object or has a member that is not in `known`.
  Fields(Findings& findings, Node node, std::initializer_list<std::string_view> known);

  [[nodiscard]] bool usable() const { return usable_; }
  [[nodiscard]] const std::string& pointer() const { return node_.pointer; }
  [[nodiscard]] bool has(std::string_view key) const;
  [[nodiscard]] std::optional<Node> optional(std::string_view key) const;
  [[nodiscard]] std::optional<Node> required(std::string_view key, std::string_view expected);

  /// Empty, with an error reported, when missing or wrong.
  [[nodiscard]] std::string text(std::string_view key, std::string_view expected,
                                 const TextRule& rule = {});
  [[nodiscard]] std::string optional_text(std::string_view key, const TextRule& rule = {});
  [[nodiscard]] bool flag(std::string_view key, bool otherwise);
  [[nodiscard]] std::optional<std::uint64_t> number(std::string_view key, std::uint64_t least,
                                                    std::uint64_t most);

 private:
  Findings& findings_;
  Node node_;
  bool usable_ = false;
};

}  // namespace remediate::playbook
