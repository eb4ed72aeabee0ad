#include <algorithm>
#include <map>

#include <CLI/CLI.hpp>

#include "remediate/base/clock.h"
#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/cli/command.h"

namespace remediate::cli {
namespace {

Json counts_of(const run::Run& run) {
  std::map<std::string, std::uint64_t> counts;
  for (const run::OperationState& operation : run.operations)
    if (operation.operation->action != plan::Action::instruct)
      ++counts[std::string(run::state_name(operation.state))];
  Json json = Json::object();
  for (const auto& [state, count] : counts) json[state] = count;
  return json;
}

Json entry_of(const run::Store& store, const std::string& name) {
  auto run = run::load_run(store, name);
  if (!run) return Json{{"run_id", name}, {"state", "unreadable"}, {"reason", run.error().text()}};
  const std::string state = run->phase.empty()                ? "not_started"
                            : run->closed                     ? run->status
                            : run::stands_at(*run) != nullptr ? "waiting"
                                                              : "interrupted";
  return Json{{"run_id", name},
              {"plan_id", run->plan.plan.plan_id},
              {"phase", run->phase},
              {"state", state},
              {"started", run->phase.empty() ? "" : format_utc(run->started)},
              {"root", display(run->plan.plan.host.root)},
              {"operations", counts_of(*run)}};
}

Result<int> list(Global& global) {
  TRY_LET(const auto store, run::Store::open(global.host, global.store));
  TRY_LET(const std::vector<std::string> names, store->run_names());
  std::vector<Json> sorted;
  for (const std::string& name : names) sorted.push_back(entry_of(*store, name));
  std::ranges::sort(sorted, {}, [](const Json& run) {
    return run.value("started", std::string()) + run.value("run_id", std::string());
  });
  Json runs = Json::array();
  for (Json& run : sorted) runs.push_back(std::move(run));
  if (global.json()) {
    TRY(print(Json{{"runs", std::move(runs)}}));
    return 0;
  }
  std::string text;
  for (const Json& run : runs) {
    text += run.value("started", std::string("-")) + "  " + run.value("run_id", "") + "  " +
            run.value("phase", "") + " " + run.value("state", "");
    if (run.contains("operations"))
      for (const auto& [state, count] : run["operations"].items())
        text += "  " + state + " " + count.dump();
    if (run.contains("reason")) text += "  " + run.value("reason", "");
    text += "\n";
  }
  TRY(print(text.empty() ? "no runs in " + display(global.store) + "\n" : text));
  return 0;
}

}  // namespace

void add_list(CLI::App& app, Global& global, Action& chosen) {
  auto* command = app.add_subcommand("list", "the runs of the store with their state");
  command->callback([&] {
    global.confined.emplace();
    chosen = [&global] { return list(global); };
  });
}

}  // namespace remediate::cli
