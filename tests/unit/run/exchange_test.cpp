#include "rich_world.h"

// Versions of a file that are exchanged, and exchanged back, while others act and calls fail. The
// page is replaced by one operation, the configuration edited by two.

namespace remediate::run::test {
namespace {

constexpr const char* page_name = "login.php";

std::optional<Error> nothing() { return std::nullopt; }

struct Exchanged : RichWorld {
  Exchanged() {
    for (const plan::Operation& one : plan.plan.operations) {
      if (one.action == plan::Action::replace_file) page_id = one.id;
      if (one.action == plan::Action::reset_setting && !one.setting.directory) setting_id = one.id;
    }
  }
  /// The page while `act` comes before a call of an apply, or of the rollback behind one.
  [[nodiscard]] OperationReport apply(const std::string& call, const std::string& name,
                                      Before::Act act, std::size_t number = 1) {
    const Before moment(host, call, name, std::move(act), number);
    const RunReport report = must(world->apply(*approved));
    INFO(call << " " << name << ": " << text(report));
    CHECK(moment.done());
    return operation(report, page_id);
  }
  [[nodiscard]] OperationReport back(const std::string& id, const std::string& call,
                                     const std::string& name, Before::Act act,
                                     std::size_t number = 1, bool key = false) {
    const Before moment(host, call, name, std::move(act), number);
    RollbackOptions options;
    options.only = {id};
    if (key) options.recovery = world->recovery();
    const RunReport report = must(world->rollback(run, options));
    INFO(call << " " << name << ": " << text(report));
    CHECK(moment.done());
    return operation(report, id);
  }
  [[nodiscard]] bool theirs_are_there() { return held_somewhere(host, "/base", marker, false); }
  std::string page_id, setting_id;
};

bool says(const OperationReport& one, const std::string& outcome, const std::string& words) {
  INFO(one.outcome << ": " << one.reason);
  CHECK(one.outcome == outcome);
  return one.reason.find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("a file that is no longer the approved one when its turn comes is left alone",
          "[exchange]") {
  struct Case {
    const char* what;
    std::function<void(Exchanged&)> act;
    const char* outcome;
    const char* words;
  };
  const std::vector<Case> cases = {
      {"other bytes", [](Exchanged& rich) { rich.write(page, rich.marker); }, "changed",
       "its sha256 is now"},
      {"another file with the bytes", [](Exchanged& rich) { rich.replace(page, bad_page); },
       "changed", "another file has its name"},
      {"a further name",
       [](Exchanged& rich) {
         const auto folder = rich.world->parent(page);
         rich.world->protect(page, 0);
         must(folder->link_file(*must(folder->open_file(page_name, host::Access::read)), "linked"));
         rich.world->protect(page, host::flag_immutable);
       },
       "changed", "it has 2 name(s)"},
      {"another mode",
       [](Exchanged& rich) {
         rich.world->protect(page, 0);
         const auto file =
             must(rich.world->parent(page)->open_file(page_name, host::Access::read_write));
         Metadata metadata = must(file->metadata());
         metadata.stat.mode = 0606;
         must(file->restore_metadata(metadata, host::Privileges::keep));
       },
       "changed", "no longer what was approved"},
      {"gone", [](Exchanged& rich) { rich.take_away(page); }, "vanished", ""},
      {"another folder",
       [](Exchanged& rich) {
         const auto above = must(rich.host.open_root("/base/target"));
         must(above->rename("www", *must(rich.host.make_root("/base/aside")), "www"));
         must(above->make_directory("www", 0755));
       },
       "changed", "is not the one that was recorded"},
      {"no folder",
       [](Exchanged& rich) {
         const auto above = must(rich.host.open_root("/base/target"));
         must(above->rename("www", *must(rich.host.make_root("/base/aside")), "www"));
       },
       "vanished", ""},
  };
  for (const Case& one : cases) {
    INFO(one.what);
    Exchanged rich;
    // The first operation on the configuration is through, the page's turn comes later.
    const OperationReport told = rich.apply("exchange", rich.setting_id + ".new", [&] {
      one.act(rich);
      return nothing();
    });
    CHECK(says(told, one.outcome, one.words));
    CHECK_FALSE(rich.hold()->stat_entry(rich.page_id));
    CHECK(must(rich.world->verify()).ok());
  }
}

TEST_CASE("a call that fails before anything is exchanged leaves the file", "[exchange]") {
  struct Case {
    const char* call;
    const char* name;
    Code code;
    const char* outcome;
  };
  // Calls for the page by its name: the first open is the plan's comparison.
  const std::vector<Case> cases = {{"set_protection_flags", page_name, Code::permission, "failed"},
                                   {"link_file", "NEW", Code::no_space, "failed"},
                                   {"exchange", "NEW", Code::unsupported, "failed"},
                                   {"exchange", "NEW", Code::refused, "refused"},
                                   {"exchange", "NEW", Code::conflict, "changed"}};
  for (const Case& one : cases) {
    INFO(one.call << " " << code_name(one.code));
    Exchanged rich;
    const std::string name = one.name == std::string("NEW") ? rich.page_id + ".new" : one.name;
    const OperationReport told =
        rich.apply(one.call, name, [&] { return Error{one.code, "injected fault", ""}; });
    CHECK(says(told, one.outcome, "injected fault"));
    CHECK(rich.world->read(page) == bad_page);
    CHECK((rich.world->snapshot().at(page).flags & host::flag_immutable) != 0);
    CHECK_FALSE(rich.hold()->stat_entry(rich.page_id + ".new"));
    CHECK(must(rich.world->verify()).ok());
    must(rich.world->rollback(rich.run));
    CHECK(difference(rich.before, rich.world->snapshot()) == "");
  }
}

TEST_CASE("what others write within an exchange is never lost", "[exchange]") {
  struct Case {
    const char* what;
    const char* call;
    bool of_new;
    std::function<void(Exchanged&)> act;
    const char* outcome;
  };
  const std::vector<Case> cases = {
      {"it is written to right before", "exchange", true,
       [](Exchanged& rich) { rich.write(page, rich.marker); }, "changed"},
      {"it is replaced right before", "exchange", true,
       [](Exchanged& rich) { rich.replace(page, rich.marker); }, "changed"},
      {"the new one is replaced right behind", "rename", true,
       [](Exchanged& rich) { rich.replace(page, rich.marker); }, "held"},
      {"the new one is written to right behind", "rename", true,
       [](Exchanged& rich) { rich.write(page, rich.marker); }, "held"},
  };
  for (const Case& one : cases) {
    INFO(one.what);
    Exchanged rich;
    const OperationReport told = rich.apply(one.call, rich.page_id + ".new", [&] {
      one.act(rich);
      return nothing();
    });
    CHECK(told.outcome == one.outcome);
    CHECK(rich.theirs_are_there());
    CHECK(must(rich.world->verify()).ok());
    must(rich.world->rollback(rich.run));
    CHECK(rich.theirs_are_there());
    CHECK(held_somewhere(rich.host, "/base", bad_page, false));
  }
}

TEST_CASE("a stranger that was displaced goes back after a crash", "[exchange]") {
  const bool taken = GENERATE(false, true);
  INFO((taken ? "its place is taken again" : "its place has our version"));
  Exchanged rich;
  {
    // Others replace the page right before the exchange; the process ends right behind it.
    std::size_t state = 0;
    rich.host.set_fault_hook([&](std::string_view call,
                                 std::string_view name) -> std::optional<Error> {
      if (state == 0 && call == "exchange" && name == rich.page_id + ".new") {
        state = 1;
        rich.replace(page, rich.marker);
        state = 2;
        return std::nullopt;
      }
      return state == 2 ? std::optional(Error{Code::io, "the process ended", ""}) : std::nullopt;
    });
    CHECK_FALSE(rich.world->apply(*rich.approved));
    rich.host.set_fault_hook({});
    REQUIRE(state == 2);
  }
  REQUIRE(rich.world->read(page) == good_page);
  if (taken) rich.replace(page, "a third one");
  const RunReport resumed = must(rich.world->resume(rich.run));
  INFO(text(resumed));
  CHECK(operation(resumed, rich.page_id).outcome == (taken ? "held" : "changed"));
  CHECK(rich.world->read(page) == (taken ? "a third one" : rich.marker));
  CHECK(rich.theirs_are_there());
  CHECK(must(rich.world->verify()).ok());
  must(rich.world->rollback(rich.run));
  CHECK(rich.theirs_are_there());
}

TEST_CASE("a crash within an exchange is ended by resume or taken back", "[exchange]") {
  for (const char* call : {"exchange", "rename"})
    for (const bool resumes : {true, false})
      for (const bool foreign : {false, true}) {
        INFO(call << (resumes ? ", resumed" : ", rolled back")
                  << (foreign ? ", the new version written to" : ""));
        if (foreign && call == std::string_view("exchange")) continue;  // in the hold: see there
        Exchanged rich;
        {
          const EndBefore end(rich.host, call, rich.page_id + ".new");
          CHECK_FALSE(rich.world->apply(*rich.approved));
          REQUIRE(end.ended());
        }
        if (foreign) rich.write(page, rich.marker);
        if (resumes) {
          const RunReport resumed = must(rich.world->resume(rich.run));
          INFO(text(resumed));
          CHECK(operation(resumed, rich.page_id).outcome == (foreign ? "unknown" : "replaced"));
          CHECK(must(rich.world->verify()).ok());
        }
        const RunReport back = must(rich.world->rollback(rich.run));
        INFO(text(back));
        if (foreign) {
          CHECK(operation(back, rich.page_id).outcome == "conflict");
          CHECK(rich.theirs_are_there());
          continue;
        }
        CHECK(back.status == "done");
        CHECK(difference(rich.before, rich.world->snapshot()) == "");
      }
}

TEST_CASE("an original that others wrote to before a crash was looked after is theirs",
          "[exchange]") {
  Exchanged rich;
  {
    const EndBefore end(rich.host, "exchange", rich.page_id + ".new");
    CHECK_FALSE(rich.world->apply(*rich.approved));
  }
  rich.write(page, rich.marker);
  const RunReport back = must(rich.world->rollback(rich.run));
  INFO(text(back));
  CHECK(says(operation(back, rich.page_id), "conflict", "but others changed it since"));
  CHECK(rich.world->read(page).find(rich.marker) != std::string::npos);
}

TEST_CASE("what others do while a version is put back is kept and told", "[exchange]") {
  struct Case {
    const char* what;
    const char* call;
    std::function<void(Exchanged&, const std::string& path)> act;
    const char* outcome;
    const char* words;
  };
  const std::vector<Case> cases = {
      {"replaced before", "exchange",
       [](Exchanged& rich, const std::string& path) { rich.replace(path, rich.marker); },
       "conflict", "written to during the exchange"},
      {"written to before", "exchange",
       [](Exchanged& rich, const std::string& path) { rich.write(path, rich.marker); }, "conflict",
       "written to during the exchange"},
  };
  for (const Case& one : cases)
    for (const bool setting : {false, true})
      for (const bool merged : {false, true}) {
        if (merged && !setting) continue;  // a page is not merged
        INFO(one.what << (setting ? ", setting" : ", page") << (merged ? ", merged" : ""));
        Exchanged rich;
        must(rich.world->apply(*rich.approved));
        const std::string id = setting ? rich.setting_id : rich.page_id;
        const std::string path = setting ? setting_file : page;
        if (merged) rich.write(path, "<!-- later -->");
        const std::string name = id + (merged ? ".undo-1" : ".back");
        const OperationReport told = rich.back(id, one.call, name, [&] {
          one.act(rich, path);
          return nothing();
        });
        CHECK(says(told, one.outcome, one.words));
        CHECK(rich.theirs_are_there());
        CHECK(rich.world->read(path).find(rich.marker) != std::string::npos);
        CHECK(must(rich.world->verify()).ok());
        // The original is still held, and nothing of ours lies about.
        CHECK(rich.hold()->stat_entry(id));
        CHECK_FALSE(rich.hold()->stat_entry(id + ".undo-1"));
      }
}

TEST_CASE("what others put at the place between two exchanges of a rollback is held",
          "[exchange]") {
  Exchanged rich;
  must(rich.world->apply(*rich.approved));
  const std::string name = rich.page_id + ".back";
  std::size_t exchanges = 0;
  bool busy = false;
  rich.host.set_fault_hook([&](std::string_view call, std::string_view of) -> std::optional<Error> {
    if (busy || call != "exchange" || of != name) return std::nullopt;
    busy = true;
    rich.replace(page, ++exchanges == 1 ? "first of others" : "second of others");
    busy = false;
    return std::nullopt;
  });
  RollbackOptions only;
  only.only = {rich.page_id};
  const RunReport back = must(rich.world->rollback(rich.run, only));
  rich.host.set_fault_hook({});
  INFO(text(back));
  CHECK(exchanges == 2);
  CHECK(operation(back, rich.page_id).outcome == "conflict");
  CHECK(rich.world->read(page) == "first of others");
  CHECK(held_somewhere(rich.host, "/base/store/hold", "second of others", true));
  CHECK(held_somewhere(rich.host, "/base", bad_page, true));
  CHECK(must(rich.world->verify()).ok());
}

TEST_CASE("a file that is replaced right after it was put back is told", "[exchange]") {
  struct Case {
    const char* what;
    std::function<void(Exchanged&)> act;
    const char* outcome;
    const char* words;
  };
  const std::vector<Case> cases = {
      {"replaced", [](Exchanged& rich) { rich.replace(page, rich.marker); }, "conflict",
       "somebody replaced the file right after"},
      {"written to", [](Exchanged& rich) { rich.write(page, rich.marker); }, "failed",
       "what is at its place has sha256"},
      {"another mode",
       [](Exchanged& rich) {
         const auto file =
             must(rich.world->parent(page)->open_file(page_name, host::Access::read_write));
         Metadata metadata = must(file->metadata());
         metadata.stat.mode = 0606;
         must(file->restore_metadata(metadata, host::Privileges::keep));
       },
       "restored_degraded", "mode"}};
  for (const Case& one : cases) {
    INFO(one.what);
    Exchanged rich;
    must(rich.world->apply(*rich.approved));
    // The first look at the page behind the exchange is that of the last check.
    bool exchanged = false;
    rich.host.set_fault_hook([&](std::string_view call, std::string_view name) {
      exchanged = exchanged || (call == "exchange" && name == rich.page_id + ".back");
      return std::optional<Error>();
    });
    bool acted = false;
    rich.host.set_look_hook([&](std::string_view call, std::string_view name) {
      if (exchanged && !acted && call == "open_file" && name == page_name) {
        acted = true;
        one.act(rich);
      }
      return std::optional<Error>();
    });
    RollbackOptions only;
    only.only = {rich.page_id};
    const RunReport back = must(rich.world->rollback(rich.run, only));
    rich.host.set_fault_hook({});
    rich.host.set_look_hook({});
    CHECK(acted);
    CHECK(says(operation(back, rich.page_id), one.outcome, one.words));
    CHECK(held_somewhere(rich.host, "/base", bad_page, false));
  }
}

TEST_CASE("a change that others took back by hand is found taken back", "[exchange]") {
  const std::string comment = "<!-- by hand -->\n";
  Exchanged rich;
  const std::string original = rich.world->read(setting_file);
  must(rich.world->apply(*rich.approved));
  rich.replace(setting_file, original + comment);
  RollbackOptions options;
  options.only = {rich.setting_id};
  const RunReport back = must(rich.world->rollback(rich.run, options));
  INFO(text(back));
  CHECK(says(operation(back, rich.setting_id), "restored", "already taken back"));
  CHECK(rich.world->read(setting_file) == original + comment);
  CHECK((rich.world->snapshot().at(setting_file).flags & host::flag_immutable) != 0);
  CHECK(must(rich.world->rollback(rich.run)).status == "done");
  CHECK(rich.world->read(setting_file) == original + comment);
}

TEST_CASE("a setting that others changed the same way is a conflict", "[exchange]") {
  Exchanged rich;
  must(rich.world->apply(*rich.approved));
  rich.replace(setting_file, "<configuration/>");
  RollbackOptions options;
  options.only = {rich.setting_id};
  const RunReport back = must(rich.world->rollback(rich.run, options));
  INFO(text(back));
  CHECK_FALSE(operation(back, rich.setting_id).outcome.starts_with("restored"));
  CHECK(rich.world->read(setting_file) == "<configuration/>");
  CHECK(must(rich.world->verify()).ok());
}

TEST_CASE("what is held was written to before it was sealed", "[exchange]") {
  Exchanged rich;
  // Sealing reads the held original first.
  const OperationReport told = rich.apply(
      "open_file", rich.page_id,
      [&] {
        const auto folder = rich.hold();
        const auto held = must(folder->open_file(rich.page_id, host::Access::read_write));
        must(held->write_at(0, "X"));
        return nothing();
      },
      2);
  CHECK(told.outcome != "replaced");
  CHECK(held_somewhere(rich.host, "/base/store/hold", std::string("X") + (bad_page + 1), true));
  CHECK(must(rich.world->resume(rich.run)).status == "partial");
}

TEST_CASE("a replaced file that was linked elsewhere says so", "[exchange]") {
  Exchanged rich;
  const OperationReport told = rich.apply("rename", rich.page_id + ".new", [&] {
    const auto hold = rich.hold();
    const auto held = must(hold->open_file(rich.page_id + ".new", host::Access::read));
    must(must(rich.host.make_root("/base/aside"))->link_file(*held, "linked"));
    return nothing();
  });
  CHECK(says(told, "replaced", "somebody linked it elsewhere"));
}

}  // namespace remediate::run::test
