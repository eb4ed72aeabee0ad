// What a run promises of every kind of setting, whether it lies in a file or in a directory: one
// suite over all of them, by plan, apply and rollback. A provider that is not here fails it.

#include <algorithm>

#include "remediate/host/durable.h"
#include "remediate/setting/provider.h"
#include "tests/unit/run/world.h"

namespace remediate::run::test {
namespace {

constexpr const char* secret = "hunter2secret";
constexpr const char* url = "msExchExternalHostName";

/// A setting that an attack left, and what others may do to it and beside it.
struct Kind {
  std::string provider;
  std::string path;  // of its file; empty: a directory's object
  std::string poisoned, clean;
  std::string elsewhere_from, elsewhere_to;  // an edit that has nothing to do with it
  std::string other;                         // the same setting, set to something else
  std::string condition;                     // what the indicator asks for: its kind, ...
  playbook::AttributeTest where;
};

playbook::AttributeTest is(const std::string& name, const std::string& value) {
  playbook::AttributeTest test;
  test.name = name;
  test.equals = value;
  return test;
}

std::vector<Kind> kinds() {
  const std::string xml_head =
      "<?xml version=\"1.0\"?>\r\n<configuration>\r\n  <system.applicationHost><sites>"
      "<site name=\"a\" id=\"1\"><application path=\"/\">\r\n"
      "    <virtualDirectory path=\"/\" physicalPath=\"C:\\w\" />\r\n";
  const std::string xml_rogue =
      "    <virtualDirectory path=\"/x\" physicalPath=\"C:\\ProgramData\\COM1\" />\r\n";
  const std::string xml_other =
      "    <virtualDirectory path=\"/x\" physicalPath=\"C:\\other\" />\r\n";
  const std::string xml_tail =
      "    <virtualDirectory path=\"/y\" physicalPath=\"C:\\y\" password=\"hunter2secret\" />\r\n"
      "  </application></site></sites></system.applicationHost>\r\n</configuration>";
  const std::string lines = "# site\r\nRewriteEngine On\r\n";
  const std::string more = "SetEnv DB_PASSWORD hunter2secret\r\nOptions -Indexes";
  const std::string ini = "; site\nmemory_limit = 128M\n";
  const std::string rest = "mysqli.default_pw = hunter2secret\nupload_max_filesize=8M";
  return {
      {"iis-xml", "site/host.config", xml_head + xml_rogue + xml_tail, xml_head + xml_tail, "C:\\y",
       "C:\\z", xml_head + xml_other + xml_tail, "virtualDirectory", is("path", "/x")},
      {"apache-htaccess", "site/.htaccess",
       lines + "php_value auto_prepend_file /var/www/.x.php\r\n" + more, lines + more, "-Indexes",
       "+Indexes", lines + "php_value auto_prepend_file other.php\r\n" + more, "directive",
       is("argument", "auto_prepend_file")},
      {"php-user-ini", "site/.user.ini", ini + "auto_prepend_file = /var/www/.x.php\n" + rest,
       ini + rest, "=8M", "=16M", ini + "auto_prepend_file = other.php\n" + rest, "directive",
       is("name", "auto_prepend_file")},
      {"exchange-directory",
       "",
       "http://x/#script",
       "",
       "",
       "",
       "https://theirs",
       "msExchVirtualDirectory",
       {}},
  };
}

/// A target with one such setting beside the shells of every world.
struct Scene : MemoryWorld {
  explicit Scene(const Kind& the_kind) : kind(the_kind) {
    if (kind.path.empty()) {
      setting::DirectoryObject object;
      object.dn = "CN=OAB,CN=HTTP,CN=Protocols,CN=EX1,CN=Servers,CN=Org,DC=lab,DC=test";
      object.guid = "457e0398-cafe-43fb-b128-23c9e9f47c20";
      object.classes = {"top", "msExchVirtualDirectory", "msExchOABVirtualDirectory"};
      object.attributes["description"] = {secret};
      directory.objects = {object};
      world->exchange = &directory;
    } else {
      world->folder("site");
      world->first = {playbook()};
    }
    put(kind.poisoned);
  }

  [[nodiscard]] playbook::Playbook playbook() const {
    playbook::Playbook made;
    made.id = "playbook--11111111-2222-3333-4444-999999999999";
    made.name = "Test settings";
    made.revision = 1;
    made.sha256 = std::string(64, 'e');
    playbook::Indicator left;
    left.id = "left";
    left.name = "A setting that an attack left";
    left.authorises = playbook::Authorises::remove;
    left.setting = playbook::SettingCondition{
        kind.provider, {{"/" + kind.path, playbook::Spelling::posix}}, {}, kind.condition, "",
        {kind.where}};
    made.indicators = {left};
    playbook::Step reset;
    reset.id = "reset";
    reset.action = playbook::Action::reset_setting;
    reset.indicators = {"left"};
    reset.change = playbook::Change{"remove_element", "", "", std::nullopt, ""};
    made.steps = {reset};
    return made;
  }

  /// The whole file, or the value in the directory; empty: the value is absent.
  [[nodiscard]] std::string state() {
    if (!kind.path.empty()) return world->read(kind.path);
    const auto* values = directory.objects.front().values(url);
    return values == nullptr ? "" : values->front();
  }
  void put(const std::string& wanted) {
    if (kind.path.empty()) {
      directory.objects.front().attributes.erase(url);
      if (!wanted.empty()) directory.objects.front().attributes[url] = {wanted};
      return;
    }
    if (world->exists(kind.path)) world->remove(kind.path);
    world->file(kind.path, wanted, 0640);
  }
  /// Somebody's edit of something else; gives what `text` becomes by it.
  [[nodiscard]] std::string elsewhere(std::string text) const {
    if (kind.path.empty()) return text;
    const auto at = text.find(kind.elsewhere_from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, kind.elsewhere_from.size(), kind.elsewhere_to);
  }
  void change_elsewhere() {
    if (kind.path.empty()) {
      directory.objects.front().attributes["description"] = {"changed"};
    } else {
      put(elsewhere(state()));
    }
  }

