#include "scene.h"

// Files that are removed while others write to them, link them and move them: what apply gave up
// goes back to its place whatever was written to it, and what stays in the dark is said.

namespace remediate::run::test {
namespace {

std::optional<Error> nothing() { return std::nullopt; }

void write_held(RichWorld& rich, const std::string& id, const std::string& bytes) {
  const auto file = must(rich.hold()->open_file(id, host::Access::read_write));
  must(file->write_at(must(file->stat()).size, bytes));
}
std::string read_held(RichWorld& rich, const std::string& id) {
  const auto file = must(rich.hold()->open_file(id, host::Access::read));
  std::string bytes(must(file->stat()).size, '\0');
  must(file->read_at(0, bytes));
  return bytes;
}
void add(const host::Directory& folder, const std::string& name, const std::string& bytes) {
  must(must(folder.create_file(name, 0600))->write_at(0, bytes));
}
OperationReport resumed(RichWorld& rich, const std::string& id) {
  const RunReport report = must(resumes(rich));
  INFO(text(report));
  CHECK(must(rich.world->verify()).runs.size() == 1);
  return operation(report, id);
}
bool says(const OperationReport& one, const std::string& outcome, const std::string& words) {
  INFO(one.outcome << ": " << one.reason);
  CHECK(one.outcome == outcome);
  return one.reason.find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("what apply gave up goes back whatever was written to it meanwhile", "[file_removal]") {
  struct Case {
    const char* what;
    std::function<void(RichWorld&, const std::string& id)> meanwhile;
  };
  const std::vector<Case> cases = {
      {"nothing", [](RichWorld&, const std::string&) {}},
      {"it is written to",
       [](RichWorld& rich, const std::string& id) { write_held(rich, id, "2"); }},
      {"it is made shorter",
       [](RichWorld& rich, const std::string& id) {
         must(must(rich.hold()->open_file(id, host::Access::read_write))->truncate(3));
       }},
      {"another file takes its name",
       [](RichWorld& rich, const std::string& id) {
         must(rich.hold()->rename(id, *must(rich.host.make_root("/base/aside")), "held"));
         add(*rich.hold(), id, "another");
       }},
  };
  const bool finalizes = GENERATE(false, true);
  for (const Case& one : cases) {
    INFO(one.what << (finalizes ? ", finalized" : ""));
    RichWorld rich;
    const std::string id = rich.first_of(plain);
    const Before before(rich.host, "stat_entry", id, [&] {
      write_held(rich, id, rich.marker);
      rich.world->file(plain, "others took its place");
      return nothing();
    });
    const RunReport applied = must(applies(rich));
    INFO(text(applied));
    REQUIRE(before.done());
    CHECK(says(operation(applied, id), "held", "it could not be put back"));
    one.meanwhile(rich, id);
    const std::string held = read_held(rich, id);
    CHECK(must(rich.world->verify()).ok());
    if (finalizes) {
      must(rich.world->finalize(rich.run));
      CHECK(read_held(rich, id) == held);
    }
    RollbackOptions options = only(rich, plain, true);
    CHECK(operation(must(rich.world->rollback(rich.run, options)), id).outcome == "conflict");
    CHECK(read_held(rich, id) == held);
    CHECK(rich.world->read(plain) == "others took its place");
    rich.world->remove(plain);
    const RunReport back = must(rich.world->rollback(rich.run, options));
    INFO(text(back));
    CHECK(says(operation(back, id), "restored", "it is at its place again"));
    CHECK(rich.world->read(plain) == held);
    CHECK_FALSE(rich.hold()->stat_entry(id));
    CHECK(must(rich.world->verify()).ok());
  }
}

TEST_CASE("a stranger that was put back and is replaced at once is told", "[file_removal]") {
  RichWorld rich;
  const std::string id = rich.first_of(plain);
  ended_behind(rich, applies, "rename", "shell-b.php", [&] { rich.replace(plain, rich.marker); });
  const Before before(rich.host, "sync_filesystem", "", [&] {
    rich.replace(plain, "another");
    return nothing();
  });
  const RunReport back = must(rich.world->rollback(rich.run, only(rich, plain, false)));
  INFO(text(back));
  CHECK(before.done());
  CHECK(says(operation(back, id), "failed", "something else is there now"));
  CHECK(rich.world->read(plain) == "another");
  CHECK(held_somewhere(rich.host, "/base/aside", rich.marker, true));
}

TEST_CASE("a name that stays and loses the flag of the file is told", "[file_removal]") {
  const std::string stays = GENERATE(shell, twin);
  const std::string goes = stays == shell ? twin : shell;
  INFO(stays << " stays");
  RichWorld rich;
  rich.world->refused[must(RawPath::parse(stays))] = "a package owns it";
  const RunReport applied = must(applies(rich));
  INFO(text(applied));
  CHECK(operation(applied, goes).outcome == "quarantined");
  CHECK(operation(applied, stays).outcome == "refused");
  CHECK(rich.world->snapshot().at(stays).flags == 0);
  CHECK(notices(applied).find(rich.first_of(goes) + " " + goes + ": its immutable") !=
        std::string::npos);
  CHECK(notices(applied).find("1 other name(s) of the file stay without it") != std::string::npos);
  CHECK(notices(must(resumes(rich))).find("stay without it") != std::string::npos);
  CHECK(must(rich.world->rollback(rich.run)).status == "done");
  CHECK(difference(rich.before, rich.world->snapshot()) == "");
}

TEST_CASE("where no name stays, and where the flag is back, nothing is told", "[file_removal]") {
  RichWorld rich;
  CHECK(notices(must(applies(rich))).find("stay without it") == std::string::npos);
  const auto held = must(rich.hold()->open_file(rich.first_of(shell), host::Access::read));
  must(must(rich.host.make_root("/base/aside"))->link_file(*held, "linked"));
  CHECK(notices(must(resumes(rich))).find("stay without it") != std::string::npos);
  must(held->set_protection_flags(host::flag_immutable));
  CHECK(notices(must(resumes(rich))).find("stay without it") == std::string::npos);
  CHECK(must(rich.world->rollback(rich.run)).status == "done");
  CHECK(difference(rich.before, rich.world->snapshot()) == "");
}

TEST_CASE("a file that was linked elsewhere while it was removed says so", "[file_removal]") {
  const bool unsealed = GENERATE(false, true);
  RichWorld rich;
  if (unsealed) rich.world->max_sealed_bytes = 100;
  const std::string id = rich.first_of(plain);
  std::unique_ptr<host::File> writer;  // somebody has it open
  const Before before(rich.host, "stat_entry", id, [&] {
    writer = must(rich.hold()->open_file(id, host::Access::read_write));
    must(must(rich.host.make_root("/base/aside"))->link_file(*writer, "linked"));
    return nothing();
  });
  const RunReport applied = must(applies(rich));
  INFO(text(applied));
  REQUIRE(before.done());
  const std::string reason = operation(applied, id).reason;
  CHECK(operation(applied, id).outcome == "quarantined");
  CHECK(reason.starts_with(unsealed ? "held only: larger than the limit for sealing; a process"
                                    : "a process has it open for writing"));
  CHECK(reason.ends_with("; it has 2 names now: somebody linked it elsewhere"));
}

TEST_CASE("a resume that finds another thing in the hold leaves it alone", "[file_removal]") {
  const bool folder = GENERATE(false, true);
  for (const State state : {State::captured, State::sealed}) {
    RichWorld rich;
    const std::string id = rich.first_of(plain);
    ended_in(rich, id, state);
    INFO(state_name(state) << (folder ? ", a folder" : ", another file"));
    must(rich.hold()->rename(id, *must(rich.host.make_root("/base/aside")), "held"));
    if (folder)
      must(rich.hold()->make_directory(id, 0700));
    else
      add(*rich.hold(), id, rich.marker);
    CHECK(says(resumed(rich, id), state == State::captured ? "held" : "unknown",
               "the hold has another file under the name " + id));
    CHECK(must(rich.hold()->stat_entry(id)).kind ==
          (folder ? FileKind::directory : FileKind::regular));
    CHECK_FALSE(rich.world->exists(plain));
    // Once it is in the hold again the run goes on.
    if (folder)
      must(rich.hold()->remove_directory(id));
    else
      must(rich.hold()->remove_file(id));
    must(must(rich.host.make_root("/base/aside"))->rename("held", *rich.hold(), id));
    CHECK(resumed(rich, id).outcome == "quarantined");
  }
}

TEST_CASE("a resume that finds the original nowhere says so", "[file_removal]") {
  struct Case {
    const char* what;
    State state;
    std::function<void(RichWorld&, const host::Directory& hold, const std::string& id)> act;
  };
  const std::vector<Case> cases = {
      {"taken from the hold", State::captured,
       [](RichWorld& rich, const host::Directory& hold, const std::string& id) {
         must(hold.rename(id, *must(rich.host.make_root("/base/aside")), "held"));
       }},
      {"taken from the hold, and another file is at its place", State::captured,
       [](RichWorld& rich, const host::Directory& hold, const std::string& id) {
         must(hold.rename(id, *must(rich.host.make_root("/base/aside")), "held"));
         rich.world->file(plain, rich.marker);
       }},
      {"put at its place by others once it was sealed", State::sealed,
       [](RichWorld& rich, const host::Directory& hold, const std::string& id) {
         must(hold.rename(id, *rich.world->parent(plain), "shell-b.php"));
       }},
  };
  for (const Case& one : cases) {
    INFO(one.what);
    RichWorld rich;
    const std::string id = rich.first_of(plain);
    ended_in(rich, id, one.state);
    one.act(rich, *rich.hold(), id);
    const Snapshot then = snapshot(rich.host, rich.world->target());
    CHECK(says(resumed(rich, id), one.state == State::captured ? "held" : "unknown",
               "it is neither in the hold nor at its place"));
    const Snapshot now = rich.world->snapshot();
    CHECK(now.contains(plain) == then.contains(plain));
    CHECK(held_somewhere(rich.host, "/base", std::string(9000, 'b'), true));
  }
}

TEST_CASE("a resume whose hold was moved away touches nothing", "[file_removal]") {
  RichWorld rich;
  const std::string id = rich.first_of(plain);
  ended_behind(rich, applies, "rename", "shell-b.php");
  const auto aside = must(rich.host.make_root("/base/aside"));
  const auto holds = must(rich.host.open_root("/base/store/hold"));
  must(holds->rename(rich.run, *aside, "hold"));
  const OperationReport told = resumed(rich, id);
  CHECK(told.outcome == "vanished");
  CHECK(held_somewhere(rich.host, "/base/aside", std::string(9000, 'b'), true));
}

}  // namespace remediate::run::test
