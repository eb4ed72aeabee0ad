// What a plan tells of what it could not look at, and that it keeps its hands off what that might
// have said: names in many spellings, what breaks meanwhile, bounds.
#include <algorithm>
#include <functional>
#include <set>

#include "remediate/run/compiled_scan.h"
#include "survey_world.h"

namespace remediate::run::test {
namespace {

using Change = std::function<void(SurveyWorld&)>;

struct Case {
  const char* name;
  Change before;
  std::string told;                 // part of an issue, or of the error where no plan is made
  std::vector<std::string> kept{};  // changes of the whole plan that are not made then
  std::size_t more = 0;             // changes besides
};

const std::string config = std::string(system_folder) + "/applicationHost.config";
const std::string redirector = std::string(system_folder) + "/redirection.config";
const std::string clean = "clean/applicationHost.config";
const std::string ini = "inetpub/wwwroot/.user.ini";
const std::string record = std::string(compiled_folder) + "/x.aspx.1.compiled";
const std::string assembly = std::string(compiled_folder) + "/App_Web_x.dll";

const std::string takes_line_out = "reset_setting " + ini;
const std::string resets = "reset_setting " + config;
const std::string removes_page = "quarantine " + std::string(web_page);
const std::string removes_record = "quarantine " + record;
const std::string removes_assembly = "quarantine " + assembly;
const std::string puts_back = "replace_file inetpub/wwwroot/app/page.aspx";
const std::vector<std::string> page_and_line = {takes_line_out, removes_page, removes_record,
                                                removes_assembly};
const std::vector<std::string> compiled_form = {removes_record, removes_assembly};

/// Calls of this kind on an entry of this name fail; `from` of them do not, and `count` do.
Change failing(const std::string& operation, const std::string& name, std::size_t count = 1000,
               std::size_t from = 0) {
  return [=](SurveyWorld& world) {
    const auto seen = std::make_shared<std::size_t>(0);
    world.host.set_look_hook(
        [=](std::string_view what, std::string_view of) -> std::optional<Error> {
          if (what != operation || of != name) return std::nullopt;
          const std::size_t number = (*seen)++;
          if (number < from || number >= from + count) return std::nullopt;
          return Error{Code::io, "the disk is broken at " + std::string(of), ""};
        });
  };
}

Change writing(const std::string& path, const std::string& bytes) {
  return [=](SurveyWorld& world) {
    world.world.folder(path.substr(0, path.rfind('/')));
    if (world.world.exists(path)) world.world.remove(path);
    world.put(path, bytes);
  };
}

Change both(const Change& first, const Change& second) {
  return [=](SurveyWorld& world) {
    first(world);
    second(world);
  };
}

Change links_to(const std::string& path, const std::string& target) {
  return [=](SurveyWorld& world) {
    if (world.world.exists(path)) world.world.remove(path);
    must(world.host.plant(world.world.target() + "/" + path, FileKind::symlink, target));
  };
}

/// The folder has more spellings of a name than are told apart.
void spell_often(SurveyWorld& world, const std::string& folder, std::string_view name) {
  const auto at = must(world.host.make_root(world.world.target() + folder));
  for (std::uint32_t bits = 0; bits < 1100; ++bits) {
    std::string spelling(name);
    for (std::size_t letter = 0; letter < 11; ++letter)
      if ((bits >> letter & 1u) != 0) spelling[letter] = static_cast<char>(spelling[letter] - 32);
    const auto made = at->make_directory(spelling, 0755);
    if (!made) REQUIRE(made.error().code == Code::already_exists);
  }
}

void check(const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    INFO(one.name);
    SurveyWorld world;
    one.before(world);
    const plan::Plan made = world.plan();
    INFO(issues(made));
    CHECK(issues(made).find(one.told) != std::string::npos);
    const std::vector<std::string> now = changes(made);
    for (const std::string& kept : one.kept) {
      INFO("changes " << kept);
      CHECK(std::ranges::find(now, kept) == now.end());
    }
    CHECK(now.size() + one.kept.size() == 6 + one.more);
  }
}

std::string folder_of_iis(const std::string& path, const std::string& folder) {
  return "<virtualDirectory path=\"" + path + "\" physicalPath=\"" + folder + "\" />";
}

std::string configuration_of(const std::string& folders) {
  return "<configuration><system.applicationHost><sites><site name=\"a\" id=\"1\">"
         "<application path=\"/\">" +
         folders + "</application></site></sites></system.applicationHost></configuration>\n";
}

}  // namespace

