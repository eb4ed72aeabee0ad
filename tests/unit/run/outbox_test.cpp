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
    for (const bool looks : {false, true})
      for (std::size_t at = 0;; ++at) {
        REQUIRE(at < 1000);
        Conflict conflict;
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
  conflict.host.set_fault_hook(cannot(
      {"create_unnamed"}, [](std::string_view what, std::string_view name) -> std::optional<Error> {
        if (what == "write_at" || (what == "remove_file" && name.ends_with(".writing")))
          return Error{Code::io, "broken: " + std::string(what), ""};
        return std::nullopt;
      }));
  RollbackOptions options;
  options.only = {conflict.id};
  options.outbox = "/base/outbox";
  const auto back = conflict.world->rollback(conflict.run, options);
  conflict.host.set_fault_hook({});
  CHECK((!back || operation(*back, shell).outcome == "conflict"));
  CHECK(operation(conflict.rollback(), shell).outcome == "in_outbox");
  CHECK(conflict.outbox() ==
        std::map<std::string, std::string>{{conflict.name, "inert sample a\n"}});
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

}  // namespace remediate::run::test
