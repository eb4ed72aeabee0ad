// Baselines: what is compared with what, what making one refuses, and its bound.
#include "remediate/run/baseline.h"

#include <algorithm>

#include "observed.h"
#include "remediate/crypto/digest.h"
#include "remediate/run/baseline_scan.h"
#include "survey_world.h"

namespace remediate::run::test {
namespace {

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

TEST_CASE("a file too large for the memory is listed and compared as any other", "[baseline]") {
  SurveyWorld world;
  const std::string large = "inetpub/wwwroot/app/large.bin";
  world.put(large, std::string(observe::Selector::max_held + 1, 'x'));
  const MadeBaseline made = must(make_baseline(world.host, request_of(world)));
  world.baselines.clear();
  world.baselines.emplace_back(must(plan::parse_baseline(made.bytes, "made")), std::string(64, 'e'),
                               "");
  const plan::BaselineReport same = world.plan().baselines.front();
  CHECK(same.compared == 6);
  CHECK(same.known == 6);
  must(must(world.world.parent(large)->open_file("large.bin", host::Access::read_write))
           ->write_at(observe::Selector::max_held, "y"));
  const plan::BaselineReport other = world.plan().baselines.front();
  CHECK(other.known == 5);
  CHECK(other.other_content == 1);
}

TEST_CASE(
    "a large file that cannot be read, or is written to meanwhile, is neither listed nor "
    "compared",
    "[baseline]") {
  const observe::ScopeInstance www{"0", "0", "/www", must(RawPath::parse("www")), false};
  const observe::ScopeInstance other{"7", "0", "/srv", must(RawPath::parse("srv")), false};
  const observe::FileObservation file{&www, must(RawPath::parse("www/a")), "a", 0};
  const observe::FileObservation elsewhere{&other, must(RawPath::parse("srv/a")), "a", 0};
  const plan::KnownGood baseline = known({{{"/www"}, false, {"**/*"}, {}}}, {}, 'c');
  std::vector<plan::BaselineComparison> comparisons(1);
  const auto scan = must(BaselineScan::make(std::span(&baseline, 1), comparisons));
  plan::Baseline listed;
  listed.folders = {{{"/www"}, false, {"**/*"}, {}}};
  const auto maker = must(BaselineMaker::make(listed));
  LargeBytes bytes("large");
  const auto see = [&](observe::Selector& selector, std::span<const observe::FileObservation> at) {
    return selector.observe_large(at, bytes, NoTarget());
  };
  const std::span<const observe::FileObservation> here(&file, 1);
  for (bool LargeBytes::* wrong : {&LargeBytes::broken, &LargeBytes::written_to}) {
    bytes.*wrong = true;
    CHECK_FALSE(see(*scan, here));
    CHECK_FALSE(see(*maker, here));
    bytes.*wrong = false;
  }
  // Nothing of it is in a folder of a baseline, or its path is none.
  must(see(*scan, {}));
  must(see(*scan, std::span(&elsewhere, 1)));
  scan->observe_in({}, "", NoTarget());
  maker->observe({&www, file.path, "../a", 0}, "", NoTarget());
  CHECK(comparisons.front().report.compared == 0);
  CHECK(listed.files.empty());
  must(see(*scan, here));
  scan->observe(file, "large", NoTarget());
  must(see(*maker, here));
  CHECK(comparisons.front().report.not_listed == 2);
  REQUIRE(listed.files.size() == 1);
  CHECK(listed.files.front().sha256 == crypto::sha256_hex("large"));
  CHECK(listed.files.front().size == 5);
}

TEST_CASE("two spellings of a folder of a baseline that lead to two folders are both compared",
          "[baseline]") {
  SurveyWorld world;
  world.baselines.clear();
  world.baselines.push_back(
      known({{{"C:\\inetpub\\wwwroot", "C:\\shop"}, true, {"**/*"}, {}}}, {}, 'c'));
  const plan::BaselineReport report = world.plan().baselines.front();
  CHECK(report.folders.size() == 2);
  CHECK(report.compared == 6);
}

TEST_CASE("a baseline whose globs are none, or a scan that cannot be made, is told", "[baseline]") {
  SurveyWorld world;
  const auto root = must(world.host.open_root(world.options.root));
  std::vector<plan::IssueReport> issues;
  const auto compared = [&](const plan::KnownGood& one, unsigned threads) {
    return compare_with(std::span(&one, 1), *root, threads, issues);
  };
  const std::string folder = "C:\\inetpub\\wwwroot";
  CHECK_FALSE(compared(known({{{folder}, true, {"[a"}, {}}}, {}, 'c'), 1));
  CHECK_FALSE(compared(known({{{folder}, true, {"**/*"}, {"[b"}}}, {}, 'c'), 1));
  CHECK_FALSE(compared(known({{{folder}, true, {"**/*"}, {}}}, {}, 'c'), 0));
  plan::Baseline baseline;
  baseline.folders = {{{folder}, true, {"[a"}, {}}};
  CHECK_FALSE(BaselineMaker::make(baseline));
  BaselineRequest request = request_of(world);
  request.threads = 0;
  const auto made = make_baseline(world.host, request);
  REQUIRE_FALSE(made);
  CHECK(made.error().text().find("0 threads") != std::string::npos);
}

}  // namespace remediate::run::test
