#include "remediate/run/revisions.h"

#include <algorithm>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/host/durable.h"
#include "remediate/plan/plan_file.h"

namespace remediate::run {
namespace {

constexpr std::uint64_t max_plan_bytes = 256u << 20;

/// The playbooks of a run; none when the plan's bytes name no id of `wanted`.
Result<std::vector<plan::PlaybookReport>> playbooks_of(
    const Store& store, const std::string& run,
    const std::vector<const plan::PlaybookReport*>& wanted) {
  TRY_LET(const RawPath path, RawPath::parse(run));
  TRY_LET(const auto directory, store.runs().open_directory(path, host::Mounts::stay));
  TRY_LET(std::string bytes, host::read_whole(*directory, "plan.json", max_plan_bytes));
  const bool named = std::ranges::any_of(wanted, [&](const plan::PlaybookReport* playbook) {
    return bytes.find(playbook->id) != std::string::npos;
  });
  if (!named) return std::vector<plan::PlaybookReport>();
  TRY_LET(plan::PlanFile file, plan::read_plan(std::move(bytes), "runs/" + run + "/plan.json"));
  return std::move(file.plan.playbooks);
}

}  // namespace

Result<void> check_revisions(const Store& store, const plan::Plan& plan,
                             const std::vector<std::string>& allowed) {
  std::vector<const plan::PlaybookReport*> wanted;
  for (const plan::PlaybookReport& playbook : plan.playbooks)
    if (std::ranges::find(allowed, playbook.id) == allowed.end()) wanted.push_back(&playbook);
  if (wanted.empty()) return {};
  TRY_LET(const std::vector<std::string> runs, store.run_names());
  for (const std::string& run : runs) {
    auto before = playbooks_of(store, run, wanted);
    if (!before)
      return std::unexpected(std::move(before).error().wrapped(
          "run " + run + " cannot be read, so it is not known which revisions were applied"));
    for (const plan::PlaybookReport& applied : *before)
      for (const plan::PlaybookReport* playbook : wanted)
        if (applied.id == playbook->id && applied.revision > playbook->revision)
          return fail(Code::refused,
                      "playbook " + display(playbook->id) + " is revision " +
                          std::to_string(playbook->revision) + ", run " + run +
                          " applied revision " + std::to_string(applied.revision),
                      "use that revision or a later one; to go back on purpose let the host's "
                      "policy name the playbook in allow_older_revisions, and plan again");
  }
  return {};
}

}  // namespace remediate::run
