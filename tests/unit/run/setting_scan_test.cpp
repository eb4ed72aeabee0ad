// Which configuration files a scan picks out, and its bounds: nothing that may name files is
// forgotten, whatever comes on top.
#include "remediate/run/setting_scan.h"

#include "survey_world.h"

namespace remediate::run::test {
namespace {

class NoTarget final : public observe::TargetSource {
 public:
  [[nodiscard]] Result<observe::TargetFacts> facts() const override { return fail(Code::io, ""); }
};

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

}  // namespace remediate::run::test
