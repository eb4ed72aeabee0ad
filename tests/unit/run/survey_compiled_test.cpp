// Compiled forms of pages: what is in the way of telling them for sure, and that they stay then.
#include <algorithm>
#include <set>

#include "remediate/run/compiled_scan.h"
#include "remediate/run/page_search.h"
#include "survey_cases.h"

namespace remediate::run::test {

TEST_CASE("compiled pages that nobody can tell for sure stay", "[survey]") {
  const auto folders = [](const std::string& path, std::size_t depth) {
    return [=](SurveyWorld& w) {
      std::string at = path;
      for (std::size_t number = 0; number < depth; ++number) at += "/f";
      w.world.folder(at);
    };
  };
  const auto listed = [](const std::string& path, std::size_t count, const std::string& end) {
    return [=](SurveyWorld& w) { w.node(path).listed_besides = {count, end}; };
  };
  const auto nameless = [](const std::string& path, FileKind kind, const std::string& end) {
    return [=](SurveyWorld& w) { w.put_unnameable(path, kind, end); };
  };
  check({
      {"too many records", listed(compiled_folder, 50'001, ".compiled"),
       "more compiled pages than are looked through", compiled_form},
      {"too many entries", listed(compiled_folder, 500'001, ".tmp"),
       "more compiled pages than are looked through", compiled_form},
      {"a record with too long a name",
       nameless(compiled_folder, FileKind::regular, ".compiled"),
       "",
       {removes_assembly}},
      {"another file with too long a name", nameless(compiled_folder, FileKind::regular, ".tmp"),
       ""},
      {"a folder with too long a name", nameless("shop", FileKind::directory, ""),
       "too long a name to be opened", compiled_form},
      {"a file elsewhere with too long a name", nameless("shop", FileKind::regular, ""), ""},
      {"a page of that name where no folder fits",
       [](SurveyWorld& w) { w.world.file("x.aspx", ""); }, ""},
      {"a folder that is gone once it is to be looked into",
       failing("open_directory", "shop", 1000, 0, Code::not_found), ""},
      {"an entry that is gone once its kind is asked for",
       both([](SurveyWorld& w) { w.tree->kinds_untold = true; },
            failing("stat_entry", "index.html", 1000, 0, Code::not_found)),
       ""},
      {"folders of compiled pages too deep in each other", folders(compiled_folder, 16),
       "folders lie too deep in each other to be looked into"},
      {"folders too deep in each other", folders("shop", 66), "folders lie too deep in each other",
       compiled_form},
      {"a record that is a link", links_to(std::string(compiled_folder) + "/y.compiled", "/y"), ""},
      {"an assembly that cannot be read",
       failing("open_file", "App_Web_x.dll"),
       "unreadable " + assembly,
       {removes_assembly}},
      {"a record that cannot be read", failing("open_file", "x.aspx.1.compiled"), "",
       compiled_form},
      {"a record in the folder itself",
       writing("Windows/Temporary ASP.NET Files/x.aspx.2.compiled",
               compiled_record("/app/x.aspx", "App_Web_none")),
       "",
       {},
       1},
      {"more pages than are kept in mind",
       [](SurveyWorld& w) {
         for (int number = 0; number < 65; ++number)
           w.put("sites/s" + std::to_string(number) + "/app/x.aspx", "");
       },
       "more files than are kept in mind fit a record", compiled_form},
      {"a mount that no scope is on",
       [](SurveyWorld& w) {
         w.world.folder("mnt");
         must(w.host.mount("/base/target/mnt", "memory"));
         w.put("mnt/app/x.aspx", "");
       },
       ""},
  });
}

TEST_CASE("what is found again and again is told once", "[survey]") {
  SurveyWorld world;
  std::string kind, where;
  const auto deep = [&](const std::string& path, std::size_t depth) {
    for (const std::string branch : {"/g", "/h"}) {
      std::string at = path;
      for (std::size_t number = 0; number < depth; ++number) at += branch;
      must(world.host.make_root(at));
    }
  };
  SECTION("compiled pages too deep") {
    kind = "too_deep", where = compiled_folder;
    deep(world.world.target() + "/" + compiled_folder, 16);
  }
  SECTION("known good files too deep") {
    kind = "too_deep", where = "/base/good";
    deep("/base/good", 33);
  }
  SECTION("folders that cannot be searched for pages") {
    kind = "unreadable", where = "shop";
    world.put_unnameable("shop", FileKind::directory, "a");
    world.put_unnameable("shop", FileKind::directory, "b");
  }
  const plan::Plan plan = world.plan();
  INFO(issues(plan));
  CHECK(std::ranges::count_if(plan.issues, [&](const plan::IssueReport& one) {
          return one.kind == kind && one.where.starts_with(where);
        }) == 1);
}

TEST_CASE("assemblies that no record names are listed for review, to a bound", "[survey]") {
  const auto assemblies_for_review = [](const plan::Plan& plan) {
    return std::ranges::count_if(plan.reviews,
                                 [](const auto& one) { return one.address.ends_with(".dll"); });
  };
  SurveyWorld world;
  writing(record, compiled_record("/app/x.aspx", ""))(world);
  SECTION("one that can be read") { CHECK(assemblies_for_review(world.plan()) == 1); }
  SECTION("one that cannot be read") {
    failing("open_file", "App_Web_x.dll")(world);
    const plan::Plan plan = world.plan();
    CHECK(issues(plan).find("unreadable " + assembly) != std::string::npos);
    CHECK(assemblies_for_review(plan) == 0);
  }
  SECTION("too many") {
    for (int number = 0; number < 100; ++number)
      world.put(std::string(compiled_folder) + "/App_Web_" + std::to_string(number) + ".dll", "MZ");
    const plan::Plan plan = world.plan();
    INFO(issues(plan));
    CHECK(issues(plan).find("more than 100 assemblies") != std::string::npos);
    CHECK(assemblies_for_review(plan) == 100);
  }
}

TEST_CASE("pages are looked for of records that tell theirs, and of no other", "[survey]") {
  SurveyWorld world;
  const auto root = must(world.host.open_root(world.world.target()));
  plan::CompiledPages compiled;
  compiled.records.resize(4);
  for (plan::CompiledPages::Record& one : compiled.records) one.page.virtual_path = "/app/x.aspx";
  compiled.records[1].problem = "it cannot be read";
  compiled.records[2].page.shared = true;
  compiled.records[3].page.virtual_path = "//x.aspx";
  std::vector<plan::IssueReport> told;
  find_pages(*root, {}, compiled, told);
  CHECK(told.empty());
  CHECK(compiled.records[0].pages == std::vector<RawPath>{must(RawPath::parse(web_page))});
  for (const std::size_t index : {1u, 2u, 3u}) CHECK(compiled.records[index].pages.empty());
}

TEST_CASE("only the removal of a compiled form asks who shares the assembly", "[survey]") {
  const plan::Plan plan = SurveyWorld().plan();
  plan::Operation operation = plan.operations.back();
  CHECK(operation.path.display() == assembly);
  CHECK(run::removes_assembly(operation));
  operation.action = plan::Action::replace_file;
  CHECK_FALSE(run::removes_assembly(operation));
}

TEST_CASE("an assembly goes only while every record beside it can be told", "[survey]") {
  SurveyWorld world;
  const auto root = must(world.host.open_root(world.world.target()));
  const RawPath path = must(RawPath::parse(assembly));
  const auto checked = [&](const std::set<RawPath>& going) {
    const auto result = check_unshared(*root, path, going);
    world.host.set_look_hook({});
    return result ? std::string() : result.error().text();
  };
  const std::set<RawPath> going = {must(RawPath::parse(record))};
  const std::string folder = compiled_folder;
  CHECK(checked(going).empty());
  CHECK(checked({}).find("names it for /app/x.aspx") != std::string::npos);
  world.put(folder + "/good.aspx.2.compiled", compiled_record("/app/good.aspx", "App_Web_other"));
  CHECK(checked(going).empty());
  world.node(folder).listed_besides = {3, ".compiled"};  // gone once they are opened
  CHECK(checked(going).empty());
  world.node(folder).listed_besides = {50'001, ".compiled"};
  CHECK(checked(going).find("more records than are looked through") != std::string::npos);
  world.node(folder).listed_besides = {500'001, ".tmp"};
  CHECK(checked(going).find("more records than are looked through") != std::string::npos);
  world.node(folder).listed_besides = {};
  failing("open_file", "good.aspx.2.compiled")(world);
  CHECK(checked(going).find("the disk is broken") != std::string::npos);
  failing("each_entry", "")(world);
  CHECK(checked(going).find("the disk is broken") != std::string::npos);
  failing("open_directory", folder)(world);
  CHECK(checked(going).find("the disk is broken") != std::string::npos);
  world.put(folder + "/odd.compiled", "no record");
  CHECK(checked(going).find("cannot be read as a record") != std::string::npos);
  world.world.remove(folder + "/odd.compiled");
  world.put_unnameable(folder, FileKind::regular, ".compiled");
  CHECK(checked(going).find("too long a name") != std::string::npos);
}

TEST_CASE("a web root on a mount of its own is looked through all the same", "[survey]") {
  SurveyWorld world(true);
  CHECK(changes(world.plan()).size() == 6);
  world.put("inetpub/wwwroot/other/app/x.aspx", "<html>as shipped</html>");
  const plan::Plan plan = world.plan();  // a page that stays has the same end of its path
  INFO(issues(plan));
  CHECK(changes(plan).size() == 4);
}

}  // namespace remediate::run::test