TEST_CASE("a plan of one of everything does all of it", "[survey]") {
  SurveyWorld world;
  const plan::Plan plan = world.plan();
  INFO(issues(plan));
  CHECK(changes(plan) == std::vector<std::string>{takes_line_out, resets, puts_back, removes_page,
                                                  removes_record, removes_assembly});
  CHECK(issues(plan).find("D:\\data") != std::string::npos);
  CHECK(issues(plan).find("C:\\shop: IIS serves") != std::string::npos);
  CHECK(issues(plan).find("C:\\shop\\pay") == std::string::npos);  // told with the folder around it
}

TEST_CASE("a name in more spellings than are told apart ends a plan, whatever names it",
          "[survey]") {
  const playbook::SpelledPath often{"C:\\manyfolders", playbook::Spelling::windows};
  const std::vector<std::pair<const char*, Change>> cases = {
      {"a scope", [&](SurveyWorld& w) { w.playbook.scopes[0].folders = {often}; }},
      {"what a scope's globs reach",
       [&](SurveyWorld& w) {
         w.playbook.scopes[0].folders = {{"C:\\", playbook::Spelling::windows}};
         w.playbook.scopes[0].include = {"manyfolders/*.aspx"};
       }},
      {"a configuration",
       [&](SurveyWorld& w) { w.playbook.indicators[3].setting->files = {often}; }},
      {"a clean copy", [&](SurveyWorld& w) { w.playbook.steps[1].change->baseline = often; }},
      {"a folder of compiled pages",
       [&](SurveyWorld& w) { w.playbook.steps[3].compiled = {often}; }},
      {"a baseline",
       [&](SurveyWorld& w) {
         plan::Baseline baseline = w.baselines.front().baseline();
         baseline.folders.front().spelled = {often.text};
         w.baselines.clear();
         w.baselines.emplace_back(std::move(baseline), std::string(64, 'b'), "");
       }},
      {"the configuration of IIS", [](SurveyWorld& w) {
         spell_often(w, "/" + std::string(system_folder), "applicationhost.config");
         w.playbook.indicators.pop_back();
         w.playbook.steps.erase(w.playbook.steps.begin() + 1);
       }}};
  for (const auto& [name, change] : cases) {
    INFO(name);
    SurveyWorld world;
    spell_often(world, "", "manyfolders");
    change(world);
    const auto made = world.try_plan();
    REQUIRE_FALSE(made);
    INFO(made.error().text());
    CHECK(made.error().code == Code::limit);
    CHECK(made.error().text().find("differ from") != std::string::npos);
  }
}

TEST_CASE("a configuration that cannot be read or understood keeps what it may name", "[survey]") {
  check({
      {"unreadable during the scan, read again", failing("open_file", ".user.ini", 1),
       "the disk is broken", page_and_line},
      {"unreadable", failing("open_file", ".user.ini"), "the disk is broken", page_and_line},
      {"unreadable, and it names nothing",
       both(writing(ini, "display_errors = off\n"), failing("open_file", ".user.ini", 1)),
       "the disk is broken",
       {takes_line_out}},
      {"unreadable once the scan has read it", failing("open_file", ".user.ini", 1000, 1),
       "the disk is broken", page_and_line},
      {"a NUL byte in it",
       writing(ini, std::string("auto_prepend_file = /inetpub/wwwroot/app/x.aspx\n\0", 50)),
       "for settings of php-user-ini", page_and_line},
      {"a link", links_to(ini, "/etc/x.ini"), "link_not_followed " + ini, page_and_line},
      {"all of them too large together",
       [](SurveyWorld& w) { w.options.max_settings_bytes = 10; },
       "together have more than 10 bytes",
       {takes_line_out, resets, removes_page, removes_record, removes_assembly}},
      {"too large together for what the scan could not read",
       both([](SurveyWorld& w) { w.options.max_settings_bytes = 10; },
            failing("open_file", ".user.ini", 1)),
       "together have more than 10 bytes",
       {takes_line_out, resets, removes_page, removes_record, removes_assembly}},
  });
}

