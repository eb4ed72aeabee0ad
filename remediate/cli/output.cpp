#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/cli/command.h"
#include "remediate/cli/sandbox.h"
#include "remediate/host/process.h"
#include "remediate/report/report.h"
#include "remediate/run/survey.h"

namespace remediate::cli {
namespace {

class StderrProgress final : public run::Progress {
 public:
  void step(const std::string& phase, std::uint64_t done, std::uint64_t total,
            const std::string& what) override {
    const auto now = std::chrono::steady_clock::now();
    const bool end = done == total;
    if (!end && now - last_ <
                    (terminal_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(2000)))
      return;
    last_ = now;
    const std::string line = phase + " " + std::to_string(done) + "/" + std::to_string(total) +
                             (what.empty() ? "" : " " + what.substr(0, 60));
    if (terminal_)
      std::fprintf(stderr, "\r\x1b[K%s%s", line.c_str(), end ? "\n" : "");
    else
      std::fprintf(stderr, "%s\n", line.c_str());
  }
  void note(const std::string& text) override { std::fprintf(stderr, "%s\n", text.c_str()); }

 private:
  const bool terminal_ = host::is_terminal(host::Stream::error);
  std::chrono::steady_clock::time_point last_{};
};

class NoProgress final : public run::Progress {
 public:
  void step(const std::string&, std::uint64_t, std::uint64_t, const std::string&) override {}
  void note(const std::string&) override {}
};

}  // namespace

std::string shell_word(const std::string& text) {
  constexpr std::string_view plain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-+:@%,=";
  if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) return text;
  std::string whole = "'";
  for (const char c : text) whole += c == '\'' ? std::string("'\"'\"'") : std::string(1, c);
  return whole + "'";
}

std::string with_places(const Global& global, std::string text) {
  std::string places;
  if (global.store != global.usual_store) places += " --store " + display(shell_word(global.store));
  if (!global.policy.empty()) places += " --policy " + display(shell_word(global.policy));
  if (places.empty()) return text;
  constexpr std::string_view start = "remediate", indented = "    ";
  constexpr std::array<std::string_view, 10> commands = {"apply", "approve", "finalize", "init",
                                                         "list",  "plan",    "resume",   "rollback",
                                                         "show",  "verify"};
  for (std::size_t at = text.find(start); at != std::string::npos; at = text.find(start, at + 1)) {
    const std::string_view before = std::string_view(text).substr(0, at);
    if (!before.ends_with('`') && !before.ends_with(indented)) continue;
    const std::size_t end = at + start.size();
    const std::size_t word = text.find_first_not_of(" \n", end);  // a line may end between them
    if (word == end || word == std::string::npos) continue;
    const std::string_view rest = std::string_view(text).substr(word);
    if (std::ranges::any_of(commands, [&](std::string_view one) { return rest.starts_with(one); }))
      text.insert(end, places);
  }
  return text;
}

std::string tool_name() { return "remediate " REMEDIATE_VERSION; }

bool Global::colour() const {
  const char* no_colour = std::getenv("NO_COLOR");
  return !json() && (no_colour == nullptr || *no_colour == '\0') &&
         host::is_terminal(host::Stream::output);
}

Result<void> print(const std::string& text) {
  if (Outbox* box = outbox()) {
    box->printed += text;
    return {};
  }
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    return fail(Code::io,
                std::string("cannot write to the standard output: ") + std::strerror(errno),
                "give it a place to write to");
  return {};
}

Result<void> print(const Json& document) {
  // ASCII only: keys and pointers of hostile documents may hold what a terminal acts on.
  return print(document.dump(2, ' ', true, Json::error_handler_t::replace) + "\n");
}

void message(const Global& global, const std::string& words) {
  if (global.quiet) return;
  const std::string text = with_places(global, words);
  if (Outbox* box = outbox())
    box->said += text + "\n";
  else
    std::fprintf(stderr, "%s\n", text.c_str());
}

void tell_notices(const Global& global, const observe::Claims& claims,
                  const Result<host::FilesInUse>& in_use) {
  for (const observe::Issue& notice : claims.notices)
    message(global, notice.where + ": " + notice.reason);
  const bool asked = std::ranges::any_of(
      claims.notices, [](const observe::Issue& notice) { return notice.where == "processes"; });
  if (const std::string unread = asked ? run::unread_processes(in_use) : ""; !unread.empty())
    message(global, unread);
}

Result<int> print_report(const Global& global, const run::RunReport& report, int incomplete) {
  if (global.json())
    TRY(print(report::outcome_json(report)));
  else
    TRY(print(with_places(global, report::outcome_text(report, global.colour()))));
  const bool complete =
      !report.interrupted &&
      (report.status == "done" || report.status == "nothing_to_do" || report.status == "planned");
  return complete ? 0 : incomplete;
}

std::unique_ptr<run::Progress> make_progress(const Global& global) {
  if (global.quiet) return std::make_unique<NoProgress>();
  return std::make_unique<StderrProgress>();
}

}  // namespace remediate::cli
