// Baselines: what is compared with what, what making one refuses, and its bound.
#include "remediate/run/baseline.h"

#include <algorithm>

#include "remediate/crypto/digest.h"
#include "remediate/run/baseline_scan.h"
#include "survey_world.h"

namespace remediate::run::test {
namespace {

class NoTarget final : public observe::TargetSource {
 public:
  [[nodiscard]] Result<observe::TargetFacts> facts() const override { return fail(Code::io, ""); }
};

plan::KnownGood known(std::vector<plan::BaselineFolder> folders,
                      std::vector<plan::BaselineFile> files, char digest) {
  plan::Baseline baseline;
  baseline.name = "made for a test";
  baseline.folders = std::move(folders);
  baseline.files = std::move(files);
  return {std::move(baseline), std::string(64, digest), ""};
}

BaselineRequest request_of(const SurveyWorld& world) {
  BaselineRequest request;
  request.root = world.options.root;
  request.folders = {"C:\\inetpub\\wwwroot"};
  request.name = "A clean server";
  request.tool = "remediate test";
  request.threads = 1;
  return request;
}

}  // namespace

TEST_CASE("a file in two folders of a baseline, and what another baseline knows", "[baseline]") {
  SurveyWorld world;
  const std::string page_digest = world.world.sha256("inetpub/wwwroot/app/page.aspx");
  world.baselines.clear();
  // The inner folder knows the page, the outer one has it with other content.
  world.baselines.push_back(
      known({{{"C:\\inetpub\\wwwroot", "c:/inetpub/WWWROOT"}, true, {"**/*.aspx"}, {"**/x.aspx"}},
             {{"C:\\inetpub\\wwwroot\\app"}, true, {"**/*"}, {}},
             {{"C:\\none"}, true, {"**/*"}, {}}},
            {{0, must(RawPath::parse("app/page.aspx")), std::string(64, '0'), std::nullopt, {}},
             {1, must(RawPath::parse("page.aspx")), page_digest, std::nullopt, {}}},
            'c'));
  world.baselines.push_back(known({{{"C:\\shop"}, true, {"**/*"}, {}}}, {}, 'd'));
  const plan::Plan plan = world.plan();
  REQUIRE(plan.baselines.size() == 2);
  const plan::BaselineReport& pages = plan.baselines[0];
  CHECK(pages.compared == 3);  // good.aspx, page.aspx, and x.aspx by the inner folder
  CHECK(pages.known == 1);
  CHECK(pages.not_listed == 2);
  CHECK(pages.other_content == 0);
  CHECK(std::ranges::count(pages.folders, true, &plan::BaselineReport::Folder::found) == 2);
  CHECK(pages.folders.size() == 3);
  CHECK(plan.baselines[1].compared == 1);
  CHECK(plan.baselines[1].not_listed == 1);
}

TEST_CASE("what is no baseline is told before anything is listed", "[baseline]") {
  SurveyWorld world;
  BaselineRequest request = request_of(world);
  std::string told;
  Code code = Code::usage;
  SECTION("one other place for two folders") {
    request.folders.emplace_back("C:\\shop");
    request.recorded_as = "C:\\elsewhere";
    told = "--recorded-as stands for one folder, and 2 are given";
  }
  SECTION("a folder that is not absolute") {
    request.folders = {"inetpub"};
    told = "inetpub is not absolute";
  }
  SECTION("another place that is not absolute") {
    request.recorded_as = "elsewhere";
    told = "is not absolute";
  }
  SECTION("no such folder") {
    request.folders = {"C:\\none"};
    told = "is not below";
    code = Code::not_found;
  }
  SECTION("several folders") {
    world.put("inetpub/WWWROOT/a.aspx", "");
    told = "is several folders below";
    code = Code::ambiguous;
  }
  SECTION("no root") {
    request.root = "/none";
    told = "/none";
    code = Code::not_found;
  }
  SECTION("a glob that is none") {
    request.include = {"[a"};
    told = "";
  }
  SECTION("no file") {
    request.include = {"*.none"};
    told = "look at --include and --exclude";
    code = Code::not_found;
  }
  SECTION("no name") {
    request.name = "";
    told = "name";
    code = Code::bad_input;
  }
  const auto made = make_baseline(world.host, request);
  REQUIRE_FALSE(made);
  INFO(made.error().text());
  CHECK(made.error().code == code);
  CHECK(made.error().text().find(told) != std::string::npos);
}

TEST_CASE("a baseline of a folder that is recorded elsewhere", "[baseline]") {
  SurveyWorld world;
  BaselineRequest request = request_of(world);
  request.recorded_as = "D:\\sites";
  const MadeBaseline made = must(make_baseline(world.host, request));
  CHECK(made.issues.empty());
  CHECK(made.baseline.folders.front().spelled == std::vector<std::string>{"D:\\sites"});
  CHECK(must(plan::parse_baseline(made.bytes, "made")).files.size() == 5);
}

TEST_CASE("a baseline lists no more files than it may, and says so", "[baseline]") {
  plan::Baseline baseline;
  baseline.folders = {{{"/www"}, false, {"**/*"}, {}}};
  const auto maker = must(BaselineMaker::make(baseline));
  const observe::ScopeInstance www{"0", "0", "/www", must(RawPath::parse("www")), false};
  const observe::ScopeInstance other{"0", "1", "/srv", must(RawPath::parse("srv")), false};
  CHECK(maker->need(www, "a") == observe::Need::content);
  CHECK(maker->need(other, "a") == observe::Need::skip);
  const RawPath path = must(RawPath::parse("www/a"));
  maker->observe({&other, path, "a", 0}, "", NoTarget());
  CHECK(baseline.files.empty());
  for (std::size_t number = 0; number < plan::max_baseline_files; ++number)
    maker->observe({&www, path, "a", 0}, "", NoTarget());
  must(maker->finish());
  CHECK(baseline.files.size() == plan::max_baseline_files);
  maker->observe({&www, path, "b", 0}, "", NoTarget());
  CHECK(baseline.files.size() == plan::max_baseline_files);
  const auto finished = maker->finish();
  REQUIRE_FALSE(finished);
  CHECK(finished.error().code == Code::limit);
  CHECK(finished.error().text().find("200001 files") != std::string::npos);
}

}  // namespace remediate::run::test
