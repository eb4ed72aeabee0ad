#include "remediate/match/yara_matcher.h"

#include <algorithm>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/match/engine.h"

namespace remediate::match {
namespace {
constexpr std::size_t max_name = 300;
}
}  // namespace remediate::match

namespace remediate::match {

std::string RuleSet::name(std::size_t source) const {
  const auto of = std::ranges::equal_range(rules_, source, {}, &YaraRule::source);
  if (of.empty()) return "no rule";
  std::string name = "rule " + display(of.front().name, max_name);
  if (of.size() > 1) name += " and " + std::to_string(of.size() - 1) + " more";
  return name;
}

Result<std::unique_ptr<RuleSet>> compile_rules(const std::string& source) {
  TRY_LET(const auto compiler, start_compiler());
  TRY(compiler->add(source));
  return compiler->finish();
}

}  // namespace remediate::match

#ifdef REMEDIATE_HAVE_YARA

#include <array>
#include <cstring>
#include <mutex>
#include <optional>
#include <set>

#include <yara.h>

namespace remediate::match {
namespace {

constexpr std::size_t max_hits = 4096;
constexpr std::size_t max_doubts = 64;
constexpr unsigned max_again = 8;

/// libyara counts its own initialisations, but not from several threads.
class Running {
 public:
  Running() {
    const std::lock_guard lock(mutex());
    ready_ = yr_initialize() == ERROR_SUCCESS;
  }
  ~Running() {
    const std::lock_guard lock(mutex());
    if (ready_) yr_finalize();
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  [[nodiscard]] bool ready() const { return ready_; }

 private:
  static std::mutex& mutex() {
    static std::mutex only;
    return only;
  }
  bool ready_ = false;
};
using Library = std::shared_ptr<const Running>;

struct CompilerFree {
  void operator()(YR_COMPILER* compiler) const { yr_compiler_destroy(compiler); }
};
struct RulesFree {
  void operator()(YR_RULES* rules) const { yr_rules_destroy(rules); }
};
struct ScannerFree {
  void operator()(YR_SCANNER* scanner) const { yr_scanner_destroy(scanner); }
};
using Rules = std::unique_ptr<YR_RULES, RulesFree>;
using Scanner = std::unique_ptr<YR_SCANNER, ScannerFree>;

constexpr std::array<const char*, 5> externals = {"filename", "filepath", "extension", "filetype",
                                                  "owner"};

void note_compile_error(int level, const char* /*file*/, int line, const YR_RULE* rule,
                        const char* message, void* user_data) {
  auto* first = static_cast<std::string*>(user_data);
  if (level != YARA_ERROR_LEVEL_ERROR || !first->empty()) return;
  *first = "line " + std::to_string(line);
  if (rule != nullptr) *first += std::string(" (rule ") + rule->identifier + ")";
  *first += std::string(": ") + message;
}

/// Strings that say nothing of a file's content: they are found in texts without a common byte.
using Wildcards = std::set<const YR_STRING*>;

/// Namespaces are made in the order of the sources, one each.
std::size_t source_of(const YR_RULES* rules, const YR_STRING* string) {
  return rules->rules_table[string->rule_idx].ns->idx;
}

/// The scanner does not look for a string whose bit is set.
void leave_out(YR_SCANNER* scanner, std::uint32_t string) {
  constexpr std::size_t bits = 8 * sizeof(YR_BITMASK);
  scanner->strings_temp_disabled[string / bits] |= static_cast<YR_BITMASK>(1) << (string % bits);
}

int note_strings(YR_SCAN_CONTEXT* context, int message, void* data, void* user_data) {
  if (message != CALLBACK_MSG_RULE_MATCHING && message != CALLBACK_MSG_RULE_NOT_MATCHING)
    return CALLBACK_CONTINUE;
  const auto* rule = static_cast<const YR_RULE*>(data);
  const YR_STRING* string = nullptr;
  yr_rule_strings_foreach(rule, string) {
    if (context->matches[string->idx].head != nullptr)
      static_cast<Wildcards*>(user_data)->insert(string);
  }
  return CALLBACK_CONTINUE;
}

/// Tells strings that are nothing but wildcards from those that say something: all sources at once,
/// and where that fails each by itself, so that a bad one is in doubt alone. No other search of the
/// rules may go on meanwhile.
class WildcardProbe {
 public:
  WildcardProbe(YR_RULES* rules, std::size_t sources) : rules_(rules), in_doubt_(sources, false) {
    // Only strings are looked for: a condition takes time, and says nothing of them.
    YR_RULE* rule = nullptr;
    yr_rules_foreach(rules, rule) rule->flags |= RULE_FLAGS_DISABLED;
    if (auto found = search(std::nullopt, max_probe_seconds))
      wildcards_ = std::move(*found);
    else
      search_each();
    yr_rules_foreach(rules, rule) rule->flags &= ~RULE_FLAGS_DISABLED;
  }
  [[nodiscard]] bool in_doubt(std::size_t source) const { return in_doubt_[source]; }
  [[nodiscard]] bool is_wildcard(const YR_STRING* string) const {
    return wildcards_.contains(string);
  }

