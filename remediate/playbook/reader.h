#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "remediate/playbook/fields.h"
#include "remediate/playbook/model.h"
#include "remediate/playbook/spelling.h"

namespace remediate::playbook {

inline constexpr std::size_t max_listed = 1000;  // indicators, scopes, steps, globs of one list
inline constexpr std::size_t max_digests = 100'000;
inline constexpr std::size_t max_match_depth = 16;
inline const std::vector<std::string_view> tlp_labels = {"clear", "green", "amber", "amber+strict",
                                                         "red"};

/// Reads the parts of one playbook in turn; later parts look up what earlier ones defined.
class Reader {
 public:
  Reader(Findings& findings, Playbook& playbook) : findings_(findings), playbook_(playbook) {}
  void read(const Json& document);

 private:
  enum class Use : std::uint8_t { unused, used };
  struct Known {
    std::string pointer;
    Use use = Use::unused;
  };
  struct Cover {
    Spelling spelling = Spelling::posix;  // windows: '\\' separates in globs
  };

  // parse.cpp
  void read_head(Fields& fields);
  void read_dates(Fields& fields);
  std::string read_date(Fields& fields, const char* key, bool needed);
  void read_references(const Node& node);
  void warn_unused();
  std::string read_id(Fields& fields, std::map<std::string, Known>& ids, const char* what);
  void report(const Refusal& refusal, const std::string& pointer);

  // scope.cpp
  void read_variables(const Node& node);
  void read_scopes(const Node& node);
  void read_scope(const Node& node);
  std::vector<SpelledPath> read_paths(const Node& node, bool file, const Rule& when_empty);
  std::vector<std::string> read_globs(const Node& node, const Rule& when_empty, Spelling spelling);

  // indicator.cpp
  void read_indicators(const Node& node);
  void read_indicator(const Node& node);
  Cover read_indicator_scopes(const Node& node, Indicator& indicator);
  void read_exclude(const Node& node, Indicator& indicator);
  SettingCondition read_setting(const Node& node, const Indicator& indicator);
  AttributeTest read_test(const Node& node);
  Source read_source(const Node& node);
  std::optional<Source> read_sources(const Node& node);

  // condition.cpp
  Condition read_condition(const Node& node, const Cover& cover, std::size_t depth);
  std::vector<std::string> read_digests(const Node& node, std::size_t length);
  void read_size(const Node& node, Condition& condition);
  void read_magic(const Node& node, Condition& condition);
  void read_regex(const Node& node, Condition& condition);
  void read_yara(const Node& node, Condition& condition);
  void read_structure(const Node& node, Condition& condition);

  // step.cpp
  void read_steps(const Node& node);
  void read_step(const Node& node);
  void read_step_indicators(const Node& node, Step& step);
  Change read_change(const Node& node);
  void check_change(const Node& node, const Step& step);
  void read_known_good(const Node& node, Step& step);

  Findings& findings_;
  Playbook& playbook_;
  std::map<std::string, Known> scope_ids_;
  std::map<std::string, Known> indicator_ids_;
  std::map<std::string, Known> step_ids_;
  std::vector<Known> variables_;  // as playbook_.variables
  std::size_t digests_ = 0;
  bool too_many_digests_ = false;
  bool quarantined_ = false;
};

/// Adds the digests that make a file match; `positive` is false inside a negation.
void collect_sha256(const Condition& condition, bool positive, std::set<std::string>& digests);

}  // namespace remediate::playbook