  Kind kind;
  setting::MemoryDirectory directory;
};

/// Its operations in a plan or a report; the target has others, of files.
auto of_it(const Kind& kind, const auto& operations) {
  auto found = operations;
  std::erase_if(found, [&](const auto& one) {
    return one.address.find(kind.path.empty() ? url : kind.path) == std::string::npos;
  });
  return found;
}

OperationReport reported(const Kind& kind, const RunReport& report) {
  const auto found = of_it(kind, report.operations);
  REQUIRE(found.size() == 1);
  return found.front();
}

}  // namespace

TEST_CASE("every provider of settings is held to this suite", "[reset]") {
  std::vector<std::string> here;
  for (const Kind& kind : kinds()) here.push_back(kind.provider);
  std::vector<std::string> there = setting::provider_names();
  there.emplace_back("exchange-directory");
  CHECK(here == there);
}

TEST_CASE("a setting goes, and comes back as it was", "[reset]") {
  for (const Kind& kind : kinds()) {
    INFO(kind.provider);
    Scene scene(kind);
    const plan::PlanFile plan = scene.world->plan();
    REQUIRE(of_it(kind, plan.plan.operations).size() == 1);
    CHECK(scene.state() == kind.poisoned);
    const RunReport applied = must(scene.world->apply(plan));
    CHECK(applied.status == "done");
    CHECK(reported(kind, applied).outcome == "reset");
    CHECK(scene.state() == kind.clean);
    CHECK(must(scene.world->verify()).ok());
    const RunReport again = must(scene.world->resume(applied.run));
    CHECK(again.status == "done");
    CHECK(scene.state() == kind.clean);
    const RunReport back = must(scene.world->rollback(applied.run));
    CHECK(back.status == "done");
    CHECK(reported(kind, back).outcome == "restored");
    CHECK(scene.state() == kind.poisoned);
    CHECK(must(scene.world->verify()).ok());
  }
}

TEST_CASE("what is clean already is left alone", "[reset]") {
  for (const Kind& kind : kinds()) {
    INFO(kind.provider);
    Scene scene(kind);
    scene.put(kind.clean);
    CHECK(of_it(kind, scene.world->plan().plan.operations).empty());
  }
}

TEST_CASE("what others set after the plan refuses the plan", "[reset]") {
  for (const Kind& kind : kinds()) {
    for (const std::string& now : {kind.other, kind.clean}) {
      INFO(kind.provider << ": " << now);
      Scene scene(kind);
      const plan::PlanFile plan = scene.world->plan();
      scene.put(now);
      const auto refused = scene.world->apply(plan);
      REQUIRE_FALSE(refused);
      CHECK(refused.error().code == Code::stale_plan);
      CHECK_FALSE(refused.error().remedy.empty());
      CHECK(scene.state() == now);
    }
  }
}

TEST_CASE("a rollback keeps what others changed elsewhere", "[reset]") {
  for (const Kind& kind : kinds()) {
    INFO(kind.provider);
    Scene scene(kind);
    const RunReport applied = must(scene.world->apply(scene.world->plan()));
    scene.change_elsewhere();
    const RunReport back = must(scene.world->rollback(applied.run));
    INFO(text(back));
    CHECK(back.status == "done");
    CHECK(scene.state() == scene.elsewhere(kind.poisoned));
    CHECK(must(scene.world->verify()).ok());
  }
}

TEST_CASE("a rollback overwrites nothing that others set since", "[reset]") {
  for (const Kind& kind : kinds()) {
    INFO(kind.provider);
    Scene scene(kind);
    const RunReport applied = must(scene.world->apply(scene.world->plan()));
    scene.put(kind.other);
    const RunReport back = must(scene.world->rollback(applied.run));
    CHECK(reported(kind, back).outcome == "conflict");
    CHECK_FALSE(reported(kind, back).reason.empty());
    CHECK(scene.state() == kind.other);
    CHECK(must(scene.world->verify()).ok());
  }
}

TEST_CASE("what somebody put back already is restored without a change", "[reset]") {
  for (const Kind& kind : kinds()) {
    INFO(kind.provider);
    Scene scene(kind);
    const RunReport applied = must(scene.world->apply(scene.world->plan()));
    scene.put(kind.poisoned);
    const RunReport back = must(scene.world->rollback(applied.run));
    INFO(text(back));
    CHECK(back.status == "done");
    CHECK(scene.state() == kind.poisoned);
  }
}

TEST_CASE("neither plan nor report shows a secret", "[reset]") {
  for (const Kind& kind : kinds()) {
    INFO(kind.provider);
    Scene scene(kind);
    const plan::PlanFile plan = scene.world->plan();
    CHECK(plan.bytes.find(secret) == std::string::npos);
    const RunReport applied = must(scene.world->apply(plan));
    CHECK(text(applied).find(secret) == std::string::npos);
    const auto store = must(scene.host.open_root(scene.world->store_path()));
    const auto journals =
        must(store->open_directory(must(RawPath::parse("journal")), host::Mounts::stay));
    const std::string journal = must(host::read_whole(*journals, applied.run + ".jsonl", 1u << 20));
    CHECK(journal.find("intent") != std::string::npos);
    CHECK(journal.find(secret) == std::string::npos);
  }
}

}  // namespace remediate::run::test