 private:
  /// One text each: no byte stands in two of them.
  static constexpr std::array<char, 3> fills = {'\x01', 'x', '0'};
  static constexpr std::size_t text_bytes = 16384;
  static constexpr int max_probe_seconds = 5;     // a text, for all sources
  static constexpr int max_source_seconds = 1;    // a text, for one
  static constexpr int max_sources_seconds = 15;  // all texts, each source by itself

  void search_each() {
    using Clock = std::chrono::steady_clock;
    const auto deadline = Clock::now() + std::chrono::seconds(max_sources_seconds);
    for (std::size_t source = 0; source < in_doubt_.size(); ++source) {
      const auto found =
          Clock::now() < deadline ? search(source, max_source_seconds) : std::nullopt;
      in_doubt_[source] = !found;
      if (found) wildcards_.insert(found->begin(), found->end());
    }
  }

  /// Of one source or of all; nothing when a text could not be searched to its end.
  [[nodiscard]] std::optional<Wildcards> search(std::optional<std::size_t> source,
                                                int seconds) const {
    YR_SCANNER* made = nullptr;
    if (yr_scanner_create(rules_, &made) != ERROR_SUCCESS) return std::nullopt;
    const Scanner scanner(made);
    yr_scanner_set_flags(made, SCAN_FLAGS_NO_TRYCATCH | SCAN_FLAGS_REPORT_RULES_MATCHING |
                                   SCAN_FLAGS_REPORT_RULES_NOT_MATCHING);
    yr_scanner_set_timeout(made, seconds);
    Wildcards once;
    Wildcards again;
    for (const char fill : fills) {
      for (std::uint32_t string = 0; source && string < rules_->num_strings; ++string)
        if (source_of(rules_, &rules_->strings_table[string]) != *source) leave_out(made, string);
      Wildcards found;
      yr_scanner_set_callback(made, note_strings, &found);
      const std::string text(text_bytes, fill);
      if (yr_scanner_scan_mem(made, reinterpret_cast<const std::uint8_t*>(text.data()),
                              text.size()) != ERROR_SUCCESS)
        return std::nullopt;
      for (const YR_STRING* string : found)
        if (!once.insert(string).second) again.insert(string);
    }
    return again;
  }

