#include <memory>
#include <utility>

#include "remediate/host/durable.h"
#include "remediate/run/known_good.h"
#include "world.h"

// A page that was overwritten: its known good version takes its place, and goes again.

namespace remediate::run::test {
namespace {

template <class Kind>
struct Overwritten {
  Overwritten() {
    world.overwrite_page();
    before = world.snapshot();
    plan = world.plan();
  }
  [[nodiscard]] const plan::Operation& operation() const {
    for (const plan::Operation& one : plan.plan.operations)
      if (one.action == plan::Action::replace_file) return one;
    FAIL("the plan replaces nothing");
    return plan.plan.operations.front();
  }
  Kind kind;
  World& world = *kind.world;
  Snapshot before;
  plan::PlanFile plan;
};

RollbackOptions only_page() {
  RollbackOptions options;
  options.only = {"overwritten"};
  return options;
}

}  // namespace

TEMPLATE_TEST_CASE("a page is good again and a rollback brings the bad one back", "[replace]",
                   MemoryWorld, NativeWorld) {
  Overwritten<TestType> fixture;
  World& world = fixture.world;
  CHECK(fixture.operation().replacement.bytes == good_page);
  const RunReport applied = must(world.apply(fixture.plan));
  INFO(text(applied));
  CHECK(applied.status == "done");
  CHECK(operation(applied, page).outcome == "replaced");
  CHECK(world.read(page) == good_page);
  const Kept& was = fixture.before.at(page);
  const Kept now = world.snapshot().at(page);
  CHECK(now.mode == was.mode);
  CHECK(now.owner == was.owner);
  CHECK(now.modified > was.modified);  // the server notices
  CHECK(now.inode != was.inode);
  const VerifyReport verified = must(world.verify());
  INFO(findings(verified));
  CHECK(verified.ok());
  CHECK(verified.findings.empty());

  const RunReport back = must(world.rollback(applied.run));
  INFO(text(back));
  CHECK(back.status == "done");
  CHECK(difference(fixture.before, world.snapshot()).empty());
}

TEMPLATE_TEST_CASE("a replaced page comes back from its sealed copy", "[replace]", MemoryWorld,
                   NativeWorld) {
  Overwritten<TestType> fixture;
  World& world = fixture.world;
  const std::string run = must(world.apply(fixture.plan)).run;
  CHECK(must(world.finalize(run)).status == "done");
  CHECK(world.read(page) == good_page);
  CHECK(must(world.rollback(run)).status != "done");
  CHECK(world.read(page) == good_page);
  RollbackOptions options;
  options.recovery = world.recovery();
  const RunReport back = must(world.rollback(run, std::move(options)));
  INFO(text(back));
  CHECK(operation(back, page).outcome == "restored");
  CHECK(difference(fixture.before, world.snapshot(), false).empty());
}

TEST_CASE("what others put at a replaced page's place stays", "[replace]") {
  Overwritten<MemoryWorld> fixture;
  World& world = fixture.world;
  const std::string run = must(world.apply(fixture.plan)).run;
  world.remove(page);
  const RunReport gone = must(world.rollback(run, only_page()));
  CHECK(operation(gone, page).outcome == "conflict");
  world.file(page, "updated\n");
  const VerifyReport verified = must(world.verify());
  CHECK(verified.ok());
  CHECK(findings(verified).find("no longer at its place") != std::string::npos);
  const RunReport other = must(world.rollback(run, only_page()));
  CHECK(operation(other, page).outcome == "conflict");
  CHECK(world.read(page) == "updated\n");
  RollbackOptions options = only_page();
  options.outbox = world.target() + "-outbox";
  const RunReport copied = must(world.rollback(run, options));
  CHECK(operation(copied, page).outcome == "in_outbox");
  const auto outbox = must(world.host().open_root(options.outbox));
  CHECK(must(host::read_whole(*outbox, run + "-" + fixture.operation().id, 1000)) == bad_page);
}

TEST_CASE("a page that was exchanged while it was replaced is put back", "[replace]") {
  Overwritten<MemoryWorld> fixture;
  World& world = fixture.world;
  MemoryWorld& kind = fixture.kind;
  bool armed = true;
  kind.host.set_fault_hook(
      [&](std::string_view operation, std::string_view name) -> std::optional<Error> {
        if (operation != "exchange" || !name.starts_with(fixture.operation().id) || !armed)
          return std::nullopt;
        armed = false;
        world.remove(page);
        world.file(page, "somebody else\n");
        return std::nullopt;
      });
  const RunReport applied = must(world.apply(fixture.plan));
  kind.host.set_fault_hook({});
  INFO(text(applied));
  CHECK_FALSE(armed);
  CHECK(operation(applied, page).outcome == "changed");
  CHECK(world.read(page) == "somebody else\n");
}

/// Runs `act` at the `wanted`-th call of an operation on what belongs to the replaced page.
template <class Act>
void at_call(Overwritten<MemoryWorld>& fixture, const std::string& wanted, std::size_t number,
             Act act) {
  auto count = std::make_shared<std::size_t>(0);
  fixture.kind.host.set_fault_hook(
      [&fixture, wanted, number, act, count](std::string_view operation,
                                             std::string_view name) -> std::optional<Error> {
        if (operation == wanted && name.starts_with(fixture.operation().id) && ++*count == number)
          act();
        return std::nullopt;
      });
}

bool says(const std::string& text, const std::string& words) {
  INFO(text);
  return text.find(words) != std::string::npos;
}

TEST_CASE("a page that is removed around the exchange has a clear outcome", "[replace]") {
  Overwritten<MemoryWorld> fixture;
  World& world = fixture.world;
  const auto remove = [&] { world.remove(page); };
  SECTION("right before") {
    at_call(fixture, "exchange", 1, remove);
    const RunReport applied = must(world.apply(fixture.plan));
    fixture.kind.host.set_fault_hook({});
    CHECK(operation(applied, page).outcome == "vanished");
    CHECK(says(operation(applied, page).reason, "removed right before"));
    CHECK_FALSE(world.exists(page));
  }
  SECTION("right behind") {
    at_call(fixture, "rename", 1, remove);
    const RunReport applied = must(world.apply(fixture.plan));
    fixture.kind.host.set_fault_hook({});
    CHECK_FALSE(applied.interrupted);
    CHECK(operation(applied, page).outcome == "unknown");
    CHECK(says(operation(applied, page).reason, "its name is free"));
    CHECK(says(operation(applied, page).reason, "original is held"));
    CHECK_FALSE(world.exists(page));
    const RunReport back = must(world.rollback(applied.run, only_page()));
    CHECK(operation(back, page).outcome == "conflict");
    CHECK(says(operation(back, page).reason, "its name is free"));
  }
  SECTION("between an exchange and the one that takes it back") {
    bool first = true;
    fixture.kind.host.set_fault_hook(
        [&](std::string_view operation, std::string_view name) -> std::optional<Error> {
          if (operation != "exchange" || !name.starts_with(fixture.operation().id))
            return std::nullopt;
          world.remove(page);
          if (std::exchange(first, false)) world.file(page, "somebody else\n");
          return std::nullopt;
        });
    const RunReport applied = must(world.apply(fixture.plan));
    fixture.kind.host.set_fault_hook({});
    CHECK(operation(applied, page).outcome == "changed");
    CHECK(world.read(page) == "somebody else\n");
  }
  CHECK(must(world.verify()).ok());
}

TEST_CASE("a page that is removed while it is put back has a clear outcome", "[replace]") {
  Overwritten<MemoryWorld> fixture;
  World& world = fixture.world;
  const std::string run = must(world.apply(fixture.plan)).run;
  at_call(fixture, "exchange", 1, [&] { world.remove(page); });
  const RunReport back = must(world.rollback(run, only_page()));
  fixture.kind.host.set_fault_hook({});
  INFO(text(back));
  CHECK(operation(back, page).outcome == "conflict");
  CHECK(says(operation(back, page).reason, "its name is free"));
  CHECK(must(world.verify()).ok());
  world.file(page, good_page);
  CHECK(operation(must(world.rollback(run, only_page())), page).outcome == "restored");
  CHECK(world.read(page) == bad_page);
}

TEST_CASE("what others put in place within the exchange is held, and verify says so", "[replace]") {
  Overwritten<MemoryWorld> fixture;
  World& world = fixture.world;
  bool first = true;
  fixture.kind.host.set_fault_hook(
      [&](std::string_view operation, std::string_view name) -> std::optional<Error> {
        if (operation != "exchange" || !name.starts_with(fixture.operation().id))
          return std::nullopt;
        world.remove(page);
        world.file(page, std::exchange(first, false) ? "first\n" : "second\n");
        return std::nullopt;
      });
  const RunReport applied = must(world.apply(fixture.plan));
  fixture.kind.host.set_fault_hook({});
  CHECK(operation(applied, page).outcome == "held");
  CHECK(world.read(page) == "first\n");
  const VerifyReport verified = must(world.verify());
  CHECK(verified.ok());
  CHECK(says(findings(verified), "held as " + fixture.operation().id + ".new"));
}

TEST_CASE("the original's bytes in another file are told as that", "[replace]") {
  Overwritten<MemoryWorld> fixture;
  World& world = fixture.world;
  const std::string run = must(world.apply(fixture.plan)).run;
  world.remove(page);
  world.file(page, bad_page, 0600);
  const RunReport back = must(world.rollback(run, only_page()));
  CHECK(operation(back, page).outcome == "restored_degraded");
  CHECK(says(operation(back, page).reason, "another file than the original, which stays"));
  CHECK(says(operation(back, page).reason, "mode"));
  CHECK(world.read(page) == bad_page);
}

TEST_CASE("a replaced page whose folder is gone goes to the outbox", "[replace]") {
  Overwritten<MemoryWorld> fixture;
  World& world = fixture.world;
  const std::string run = must(world.apply(fixture.plan)).run;
  if (GENERATE(true, false)) CHECK(must(world.finalize(run)).status == "done");
  const auto top = must(world.host().open_root(world.target()));
  must(top->rename("www", *top, "moved"));
  CHECK(operation(must(world.rollback(run, only_page())), page).outcome == "conflict");
  RollbackOptions options = only_page();
  options.outbox = world.target() + "-outbox";
  options.recovery = world.recovery();
  const RunReport copied = must(world.rollback(run, options));
  INFO(text(copied));
  CHECK(operation(copied, page).outcome == "in_outbox");
  const auto outbox = must(world.host().open_root(options.outbox));
  CHECK(must(host::read_whole(*outbox, run + "-" + fixture.operation().id, 1000)) == bad_page);
}

TEST_CASE("privileges of a bad page are not handed on to the good one", "[replace]") {
  MemoryWorld kind;
  World& world = *kind.world;
  world.overwrite_page();
  world.remove(page);
  world.file(page, bad_page, 06755);
  const plan::PlanFile plan = world.plan();
  const RunReport applied = must(world.apply(plan));
  CHECK(world.snapshot().at(page).mode == 0755);
  const RunReport kept = must(world.rollback(applied.run, only_page()));
  CHECK(operation(kept, page).outcome == "refused");
  CHECK(world.read(page) == good_page);
  RollbackOptions options = only_page();
  options.privileges = host::Privileges::keep;
  CHECK(operation(must(world.rollback(applied.run, options)), page).outcome == "restored");
  CHECK(world.snapshot().at(page).mode == 06755);
}

TEST_CASE("the known good folder is read within its bounds", "[replace]") {
  MemoryWorld kind;
  World& world = *kind.world;
  world.overwrite_page();
  world.remove(page);
  world.file(page, std::string(5u << 20, 'x'));
  std::vector<plan::IssueReport> issues;
  const auto read = must(read_known_good(kind.host, {world.target()}, {pages_playbook()}, issues));
  CHECK(read.files.empty());
  REQUIRE(issues.size() == 2);  // a mount below is not crossed
  CHECK(issues.front().where.ends_with("www/data"));
  CHECK(issues.back().where.ends_with(page));
  CHECK(read_known_good(kind.host, {world.target() + "/none"}, {pages_playbook()}, issues)
            .error()
            .code == Code::not_found);
  issues.clear();
  CHECK(must(read_known_good(kind.host, {world.target()}, {shells_playbook()}, issues))
            .files.empty());
  REQUIRE(issues.size() == 1);
  CHECK(issues.front().kind == "not_used");
}

}  // namespace remediate::run::test
