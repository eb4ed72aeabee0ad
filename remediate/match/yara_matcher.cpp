#include "remediate/match/yara_matcher.h"

#include "remediate/match/engine.h"

#ifdef REMEDIATE_HAVE_YARA

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <optional>
#include <set>

#include <yara.h>

#include "remediate/base/encoding.h"

namespace remediate::match {
namespace {

constexpr std::size_t max_hits = 64;

/// libyara counts its own initialisations, but not from several threads.
class Library {
 public:
  Library() {
    const std::lock_guard lock(mutex());
    ready_ = yr_initialize() == ERROR_SUCCESS;
  }
  ~Library() {
    const std::lock_guard lock(mutex());
    if (ready_) yr_finalize();
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  [[nodiscard]] bool ready() const { return ready_; }

 private:
  static std::mutex& mutex() {
    static std::mutex only;
    return only;
  }
  bool ready_ = false;
};

struct CompilerFree {
  void operator()(YR_COMPILER* compiler) const { yr_compiler_destroy(compiler); }
};
struct RulesFree {
  void operator()(YR_RULES* rules) const { yr_rules_destroy(rules); }
};
struct ScannerFree {
  void operator()(YR_SCANNER* scanner) const { yr_scanner_destroy(scanner); }
};
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

std::string_view file_type(std::string_view content) {
  using namespace std::string_view_literals;
  struct Magic {
    std::string_view bytes;
    std::string_view type;
  };
  static constexpr std::array<Magic, 9> known = {{{"MZ"sv, "EXE"sv},
                                                  {"\x7F"
                                                   "ELF"sv,
                                                   "ELF"sv},
                                                  {"PK\x03\x04"sv, "ZIP"sv},
                                                  {"Rar!"sv, "RAR"sv},
                                                  {"%PDF"sv, "PDF"sv},
                                                  {"GIF8"sv, "GIF"sv},
                                                  {"\xFF\xD8\xFF"sv, "JPG"sv},
                                                  {"\x89PNG"sv, "PNG"sv},
                                                  {"MSCF"sv, "CAB"sv}}};
  for (const Magic& magic : known) {
    if (content.starts_with(magic.bytes)) return magic.type;
  }
  return "UNKNOWN";
}

/// Strings that say nothing of a file's content: they are found in texts without a common byte.
using Wildcards = std::set<const YR_STRING*>;

/// One text each: no byte stands in two of them.
constexpr std::array<char, 3> probe_fill = {'\x01', 'x', '0'};
constexpr std::size_t probe_bytes = 16384;

int note_strings(YR_SCAN_CONTEXT* context, int message, void* data, void* user_data) {
  if (message != CALLBACK_MSG_RULE_MATCHING && message != CALLBACK_MSG_RULE_NOT_MATCHING)
    return CALLBACK_CONTINUE;
  const auto* rule = static_cast<const YR_RULE*>(data);
  const YR_STRING* string = nullptr;
  yr_rule_strings_foreach(rule, string) {
    const YR_MATCH* match = nullptr;
    yr_string_matches_foreach(context, string, match) {
      static_cast<Wildcards*>(user_data)->insert(string);
      break;
    }
  }
  return CALLBACK_CONTINUE;
}

/// Nothing when a probe could not be scanned to its end.
std::optional<Wildcards> wildcards_of(YR_RULES* rules) {
  constexpr int timeout_seconds = 1;
  Wildcards once;
  Wildcards again;
  for (const char fill : probe_fill) {
    Wildcards found;
    const std::string text(probe_bytes, fill);
    const int result =
        yr_rules_scan_mem(rules, reinterpret_cast<const std::uint8_t*>(text.data()), text.size(),
                          SCAN_FLAGS_NO_TRYCATCH | SCAN_FLAGS_REPORT_RULES_MATCHING |
                              SCAN_FLAGS_REPORT_RULES_NOT_MATCHING,
                          note_strings, &found, timeout_seconds);
    if (result != ERROR_SUCCESS) return std::nullopt;
    for (const YR_STRING* string : found)
      if (!once.insert(string).second) again.insert(string);
  }
  return again;
}

/// libyara 4.2 puts its matches behind texts of any length, so they are not aligned
/// (yr_notebook_alloc), and `yr_string_matches_foreach` would read them as if they were.
YR_MATCH copy_of(const void* match) {
  YR_MATCH copy;
  std::memcpy(&copy, match, sizeof(copy));
  return copy;
}

YaraHit describe(YR_SCAN_CONTEXT* context, YR_RULE* rule, const Wildcards* wildcards) {
  YaraHit hit;
  hit.rule = rule->identifier;
  const YR_META* meta = nullptr;
  yr_rule_metas_foreach(rule, meta) {
    const std::string_view name = meta->identifier;
    if (meta->type == META_TYPE_INTEGER && name == "score") hit.score = meta->integer;
    if (meta->type != META_TYPE_STRING) continue;
    if (name == "author") hit.author = meta->string;
    if (name == "reference") hit.reference = meta->string;
  }
  const YR_STRING* string = nullptr;
  yr_rule_strings_foreach(rule, string) {
    if (wildcards == nullptr || wildcards->contains(string)) continue;
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

struct Noting {
  YaraOutcome* outcome;
  const Wildcards* wildcards;  // null: it is not known which strings are
};

int note(YR_SCAN_CONTEXT* context, int message, void* data, void* user_data) {
  const auto* noting = static_cast<const Noting*>(user_data);
  YaraOutcome* outcome = noting->outcome;
  if (message == CALLBACK_MSG_TOO_MANY_MATCHES) {
    const auto* string = static_cast<const YR_STRING*>(data);
    outcome->incomplete = std::string("too many matches of ") + string->identifier + " in rule " +
                          context->rules->rules_table[string->rule_idx].identifier;
    return CALLBACK_CONTINUE;
  }
  if (message != CALLBACK_MSG_RULE_MATCHING) return CALLBACK_CONTINUE;
  if (outcome->hits.size() >= max_hits) {
    outcome->incomplete = "more than " + std::to_string(max_hits) + " rules match";
    return CALLBACK_ABORT;
  }
  outcome->hits.push_back(describe(context, static_cast<YR_RULE*>(data), noting->wildcards));
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

}  // namespace

struct YaraRules::Impl {
  Library library;  // last to go
  std::unique_ptr<YR_RULES, RulesFree> rules;
  std::string name;
  std::once_flag probed;
  std::optional<Wildcards> wildcards;  // after `probed`; nothing: no string counts as content
  std::mutex mutex;
  std::vector<Scanner> idle;

  Scanner borrow() {
    {
      const std::lock_guard lock(mutex);
      if (!idle.empty()) {
        Scanner scanner = std::move(idle.back());
        idle.pop_back();
        return scanner;
      }
    }
    YR_SCANNER* made = nullptr;
    if (yr_scanner_create(rules.get(), &made) != ERROR_SUCCESS) return nullptr;
    return Scanner(made);
  }
  void give_back(Scanner scanner) {
    const std::lock_guard lock(mutex);
    idle.push_back(std::move(scanner));
  }
};

YaraRules::YaraRules(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
YaraRules::~YaraRules() = default;

const std::string& YaraRules::name() const { return impl_->name; }

Result<std::unique_ptr<YaraRules>> YaraRules::compile(const std::string& source) {
  auto impl = std::make_unique<Impl>();
  const std::unexpected<Error> no_memory =
      fail(Code::internal, "libyara could not be started", "free memory and try again");
  YR_COMPILER* made = nullptr;
  if (!impl->library.ready() || yr_compiler_create(&made) != ERROR_SUCCESS) return no_memory;
  const std::unique_ptr<YR_COMPILER, CompilerFree> compiler(made);
  std::string first_error;
  yr_compiler_set_callback(made, note_compile_error, &first_error);
  yr_compiler_set_include_callback(made, nullptr, nullptr, nullptr);
  for (const char* name : externals) {
    if (yr_compiler_define_string_variable(made, name, "") != ERROR_SUCCESS) return no_memory;
  }
  if (source.find('\0') != std::string::npos) {
    return fail(Code::bad_input, "the YARA rules hold a NUL byte", "give plain rule text");
  }
  if (yr_compiler_add_string(made, source.c_str(), nullptr) != 0) {
    return fail(Code::bad_input, "the YARA rules do not compile: " + display(first_error, 300),
                "correct the rules; includes are not allowed");
  }
  YR_RULES* rules = nullptr;
  if (yr_compiler_get_rules(made, &rules) != ERROR_SUCCESS) return no_memory;
  impl->rules.reset(rules);
  if (rules->num_rules == 0) {
    return fail(Code::bad_input, "the YARA source has no rule", "give at least one rule");
  }
  impl->name = std::string("rule ") + rules->rules_table->identifier;
  if (rules->num_rules > 1) impl->name += " and " + std::to_string(rules->num_rules - 1) + " more";
  return std::unique_ptr<YaraRules>(new YaraRules(std::move(impl)));
}

YaraOutcome YaraRules::scan(std::string_view content, const YaraTarget& target,
                            std::chrono::milliseconds within) const {
  YaraOutcome outcome;
  Scanner scanner = impl_->borrow();
  if (!scanner) {
    outcome.incomplete = "out of memory";
    return outcome;
  }
  const std::string type(file_type(content));
  const std::array<const char*, 5> values = {target.filename.c_str(), target.filepath.c_str(),
                                             target.extension.c_str(), type.c_str(), ""};
  for (std::size_t i = 0; i < externals.size(); ++i) {
    const int defined = yr_scanner_define_string_variable(scanner.get(), externals[i], values[i]);
    if (defined != ERROR_SUCCESS) {
      outcome.incomplete = scan_error(defined);
      return outcome;
    }
  }
  // With the first scan: that is where rules are asked with bounds.
  std::call_once(impl_->probed, [&] { impl_->wildcards = wildcards_of(impl_->rules.get()); });
  Noting noting{&outcome, impl_->wildcards ? &*impl_->wildcards : nullptr};
  yr_scanner_set_callback(scanner.get(), note, &noting);
  yr_scanner_set_timeout(scanner.get(), seconds_of(within));
  // The bytes are private memory: no signal is to be caught, and no handler to be installed.
  yr_scanner_set_flags(scanner.get(), SCAN_FLAGS_NO_TRYCATCH | SCAN_FLAGS_REPORT_RULES_MATCHING);
  const int result = yr_scanner_scan_mem(
      scanner.get(), reinterpret_cast<const std::uint8_t*>(content.data()), content.size());
  if (!impl_->wildcards && !outcome.hits.empty())
    outcome.incomplete =
        "which of its strings are only wildcards could not be told in time, so "
        "none of them lets it remove";
  if (result != ERROR_SUCCESS) {
    outcome.incomplete = scan_error(result);
    if (const YR_RULE* rule = yr_scanner_last_error_rule(scanner.get()))
      outcome.incomplete += " by rule " + std::string(rule->identifier);
    return outcome;  // the scanner's state is not trusted again
  }
  impl_->give_back(std::move(scanner));
  return outcome;
}

std::shared_ptr<void> start_yara() { return std::make_shared<Library>(); }
bool have_yara() { return true; }

}  // namespace remediate::match

#else

namespace remediate::match {

struct YaraRules::Impl {
  std::string name;
};
YaraRules::YaraRules(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
YaraRules::~YaraRules() = default;
const std::string& YaraRules::name() const { return impl_->name; }

Result<std::unique_ptr<YaraRules>> YaraRules::compile(const std::string& /*source*/) {
  return fail(Code::unsupported, "this build has no YARA",
              "use a build with YARA or take the rules out of the playbook");
}

YaraOutcome YaraRules::scan(std::string_view /*content*/, const YaraTarget& /*target*/,
                            std::chrono::milliseconds /*within*/) const {
  return {.hits = {}, .incomplete = "this build has no YARA"};
}

std::shared_ptr<void> start_yara() { return nullptr; }
bool have_yara() { return false; }

}  // namespace remediate::match

#endif
