// Every call that looks fails once while a plan is made: the plan does nothing that the whole one
// would not do, and it tells what it could not see.
#include <algorithm>
#include <iostream>

#include "remediate/run/baseline.h"
#include "survey_world.h"

namespace remediate::run::test {
namespace {

constexpr std::size_t no_end = 20'000;

/// Runs `body` while call number `at` of those that look fails; false when it was not reached.
template <class Body>
bool failing_once(SurveyWorld& world, std::size_t at, Code code, std::string& where,
                  const Body& body) {
  std::size_t count = 0;
  world.host.set_look_hook(
      [&](std::string_view operation, std::string_view name) -> std::optional<Error> {
        if (count++ != at) return std::nullopt;
        where = std::string(operation) + " " + std::string(name);
        return Error{code, "injected fault in " + std::string(operation), ""};
      });
  body();
  world.host.set_look_hook({});
  return count > at;
}

/// What is wrong with a plan that was made while a look failed.
std::string judge(const plan::Plan& whole, const Result<plan::PlanFile>& made) {
  if (!made)
    return made.error().text().find("injected") == std::string::npos
               ? "another error: " + made.error().text()
               : "";
  std::string wrong;
  const std::vector<std::string> before = changes(whole);
  const std::vector<std::string> now = changes(made->plan);
  for (const std::string& one : now)
    if (std::ranges::find(before, one) == before.end()) wrong += "does more: " + one + "; ";
  if (now.size() < before.size() && made->bytes.find("injected") == std::string::npos)
    wrong += "does less and does not say why; ";
  return wrong;
}

}  // namespace

TEST_CASE("a look that fails while a plan is made never makes it do more", "[survey]") {
  const bool kinds_untold = GENERATE(false, true);
  SurveyWorld world(kinds_untold);  // and on a mount of its own
  const plan::Plan whole = world.plan();
  INFO(issues(whole));
  REQUIRE(changes(whole).size() == 6);
  world.tree->kinds_untold = kinds_untold;
  CHECK(changes(world.plan()) == changes(whole));
  std::size_t at = 0, errors = 0, silent = 0;
  std::string problems, where;
  for (; at < no_end; ++at) {
    Result<plan::PlanFile> made = std::unexpected(Error{});
    if (!failing_once(world, at, Code::io, where, [&] { made = world.try_plan(); })) break;
    if (!made) ++errors;
    if (made && made->bytes.find("injected") == std::string::npos) ++silent;
    if (const std::string wrong = judge(whole, made); !wrong.empty())
      problems += "call " + std::to_string(at) + " (" + where + "): " + wrong + "\n";
  }
  CHECK(problems == "");
  CHECK(at > 200);
  CHECK(at < no_end);
  std::cout << "looks of a survey" << (kinds_untold ? " without kinds" : "") << ": " << at
            << " faults, " << errors << " errors, " << silent << " without effect\n";
}

TEST_CASE("a look that fails while a baseline is made is an error or told", "[survey]") {
  SurveyWorld world;
  BaselineRequest request;
  request.root = world.options.root;
  request.folders = {"C:\\inetpub\\wwwroot", "C:\\shop"};
  request.name = "A clean server";
  request.tool = "remediate test";
  request.threads = 1;
  const MadeBaseline whole = must(make_baseline(world.host, request));
  CHECK(whole.issues.empty());
  REQUIRE(whole.baseline.files.size() == 6);
  std::size_t at = 0;
  std::string problems, where;
  for (; at < no_end; ++at) {
    Result<MadeBaseline> made = std::unexpected(Error{});
    if (!failing_once(world, at, Code::io, where,
                      [&] { made = make_baseline(world.host, request); }))
      break;
    const bool told =
        made ? !made->issues.empty() : made.error().text().find("injected") != std::string::npos;
    if (!told && !(made && made->baseline.files.size() == whole.baseline.files.size()))
      problems += "call " + std::to_string(at) + " (" + where + ") is not told\n";
  }
  CHECK(problems == "");
  CHECK(at > 20);
  CHECK(at < no_end);
}

}  // namespace remediate::run::test
