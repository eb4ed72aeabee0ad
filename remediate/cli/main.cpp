#include <exception>

#include <CLI/CLI.hpp>

#include "remediate/base/encoding.h"
#include "remediate/cli/command.h"
#include "remediate/cli/import.h"
#include "remediate/cli/sandbox.h"
#include "remediate/host/process.h"
#include "remediate/report/report.h"
#include "remediate/report/words.h"

namespace {

using remediate::cli::Action;
using remediate::cli::Global;

constexpr int exit_usage = 64;
std::atomic<bool> stop_requested{false};

std::string default_store(remediate::host::Host& host) {
  if (host.superuser()) return "/var/lib/remediate";
  const char* state = std::getenv("XDG_STATE_HOME");
  if (state != nullptr && *state == '/') return std::string(state) + "/remediate";
  const char* home = std::getenv("HOME");
  return std::string(home != nullptr && *home == '/' ? home : "/nonexistent") +
         "/.local/state/remediate";
}

/// For errors of the system, which only whoever asked could say more about.
std::string_view usual_remedy(remediate::Code code) {
  using remediate::Code;
  switch (code) {
    case Code::not_found:
      return "look at the spelling, and whether it is still there";
    case Code::already_exists:
      return "choose another name, or move away what has it: nothing was overwritten";
    case Code::permission:
      return "run as root, or as the owner of what is named";
    case Code::refused:
    case Code::bad_input:
      return "look at what is named, and name another where it is not what was meant";
    default:
      return "";
  }
}

int report_error(const Global& global, remediate::Error error) {
  if (error.remedy.empty()) error.remedy = usual_remedy(error.code);
  if (global.json()) {
    // Nothing more can be done when even the error cannot be written.
    (void)remediate::cli::print(remediate::report::error_json(error));
  } else {
    // Whoever made the message may have quoted a file or a name as it is.
    using remediate::report::shown;
    std::string text = "remediate: " + shown(error.message) + "\n";
    for (const std::string& cause : error.causes) text += "  - " + shown(cause) + "\n";
    if (!error.remedy.empty()) text += "  what to do: " + shown(error.remedy) + "\n";
    std::fputs(remediate::cli::with_places(global, text).c_str(), stderr);
  }
  return remediate::exit_code(error.code);
}

int run(int count, char** words) {
  const auto host = remediate::host::native_host();
  Global global{*host, stop_requested};
  global.usual_store = default_store(*host);
  global.store = global.usual_store;
  CLI::App app(
      "Plans, applies, proves and rolls back the removal of web shells and what they changed.",
      "remediate");
  app.set_version_flag("--version", remediate::cli::tool_name());
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--store", global.store, "the tool's own folder")->capture_default_str();
  app.add_option("--policy", global.policy,
                 "the host's policy (default /etc/remediate/policy.json where it exists)");
  app.add_option("--format", global.format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  app.add_flag("-q,--quiet", global.quiet, "no messages and no progress");
  app.add_flag("--no-input", global.no_input, "never ask");
  bool open = false;
  app.add_flag("--no-sandbox", open,
               "run the commands that only read without the walls around them");

  Action chosen;
  using Add = void (*)(CLI::App&, Global&, Action&);
  for (const Add add :
       {remediate::cli::add_check, remediate::cli::add_plan, remediate::cli::add_show,
        remediate::cli::add_approve, remediate::cli::add_apply, remediate::cli::add_resume,
        remediate::cli::add_rollback, remediate::cli::add_finalize, remediate::cli::add_verify,
        remediate::cli::add_list, remediate::cli::add_export, remediate::cli::add_baseline,
        remediate::cli::add_import, remediate::cli::add_init})
    add(app, global, chosen);
  try {
    app.parse(count, words);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    for (int index = 1; index + 1 < count; ++index)
      if (std::string_view(words[index]) == "--format" &&
          std::string_view(words[index + 1]) == "json")
        global.format = "json";
    for (int index = 1; index < count; ++index)
      if (std::string_view(words[index]) == "--format=json") global.format = "json";
    std::string message = error.what();
    if (const auto left = app.remaining(); app.get_subcommands().empty() && !left.empty())
      message = (left.front().starts_with('-') ? "there is no option " : "there is no command ") +
                left.front();
    report_error(global, {remediate::Code::usage, remediate::display(message),
                          "`remediate --help`, `remediate COMMAND --help`"});
    return exit_usage;
  }
  global.sandbox = !open;
  const auto report = [&](const remediate::Error& error) { return report_error(global, error); };
  if (global.prepare)
    if (auto ready = global.prepare(); !ready) return report(ready.error());
  auto code = global.confined ? remediate::cli::run_confined(global, chosen, report) : chosen();
  return code ? *code : report_error(global, code.error());
}

}  // namespace

int main(int count, char** words) {
  remediate::host::harden_process();
  try {
    return run(count, words);
  } catch (const std::exception& error) {
    std::fprintf(stderr,
                 "remediate: internal error: %s\n  what to do: `remediate resume` continues an "
                 "interrupted run\n",
                 remediate::display(error.what()).c_str());
    return 1;
  }
}
