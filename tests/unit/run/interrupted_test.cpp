#include <algorithm>
#include <iostream>

#include "world.h"

namespace remediate::run::test {
namespace {

constexpr std::uint64_t little = 60u << 20;  // below what has to stay free beside a run

/// Acts; every call of the host from that one on fails, as for a process that is gone.
template <class Act>
bool dies_at(MemoryWorld& memory, std::size_t call, const Act& act) {
  std::size_t count = 0;
  bool dead = false;
  memory.host.set_fault_hook([&](std::string_view, std::string_view) {
    dead = dead || count++ == call;
    return dead ? std::optional(Error{Code::io, "the process is gone", ""}) : std::nullopt;
  });
  act();
  memory.host.set_fault_hook({});
  return dead;
}

const OperationState* last_in_state(const Run& run, State state) {
  const auto found = std::find_if(run.operations.rbegin(), run.operations.rend(),
                                  [&](const OperationState& one) { return one.state == state; });
  return found == run.operations.rend() ? nullptr : &*found;
}

/// How a rollback ended: all that its exit code is made of, and the outcome of each operation.
std::string ending(const RunReport& report) {
  std::string all = report.phase + " " + report.status + (report.interrupted ? " open" : "") + "\n";
  for (const OperationReport& one : report.operations) all += one.id + " " + one.outcome + "\n";
  return all;
}

std::uint64_t journal_length(World& world, const std::string& run) {
  return must(reopen_journal(*world.open_store(), run, world.host())).length();
}

bool signed_to_the_end(World& world, const std::string& run) {
  const std::string head = head_prefix(run) + std::to_string(journal_length(world, run)) + ".json";
  return world.open_store()->journals().stat_entry(head) && must(world.verify(run)).ok();
}

/// A run whose rollback meets a stranger at the place of one of its files.
struct Conflicting : MemoryWorld {
  explicit Conflicting(const std::string& how) {
    if (how == "nothing was sealed")
      must(host.limit_mount("/", {.free_bytes = little, .free_files = 100'000}, true));
    const RunReport applied = must(world->apply(world->plan()));
    run = applied.run;
    world->file("www/shell-a.php", "the operator's own\n");
    if (how == "one file") only = {operation(applied, "www/shell-a.php").id};
    if (how == "after another rollback") {
      RollbackOptions other;
      other.only = {"vdir-y"};
      REQUIRE(must(world->rollback(run, other)).status == "done");
    }
    length = journal_length(*world, run);
  }
  [[nodiscard]] Result<RunReport> rollback() {
    RollbackOptions options;
    options.only = only;
    return world->rollback(run, options);
  }
  std::vector<std::string> only;
  std::string run;
  std::uint64_t length = 0;  // of the journal before the rollback
};

}  // namespace

TEST_CASE("what a run had not begun when its rollback began is not begun by resume",
          "[interrupted]") {
  std::size_t seen = 0;
  for (std::size_t at = 0;; ++at) {
    MemoryWorld memory;
    World& world = *memory.world;
    const Snapshot before = world.snapshot();
    const plan::PlanFile plan = world.plan();
    if (!dies_at(memory, at, [&] { (void)world.apply(plan); })) break;
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

TEST_CASE("a rollback with a conflict that is killed ends under resume as if it had not been",
          "[interrupted]") {
  const std::string how =
      GENERATE("all", "one file", "after another rollback", "nothing was sealed");
  Conflicting whole(how);
  const RunReport never_killed = must(whole.rollback());
  const std::string wanted = ending(never_killed);
  INFO(how << ": " << text(never_killed));
  REQUIRE(operation(never_killed, "www/shell-a.php").outcome == "conflict");
  CHECK(ending(must(whole.world->resume(whole.run))) == wanted);
  CHECK(ending(must(whole.world->resume(whole.run))) == wanted);
  std::size_t at = 0, begun = 0, behind_the_end = 0;
  for (;; ++at) {
    Conflicting killed(how);
    if (!dies_at(killed, at, [&] { (void)killed.rollback(); })) break;
    INFO("killed at call " << at);
    if (journal_length(*killed.world, killed.run) == killed.length) continue;
    const Run left = must(load_run(*killed.world->open_store(), killed.run));
    const auto resumed = killed.world->resume(killed.run);
    REQUIRE(resumed);
    ++begun;
    behind_the_end += left.closed ? 1 : 0;
    CHECK(ending(*resumed) == wanted);
    CHECK(signed_to_the_end(*killed.world, killed.run));
  }
  std::cout << "kills of a rollback with a conflict, " << how << ": " << at << ", " << begun
            << " after it began, " << behind_the_end << " after its end was recorded\n";
  CHECK(begun > 5);
  CHECK(behind_the_end > 2);
}

TEST_CASE("what a resume seals after a rollback stays the conflict that it was", "[interrupted]") {
  Conflicting left("nothing was sealed");
  REQUIRE(must(left.rollback()).status == "partial");
  must(left.host.limit_mount("/", {.free_bytes = 1u << 30, .free_files = 100'000}, true));
  const RunReport resumed = must(left.world->resume(left.run));
  INFO(text(resumed));
  CHECK(resumed.status == "partial");
  CHECK(operation(resumed, "www/shell-a.php").outcome == "conflict");
  CHECK(operation(resumed, "www/shell-a.php").reason.find("is finished: ") != std::string::npos);
  CHECK(signed_to_the_end(*left.world, left.run));
  left.world->remove("www/shell-a.php");
  CHECK(must(left.rollback()).status == "done");
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
