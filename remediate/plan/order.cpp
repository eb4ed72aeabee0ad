#include "remediate/plan/order.h"

#include <algorithm>

#include "remediate/setting/provider.h"

namespace remediate::plan {
namespace {

enum Rank { reference, declaration, file, free };

/// The latest of what the step's indicators are about.
Rank rank_of(const playbook::Playbook& playbook, const playbook::Step& step) {
  if (step.action == playbook::Action::instruct) return free;
  if (step.action != playbook::Action::reset_setting) return file;
  Rank rank = free;
  for (const std::string& id : step.indicators) {
    const auto indicator = std::ranges::find(playbook.indicators, id, &playbook::Indicator::id);
    if (indicator == playbook.indicators.end() || !indicator->setting) continue;
    const auto* provider = setting::find_provider(indicator->setting->provider);
    if (provider == nullptr) continue;
    const setting::Loads loads = provider->loads(indicator->setting->kind);
    if (loads == setting::Loads::from_file) rank = declaration;
    if (loads == setting::Loads::by_name && rank == free) rank = reference;
  }
  return rank;
}

}  // namespace

std::vector<PlaybookStep> working_order(const std::vector<playbook::Playbook>& playbooks) {
  struct Waiting {
    PlaybookStep step;
    Rank rank;
    bool taken = false;
  };
  std::vector<Waiting> all;
  for (const playbook::Playbook& playbook : playbooks)
    for (const playbook::Step& step : playbook.steps)
      all.push_back({{&playbook, &step}, rank_of(playbook, step)});
  std::vector<PlaybookStep> order;
  const auto take = [&](Waiting& waiting) {
    if (!waiting.taken) order.push_back(waiting.step);
    waiting.taken = true;
  };
  // Nothing goes past a wait of its own playbook.
  const auto stands_behind_a_wait = [&](const Waiting& waiting) {
    return std::ranges::any_of(all, [&](const Waiting& earlier) {
      return &earlier < &waiting && !earlier.taken && earlier.step.second->wait &&
             earlier.step.first == waiting.step.first;
    });
  };
  for (Waiting& next : all) {
    if (next.taken) continue;
    if (next.rank == declaration || next.rank == file)
      for (int rank = reference; rank < next.rank; ++rank)
        for (Waiting& other : all)
          if (other.rank == rank && !stands_behind_a_wait(other)) take(other);
    take(next);
  }
  return order;
}

}  // namespace remediate::plan
