// What a plan tells of what it could not look at, and that it keeps its hands off what that might
// have said: names in many spellings, what breaks meanwhile, bounds.
#include <algorithm>

#include "remediate/crypto/digest.h"
#include "remediate/plan/replacement_plan.h"
#include "remediate/run/setting_scan.h"
#include "survey_cases.h"

namespace remediate::run::test {
namespace {

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

TEST_CASE("what no plan can be made of is told", "[survey]") {
  const std::vector<std::pair<std::string, Change>> cases = {
      {"no provider is named none",
       [](SurveyWorld& w) { w.playbook.indicators[2].setting->provider = "none"; }},
      {"0 threads", [](SurveyWorld& w) { w.options.threads = 0; }},
      {"the playbook is revoked", [](SurveyWorld& w) { w.playbook.revoked = true; }},
      {"does not allow the root",
       [](SurveyWorld& w) { w.policy.policy.allowed_roots = {"/none"}; }},
  };
  for (const auto& [told, change] : cases) {
    INFO(told);
    SurveyWorld world;
    change(world);
    const auto made = world.try_plan();
    REQUIRE_FALSE(made);
    CHECK(made.error().text().find(told) != std::string::npos);
  }
}

TEST_CASE("processes that could not be looked into are counted, with the first by name",
          "[survey]") {
  CHECK(unread_processes(fail(Code::io, "no /proc")).empty());
  host::FilesInUse in_use;
  in_use.processes = 9;
  CHECK(unread_processes(in_use).empty());
  in_use.unread = 3;
  in_use.unread_first = {{7, "a"}, {8, "b"}};
  CHECK(unread_processes(in_use) ==
        "processes: 3 of 9 could not be looked into: 7 (a), 8 (b) and 1 more");
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

TEST_CASE(
    "more unreadable configuration files than are kept in mind keep every page of their scope",
    "[survey]") {
  for (const std::size_t more : {0u, 1u}) {
    INFO(more << " more");
    SurveyWorld world;
    world.world.remove(ini);
    for (std::size_t number = 0; number < SettingScan::max_places + more; ++number)
      world.put("inetpub/wwwroot/a" + std::to_string(number) + "/.user.ini", "");
    failing("open_file", ".user.ini", 100'000)(world);
    const plan::Plan plan = world.plan();
    const std::vector<std::string> now = changes(plan);
    CHECK((std::ranges::find(now, removes_page) != now.end()) == (more == 0));
    const auto kept = std::ranges::find(plan.exclusions, web_page, &plan::Exclusion::address);
    REQUIRE((kept != plan.exclusions.end()) == (more != 0));
    if (more != 0)
      CHECK(kept->reason.find("too many configuration files could not be read") !=
            std::string::npos);
  }
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
      {"its name is not that of one that a redirector is for",
       [](SurveyWorld& w) {
         writing(redirector, "<configuration><")(w);
         w.put("clean/own.xml", w.world.read(config));
         w.playbook.indicators[3].setting->files = {
             {"C:\\clean\\own.xml", playbook::Spelling::windows}};
       },
       "",
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
  // A scope whose globs begin with folders searches these, however its own folder is spelled.
  SurveyWorld world;
  serves(folder_of_iis("/pay", "C:\\shop\\pay"))(world);
  CHECK(issues(world.plan()).find("C:\\shop\\pay: IIS serves") != std::string::npos);
  world.playbook.scopes.push_back(world.playbook.scopes.front());
  world.playbook.scopes.back().id = "shop";
  world.playbook.scopes.back().folders = {{"/shop", playbook::Spelling::posix}};
  world.playbook.scopes.back().include = {"pay/*.aspx"};
  CHECK(issues(world.plan()).find("C:\\shop\\pay: IIS serves") == std::string::npos);
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
    for (std::uint32_t number = 0; number < 10'010; ++number) {  // 256 spellings in each folder
      const std::string folder = std::to_string(number / 256);
      if (number % 256 == 0) must(good->make_directory(folder, 0700));
      std::string spelling = "pageaspx";
      for (std::size_t letter = 0; letter < 8; ++letter)
        if ((number >> letter & 1u) != 0)
          spelling[letter] = static_cast<char>(spelling[letter] - 32);
      must(must(good->open_directory(must(RawPath::parse(folder)), host::Mounts::stay))
               ->create_file(spelling.insert(4, "."), 0600));
    }
    const auto made = world.try_plan();
    REQUIRE_FALSE(made);
    CHECK(made.error().code == Code::limit);
  }
  SECTION("the same file twice, and more bytes than are kept") {
    playbook::KnownGood large{"large.bin", {}};
    for (char letter = 'a'; letter < 'a' + 17; ++letter) {
      const std::string bytes(plan::max_known_good_bytes, letter);
      large.sha256.push_back(crypto::sha256_hex(bytes));
      for (const std::string again : {"1", "2"}) {
        const auto folder = must(world.host.make_root("/base/good/z" + (letter + again)));
        must(must(folder->create_file("large.bin", 0600))->write_at(0, bytes));
      }
    }
    world.playbook.steps[2].known_good.push_back(large);
    const plan::Plan plan = world.plan();
    INFO(issues(plan));
    CHECK(changes(plan).size() == 6);
    const auto left_out = std::ranges::count(plan.issues, "too_large", &plan::IssueReport::kind);
    CHECK(left_out == 4);  // the page is kept first, then 15 of them
  }
}

}  // namespace remediate::run::test