TEST_CASE("a configuration of IIS that may not hold, or has no clean copy, is not edited",
          "[survey]") {
  const auto redirects = [](const char* text) {
    return writing(redirector, std::string("<configuration><configurationRedirection ") + text);
  };
  check({
      {"no redirector", [](SurveyWorld& w) { w.world.remove(redirector); }, ""},
      {"it leads elsewhere",
       redirects("enabled=\"true\" path=\"\\\\farm\\iis\" /></configuration>"),
       "redirects the configuration to",
       {resets}},
      {"it cannot be understood", redirects(""), "to another place is not known", {resets}},
      {"it cannot be read",
       failing("open_file", "redirection.config"),
       "to another place is not known",
       {resets}},
      {"asked about twice, told once",
       both(redirects("enabled=\"true\" path=\"\\\\farm\\iis\" /></configuration>"),
            [](SurveyWorld& w) {
              w.playbook.indicators.push_back(w.playbook.indicators[3]);
              w.playbook.indicators.back().id = "again";
            }),
       "redirects the configuration to",
       {resets}},
      {"the clean copy is a link", links_to(clean, "/clean"), "unreadable " + clean, {resets}},
      {"two clean copies",
       writing("clean/APPLICATIONHOST.config", "<configuration/>"),
       "ambiguous_name",
       {resets}},
      {"the clean copy is one too many",
       [](SurveyWorld& w) {
         w.options.max_settings_bytes = w.world.read(config).size() + w.world.read(ini).size();
       },
       "too_large " + clean,
       {resets}},
  });
}

TEST_CASE("folders that IIS serves and nobody searches are told, whatever is in the way",
          "[survey]") {
  const auto serves = [](const std::string& folders) {
    return writing(config, configuration_of(folder_of_iis("/x", "C:\\ProgramData\\x") + folders));
  };
  std::string many;
  for (int number = 0; number < 60; ++number)
    many += folder_of_iis("/" + std::to_string(number), "D:\\" + std::to_string(number));
  const auto unasked = [](SurveyWorld& w) {
    w.playbook.indicators.pop_back();
    w.playbook.steps.erase(w.playbook.steps.begin() + 1);
  };
  check({
      {"more than are listed", serves(many), "10 more folders that IIS serves"},
      {"another machine", serves(folder_of_iis("/s", "\\\\farm\\share")),
       "\\farm\\share: IIS serves"},
      {"no folder at all", serves(folder_of_iis("/s", "")), ""},
      {"the same folder in two spellings",
       both(serves(folder_of_iis("/s", "C:\\shop") + folder_of_iis("/t", "c:\\SHOP\\")),
            [](SurveyWorld&) {}),
       "no scope of these playbooks"},
      {"a link on the way",
       both(serves(folder_of_iis("/s", "C:\\linked\\shop")), links_to("linked", "/shop")),
       "it could not be looked for in linked"},
      {"a name in many spellings",
       both(serves(folder_of_iis("/s", "C:\\manyfolders")),
            [](SurveyWorld& w) { spell_often(w, "", "manyfolders"); }),
       "where it lies is not known"},
      {"a configuration that nobody asks about and that cannot be read",
       both(unasked, writing(config, "<configuration><")),
       "which folders IIS serves is not known",
       {resets}},
      {"the same that is asked about", writing(config, "<configuration><"), "", {resets}},
      {"asked about twice",
       [](SurveyWorld& w) {
         w.playbook.indicators.push_back(w.playbook.indicators[3]);
         w.playbook.indicators.back().id = "again";
       },
       "D:\\data: IIS serves"},
  });
}

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

