// The copy that a conflict leaves in the outbox: on file systems that can do less, when a call
// fails, when others write there.
#include <functional>
#include <iostream>
#include <utility>

#include "remediate/host/durable.h"
#include "rich_world.h"

namespace remediate::run::test {
namespace {

using Hook = host::MemoryHost::FaultHook;

/// A shell was removed, and somebody else's file has its place.
struct Conflict : MemoryWorld {
  Conflict() {
    for (const char* other : {"www/sub/shell-b.php", "www/sub/shell-c.php", "www/data/shell-d.php",
                              "etc-iis/applicationHost.config"})
      world->remove(other);
    const RunReport applied = must(world->apply(world->plan()));
    run = applied.run;
    id = operation(applied, shell).id;
    name = run + "-" + id;
    world->file(shell, "somebody else's\n");
  }
  [[nodiscard]] RunReport rollback(bool key = false) {
    RollbackOptions options;
    options.only = {id};
    options.outbox = "/base/outbox";
    if (key) options.recovery = world->recovery();
    return must(world->rollback(run, std::move(options)));
  }
  [[nodiscard]] std::map<std::string, std::string> outbox() {
    std::map<std::string, std::string> all;
    const auto folder = host.open_root("/base/outbox");
    if (!folder) return all;
    must((*folder)->each_entry([&](std::string_view entry, FileKind) {
      all[std::string(entry)];
      return true;
    }));
    for (auto& [entry, bytes] : all) bytes = must(host::read_whole(**folder, entry, 1000));
    return all;
  }
  std::string run, id, name;
};

/// What a file system cannot do; everything else goes on to `then`.
Hook cannot(std::vector<std::string> calls, Hook then = {}) {
  return [calls = std::move(calls), then = std::move(then), begun = false](
             std::string_view what, std::string_view name) mutable -> std::optional<Error> {
    begun = begun || what == "make_root";  // before it, the store's own files are written
    if (begun)
      for (const std::string& call : calls)
        if (what == call) return Error{Code::unsupported, "it has no " + call, ""};
    return then && begun ? then(what, name) : std::nullopt;
  };
}

/// Which calls fail: those that change or those that look, for the first copy or one that is there.
enum class Start { changes, looks, changes_again, looks_again };

const std::vector<std::vector<std::string>>& file_systems() {
  static const std::vector<std::vector<std::string>> all = {
      {}, {"create_unnamed"}, {"create_unnamed", "rename"}};
  return all;
}

}  // namespace

TEST_CASE("a copy comes to the outbox whatever its file system cannot do", "[outbox]") {
  for (const auto& calls : file_systems()) {
    INFO(calls.size() << " calls are missing");
    Conflict conflict;
    conflict.host.set_fault_hook(cannot(calls));
    CHECK(operation(conflict.rollback(), shell).outcome == "in_outbox");
    conflict.host.set_fault_hook({});
    CHECK(conflict.outbox() ==
          std::map<std::string, std::string>{{conflict.name, "inert sample a\n"}});
  }
}

TEST_CASE("any call that fails while a copy is made loses nothing and leaves no half copy",
          "[outbox]") {
  std::size_t tried = 0, told = 0;
  for (const auto& calls : file_systems())
    for (const Start start :
         {Start::changes, Start::looks, Start::changes_again, Start::looks_again})
      for (std::size_t at = 0;; ++at) {
        REQUIRE(at < 1000);
        const bool looks = start == Start::looks || start == Start::looks_again;
        Conflict conflict;
        if (start == Start::changes_again || start == Start::looks_again)
          CHECK(operation(conflict.rollback(), shell).outcome == "in_outbox");
        std::size_t count = 0;
        bool begun = false;
        const Hook once = [&](std::string_view what, std::string_view) {
          begun = begun || what == "make_root";
          return begun && count++ == at
                     ? std::optional(Error{Code::io, "broken: " + std::string(what), ""})
                     : std::nullopt;
        };
        const Hook after = [&](std::string_view what, std::string_view name) {
          return begun ? once(what, name) : std::nullopt;
        };
        conflict.host.set_fault_hook(
            cannot(calls, looks ? Hook([&](std::string_view, std::string_view) {
                     begun = true;
                     return std::optional<Error>();
                   })
                                : once));
        if (looks) conflict.host.set_look_hook(after);
        RollbackOptions options;
        options.only = {conflict.id};
        options.outbox = "/base/outbox";
        const auto back = conflict.world->rollback(conflict.run, std::move(options));
        conflict.host.set_fault_hook({});
        conflict.host.set_look_hook({});
        if (count <= at) break;
        ++tried;
        INFO("call " << at << " of " << (looks ? "looks" : "changes"));
        for (const auto& [entry, bytes] : conflict.outbox())
          if (entry == conflict.name) CHECK(bytes == "inert sample a\n");
        if (back && operation(*back, shell).outcome == "conflict") {
          ++told;
          CHECK(operation(*back, shell).reason.find("broken") != std::string::npos);
        }
        if (!back) (void)conflict.world->resume(conflict.run);
        CHECK(operation(conflict.rollback(), shell).outcome == "in_outbox");
        CHECK(conflict.outbox() ==
              std::map<std::string, std::string>{{conflict.name, "inert sample a\n"}});
        CHECK(conflict.world->read(shell) == "somebody else's\n");
      }
  std::cout << "copies in the outbox: " << tried << " faults, " << told << " told\n";
  CHECK(told > 10);
}

TEST_CASE("a copy that cannot be taken away again is told with the reason", "[outbox]") {
  Conflict conflict;
  std::size_t removed = 0;  // first what a crash may have left
  conflict.host.set_fault_hook(
      cannot({"create_unnamed"},
             [&](std::string_view what, std::string_view name) -> std::optional<Error> {
               if (what == "write_at" ||
                   (what == "remove_file" && name.ends_with(".writing") && ++removed > 1))
                 return Error{Code::io, "broken: " + std::string(what), ""};
               return std::nullopt;
             }));
  RollbackOptions options;
  options.only = {conflict.id};
  options.outbox = "/base/outbox";
  const auto back = conflict.world->rollback(conflict.run, options);
  conflict.host.set_fault_hook({});
  CHECK(removed == 2);
  if (back) {
    CHECK(operation(*back, shell).outcome == "conflict");
    for (const char* broken : {"broken: write_at", "broken: remove_file"})
      CHECK(operation(*back, shell).reason.find(broken) != std::string::npos);
  }
  CHECK_FALSE(conflict.outbox().contains(conflict.name));
  conflict.host.set_fault_hook(cannot({"create_unnamed"}));
  CHECK(operation(conflict.rollback(), shell).outcome == "in_outbox");
  conflict.host.set_fault_hook({});
  CHECK(conflict.outbox() ==
        std::map<std::string, std::string>{{conflict.name, "inert sample a\n"}});
}

TEST_CASE("a name that was taken and is free again is a conflict until the next rollback",
          "[outbox]") {
  Conflict conflict;
  conflict.host.set_fault_hook(
      [&](std::string_view what, std::string_view name) -> std::optional<Error> {
        if (what != "link_file" || name != conflict.name) return std::nullopt;
        return Error{Code::already_exists, "somebody was there first", ""};
      });
  const RunReport report = conflict.rollback();
  conflict.host.set_fault_hook({});
  CHECK(operation(report, shell).outcome == "conflict");
  CHECK(operation(report, shell).reason.find("somebody was there first") != std::string::npos);
  CHECK(conflict.outbox().empty());
  CHECK(operation(conflict.rollback(), shell).outcome == "in_outbox");
}

TEST_CASE("others in the outbox: the same copy is taken, another file is not", "[outbox]") {
  for (const bool same : {true, false}) {
    INFO((same ? "the same bytes" : "other bytes"));
    Conflict conflict;
    bool planted = false;
    // Between the look for the name and giving it, somebody else takes it.
    conflict.host.set_fault_hook(
        [&](std::string_view what, std::string_view) -> std::optional<Error> {
          if (what != "link_file" || std::exchange(planted, true)) return std::nullopt;
          const auto folder = must(conflict.host.open_root("/base/outbox"));
          must(must(folder->create_file(conflict.name, 0600))
                   ->write_at(0, same ? "inert sample a\n" : "other\n"));
          return std::nullopt;
        });
    const RunReport report = conflict.rollback();
    conflict.host.set_fault_hook({});
    INFO(text(report));
    CHECK(planted);
    CHECK(operation(report, shell).outcome == (same ? "in_outbox" : "conflict"));
    CHECK(conflict.outbox().at(conflict.name) == (same ? "inert sample a\n" : "other\n"));
  }
}

TEST_CASE("a copy that others write to before it has a name is none", "[outbox]") {
  Conflict conflict;
  bool written = false;
  conflict.host.set_fault_hook(cannot(
      {"create_unnamed"}, [&](std::string_view what, std::string_view) -> std::optional<Error> {
        if (what != "write_at" || written) return std::nullopt;
        written = true;
        const auto folder = must(conflict.host.open_root("/base/outbox"));
        must(must(folder->open_file(conflict.name + ".writing", host::Access::read_write))
                 ->write_at(100, "more"));
        return std::nullopt;
      }));
  const RunReport report = conflict.rollback();
  conflict.host.set_fault_hook({});
  INFO(text(report));
  CHECK(written);
  CHECK(operation(report, shell).outcome == "conflict");
  CHECK(operation(report, shell).reason.find("another digest") != std::string::npos);
  CHECK(conflict.outbox().empty());
}

TEST_CASE("a held file that was written to is no evidence, its sealed copy is", "[outbox]") {
  Conflict conflict;
  const auto hold = must(conflict.host.open_root("/base/store/hold/" + conflict.run));
  must(must(hold->open_file(conflict.id, host::Access::read_write))->write_at(0, "X"));
  const RunReport without = conflict.rollback();
  INFO(text(without));
  CHECK(operation(without, shell).outcome != "in_outbox");
  CHECK(operation(without, shell).reason.find("is not what was captured") != std::string::npos);
  CHECK(operation(conflict.rollback(true), shell).outcome == "in_outbox");
  CHECK(conflict.outbox().at(conflict.name) == "inert sample a\n");
}

TEST_CASE("an original that is gone from the hold needs the key for its copy", "[outbox]") {
  Conflict conflict;
  must(must(conflict.host.open_root("/base/store/hold/" + conflict.run))->remove_file(conflict.id));
  const RunReport without = conflict.rollback();
  INFO(text(without));
  CHECK(operation(without, shell).outcome != "in_outbox");
  CHECK(operation(without, shell).reason.find("--recovery-key") != std::string::npos);
  CHECK(operation(conflict.rollback(true), shell).outcome == "in_outbox");
  CHECK(conflict.outbox().at(conflict.name) == "inert sample a\n");
}

TEST_CASE(
    "where its folder cannot be looked at, only a held file that is what was captured is copied",
    "[outbox]") {
  const std::string how = GENERATE("as captured", "written to", "written to, never sealed",
                                   "cannot be read", "gone", "gone, never sealed");
  INFO(how);
  Conflict conflict;
  if (how.ends_with("never sealed")) {
    RollbackOptions options;
    conflict.world->remove(shell);
    options.only = {conflict.id};
    must(conflict.world->rollback(conflict.run, options));
    must(conflict.host.limit_mount("/", {.free_bytes = 60u << 20, .free_files = 100'000}, true));
    const RunReport applied = must(conflict.world->apply(conflict.world->plan()));
    conflict.run = applied.run;
    conflict.id = operation(applied, shell).id;
    conflict.name = conflict.run + "-" + conflict.id;
  }
  const auto hold = must(conflict.host.open_root("/base/store/hold/" + conflict.run));
  if (how.starts_with("written"))
    must(must(hold->open_file(conflict.id, host::Access::read_write))->write_at(0, "X"));
  if (how.starts_with("gone")) must(hold->remove_file(conflict.id));
  conflict.host.set_look_hook(
      [&](std::string_view what, std::string_view name) -> std::optional<Error> {
        if (what == "open_directory" && name == "www")
          return Error{Code::io, "the folder is broken", ""};
        if (how == "cannot be read" && what == "read_at" && name == conflict.id)
          return Error{Code::io, "the held file is broken", ""};
        return std::nullopt;
      });
  const RunReport without = conflict.rollback();
  const RunReport with = conflict.rollback(true);
  conflict.host.set_look_hook({});
  INFO(text(without));
  INFO(text(with));
  const auto told = [](const RunReport& report, const char* outcome, const char* words) {
    CHECK(operation(report, shell).outcome == outcome);
    CHECK(operation(report, shell).reason.find("the folder is broken") != std::string::npos);
    CHECK(operation(report, shell).reason.find(words) != std::string::npos);
  };
  if (how == "as captured") told(without, "in_outbox", conflict.name.c_str());
  if (how == "written to") {
    told(without, "conflict", "is not what was captured");
    told(without, "conflict", "--recovery-key");
    told(with, "in_outbox", conflict.name.c_str());
  }
  if (how == "written to, never sealed") told(with, "conflict", "is not what was captured");
  if (how == "cannot be read") told(with, "conflict", "the held file is broken");
  if (how == "gone") {
    told(without, "conflict", "its sealed copy needs --recovery-key");
    told(with, "in_outbox", conflict.name.c_str());
  }
  if (how == "gone, never sealed") told(with, "conflict", "neither in the hold nor sealed");
  if (how == "as captured" || how == "written to" || how == "gone")
    CHECK(conflict.outbox().at(conflict.name) == "inert sample a\n");
  else
    CHECK(conflict.outbox().empty());
}

TEST_CASE("a file that was captured by mistake and has no way back is copied as it is",
          "[outbox]") {
  MemoryWorld memory;
  World& world = *memory.world;
  const plan::PlanFile plan = world.plan();
  std::string id;
  for (const plan::Operation& one : plan.plan.operations)
    if (one.address == shell) id = one.id;
  bool busy = false, swapped = false, taken = false;
  const auto place = [&](bool& done, const char* bytes) {
    if (std::exchange(done, true)) return;
    busy = true;
    if (world.exists(shell)) world.remove(shell);
    world.file(shell, bytes);
    busy = false;
  };
  // Another file gets the name right before the capture, and a third one before it is put back.
  memory.host.set_fault_hook(
      [&](std::string_view what, std::string_view name) -> std::optional<Error> {
        if (busy || what != "rename") return std::nullopt;
        if (name == "shell-a.php") place(swapped, "a stranger's\n");
        if (name == id) place(taken, "another stranger's\n");
        return std::nullopt;
      });
  const RunReport applied = must(world.apply(plan));
  memory.host.set_fault_hook({});
  INFO(text(applied));
  REQUIRE(taken);
  CHECK(operation(applied, shell).outcome == "held");
  const RunReport finalized = must(world.finalize(applied.run));
  INFO(text(finalized));
  CHECK(finalized.status == "partial");
  RollbackOptions options;
  options.only = {id};
  options.outbox = "/base/outbox";
  const auto back = [&] { return operation(must(world.rollback(applied.run, options)), shell); };
  memory.host.set_look_hook(
      [&](std::string_view what, std::string_view name) -> std::optional<Error> {
        if (what == "open_directory" && name == "www") return Error{Code::io, "broken", ""};
        if (what == "read_at" && name == id) return Error{Code::io, "unreadable", ""};
        return std::nullopt;
      });
  const OperationReport unread = back();
  memory.host.set_look_hook({});
  CHECK(unread.outcome == "conflict");
  CHECK(unread.reason.find("unreadable") != std::string::npos);
  const OperationReport copied = back();
  INFO(copied.reason);
  CHECK(copied.outcome == "in_outbox");
  CHECK(world.read(shell) == "another stranger's\n");
  CHECK(held_somewhere(memory.host, "/base/outbox", "a stranger's\n", true));
  world.remove(shell);
  CHECK(back().outcome == "restored");
  CHECK(world.read(shell) == "a stranger's\n");
}

}  // namespace remediate::run::test
