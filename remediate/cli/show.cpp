#include <CLI/CLI.hpp>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/cli/command.h"
#include "remediate/report/report.h"

namespace remediate::cli {
namespace {

constexpr std::uint64_t max_plan_bytes = 256u << 20;

Result<int> show_plan(Global& global, std::string bytes, const std::string& what,
                      const std::string& html) {
  TRY_LET(const plan::PlanFile file, plan::read_plan(std::move(bytes), what));
  if (!html.empty()) TRY(write_file(global, html, report::plan_html(file.plan)));
  if (html != "-") {
    if (global.json())
      TRY(print(file.bytes));
    else
      TRY(print(with_places(global, report::plan_text(file.plan, global.colour()))));
  }
  return 0;
}

Result<int> show_run(Global& global, const std::string& name, const std::string& html) {
  TRY_LET(const auto store, run::Store::open(global.host, global.store));
  TRY_LET(const run::Run run, run::load_run(*store, name));
  if (!html.empty()) TRY(write_file(global, html, report::run_html(run)));
  if (html != "-") {
    if (global.json())
      TRY(print(report::run_json(run)));
    else
      TRY(print(with_places(global, report::run_text(run, global.colour()))));
  }
  return 0;
}

Result<int> show(Global& global, const std::string& what, const std::string& html) {
  auto bytes = read_file(global, what, max_plan_bytes);
  if (bytes) return show_plan(global, std::move(*bytes), what, html);
  const Code code = bytes.error().code;
  if (code != Code::not_found && code != Code::refused)
    return std::unexpected(std::move(bytes).error());
  auto shown = show_run(global, what, html);
  if (!shown && shown.error().code == Code::not_found)
    return fail(
        Code::not_found,
        display(what) + " is neither a plan file nor a run of the store " + display(global.store),
        "`remediate list` shows the runs");
  return shown;
}

}  // namespace

void add_show(CLI::App& app, Global& global, Action& chosen) {
  auto* command = app.add_subcommand("show", "a plan or a run, for people");
  const auto what = std::make_shared<std::string>();
  const auto html = std::make_shared<std::string>();
  command->add_option("FILE_OR_RUN", *what, "a plan file, or the name of a run")->required();
  command->add_option("--html", *html, "write one self-contained HTML page here");
  command->callback([&, what, html] {
    global.confined = {*html};
    chosen = [&global, what, html] { return show(global, *what, *html); };
  });
}

}  // namespace remediate::cli
