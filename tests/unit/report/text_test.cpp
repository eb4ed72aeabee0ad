#include "remediate/report/text.h"

#include <algorithm>
#include <sstream>

#include <catch2/catch.hpp>

#include "remediate/base/encoding.h"
#include "remediate/report/report.h"
#include "remediate/report/words.h"
#include "samples.h"

namespace remediate::report {
namespace {

using namespace test;
using Catch::Matchers::Contains;

/// One line: the text with its wrapping taken back.
std::string flat(const std::string& text) {
  std::istringstream words(text);
  std::string word, joined;
  while (words >> word) joined += (joined.empty() ? "" : " ") + word;
  return joined;
}

bool terminal_safe(const std::string& text) {
  return is_utf8(text) &&
         std::ranges::none_of(text,
                              [](char c) {
                                return (static_cast<unsigned char>(c) < 0x20 && c != '\n') ||
                                       c == 0x7f;
                              }) &&
         text.find("\xe2\x80\xae") == std::string::npos;
}

TEST_CASE("the spaces of a name are kept where a line is wrapped") {
  TextPage page(false);
  const std::string name = "www/ rev  iew   x.php";
  std::string words = name;
  for (int more = 0; more < 30; ++more) words += " word " + name;
  page.paragraph(words, 4);
  const std::string text = page.take();
  std::size_t names = 0;
  for (std::size_t at = text.find("iew   x.php"); at != std::string::npos;
       at = text.find("iew   x.php", at + 1))
    ++names;
  CHECK(names == 31);
  CHECK(text.find("rev iew") == std::string::npos);
  CHECK(text.find("rev\n") == std::string::npos);
}

TEST_CASE("a plan's text holds everything that its approver has to know") {
  const std::string raw = plan_text(sample_plan(), false);
  const std::string text = flat(raw);
  for (const std::string part :
       {"plan 11111111111111111111111111111111",
        "EX01 (id host-id)",
        "/mnt/disk",
        "2026-01-02T03:04:05Z",
        "expires 2026-01-03T03:04:05Z",
        "Exchange web shells, revision 3",
        "1 file quarantined, 1 setting reset, 1 instruction, 1 for review, 1 excluded, 1 issue",
        "op-0001 quarantine inetpub/wwwroot/aspnet_client/sup.aspx",
        "indicator dump of playbook Exchange web shells, step remove",
        "[at byte 312: <scr"
        "ipt runat=\"server\">\\x1b[2J]",
        "Name = OAB (Default Web Site)",
        "before present: 2048 bytes",
        "after absent: held",
        "undo rename back from the hold",
        "no undo change time (ctime)",
        "op-0002 reset setting",
        "removed site/owa @physicalPath: C:\\temp\\x -> (nothing)",
        "-<virtualDirectory path=\"/x\" />",
        "do Install the security update. Then change the machine key.",
        "inetpub/wwwroot/odd.aspx",
        "owned by a package",
        "files removed by a plan: 1 of 50",
        "%ExchangeInstallPath% (scope exchange of Exchange web shells): not below this root",
        "C:\\inetpub (scope web of Exchange web shells): inetpub, 12 files",
        "not evaluated (unreadable): inetpub/locked: permission denied",
        "remediate approve plan.json",
        "remediate apply plan.json --confirm 1111",
        "remediate rollback RUN"})
    CHECK_THAT(text, Contains(part));
  CHECK_THAT(text, !Contains("BLOCKED"));
  std::istringstream lines(raw);
  for (std::string line; std::getline(lines, line);)
    if (line.find("sha256") == std::string::npos) CHECK(line.size() <= 100);
}

TEST_CASE("a fired limit is loud, tells what to do and offers no apply") {
  plan::Plan plan = sample_plan();
  plan.limits[0] = {"files removed by indicator dump", 50, 51, true};
  const std::string text = flat(plan_text(plan, false));
  CHECK_THAT(text, Contains("BLOCKED: files removed by indicator dump: 51 found, the limit is 50"));
  CHECK_THAT(text, Contains("EXCEEDED"));
  CHECK_THAT(text, Contains("raise max_files_per_indicator"));
  CHECK_THAT(text, !Contains("--confirm"));
  CHECK_THAT(plan_html(plan), !Contains("--confirm"));
}

TEST_CASE("an empty plan offers nothing to apply") {
  plan::Plan plan = sample_plan();
  plan.operations.clear();
  const std::string text = flat(plan_text(plan, false));
  CHECK_THAT(text, Contains("There is nothing to apply"));
  CHECK_THAT(text, !Contains("--confirm"));
}

TEST_CASE("long lists are complete") {
  plan::Plan plan = sample_plan();
  const plan::Operation one = plan.operations[0];
  plan.operations.assign(500, one);
  for (std::size_t n = 0; n < 500; ++n)
    plan.operations[n].address = "many/" + std::to_string(n) + ".aspx";
  plan.exclusions.assign(700, plan.exclusions[0]);
  const std::string text = plan_text(plan, false), html = plan_html(plan);
  CHECK(occurrences(text, "many/") == 500);
  CHECK(occurrences(text, "owned by a package") == 700);
  CHECK(occurrences(html, "many/") == 500);
  CHECK(occurrences(html, "owned by a package") == 700);
}

TEST_CASE("hostile names and texts do not reach a terminal") {
  const plan::Plan plan = hostile_plan();
  CHECK(terminal_safe(plan_text(plan, false)));
  run::Run run = applied_run(plan);
  run.name = run.status = run.phase = hostile();
  run.approvers = {hostile()};
  for (run::OperationState& state : run.operations) state.outcome = state.reason = hostile();
  CHECK(terminal_safe(run_text(run, false)));
  run::RunReport report{hostile(), hostile(), hostile(), hostile(),
                        false,     hostile(), {},        {hostile()}};
  report.operations = {{hostile(), hostile(), hostile(), hostile(), hostile()}};
  CHECK(terminal_safe(outcome_text(report, false)));
  run::VerifyReport verify;
  verify.runs = {hostile()};
  verify.findings = {{run::Finding::Level::error, hostile(), hostile()}};
  CHECK(terminal_safe(verify_text(verify, false)));
}

TEST_CASE("colour is ANSI only where it is asked for") {
  CHECK_THAT(plan_text(sample_plan(), true), Contains("\x1b[1m"));
  CHECK_THAT(plan_text(sample_plan(), false), !Contains("\x1b"));
}

TEST_CASE("shown keeps a display form and escapes what is none") {
  CHECK(shown("a\\nb") == "a\\nb");
  CHECK(shown("a\nb") == "a\\nb");
  CHECK(shown("C:\\inetpub\x1b") == "C:\\inetpub\\x1b");
  CHECK(shown("\\") == "\\");
  CHECK(shown("").empty());
}

TEST_CASE("a run's text is a notice to the owner") {
  const std::string text = flat(run_text(applied_run(sample_plan()), false));
  for (const std::string part :
       {"NOTICE ABOUT A CHANGE TO EX01",
        "1 file removed, 1 settings file reset, 1 instruction to do",
        "started 2026-01-02T03:05:00Z", "CN=Alice; CN=Bob", "status apply: done",
        "now removed; the original is in the hold and sealed", "outcome quarantined",
        "now reset; the earlier version is in the hold and sealed", "objects/9999",
        "Install the security update.", "remediate rollback run-20260102T030500Z-11111111",
        "--only OPERATION or INDICATOR", "remediate finalize run-2026", "no patch was installed",
        "No other malware was searched for", "Processes that already run were not stopped",
        "for review: inetpub/wwwroot/odd.aspx", "left alone: inetpub/wwwroot/good.aspx",
        "not evaluated (unreadable)"})
    CHECK_THAT(text, Contains(part));
  CHECK_THAT(text, !Contains("resume"));
}

TEST_CASE("a run's text tells how far each operation is") {
  run::Run run = applied_run(sample_plan());
  SECTION("interrupted") {
    run.closed = false;
    run.operations[0].state = run::State::captured;
    run.operations[0].outcome.clear();
    run.operations[1].state = run::State::planned;
    run.operations[1].outcome.clear();
    const std::string text = flat(run_text(run, false));
    CHECK_THAT(text, Contains("interrupted during apply"));
    CHECK_THAT(text, Contains("remediate resume run-2026"));
    CHECK_THAT(text, Contains("in the hold, not sealed outcome held"));
    CHECK_THAT(text, Contains("not started: nothing was changed outcome not_started"));
  }
  SECTION("finalized") {
    for (run::OperationState& state : run.operations) state.state = run::State::finalized;
    run.phase = "finalize";
    const std::string text = flat(run_text(run, false));
    CHECK_THAT(text, Contains("removed; only the sealed copy is left"));
    CHECK_THAT(text, Contains("--recovery-key KEY"));
    CHECK_THAT(text, !Contains("remediate finalize run-2026"));
  }
  SECTION("rolled back") {
    for (run::OperationState& state : run.operations) {
      state.state = run::State::restored;
      state.outcome = "restored";
    }
    run.phase = "rollback";
    const std::string text = flat(run_text(run, false));
    CHECK_THAT(text, Contains("0 files removed, 0 settings files reset, 2 rolled back"));
    CHECK_THAT(text, Contains("Nothing of this run is left to be put back"));
  }
  SECTION("not done, with its reason") {
    run.operations[0].state = run::State::not_done;
    run.operations[0].outcome = "changed";
    run.operations[0].reason = "another file had its name";
    const std::string text = flat(run_text(run, false));
    CHECK_THAT(text, Contains("not done: it was left as it is outcome changed: another file"));
    CHECK_THAT(text, Contains("0 files removed, 1 settings file reset, 1 not done"));
  }
}

}  // namespace
}  // namespace remediate::report
