// Which configuration files a scan picks out, and its bounds: nothing that may name files is
// forgotten, whatever comes on top.
#include "remediate/run/setting_scan.h"

#include "observed.h"
#include "survey_world.h"

namespace remediate::run::test {
namespace {

struct Scan {
  std::vector<playbook::Playbook> none;
  std::unique_ptr<match::Engine> engine = must(match::Engine::compile(none, {}));
  std::vector<playbook::Playbook> playbooks = {SurveyWorld().playbook};
  observe::ScopeInstance ini{playbooks.front().id, "ini", "C:\\inetpub\\wwwroot",
                             must(RawPath::parse("inetpub/wwwroot")), true};
  std::unique_ptr<SettingScan> scan;

  Scan() { scan = must(SettingScan::make(playbooks, *engine)); }
  [[nodiscard]] observe::FileObservation file(const std::string& below) const {
    return {&ini, must(RawPath::parse("inetpub/wwwroot/" + below)), below, 0};
  }
  void see(const std::string& below, std::string_view content) const {
    scan->observe(file(below), content, NoTarget());
  }
};

constexpr std::string_view line = "auto_prepend_file = /x.php\n";
constexpr std::string_view broken{"auto_prepend_file = /x.php\n\0", 28};

std::string numbered(std::size_t number) { return std::to_string(number) + "/.user.ini"; }

}  // namespace

TEST_CASE("a scan picks out the files that hold a setting, in their scope only", "[setting_scan]") {
  const Scan world;
  const observe::ScopeInstance web{world.playbooks.front().id, "web", "", RawPath(), true};
  const observe::ScopeInstance other{"playbook--other", "ini", "", RawPath(), true};
  CHECK(world.scan->need(world.ini, "a/.user.ini") == observe::Need::content);
  CHECK(world.scan->wants(world.ini, "a/.user.ini", 1));
  for (const auto* scope : {&world.ini, &web, &other}) {
    const std::string name = scope == &world.ini ? "skipped/.user.ini" : "a/.user.ini";
    CHECK(world.scan->need(*scope, name) == observe::Need::skip);
    CHECK_FALSE(world.scan->wants(*scope, name, 1));
    world.scan->missed(*scope, must(RawPath::parse(name)), name, "unreadable");
    world.scan->observe({scope, must(RawPath::parse(name)), name, 0}, line, NoTarget());
  }
  world.see("b/.user.ini", "display_errors = off\n");
  world.see("a/.user.ini", line);
  CHECK(world.scan->take_unread().empty());
  CHECK(world.scan->take_issues().empty());
  const auto places = world.scan->take_places();
  REQUIRE(places.size() == 1);
  CHECK(places.begin()->path.display() == "inetpub/wwwroot/a/.user.ini");
  CHECK(places.begin()->indicator == "prepend");
}

TEST_CASE("more configuration files than are looked at count as unread", "[setting_scan]") {
  const Scan world;
  for (std::size_t number = 0; number < SettingScan::max_places + 3; ++number)
    world.see(numbered(number), line);
  const auto unread = world.scan->take_unread();
  REQUIRE(unread.size() == 3);
  CHECK(unread.front().reason == "more configuration files than are looked at");
  const auto issues = world.scan->take_issues();
  REQUIRE(issues.size() == 1);
  CHECK(issues.front().reason.starts_with("3 further files"));
  CHECK(world.scan->take_places().size() == SettingScan::max_places);
}

TEST_CASE("more unread configuration files than are kept: their folder stands for all",
          "[setting_scan]") {
  const Scan world;
  for (std::size_t number = 0; number < SettingScan::max_places + 3; ++number)
    world.see(numbered(number), broken);
  world.see(numbered(0), broken);  // known, so that it needs no room
  world.scan->missed(world.ini, must(RawPath::parse("inetpub/wwwroot/x/.user.ini")), "x/.user.ini",
                     "unreadable");
  const auto unread = world.scan->take_unread();
  REQUIRE(unread.size() == SettingScan::max_places + 1);
  CHECK(unread.front().path == world.ini.folder);
  CHECK(unread.front().reason == "too many configuration files could not be read");
  const auto issues = world.scan->take_issues();
  CHECK(issues.size() == 1001);
  CHECK(issues.back().reason.starts_with(std::to_string(SettingScan::max_places + 4 - 1000)));
}

TEST_CASE("what no playbook that was checked says makes no scan", "[setting_scan]") {
  Scan world;
  playbook::Playbook& playbook = world.playbooks.front();
  std::string told;
  SECTION("a provider that is none") {
    playbook.indicators[2].setting->provider = "none";
    told = "no provider is named none";
  }
  SECTION("a scope that is none") {
    playbook.indicators[2].scopes = {"none"};
    told = "the scope none does not exist";
  }
  SECTION("a glob that is none") {
    playbook.scopes[1].include = {"[a"};
    told = "[a";
  }
  SECTION("a glob to leave out that is none") {
    playbook.scopes[1].exclude = {"[b"};
    told = "[b";
  }
  const auto made = SettingScan::make(world.playbooks, *world.engine);
  REQUIRE_FALSE(made);
  CHECK(made.error().code == Code::bad_input);
  CHECK(made.error().text().find(told) != std::string::npos);
}

TEST_CASE("a setting that two playbooks ask for is found for both", "[setting_scan]") {
  Scan world;
  world.playbooks.push_back(world.playbooks.front());
  world.playbooks.back().id = "playbook--other";
  world.playbooks.back().scopes.insert(world.playbooks.back().scopes.begin() + 1,
                                       world.playbooks.front().scopes[1]);
  world.playbooks.back().scopes[1].id = "more";
  world.playbooks.back().indicators[2].scopes = {"ini", "more"};
  world.scan = must(SettingScan::make(world.playbooks, *world.engine));
  observe::ScopeInstance other = world.ini;
  other.playbook = "playbook--other";
  const RawPath path = must(RawPath::parse("inetpub/wwwroot/a/.user.ini"));
  for (const std::string scope : {"ini", "more"}) {
    other.scope = scope;
    world.scan->observe({&other, path, "a/.user.ini", 0}, line, NoTarget());
  }
  world.see("a/.user.ini", line);
  const auto places = world.scan->take_places();
  REQUIRE(places.size() == 2);
  CHECK(places.begin()->playbook == world.playbooks.front().id);
  CHECK(places.rbegin()->playbook == "playbook--other");
}

TEST_CASE("only a file that can name others counts as unread", "[setting_scan]") {
  Scan world;
  world.playbooks.front().scopes[1].include = {"**/*"};
  world.scan = must(SettingScan::make(world.playbooks, *world.engine));
  for (const std::string name : {"a.txt", ".user.ini"})
    world.scan->missed(world.ini, must(RawPath::parse(name)), name, "unreadable");
  const auto unread = world.scan->take_unread();
  REQUIRE(unread.size() == 1);
  CHECK(unread.front().path.display() == ".user.ini");
}

TEST_CASE("a large configuration file is looked at as far as one is read, or told",
          "[setting_scan]") {
  Scan world;
  world.engine = must(match::Engine::compile(world.playbooks, {.generic_content_removes = true}));
  world.scan = must(SettingScan::make(world.playbooks, *world.engine));
  const observe::ScopeInstance web{world.playbooks.front().id, "web", "", RawPath(), true};
  const observe::FileObservation shown{&web, must(RawPath::parse("a.aspx")), "a.aspx", 0};
  const auto see = [&](const observe::FileObservation& file, const LargeBytes& bytes) {
    return world.scan->observe_large(std::span(&file, 1), bytes, NoTarget());
  };
  LargeBytes bytes{std::string(line)};
  SECTION("one that is read") {
    must(see(world.file("a/.user.ini"), bytes));
    must(see(world.file("skipped/.user.ini"), bytes));
    CHECK(world.scan->take_places().size() == 1);
    CHECK(world.scan->take_issues().empty());
  }
  SECTION("one that is too large") {
    must(see(world.file("a/.user.ini"),
             LargeBytes(std::string(SettingScan::max_setting_bytes + 1, '\n'))));
    CHECK(world.scan->take_places().empty());
    REQUIRE(world.scan->take_unread().size() == 1);
    const auto issues = world.scan->take_issues();
    REQUIRE(issues.size() == 1);
    CHECK(issues.front().reason.find("it has 33554433 bytes, more than the 33554432") !=
          std::string::npos);
  }
  SECTION("one that cannot be read, or is written to meanwhile") {
    bytes.broken = true;
    CHECK_FALSE(see(world.file("a/.user.ini"), bytes));
    CHECK_FALSE(see(shown, bytes));
    bytes.broken = false;
    bytes.written_to = true;
    CHECK_FALSE(see(world.file("a/.user.ini"), bytes));
    CHECK(world.scan->take_places().empty());
  }
}

TEST_CASE("a page that nobody reads is told as a scan without settings tells it",
          "[setting_scan]") {
  Scan world;
  playbook::Condition named;
  named.kind = playbook::Condition::Kind::path;
  named.values = {"**/x.aspx"};
  world.playbooks.front().indicators.front().match = named;
  world.engine = must(match::Engine::compile(world.playbooks, {}));
  world.scan = must(SettingScan::make(world.playbooks, *world.engine));
  const observe::ScopeInstance web{world.playbooks.front().id, "web", "", RawPath(), true};
  world.scan->observe_unread({&web, must(RawPath::parse("a/x.aspx")), "a/x.aspx", 77});
  const auto issues = world.engine->take_issues();
  REQUIRE(issues.size() == 1);
  CHECK(issues.front().where.starts_with("a/x.aspx"));
  CHECK(issues.front().reason.find("has 77 bytes and was not read") != std::string::npos);
}

}  // namespace remediate::run::test
