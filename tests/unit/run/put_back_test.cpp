#include "rich_world.h"

// A rollback of removed files meets what others did meanwhile, hosts that fail, and what an earlier
// rollback left: nothing is overwritten, nothing is lost, and the report is what the disk says.

namespace remediate::run::test {
namespace {

constexpr const char* plain = "www/sub/shell-b.php";
constexpr const char* plain_name = "shell-b.php";
const std::string plain_bytes(9000, 'b');

std::optional<Error> nothing() { return std::nullopt; }
Error fault(Code code = Code::io) { return {code, "injected fault", ""}; }

struct Removed : RichWorld {
  explicit Removed(bool finalized = false) {
    applied = must(world->apply(*approved));
    if (finalized) REQUIRE(must(world->finalize(run)).status == "done");
  }
  [[nodiscard]] std::string id(const std::string& address) const {
    return operation(applied, address).id;
  }
  [[nodiscard]] RollbackOptions only(const std::string& address, bool key = false) const {
    RollbackOptions options;
    options.only = {id(address)};
    if (key) options.recovery = world->recovery();
    return options;
  }
  /// Rolls one file back while `act` comes before a call.
  [[nodiscard]] OperationReport back(const std::string& address, const std::string& call,
                                     const std::string& name, Before::Act act, bool key = false,
                                     std::size_t number = 1) {
    const Before moment(host, call, name, std::move(act), number);
    const auto report = must(world->rollback(run, only(address, key)));
    INFO(call << " " << name << ": " << text(report));
    CHECK(moment.done());
    return operation(report, address);
  }
  void everything_comes_back(bool same_inodes = true) {
    RollbackOptions options;
    options.recovery = world->recovery();
    const RunReport report = must(world->rollback(run, options));
    INFO(text(report));
    CHECK((report.status == "done" || report.status == "nothing_to_do"));
    CHECK(difference(before, world->snapshot(), same_inodes) == "");
    CHECK(must(world->verify()).ok());
  }
  RunReport applied;
};

bool says(const OperationReport& one, const std::string& outcome, const std::string& words) {
  INFO(one.outcome << ": " << one.reason);
  CHECK(one.outcome == outcome);
  return one.reason.find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("a call that fails while a held file goes back leaves it to the next rollback",
          "[put_back]") {
  struct Case {
    const char* call;
    bool of_hold;  // the call names the held file
    const char* outcome;
    const char* words;
  };
  const std::vector<Case> cases = {
      {"stat_entry", true, "failed", "injected fault"},
      {"open_file", true, "failed", "injected fault"},
      {"stat", true, "failed", "injected fault"},
      {"rename", true, "conflict", "injected fault"},
      {"open_file", false, "failed", "it was put back and is not there"},
      {"read_at", false, "failed", "injected fault"},
      {"metadata", false, "failed", "injected fault"},
  };
  for (const Case& one : cases) {
    INFO(one.call << (one.of_hold ? " in the hold" : " at its place"));
    Removed rich;
    const OperationReport told = rich.back(
        plain, one.call, one.of_hold ? rich.id(plain) : plain_name, [] { return fault(); });
    CHECK(says(told, one.outcome, one.words));
    CHECK(held_somewhere(rich.host, "/base", plain_bytes, true));
    CHECK(must(rich.world->verify()).ok());
    rich.everything_comes_back();
  }
}

TEST_CASE("what others do to a file that was just put back is told", "[put_back]") {
  struct Case {
    const char* what;
    std::function<void(Removed&, const host::Directory&)> act;
    const char* words;
  };
  const std::vector<Case> cases = {
      {"moved away",
       [](Removed&, const host::Directory& folder) {
         must(folder.rename(plain_name, folder, "aside"));
       },
       "it was put back and is not there"},
      {"replaced",
       [](Removed& rich, const host::Directory& folder) {
         must(folder.rename(plain_name, folder, "aside"));
         rich.world->file(plain, "others wrote this");
       },
       "what is at its place has sha256"},
      {"written to",
       [](Removed&, const host::Directory& folder) {
         must(must(folder.open_file(plain_name, host::Access::read_write))->write_at(9000, "x"));
       },
       "what is at its place has sha256 unknown: it has more than 9000 bytes"},
  };
  for (const Case& one : cases) {
    INFO(one.what);
    Removed rich;
    const auto folder = rich.world->parent(plain);
    // The file systems are flushed when everything is in place.
    const OperationReport told = rich.back(plain, "sync_filesystem", "", [&] {
      one.act(rich, *folder);
      return nothing();
    });
    CHECK(says(told, "failed", one.words));
    const Snapshot now = rich.world->snapshot();
    const RunReport again = must(rich.world->rollback(rich.run, rich.only(plain)));
    INFO(text(again));
    CHECK(operation(again, plain).outcome != "restored");
    CHECK(difference(now, rich.world->snapshot()) == "");
    CHECK(must(rich.world->verify()).ok() == false);
    // Where the place is free its sealed copy goes there.
    if (one.what == std::string_view("moved away")) {
      CHECK(must(rich.world->rollback(rich.run, rich.only(plain, true))).status == "done");
      CHECK(rich.world->read(plain) == plain_bytes);
    }
  }
}

TEST_CASE("a file that came back into a folder that others took away is not told to be back",
          "[put_back]") {
  const bool another = GENERATE(false, true);
  Removed rich;
  const auto above = must(rich.host.open_root("/base/target/www"));
  const auto aside = must(rich.host.make_root("/base/aside"));
  const OperationReport told = rich.back(plain, "sync_filesystem", "", [&] {
    must(above->rename("sub", *aside, "sub"));
    if (another) must(above->make_directory("sub", 0755));
    return nothing();
  });
  CHECK(says(told, "restored_degraded", "its folder is gone or another one now"));
  CHECK(held_somewhere(rich.host, "/base/aside", plain_bytes, true));
  if (another) must(above->remove_directory("sub"));
  must(aside->rename("sub", *above, "sub"));
  CHECK(rich.world->read(plain) == plain_bytes);
  rich.everything_comes_back();
}

TEST_CASE("flags that do not come back are told with the file", "[put_back]") {
  Removed rich;
  must(rich.world->rollback(rich.run, rich.only(twin)));
  const OperationReport told = rich.back(shell, "set_protection_flags", "shell-a.php",
                                         [] { return fault(Code::permission); });
  CHECK(says(told, "restored_degraded", "its flags could not be set"));
  CHECK(rich.world->read(shell) == "inert sample a\n");
}

TEST_CASE("the mode that somebody gave a held file is set right, or the file stays held",
          "[put_back]") {
  const bool fails = GENERATE(false, true);
  Removed rich;
  const auto held = must(rich.hold()->open_file(rich.id(plain), host::Access::read_write));
  Metadata metadata = must(held->metadata());
  metadata.stat.mode = 0666;
  must(held->restore_metadata(metadata, host::Privileges::keep));
  if (fails) {
    const OperationReport told =
        rich.back(plain, "restore_metadata", rich.id(plain), [] { return fault(); });
    CHECK(says(told, "failed", "injected fault"));
    CHECK_FALSE(rich.world->exists(plain));
  }
  rich.everything_comes_back();
}

TEST_CASE("a file with privileges waits for who asks for them", "[put_back]") {
  MemoryWorld memory;
  World& world = *memory.world;
  world.file("www/shell-suid.php", "inert sample s\n", 04755);
  const Snapshot before = world.snapshot();
  const std::string run = must(world.apply(world.plan())).run;
  const bool finalized = GENERATE(false, true);
  if (finalized) must(world.finalize(run));
  RollbackOptions options;
  options.recovery = world.recovery();
  options.dry_run = true;
  const char* suid = "www/shell-suid.php";
  CHECK(says(operation(must(world.rollback(run, options)), suid), "would_conflict",
             "--with-privileges"));
  options.dry_run = false;
  CHECK(says(operation(must(world.rollback(run, options)), suid), "refused", "--with-privileges"));
  CHECK_FALSE(world.exists(suid));
  options.privileges = host::Privileges::keep;
  options.dry_run = true;
  CHECK(says(operation(must(world.rollback(run, options)), suid), "would_restore", "not tried"));
  options.dry_run = false;
  CHECK(must(world.rollback(run, options)).status == "done");
  CHECK(difference(before, world.snapshot(), !finalized) == "");
}

TEST_CASE("a sealed copy that cannot be built leaves nothing at the place", "[put_back]") {
  struct Case {
    const char* call;
    bool temporary;  // the call names the file that is built
    Code code;
  };
  const std::vector<Case> cases = {{"create_file", true, Code::no_space},
                                   {"write_at", true, Code::no_space},
                                   {"restore_metadata", true, Code::io},
                                   {"sync", true, Code::io},
                                   {"stat", true, Code::io},
                                   {"rename", true, Code::io}};
  for (const Case& one : cases) {
    INFO(one.call);
    Removed rich(true);
    const std::string name = rich.id(plain) + ".restore";
    const OperationReport told =
        rich.back(plain, one.call, name, [&] { return fault(one.code); }, true);
    CHECK(told.outcome != "restored");
    CHECK(told.reason.find("injected fault") != std::string::npos);
    CHECK_FALSE(rich.world->exists(plain));
    CHECK_FALSE(rich.hold()->stat_entry(name));
    rich.everything_comes_back(false);
  }
}

TEST_CASE("where the hold cannot be made a copy goes to the outbox", "[put_back]") {
  Removed rich(true);
  const auto holds = must(rich.host.open_root("/base/store/hold"));
  must(holds->rename(rich.run, *must(rich.host.make_root("/base/aside")), "hold"));
  RollbackOptions options = rich.only(plain, true);
  const auto rollback = [&] {
    const Before before(rich.host, "make_directory", rich.run,
                        [] { return fault(Code::read_only); });
    const RunReport report = must(rich.world->rollback(rich.run, options));
    INFO(text(report));
    CHECK(before.done());
    return operation(report, plain);
  };
  CHECK(says(rollback(), "failed", "injected fault"));
  options.outbox = "/base/outbox";
  CHECK(says(rollback(), "in_outbox", "a copy is in /base/outbox"));
  CHECK(held_somewhere(rich.host, "/base/outbox", plain_bytes, true));
  CHECK_FALSE(rich.world->exists(plain));
  rich.everything_comes_back(false);  // the hold is made anew
}

TEST_CASE("a second name comes back as a hard link, or says why not", "[put_back]") {
  struct Case {
    const char* what;
    std::function<void(Removed&)> before;
    const char* outcome;
    const char* words;
  };
  static const auto first = [](Removed& rich) {
    CHECK(must(rich.world->rollback(rich.run, rich.only(shell, true))).status != "failed");
  };
  const std::vector<Case> cases = {
      {"the first is not back", [](Removed&) {}, "restored", ""},
      {"the first is back", first, "restored", ""},
      {"the first was written to",
       [](Removed& rich) {
         first(rich);
         rich.world->protect(shell, 0);
         must(must(rich.world->parent(shell)->open_file("shell-a.php", host::Access::read_write))
                  ->write_at(0, "I"));
       },
       "restored_degraded", "which is not quite as it was"},
      {"the first has another mode",
       [](Removed& rich) {
         first(rich);
         rich.world->protect(shell, 0);
         const auto file =
             must(rich.world->parent(shell)->open_file("shell-a.php", host::Access::read_write));
         Metadata metadata = must(file->metadata());
         metadata.stat.mode = 0606;
         must(file->restore_metadata(metadata, host::Privileges::keep));
       },
       "restored_degraded", "which is not quite as it was"},
      {"the first is gone again",
       [](Removed& rich) {
         first(rich);
         rich.world->protect(shell, 0);
         rich.world->remove(shell);
       },
       "restored", ""},
      {"its name is taken",
       [](Removed& rich) {
         first(rich);
         rich.world->file(twin, "others wrote this");
       },
       "conflict", "its name is taken by another file"},
  };
  for (const Case& one : cases) {
    INFO(one.what);
    Removed rich(true);
    one.before(rich);
    const RunReport report = must(rich.world->rollback(rich.run, rich.only(twin, true)));
    INFO(text(report));
    CHECK(operation(report, twin).outcome == one.outcome);
    CHECK(operation(report, twin).reason.find(one.words) != std::string::npos);
    const bool taken = one.outcome == std::string_view("conflict");
    CHECK(rich.world->read(twin) == (taken ? "others wrote this" : "inert sample a\n"));
    CHECK(must(rich.world->verify()).ok());
  }
}

TEST_CASE("a link that fails keeps the flag of the first name", "[put_back]") {
  const Code code = GENERATE(Code::io, Code::unsupported);
  Removed rich(true);
  must(rich.world->rollback(rich.run, rich.only(shell, true)));
  const OperationReport told =
      rich.back(twin, "link_file", "shell-twin.php", [&] { return fault(code); }, true);
  const bool copied = code == Code::unsupported;
  CHECK(says(told, copied ? "restored_degraded" : "failed",
             copied ? "no longer a hard link" : "injected fault"));
  CHECK((rich.world->snapshot().at(shell).flags & host::flag_immutable) != 0);
  CHECK(rich.world->exists(twin) == copied);
}

TEST_CASE("names of one file that were parted say so", "[put_back]") {
  Removed rich;
  // One name is lost from the hold: its sealed copy comes, the other name is the original.
  must(rich.hold()->remove_file(rich.id(twin)));
  RollbackOptions options;
  options.recovery = rich.world->recovery();
  options.only = {rich.id(twin)};
  CHECK(must(rich.world->rollback(rich.run, options)).status == "done");
  options.only = {rich.id(shell)};
  const RunReport report = must(rich.world->rollback(rich.run, options));
  INFO(text(report));
  CHECK(says(operation(report, shell), "restored_degraded",
             std::string("it is no longer a hard link to ") + twin));
}

}  // namespace remediate::run::test