  YR_RULES* rules_;
  Wildcards wildcards_;
  std::vector<bool> in_doubt_;
};

/// libyara 4.2 puts its matches behind texts of any length, so they are not aligned
/// (yr_notebook_alloc), and `yr_string_matches_foreach` would read them as if they were.
YR_MATCH copy_of(const void* match) {
  YR_MATCH copy;
  std::memcpy(&copy, match, sizeof(copy));
  return copy;
}

std::size_t number_of(const YR_RULES* rules, const YR_RULE* rule) {
  return static_cast<std::size_t>(rule - rules->rules_table);
}

YaraRule describe(YR_RULE* rule) {
  YaraRule described;
  described.source = rule->ns->idx;
  described.name = rule->identifier;
  const YR_META* meta = nullptr;
  yr_rule_metas_foreach(rule, meta) {
    const std::string_view name = meta->identifier;
    if (meta->type == META_TYPE_INTEGER && name == "score") described.score = meta->integer;
    if (meta->type != META_TYPE_STRING) continue;
    if (name == "author") described.author = meta->string;
    if (name == "reference") described.reference = meta->string;
  }
  return described;
}

YaraHit place_of(YR_SCAN_CONTEXT* context, const YR_RULE* rule, const WildcardProbe& probe) {
  YaraHit hit;
  hit.rule = number_of(context->rules, rule);
  if (probe.in_doubt(rule->ns->idx)) return hit;
  const YR_STRING* string = nullptr;
  yr_rule_strings_foreach(rule, string) {
    if (probe.is_wildcard(string)) continue;
    const void* next = context->matches[string->idx].head;
    while (next != nullptr) {
      const YR_MATCH match = copy_of(next);
      next = match.next;
      if (match.is_private) continue;
      const auto offset = static_cast<std::uint64_t>(match.base + match.offset);
      if (!hit.has_offset || offset < hit.offset) hit.offset = offset;
      hit.has_offset = true;
    }
  }
  return hit;
}

void note_doubt(YaraOutcome& outcome, std::size_t source, std::string why) {
  if (std::ranges::find(outcome.doubts, source, &YaraDoubt::source) != outcome.doubts.end()) return;
  if (outcome.doubts.size() < max_doubts) {
    outcome.doubts.push_back({source, std::move(why)});
  } else {
    outcome.incomplete =
        "rules of more than " + std::to_string(max_doubts) + " sources reached a bound";
  }
}

struct Noting {
  YaraOutcome* outcome;
  const WildcardProbe* probe;
};

int note(YR_SCAN_CONTEXT* context, int message, void* data, void* user_data) {
  const auto* noting = static_cast<const Noting*>(user_data);
  YaraOutcome* outcome = noting->outcome;
  if (message == CALLBACK_MSG_TOO_MANY_MATCHES) {
    const auto* string = static_cast<const YR_STRING*>(data);
    note_doubt(*outcome, source_of(context->rules, string),
               std::string("too many matches of ") + string->identifier + " in rule " +
                   context->rules->rules_table[string->rule_idx].identifier);
    return CALLBACK_CONTINUE;
  }
  if (message != CALLBACK_MSG_RULE_MATCHING) return CALLBACK_CONTINUE;
  if (outcome->hits.size() >= max_hits) {
    outcome->incomplete = "more than " + std::to_string(max_hits) + " rules match";
    return CALLBACK_ABORT;
  }
  outcome->hits.push_back(place_of(context, static_cast<YR_RULE*>(data), *noting->probe));
  return CALLBACK_CONTINUE;
}

/// At least 1: 0 would be no limit.
int seconds_of(std::chrono::milliseconds within) {
  return static_cast<int>(
      std::max<std::int64_t>(std::chrono::ceil<std::chrono::seconds>(within).count(), 1));
}

std::string scan_error(int number) {
  switch (number) {
    case ERROR_SCAN_TIMEOUT:
      return "the time limit was reached";
    case ERROR_TOO_MANY_MATCHES:
      return "too many matches";
    case ERROR_INSUFFICIENT_MEMORY:
      return "out of memory";
    case ERROR_TOO_MANY_RE_FIBERS:
      return "a regular expression is too complex for this content";
    default:
      return "libyara error " + std::to_string(number);
  }
}

class YaraRules final : public RuleSet {
 public:
  YaraRules(Library library, Rules compiled, std::vector<YaraRule> described, std::size_t sources)
      : RuleSet(std::move(described), sources),
        library_(std::move(library)),
        rules_(std::move(compiled)) {}

  void probe() const {
    std::call_once(probed_, [&] { probe_.emplace(rules_.get(), sources()); });
  }

