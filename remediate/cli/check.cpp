#include <CLI/CLI.hpp>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/cli/command.h"
#include "remediate/match/engine.h"
#include "remediate/playbook/parse.h"

namespace remediate::cli {
namespace {

constexpr std::uint64_t max_playbook_bytes = 16u << 20;

std::vector<playbook::Diagnostic> diagnose(const std::string& bytes, const std::string& file) {
  auto parsed = playbook::parse_playbook(bytes, file);
  if (!parsed) return std::move(parsed).error();
  std::vector<playbook::Diagnostic> diagnostics = std::move(parsed->warnings);
  const std::vector<playbook::Playbook> playbooks{std::move(parsed->playbook)};
  if (auto engine = match::Engine::compile(playbooks, {}); !engine)
    diagnostics.push_back({"PB900", display(file), "/indicators", engine.error().text(),
                           "patterns and rules that this build can compile"});
  return diagnostics;
}

Result<int> check(Global& global, const std::vector<std::string>& files) {
  bool good = true;
  Json list = Json::array();
  std::string text;
  for (const std::string& file : files) {
    TRY_LET(const std::string bytes, read_file(global, file, max_playbook_bytes));
    bool file_good = true;
    Json found = Json::array();
    for (const playbook::Diagnostic& diagnostic : diagnose(bytes, file)) {
      file_good = file_good && !diagnostic.is_error();
      found.push_back(Json{{"code", diagnostic.code},
                           {"severity", diagnostic.is_error() ? "error" : "warning"},
                           {"pointer", diagnostic.pointer},
                           {"message", diagnostic.message},
                           {"expected", diagnostic.expected}});
      text += diagnostic.text() + "\n";
    }
    if (file_good) text += display(file) + ": good\n";
    good = good && file_good;
    list.push_back(
        Json{{"file", display(file)}, {"ok", file_good}, {"diagnostics", std::move(found)}});
  }
  if (global.json())
    TRY(print(Json{{"ok", good}, {"files", std::move(list)}}));
  else
    TRY(print(text));
  return good ? 0 : exit_code(Code::bad_input);
}

}  // namespace

void add_check(CLI::App& app, Global& global, Action& chosen) {
  auto* command = app.add_subcommand("check", "validates playbooks");
  const auto files = std::make_shared<std::vector<std::string>>();
  command->add_option("PLAYBOOK", *files, "playbook files")->required();
  command->callback([&, files] {
    global.confined.emplace();
    chosen = [&global, files] { return check(global, *files); };
  });
}

}  // namespace remediate::cli
