#include <functional>

#include "rich_world.h"

// Immutable files lose their flag for a moment, on the way to the hold or to another version. Where
// the process ends in that moment they get it again, whatever fails next and whatever others do.

namespace remediate::run::test {
namespace {

struct Victim {
  const char* path;
  const char* name;
};
const std::vector<Victim> victims = {
    {shell, "shell-a.php"}, {setting_file, "applicationHost.config"}, {page, "login.php"}};

/// An apply that ended when the victim had lost its flag and was still at its place.
struct Unprotected : RichWorld {
  explicit Unprotected(const Victim& a_victim) : victim(a_victim) {
    for (const plan::Operation& one : plan.plan.operations)
      if (id.empty() && one.action != plan::Action::instruct && one.path.display() == victim.path)
        id = one.id;
    const bool exchanged = victim.path != std::string_view(shell);
    {
      const EndBefore end(host, exchanged ? "exchange" : "rename",
                          exchanged ? id + ".new" : victim.name);
      CHECK_FALSE(world->apply(*approved));
      REQUIRE(end.ended());
    }
    REQUIRE_FALSE(has_flag());
  }
  [[nodiscard]] bool has_flag() {
    const Snapshot now = world->snapshot();
    const auto found = now.find(victim.path);
    return found != now.end() && found->second.flags != 0;
  }
  [[nodiscard]] const OperationReport& of_victim(const RunReport& report) const {
    return operation(report, id);
  }
  /// The first call of this name for the victim fails.
  [[nodiscard]] RunReport resume_failing(const std::string& call, Code code) {
    const Before failure(host, call, victim.name,
                         [code] { return Error{code, "injected fault", ""}; });
    return must(world->resume(run));
  }
  Victim victim;
  std::string id;
};

}  // namespace

TEST_CASE("a look or a flag that fails leaves it open, and the next resume ends it",
          "[protection]") {
  for (const Victim& victim : victims)
    for (const char* call : {"open_file", "stat", "set_protection_flags", "sync"}) {
      INFO(victim.path << ", " << call);
      Unprotected rich(victim);
      const RunReport resumed = rich.resume_failing(call, Code::io);
      INFO(text(resumed));
      CHECK(rich.of_victim(resumed).outcome == "unknown");
      CHECK(rich.of_victim(resumed).reason.find("injected fault") != std::string::npos);
      CHECK(must(rich.world->verify()).ok());
      const bool again = victim.path == std::string_view(page);
      if (again) {
        CHECK(must(rich.world->resume(rich.run)).status == "done");
        CHECK(must(rich.world->verify()).ok());
      }
      CHECK(must(rich.world->rollback(rich.run)).status == "done");
      CHECK(difference(rich.before, rich.world->snapshot()).empty());
    }
}

TEST_CASE("a flag that the host does not set again is told", "[protection]") {
  for (const Victim& victim : victims) {
    INFO(victim.path);
    Unprotected rich(victim);
    const RunReport resumed = rich.resume_failing("set_protection_flags", Code::permission);
    INFO(text(resumed));
    CHECK(rich.of_victim(resumed).outcome == "failed");
    CHECK(rich.of_victim(resumed).reason.find("cannot set its immutable or append-only flag") !=
          std::string::npos);
    CHECK(rich.world->exists(victim.path));
  }
}

TEST_CASE("a file that is not begun again has its flag all the same", "[protection]") {
  for (const Victim& victim : victims) {
    INFO(victim.path);
    Unprotected rich(victim);
    RollbackOptions other;
    other.only = {"poisoned"};
    CHECK(must(rich.world->rollback(rich.run, other)).status == "done");
    const RunReport resumed = must(rich.world->resume(rich.run));
    INFO(text(resumed));
    CHECK(rich.of_victim(resumed).outcome == "not_started");
    CHECK(rich.has_flag());
    CHECK(must(rich.world->verify()).ok());
    must(rich.world->rollback(rich.run));
    CHECK(difference(rich.before, rich.world->snapshot()).empty());
  }
}

TEST_CASE("what others did in the hold meanwhile stays there, and the file gets its flag",
          "[protection]") {
  const bool theirs = GENERATE(true, false);
  for (const Victim& victim : {victims[1], victims[2]}) {
    INFO(victim.path << (theirs ? ", another file" : ", written to"));
    Unprotected rich(victim);
    const auto hold = rich.hold();
    const std::string name = rich.id + ".new";
    if (theirs) {
      must(hold->remove_file(name));
      must(must(hold->create_file(name, 0600))->write_at(0, rich.marker));
    } else {
      must(must(hold->open_file(name, host::Access::read_write))->write_at(0, rich.marker));
    }
    const RunReport resumed = must(rich.world->resume(rich.run));
    INFO(text(resumed));
    CHECK(rich.of_victim(resumed).outcome == "held");
    CHECK(rich.has_flag());
    CHECK(held_somewhere(rich.host, "/base/store/hold", rich.marker, false));
    const VerifyReport verified = must(rich.world->verify());
    INFO(findings(verified));
    CHECK(verified.ok());
    CHECK(findings(verified).find("held as " + name) != std::string::npos);
    must(rich.world->rollback(rich.run));
    CHECK(held_somewhere(rich.host, "/base/store/hold", rich.marker, false));
    CHECK(difference(rich.before, rich.world->snapshot()).empty());
  }
}

TEST_CASE("another thing at the place of a file that had lost its flag is left alone",
          "[protection]") {
  const FileKind kind = GENERATE(FileKind::regular, FileKind::directory, FileKind::symlink);
  for (const Victim& victim : victims) {
    INFO(victim.path << ", " << kind_name(kind));
    Unprotected rich(victim);
    const auto folder = rich.world->parent(victim.path);
    must(folder->rename(victim.name, *folder, "aside"));
    must(rich.host.plant(rich.world->target() + "/" + victim.path, kind,
                         kind == FileKind::symlink ? "/nowhere" : ""));
    const RunReport resumed = must(rich.world->resume(rich.run));
    INFO(text(resumed));
    const std::string& outcome = rich.of_victim(resumed).outcome;
    CHECK((outcome == "changed" || outcome == "refused"));
    CHECK(must(folder->stat_entry(victim.name)).kind == kind);
    CHECK(must(rich.world->verify()).ok());
  }
}

namespace {

/// What somebody has open for writing when the tool takes it away; they write at the last moment.
struct Writer {
  Writer(RichWorld& a_rich, const std::string& path, const std::string& name)
      : rich(a_rich),
        file(must(rich.world->parent(path)->open_file(name, host::Access::read_write))) {}
  void write() { must(file->write_at(must(file->stat()).size, rich.marker)); }
  RichWorld& rich;
  std::unique_ptr<host::File> file;
};

}  // namespace

TEST_CASE("a version that somebody has open for writing is not removed when it is taken back",
          "[protection]") {
  const bool merged = GENERATE(false, true);
  for (const Victim& victim : {victims[1], victims[2]}) {
    if (merged && victim.path == std::string_view(page)) continue;  // it is not merged
    INFO(victim.path << (merged ? ", merged" : ""));
    RichWorld rich;
    must(rich.world->apply(rich.plan));
    rich.world->protect(victim.path, 0);
    if (merged) {
      const auto file =
          must(rich.world->parent(victim.path)->open_file(victim.name, host::Access::read_write));
      must(file->write_at(must(file->stat()).size, "<!-- later -->"));
    }
    Writer writer(rich, victim.path, victim.name);
    bool wrote = false;
    rich.host.set_fault_hook(
        [&](std::string_view operation, std::string_view name) -> std::optional<Error> {
          if (wrote || operation != "remove_file" || !name.starts_with("op-")) return std::nullopt;
          wrote = true;
          writer.write();
          return std::nullopt;
        });
    const RunReport back = must(rich.world->rollback(rich.run));
    rich.host.set_fault_hook({});
    INFO(text(back));
    if (!wrote) writer.write();
    CHECK(held_somewhere(rich.host, "/base", rich.marker, false));
    CHECK(text(back).find("others wrote to the version that was displaced") != std::string::npos);
    CHECK(must(rich.world->verify()).ok());
  }
}

TEST_CASE("a version that was served for a moment and is open for writing stays in the hold",
          "[protection]") {
  for (const Victim& victim : {victims[1], victims[2]}) {
    INFO(victim.path);
    RichWorld rich;
    std::optional<Writer> writer;
    bool fail_now = false;
    rich.host.set_fault_hook(
        [&](std::string_view operation, std::string_view name) -> std::optional<Error> {
          // Behind the exchange the new version is at the place.
          if (operation == "rename" && name.ends_with(".new") && !writer) {
            const auto folder = rich.world->parent(victim.path);
            const FileStat stat = must(folder->stat_entry(victim.name));
            if (rich.originals.contains({stat.id.device, stat.id.inode})) return std::nullopt;
            writer.emplace(rich, victim.path, victim.name);
            fail_now = true;
          }
          return std::nullopt;
        });
    rich.host.set_look_hook(
        [&](std::string_view operation, std::string_view name) -> std::optional<Error> {
          if (!fail_now || operation != "open_file" || name != victim.name) return std::nullopt;
          fail_now = false;
          return Error{Code::io, "injected fault", ""};
        });
    const RunReport applied = must(rich.world->apply(*rich.approved));
    rich.host.set_fault_hook({});
    rich.host.set_look_hook({});
    INFO(text(applied));
    REQUIRE(writer);
    writer->write();
    CHECK(held_somewhere(rich.host, "/base/store/hold", rich.marker, false));
    CHECK(text(applied).find("is in the hold") != std::string::npos);
    CHECK(must(rich.world->verify()).ok());
    must(rich.world->rollback(rich.run));
    CHECK(held_somewhere(rich.host, "/base/store/hold", rich.marker, false));
    CHECK(difference(rich.before, rich.world->snapshot()).empty());
  }
}

TEST_CASE("the digest of a file that grows while it is read has a bound", "[protection]") {
  MemoryWorld memory;
  World& world = *memory.world;
  world.file("www/growing", std::string(100, 'x'));
  const auto file = must(world.parent("www/growing")->open_file("growing", host::Access::read));
  CHECK(must(file_sha256(*file)) == world.sha256("www/growing"));
  CHECK(must(file_sha256(*file, 100)) == world.sha256("www/growing"));
  CHECK(must(file_sha256(*file, 99)) == "unknown: it has more than 99 bytes");
  const auto writer =
      must(world.parent("www/growing")->open_file("growing", host::Access::read_write));
  std::size_t reads = 0;
  memory.host.set_look_hook(
      [&](std::string_view operation, std::string_view) -> std::optional<Error> {
        if (operation != "read_at" || ++reads > 50) return std::nullopt;  // else it has no end
        const std::uint64_t size = 100 + (reads << 20);
        must(writer->write_at(size, "x"));
        return std::nullopt;
      });
  const std::string digest = must(file_sha256(*file, 100));
  memory.host.set_look_hook({});
  CHECK(digest == "unknown: it has more than 100 bytes");
  CHECK(reads < 5);
}

}  // namespace remediate::run::test
