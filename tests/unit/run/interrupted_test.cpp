#include <algorithm>

#include "world.h"

namespace remediate::run::test {
namespace {

constexpr std::uint64_t little = 60u << 20;  // below what has to stay free beside a run

/// Applies; every call of the host from that one on fails, as for a process that is gone.
bool dies_at(MemoryWorld& memory, const plan::PlanFile& plan, std::size_t call) {
  std::size_t count = 0;
  bool dead = false;
  memory.host.set_fault_hook([&](std::string_view, std::string_view) {
    dead = dead || count++ == call;
    return dead ? std::optional(Error{Code::io, "the process is gone", ""}) : std::nullopt;
  });
  const auto applied = memory.world->apply(plan);
  memory.host.set_fault_hook({});
  return dead;
}

const OperationState* last_in_state(const Run& run, State state) {
  const auto found = std::find_if(run.operations.rbegin(), run.operations.rend(),
                                  [&](const OperationState& one) { return one.state == state; });
  return found == run.operations.rend() ? nullptr : &*found;
}

}  // namespace

TEST_CASE("what a run had not begun when its rollback began is not begun by resume",
          "[interrupted]") {
  std::size_t seen = 0;
  for (std::size_t at = 0;; ++at) {
    MemoryWorld memory;
    World& world = *memory.world;
    const Snapshot before = world.snapshot();
    if (!dies_at(memory, world.plan(), at)) break;
    const std::vector<std::string> runs = must(world.open_store()->run_names());
    if (runs.empty()) continue;
    const Run run = must(load_run(*world.open_store(), runs.front()));
    const OperationState* const done = last_in_state(run, State::done);
    if (done == nullptr || last_in_state(run, State::intended) == nullptr) continue;
    std::vector<std::string> untouched;
    for (const OperationState& operation : run.operations)
      if (operation.state == State::intended && world.exists(operation.operation->path.display()))
        untouched.push_back(operation.operation->path.display());
    INFO("call " << at);
    RollbackOptions only;
    only.only = {done->operation->id};
    must(world.rollback(run.name, only));
    const Snapshot then = world.snapshot();
    const RunReport resumed = must(world.resume(run.name));
    INFO(text(resumed));
    for (const std::string& path : untouched) {
      CAPTURE(path);
      CHECK(world.exists(path));
      ++seen;
    }
    if (!untouched.empty()) CHECK(difference(then, world.snapshot()).empty());
    const VerifyReport report = must(world.verify(run.name));
    INFO(findings(report));
    CHECK(report.ok());
    must(world.rollback(run.name));
    CHECK(difference(before, world.snapshot()).empty());
  }
  CHECK(seen > 0);
}

TEST_CASE("an original that a later resume gives back leaves the evidence consistent",
          "[interrupted]") {
  MemoryWorld memory;
  World& world = *memory.world;
  must(memory.host.limit_mount("/", {.free_bytes = little, .free_files = 100'000}, true));
  const RunReport applied = must(world.apply(world.plan()));
  INFO(text(applied));
  const OperationReport& changed = operation(applied, "www/sub/shell-b.php");
  REQUIRE(changed.outcome == "held");
  RollbackOptions only;
  only.only = {operation(applied, "www/shell-a.php").id};
  REQUIRE(must(world.rollback(applied.run, only)).status == "done");

  const auto hold = must(world.host().open_root(world.store_path() + "/hold/" + applied.run));
  const auto held = must(hold->open_file(changed.id, host::Access::read_write));
  must(held->write_at(0, "written through a descriptor that was open"));
  must(memory.host.limit_mount("/", {.free_bytes = 1u << 30, .free_files = 100'000}, true));

  const RunReport resumed = must(world.resume(applied.run));
  INFO(text(resumed));
  CHECK(operation(resumed, "www/sub/shell-b.php").outcome == "changed");
  CHECK(world.exists("www/sub/shell-b.php"));
  const VerifyReport report = must(world.verify(applied.run));
  INFO(findings(report));
  CHECK(report.ok());
  CHECK(must(world.rollback(applied.run)).status == "done");
  CHECK(world.exists("www/sub/shell-c.php"));
}

TEST_CASE("resume asks room for what is still to be sealed and no more", "[interrupted]") {
  MemoryWorld memory;
  World& world = *memory.world;
  world.file("www/shell-large.php", "inert sample " + std::string(6u << 20, 'x'));
  world.max_sealed_bytes = 1u << 20;
  must(memory.host.limit_mount("/", {.free_bytes = 68u << 20, .free_files = 100'000}, true));
  const RunReport applied = must(world.apply(world.plan()));
  INFO(text(applied));
  CHECK(operation(applied, "www/shell-large.php").reason.find("larger") != std::string::npos);
  CHECK(operation(applied, "www/shell-a.php").outcome == "quarantined");
}

}  // namespace remediate::run::test
