#include "rich_world.h"

// A dry run of a rollback says what a rollback would meet as things are now, and changes nothing.

namespace remediate::run::test {
namespace {

constexpr const char* plain = "www/sub/shell-b.php";

struct Applied : RichWorld {
  explicit Applied(bool finalized = false) {
    report = must(world->apply(*approved));
    if (finalized) must(world->finalize(run));
  }
  void replace(const char* path, const std::string& bytes) {
    world->protect(path, 0);
    world->remove(path);
    world->file(path, bytes);
  }
  void new_folder() {
    const auto above = must(host.open_root("/base/target"));
    const auto aside = must(host.make_root("/base/aside"));
    must(above->rename("www", *aside, "www"));
    must(above->make_directory("www", 0755));
    must(above->rename("etc-iis", *aside, "etc-iis"));
    must(above->make_directory("etc-iis", 0755));
    world->folder("www/sub");
  }
  [[nodiscard]] OperationReport look(const std::string& id, bool key) {
    RollbackOptions options;
    options.dry_run = true;
    if (key) options.recovery = world->recovery();
    const Snapshot then = snapshot(host, "/base");
    const RunReport seen = must(world->rollback(run, options));
    INFO(text(seen));
    CHECK(difference(then, snapshot(host, "/base")) == "");
    CHECK(seen.notices.back() == "dry run: nothing was changed");
    return operation(seen, id);
  }
  RunReport report;
};

}  // namespace

TEST_CASE("a dry run tells what is in the way", "[preview]") {
  struct Case {
    const char* what;
    const char* path;
    bool finalized, key;
    std::function<void(Applied&)> act;
    bool conflict;
    const char* words;
  };
  const auto nothing = [](Applied&) {};
  const std::vector<Case> cases = {
      {"nothing", plain, false, false, nothing, false, "from the hold; not tried now"},
      {"only sealed", plain, true, false, nothing, true,
       "it needs --recovery-key FILE: the private key of"},
      {"only sealed, with the key", plain, true, true, nothing, false, "from the sealed object"},
      {"a page only sealed", page, true, false, nothing, true,
       "it needs --recovery-key FILE: the private key of"},
      {"a page only sealed, with the key", page, true, true, nothing, false,
       "from the sealed object"},
      {"a setting only sealed", setting_file, true, false, nothing, true,
       "it needs --recovery-key"},
      {"its name is taken", plain, false, false,
       [](Applied& rich) { rich.world->file(plain, "others"); }, true, "its name is taken"},
      {"another folder", plain, false, false, [](Applied& rich) { rich.new_folder(); }, true,
       "its folder is not the one that was recorded"},
      {"another folder of a page", page, false, false, [](Applied& rich) { rich.new_folder(); },
       true, "its folder is not the one that was recorded"},
      {"no folder", plain, false, false,
       [](Applied& rich) {
         must(must(rich.host.open_root("/base/target/www"))
                  ->rename("sub", *must(rich.host.make_root("/base/aside")), "sub"));
       },
       true, "its folder cannot be opened"},
      {"the page is gone", page, false, false,
       [](Applied& rich) {
         rich.world->protect(page, 0);
         rich.world->remove(page);
       },
       true, "; --outbox DIR would put a copy there"},
      {"the page is good by hand", page, false, false,
       [](Applied& rich) { rich.replace(page, bad_page); }, false,
       "it has the original's bytes already"},
      {"the page is another one", page, false, false,
       [](Applied& rich) { rich.replace(page, "another"); }, true, "others changed the file"},
      {"a setting was changed since", setting_file, false, false,
       [](Applied& rich) {
         rich.replace(setting_file, rich.world->read(setting_file) + "<!-- later -->");
       },
       false, "what others changed since would be kept"},
      {"a setting was changed the same way", setting_file, false, false,
       [](Applied& rich) { rich.replace(setting_file, "<configuration/>"); }, true, ""},
      {"a setting cannot be parsed", setting_file, false, false,
       [](Applied& rich) { rich.replace(setting_file, "no configuration <"); }, true, ""},
      {"a setting was changed and only the key opens the original", setting_file, true, true,
       [](Applied& rich) {
         rich.replace(setting_file, rich.world->read(setting_file) + "<!-- later -->");
       },
       false, "is seen when the sealed copy of the original is opened"},
      {"what is held was written to", page, false, false,
       [](Applied& rich) {
         must(must(rich.hold()->open_file(rich.last_of(page), host::Access::read_write))
                  ->write_at(0, "X"));
       },
       true, "the held original is not what was captured"},
      {"the same with the key", page, false, true,
       [](Applied& rich) {
         must(must(rich.hold()->open_file(rich.last_of(page), host::Access::read_write))
                  ->write_at(0, "X"));
       },
       false, "from the sealed object"},
      {"the hold is gone", page, false, false,
       [](Applied& rich) {
         must(must(rich.host.open_root("/base/store/hold"))
                  ->rename(rich.run, *must(rich.host.make_root("/base/aside")), "hold"));
       },
       true, ""},
  };
  for (const Case& one : cases) {
    INFO(one.what);
    Applied rich(one.finalized);
    one.act(rich);
    const OperationReport told = rich.look(rich.last_of(one.path), one.key);
    INFO(told.reason);
    CHECK(told.outcome == (one.conflict ? "would_conflict" : "would_restore"));
    CHECK(told.reason.find(one.words) != std::string::npos);
    CHECK_FALSE(told.reason.empty());
  }
}

TEST_CASE("a dry run after one operation came back is about the rest", "[preview]") {
  Applied rich;
  RollbackOptions options;
  options.only = {rich.last_of(plain)};
  must(rich.world->rollback(rich.run, options));
  options.dry_run = true;
  const RunReport nothing = must(rich.world->rollback(rich.run, options));
  CHECK(nothing.status == "nothing_to_do");
  CHECK(nothing.operations.empty());
  options.only.clear();
  const RunReport rest = must(rich.world->rollback(rich.run, options));
  CHECK(rest.operations.size() + 2 == rich.report.operations.size());  // and what a person does
}

TEST_CASE("what a dry run cannot look at is a conflict, or is left open", "[preview]") {
  struct Case {
    const char* path;
    const char* call;
    const char* name;
    std::size_t number;
    bool conflict;
  };
  // The folder of a file is only compared when it can be looked at.
  const std::vector<Case> cases = {{page, "open_directory", "www", 1, true},
                                   {page, "read_at", "login.php", 1, true},
                                   {page, "open_file", "login.php", 1, true},
                                   {plain, "open_directory", "www/sub", 1, true},
                                   {plain, "stat_entry", "shell-b.php", 1, false}};
  for (const Case& one : cases) {
    INFO(one.call << " " << one.name);
    Applied rich;
    const Before before(
        rich.host, one.call, one.name, [] { return Error{Code::io, "injected fault", ""}; },
        one.number);
    RollbackOptions options;
    options.dry_run = true;
    options.only = {rich.last_of(one.path)};
    const RunReport seen = must(rich.world->rollback(rich.run, options));
    INFO(text(seen));
    CHECK(before.done());
    CHECK(operation(seen, rich.last_of(one.path)).outcome ==
          (one.conflict ? "would_conflict" : "would_restore"));
  }
}

TEST_CASE("a dry run knows the copy that an earlier rollback put in place", "[preview]") {
  Applied rich(true);
  RollbackOptions options;
  options.only = {rich.last_of(plain)};
  options.recovery = rich.world->recovery();
  {
    const EndBefore end(rich.host, "sync_filesystem", "");
    CHECK_FALSE(rich.world->rollback(rich.run, options));
    REQUIRE(end.ended());
  }
  REQUIRE(rich.world->exists(plain));
  CHECK(rich.look(rich.last_of(plain), true).outcome == "would_restore");
}

}  // namespace remediate::run::test