TEST_CASE("what a scan leaves out is counted", "[survey]") {
  check({
      {"links",
       [](SurveyWorld& w) {
         for (int number = 0; number < 1001; ++number)
           must(w.host.plant("/base/target/inetpub/wwwroot/l" + std::to_string(number),
                             FileKind::symlink, "/shop"));
       },
       "1 more symbolic links"},
      {"issues",
       [](SurveyWorld& w) {
         for (int number = 0; number < 10'010; ++number)
           must(w.host.plant("/base/target/inetpub/wwwroot/app/" + std::to_string(number) + ".aspx",
                             FileKind::regular));
         w.host.set_look_hook(
             [](std::string_view what, std::string_view of) -> std::optional<Error> {
               if (what != "open_file" || of.front() < '0' || of.front() > '9') return std::nullopt;
               return Error{Code::io, "the disk is broken", ""};
             });
       },
       "10 further issues are not listed"},
  });
}

TEST_CASE("scopes: the top of the disk, one folder twice, none at all", "[survey]") {
  SurveyWorld world;
  const playbook::SpelledPath root{"C:\\inetpub\\wwwroot", playbook::Spelling::windows};
  SECTION("the top of the disk") {
    world.playbook.scopes[0].folders = {{"C:\\", playbook::Spelling::windows}};
    const plan::Plan plan = world.plan();
    CHECK(plan.scopes[0].folder == "/");
    CHECK(changes(plan).size() == 6);
  }
  SECTION("twice") {
    world.playbook.scopes[0].folders = {root, {"c:/INETPUB/wwwroot/", root.spelling}};
    const plan::Plan plan = world.plan();
    CHECK(std::ranges::count(plan.scopes, "web", &plan::ScopeReport::scope) == 1);
    CHECK(changes(plan).size() == 6);
  }
  SECTION("none that is there") {
    for (playbook::Scope& scope : world.playbook.scopes)
      scope.folders = {{"C:\\none", playbook::Spelling::windows}};
    CHECK(issues(world.plan()).find("nothing_searched") != std::string::npos);
  }
  SECTION("none at all") {
    world.playbook.scopes.clear();
    world.playbook.indicators.erase(world.playbook.indicators.begin(),
                                    world.playbook.indicators.begin() + 3);
    world.playbook.steps = {world.playbook.steps[1]};
    const plan::Plan plan = world.plan();
    CHECK(issues(plan).find("nothing_searched") == std::string::npos);
    CHECK(changes(plan) == std::vector<std::string>{resets});
  }
}

TEST_CASE("known good files: what is left out is told, and too much is refused", "[survey]") {
  SurveyWorld world;
  const auto good = must(world.host.open_root("/base/good"));
  host::memory::Node& node = *world.tree->root->entries.at("base")->entries.at("good");
  std::string told;
  bool whole = true;
  SECTION("a name that is too long") {
    world.tree->enter(world.tree->root->entries.at("base")->entries.at("good"),
                      std::string(300, 'n'),
                      world.tree->make_node(FileKind::directory, 0700, node.mount));
    told = "is 300 bytes long";
  }
  SECTION("folders too deep in each other") {
    std::string at = "/base/good";
    for (int number = 0; number < 33; ++number) at += "/f";
    must(world.host.make_root(at));
    told = "too_deep";
  }
  SECTION("a folder that cannot be opened") {
    must(good->make_directory("sub", 0700));
    failing("open_directory", "sub")(world);
    told = "unreadable /base/good/sub";
  }
  SECTION("kinds that nobody tells") {
    must(good->make_directory("sub", 0700));
    world.tree->kinds_untold = true;
    failing("stat_entry", "sub")(world);
    told = "unreadable /base/good/sub";
  }
  SECTION("a file that cannot be read") {
    failing("open_file", "page.aspx", 1000, 1)(world);  // the page itself is read first
    told = "unreadable /base/good/page.aspx";
    whole = false;
  }
  if (!told.empty()) {
    const plan::Plan plan = world.plan();
    INFO(issues(plan));
    CHECK(issues(plan).find(told) != std::string::npos);
    CHECK(changes(plan).size() == (whole ? 6 : 5));
  }
  SECTION("too many entries") {
    node.listed_besides = {200'001, ".txt"};
    const auto made = world.try_plan();
    REQUIRE_FALSE(made);
    CHECK(made.error().code == Code::limit);
  }
  SECTION("too many files of that name") {
    for (int number = 0; number < 10'000; ++number) {
      const std::string name = std::to_string(number);
      must(good->make_directory(name, 0700));
      must(must(good->open_directory(must(RawPath::parse(name)), host::Mounts::stay))
               ->create_file("page.aspx", 0600));
    }
    const auto made = world.try_plan();
    REQUIRE_FALSE(made);
    CHECK(made.error().code == Code::limit);
  }
}

}  // namespace remediate::run::test
