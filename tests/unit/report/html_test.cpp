#include "remediate/report/html.h"

#include <catch2/catch.hpp>

#include "remediate/report/report.h"
#include "samples.h"

namespace remediate::report {
namespace {

using namespace test;
using Catch::Matchers::Contains;

void check_page(const std::string& html, const std::string& name) {
  INFO(name);
  CHECK(well_formed(html, name));
  CHECK_THAT(html, Contains("content=\"default-src 'none'; style-src 'unsafe-inline'\""));
  CHECK_THAT(html, !Contains("<scr"
                             "ipt",
                             Catch::CaseSensitive::No));
  CHECK_THAT(html, !Contains("<img"));
  CHECK_THAT(html, !Contains("\x1b"));
  CHECK(occurrences(html, "<style>") == 1);
  CHECK(occurrences(html, "</style>") == 1);
  CHECK_THAT(html, !Contains("src=\""));
  CHECK_THAT(html, !Contains("href="));
  CHECK_THAT(html, !Contains("url("));
}

/// Every attribute that a page may have, so that a broken-out one is found.
void check_attributes(const std::string& html) {
  for (std::size_t at = html.find("<", html.find("<body>")); at != std::string::npos;
       at = html.find("<", at + 1)) {
    const std::string tag = html.substr(at, html.find('>', at) - at + 1);
    const bool plain = tag.find(' ') == std::string::npos;
    const bool with_class =
        occurrences(tag, " ") == 1 && tag.find(" class=\"") != std::string::npos;
    if (!plain && !with_class) FAIL("unexpected tag " << tag);
  }
}

TEST_CASE("escape leaves nothing that ends an element or an attribute") {
  const std::string safe = escape(hostile());
  CHECK(safe.find_first_of("<>\"'\n\r\x1b") == std::string::npos);
  CHECK(escape("a & b < c > d \" e ' f") == "a &amp; b &lt; c &gt; d &quot; e &#39; f");
  CHECK(escape("\xef\xbf\xbe\xef\xbf\xbfx").find("\xef\xbf\xbe") == std::string::npos);
}

TEST_CASE("the pages are well-formed and load nothing") {
  check_page(plan_html(sample_plan()), "plan.xhtml");
  check_page(run_html(applied_run(sample_plan())), "run.xhtml");
  check_attributes(plan_html(sample_plan()));
}

TEST_CASE("a well-formedness check that finds faults") {
  CHECK_FALSE(well_formed("<html><p></html>", "broken.xhtml"));
}

TEST_CASE("hostile names and playbook texts stay text") {
  const plan::Plan plan = hostile_plan();
  run::Run run = applied_run(plan);
  run.name = run.status = run.phase = run.plan_sha256 = hostile();
  run.approvers = {hostile()};
  for (run::OperationState& state : run.operations) {
    state.outcome = state.reason = hostile();
    state.entry.sha256 = state.entry.object = hostile();
  }
  const std::string plan_page = plan_html(plan), run_page = run_html(run);
  check_page(plan_page, "hostile-plan.xhtml");
  check_page(run_page, "hostile-run.xhtml");
  check_attributes(plan_page);
  check_attributes(run_page);
  CHECK_THAT(plan_page, Contains("&lt;scr"
                                 "ipt&gt;"));
}

TEST_CASE("a page says what the text says") {
  const std::string html = plan_html(sample_plan());
  for (const std::string part :
       {"op-0001 · quarantine · inetpub/wwwroot/aspnet_client/sup.aspx", "not below this root",
        "owned by a package", "Install the security update.", "class=\"del\"",
        "remediate apply plan.json --confirm 1111", "permission denied", "change time (ctime)"})
    CHECK_THAT(html, Contains(part));
  const std::string run = run_html(applied_run(sample_plan()));
  for (const std::string part :
       {"Notice about a change to EX01", "removed; the original is in the hold and sealed",
        "remediate rollback run-2026", "no patch was installed", "CN=Alice; CN=Bob"})
    CHECK_THAT(run, Contains(part));
}

}  // namespace
}  // namespace remediate::report
