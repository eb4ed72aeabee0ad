#pragma once

// What text and HTML both say; private to report/.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "remediate/plan/plan.h"
#include "remediate/report/report.h"
#include "remediate/run/run_state.h"

namespace remediate::report {

/// Text that is in display form already, or should be: what a terminal could act on is escaped,
/// a backslash stays as it is. One line: a line feed becomes \n.
[[nodiscard]] std::string shown(std::string_view text);
/// The lines of a text, each as shown() gives it.
[[nodiscard]] std::vector<std::string> shown_lines(std::string_view text);
/// "1 file", "2 files".
[[nodiscard]] std::string count(std::uint64_t number, std::string_view singular,
                                std::string_view plural = {});

struct PlanCounts {
  std::uint64_t files = 0;
  std::uint64_t replaced = 0;
  std::uint64_t settings = 0;
  std::uint64_t instructions = 0;
};
[[nodiscard]] PlanCounts count_operations(const plan::Plan& plan);
/// "3 files quarantined, 1 setting reset, ..."
[[nodiscard]] std::string summary(const plan::Plan& plan);
/// Rows for the head of a plan.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> plan_facts(const plan::Plan& plan,
                                                                          const PlanPlace& place);
[[nodiscard]] std::string playbook_name(const plan::Plan& plan, const std::string& id);
/// "playbook name, indicator"
/// A baseline that the plan was made with, and what the comparison with it gave.
[[nodiscard]] std::string baseline_text(const plan::BaselineReport& baseline);
[[nodiscard]] std::string found_by(const plan::Plan& plan, const std::string& playbook,
                                   const std::string& indicator);
/// One reason in one line; the excerpt is escaped.
[[nodiscard]] std::string reason_text(const plan::Reason& reason);
[[nodiscard]] std::string difference_text(const plan::SettingDifference& difference);
/// The clean copies that a change of settings takes its bytes from, each with its digest.
[[nodiscard]] std::vector<std::string> baselines_of(const plan::SettingChange& change);
/// What the operation does, for the reader of a plan: "quarantine", "reset setting" ...
[[nodiscard]] std::string action_text(plan::Action action);
/// What an instruction says at which apply waits.
inline constexpr std::string_view waits_text =
    "apply stands still here (exit code 3) until it is done and `remediate resume` goes on";
/// Said where files lie in several scopes, each of which counts them; else empty.
[[nodiscard]] std::string shared_files(const plan::Plan& plan);
[[nodiscard]] std::string limit_remedy(const plan::LimitReport& limit);
/// What a limit that fired means for this plan, as the end of a sentence.
[[nodiscard]] std::string limit_effect(const plan::LimitReport& limit);
[[nodiscard]] std::string issue_text(const plan::IssueReport& issue);

/// A command and what it is for.
struct NextStep {
  std::string command;  // empty: only words
  std::string words;
};
/// `file`: as in plan_text().
[[nodiscard]] std::vector<NextStep> next_steps(const plan::Plan& plan, const std::string& file);

/// The outcome of an operation as the run stands: a word, also where nothing was recorded yet.
[[nodiscard]] std::string outcome_of(const run::OperationState& operation);
/// Where the thing is now, in a sentence.
[[nodiscard]] std::string present_state(const run::OperationState& operation);
/// The original was in the hold at some time.
[[nodiscard]] bool was_captured(const run::OperationState& operation);
[[nodiscard]] std::string run_title(const run::Run& run);
[[nodiscard]] std::string run_status(const run::Run& run);
[[nodiscard]] std::string run_summary(const run::Run& run);
[[nodiscard]] std::vector<std::pair<std::string, std::string>> run_facts(const run::Run& run);
[[nodiscard]] std::vector<NextStep> way_back(const run::Run& run);
[[nodiscard]] std::vector<std::string> not_done(const run::Run& run);

}  // namespace remediate::report