  [[nodiscard]] YaraOutcome scan(std::string_view content, const YaraTarget& target,
                                 std::chrono::milliseconds within) const override {
    using Clock = std::chrono::steady_clock;
    probe();  // takes seconds once, which are no file's
    const auto deadline = Clock::now() + within;
    YaraOutcome outcome;
    // Strings that reached a bound of their own: without them the others are asked again.
    std::set<std::uint32_t> without;
    for (unsigned times = 0;; ++times) {
      const YR_STRING* culprit = nullptr;
      std::string slowest;
      const int result = scan_once(
          content, target, std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()),
          without, outcome, culprit, slowest);
      if (result == ERROR_SUCCESS) break;
      if (result != ERROR_TOO_MANY_RE_FIBERS || culprit == nullptr || times >= max_again ||
          deadline <= Clock::now()) {
        outcome.incomplete = scan_error(result) + slowest;
        if (culprit != nullptr && sources() > 1)
          outcome.incomplete += " (" + name(source_of(rules_.get(), culprit)) + ")";
        break;
      }
      outcome.hits.clear();
      without.insert(culprit->idx);
      note_doubt(outcome, source_of(rules_.get(), culprit), scan_error(result));
    }
    for (const YaraHit& hit : outcome.hits)
      if (const std::size_t source = rules()[hit.rule].source; probe_->in_doubt(source))
        note_doubt(outcome, source,
                   "which of its strings are only wildcards could not be told, so none of them "
                   "lets it remove");
    return outcome;
  }

 private:
  int scan_once(std::string_view content, const YaraTarget& target,
                std::chrono::milliseconds within, const std::set<std::uint32_t>& without,
                YaraOutcome& outcome, const YR_STRING*& culprit, std::string& slowest) const {
    Scanner scanner = borrow();
    if (!scanner) return ERROR_INSUFFICIENT_MEMORY;
    const std::string type(yara_file_type(content));
    const std::array<const char*, 5> values = {target.filename.c_str(), target.filepath.c_str(),
                                               target.extension.c_str(), type.c_str(), ""};
    for (std::size_t i = 0; i < externals.size(); ++i) {
      const int defined = yr_scanner_define_string_variable(scanner.get(), externals[i], values[i]);
      if (defined != ERROR_SUCCESS) return defined;
    }
    Noting noting{&outcome, &*probe_};
    yr_scanner_set_callback(scanner.get(), note, &noting);
    yr_scanner_set_timeout(scanner.get(), seconds_of(within));
    // The bytes are private memory: no signal is to be caught, and no handler to be installed.
    yr_scanner_set_flags(scanner.get(), SCAN_FLAGS_NO_TRYCATCH | SCAN_FLAGS_REPORT_RULES_MATCHING);
    for (const std::uint32_t string : without) leave_out(scanner.get(), string);
    const int result = yr_scanner_scan_mem(
        scanner.get(), reinterpret_cast<const std::uint8_t*>(content.data()), content.size());
    culprit = result == ERROR_SUCCESS ? nullptr : yr_scanner_last_error_string(scanner.get());
    if (const YR_RULE* rule = yr_scanner_last_error_rule(scanner.get());
        result != ERROR_SUCCESS && rule != nullptr)
      slowest = " by rule " + std::string(rule->identifier);
    if (result == ERROR_SUCCESS) give_back(std::move(scanner));  // else its state is not trusted
    return result;
  }

  Scanner borrow() const {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        Scanner scanner = std::move(idle_.back());
        idle_.pop_back();
        return scanner;
      }
    }
    YR_SCANNER* made = nullptr;
    if (yr_scanner_create(rules_.get(), &made) != ERROR_SUCCESS) return nullptr;
    return Scanner(made);
  }
  void give_back(Scanner scanner) const {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(scanner));
  }

  Library library_;  // last to go
  Rules rules_;
  mutable std::once_flag probed_;
  mutable std::optional<WildcardProbe> probe_;
  mutable std::mutex mutex_;
  mutable std::vector<Scanner> idle_;
};

std::unexpected<Error> no_memory() {
  return fail(Code::limit, "there is not enough memory for the YARA rules of all playbooks",
              "plan with fewer YARA rules at a time, each plan with some of the playbooks");
}

/// The parser may put another error over the first one, and its scanner has words of its own.
bool tells_of_memory(std::string_view error) {
  return error.ends_with(": not enough memory") || error.contains(": out of dynamic memory in ");
}

class Compiler final : public RuleCompiler {
 public:
  explicit Compiler(Probe probe) : probe_(probe) {}

  Result<void> start() {
    YR_COMPILER* made = nullptr;
    if (!library_->ready() || yr_compiler_create(&made) != ERROR_SUCCESS)
      return fail(Code::internal, "libyara could not be started", "free memory and try again");
    compiler_.reset(made);
    yr_compiler_set_callback(made, note_compile_error, &first_error_);
    yr_compiler_set_include_callback(made, nullptr, nullptr, nullptr);
    for (const char* name : externals)
      if (yr_compiler_define_string_variable(made, name, "") != ERROR_SUCCESS) return no_memory();
    return {};
  }

  Result<void> add(const std::string& source) override {
    if (!compiler_)
      return fail(Code::internal, "YARA rules were added behind ones that do not compile",
                  "report it");
    auto added = try_to_add(source);
    if (added)
      ++sources_;
    else
      compiler_.reset();  // libyara takes no more after an error
    return added;
  }

  Result<std::unique_ptr<RuleSet>> finish() override {
    if (!compiler_ || sources_ == 0)
      return fail(Code::internal, "there are no YARA rules to be finished", "report it");
    YR_RULES* made = nullptr;
    const int result = yr_compiler_get_rules(compiler_.get(), &made);
    compiler_.reset();
    if (result == ERROR_INSUFFICIENT_MEMORY) return no_memory();
    if (result != ERROR_SUCCESS)
      return fail(Code::limit,
                  "libyara cannot hold the YARA rules of all playbooks together: error " +
                      std::to_string(result),
                  "plan with fewer YARA rules at a time, each plan with some of the playbooks");
    Rules rules(made);
    std::vector<YaraRule> described;
    YR_RULE* rule = nullptr;
    yr_rules_foreach(made, rule) described.push_back(describe(rule));
    auto set = std::make_unique<YaraRules>(std::move(library_), std::move(rules),
                                           std::move(described), sources_);
    if (probe_ == Probe::with_finish) set->probe();
    return set;
  }

 private:
  Result<void> try_to_add(const std::string& source) {
    if (source.contains('\0'))
      return fail(Code::bad_input, "the YARA rules hold a NUL byte", "give plain rule text");
    YR_COMPILER* compiler = compiler_.get();
    const std::uint32_t before = compiler->next_rule_idx;
    const std::string space = "source " + std::to_string(sources_);
    if (yr_compiler_add_string(compiler, source.c_str(), space.c_str()) != 0) {
      if (compiler->last_error == ERROR_INSUFFICIENT_MEMORY || tells_of_memory(first_error_))
        return no_memory();
      return fail(Code::bad_input, "the YARA rules do not compile: " + display(first_error_, 300),
                  "correct the rules; includes are not allowed");
    }
    if (compiler->next_rule_idx == before)
      return fail(Code::bad_input, "the YARA source has no rule", "give at least one rule");
    return {};
  }

  Probe probe_;
  Library library_ = std::make_shared<const Running>();  // last to go
  std::unique_ptr<YR_COMPILER, CompilerFree> compiler_;
  std::string first_error_;
  std::size_t sources_ = 0;
};

}  // namespace

Result<std::unique_ptr<RuleCompiler>> start_compiler(Probe probe) {
  auto compiler = std::make_unique<Compiler>(probe);
  TRY(compiler->start());
  return compiler;
}

std::shared_ptr<const void> start_yara() { return std::make_shared<const Running>(); }
bool have_yara() { return true; }

}  // namespace remediate::match

#else

namespace remediate::match {

Result<std::unique_ptr<RuleCompiler>> start_compiler(Probe /*probe*/) {
  return fail(Code::unsupported, "this build has no YARA",
              "use a build with YARA or take the rules out of the playbook");
}

std::shared_ptr<const void> start_yara() { return nullptr; }
bool have_yara() { return false; }

}  // namespace remediate::match

#endif
