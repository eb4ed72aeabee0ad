#include "remediate/run/stages.h"

#include <algorithm>
#include <array>

#include "remediate/host/durable.h"
#include "remediate/run/verify.h"
#include "world.h"

namespace remediate::run::test {
namespace {

/// Six operations that change something: with these sizes the run asks after 1, 3 and all 6.
const plan::Stages small_stages{{1, 2}, std::nullopt};
constexpr std::array<std::uint64_t, 3> boundaries = {1, 3, 6};

class FakeProbe final : public HealthProbe {
 public:
  enum class Kind { passes, fails, hangs, stops };
  Kind kind = Kind::fails;
  std::size_t wrong_at = 1000;  // the question that `kind` answers; the others pass
  std::size_t asked = 0;

  Result<ProbeAnswer> ask(const std::atomic<bool>&) override {
    if (asked++ != wrong_at || kind == Kind::passes) return ProbeAnswer{true, "status 200"};
    if (kind == Kind::hangs) return fail(Code::limit, "no answer within 10 s");
    if (kind == Kind::stops) return fail(Code::interrupted, "it was stopped");
    return ProbeAnswer{false, "status 500, expected 200"};
  }
  std::string name() const override { return "http://server.test/health"; }
};

struct Staged {
  MemoryWorld memory;
  World& world = *memory.world;
  FakeProbe probe;
  plan::PlanFile plan = world.plan();
  Snapshot before = world.snapshot();

  Staged() { world.stages = {&small_stages, &probe}; }
  [[nodiscard]] Run load(const std::string& run) {
    return must(load_run(*world.open_store(), run));
  }
  [[nodiscard]] std::uint64_t done(const std::string& run) {
    std::uint64_t count = 0;
    for (const OperationState& operation : load(run).operations)
      if (operation.state == State::done) ++count;
    return count;
  }
  void check_whole(const std::string& run) {
    const VerifyReport report = must(world.verify(run));
    INFO(findings(report));
    CHECK(report.ok());
  }
  /// Applies; every call of the host from that one on fails, as for a process that is gone. False
  /// when there are not so many calls.
  bool dies_at(std::size_t call) {
    std::size_t count = 0;
    bool dead = false;
    memory.host.set_fault_hook([&](std::string_view, std::string_view) {
      dead = dead || count++ == call;
      return dead ? std::optional(Error{Code::io, "the process is gone", ""}) : std::nullopt;
    });
    const auto applied = world.apply(plan);
    memory.host.set_fault_hook({});
    return dead;
  }
};

}  // namespace

TEST_CASE("a staged apply asks before, between and after", "[stages]") {
  Staged staged;
  const RunReport report = must(staged.world.apply(staged.plan));
  INFO(text(report));
  CHECK(report.status == "done");
  CHECK_FALSE(report.interrupted);
  CHECK(staged.probe.asked == 4);
  const Run run = staged.load(report.run);
  CHECK(run.closed);
  REQUIRE(run.stages.size() == boundaries.size());
  for (std::size_t at = 0; at < boundaries.size(); ++at) {
    CHECK(run.stages[at].after == boundaries[at]);
    CHECK(run.stages[at].of == 6);
    CHECK(run.stages[at].outcome == "passed");
  }
  staged.check_whole(report.run);
  CHECK(must(staged.world.resume(report.run)).status == "done");
  CHECK(staged.probe.asked == 4);  // nothing is left to ask about
}

TEST_CASE("a probe that fails at first leaves nothing behind", "[stages]") {
  Staged staged;
  staged.probe.wrong_at = 0;
  staged.probe.kind = GENERATE(FakeProbe::Kind::fails, FakeProbe::Kind::hangs);
  const auto refused = staged.world.apply(staged.plan);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::refused);
  CHECK(refused.error().text().find("http://server.test/health") != std::string::npos);
  CHECK(difference(staged.before, staged.world.snapshot()).empty());
  CHECK(must(staged.world.open_store()->run_names()).empty());
  CHECK(must(staged.world.apply(staged.plan)).status == "done");
}

TEST_CASE("a probe that fails between stages stops the run there", "[stages]") {
  Staged staged;
  const std::size_t boundary = GENERATE(0u, 1u, 2u);
  staged.probe.wrong_at = boundary + 1;
  staged.probe.kind = GENERATE(FakeProbe::Kind::fails, FakeProbe::Kind::hangs);
  const RunReport report = must(staged.world.apply(staged.plan));
  INFO(text(report));
  CHECK(report.interrupted);
  CHECK(staged.done(report.run) == boundaries[boundary]);
  const bool fails = staged.probe.kind == FakeProbe::Kind::fails;
  REQUIRE(report.notices.size() == 1);
  const std::string& notice = report.notices.front();
  INFO(notice);
  for (const std::string& word :
       {std::string("http://server.test/health"),
        std::string(fails ? "status 500" : "no answer within"),
        "after " + std::to_string(boundaries[boundary]) + " of 6",
        std::to_string(6 - boundaries[boundary]) + " were not begun", "resume " + report.run})
    CHECK(notice.find(word) != std::string::npos);
  Run run = staged.load(report.run);
  CHECK_FALSE(run.closed);
  REQUIRE_FALSE(run.stages.empty());
  CHECK(run.stages.back().outcome == "failed");
  staged.check_whole(report.run);

  SECTION("resume asks again, stands still again, then goes on") {
    staged.probe.wrong_at = staged.probe.asked;
    CHECK(must(staged.world.resume(report.run)).interrupted);
    CHECK(staged.done(report.run) == boundaries[boundary]);
    const RunReport resumed = must(staged.world.resume(report.run));
    INFO(text(resumed));
    CHECK(resumed.status == "done");
    CHECK_FALSE(resumed.interrupted);
    CHECK(staged.done(report.run) == 6);
    staged.check_whole(report.run);
    must(staged.world.rollback(report.run));
    CHECK(difference(staged.before, staged.world.snapshot()).empty());
  }
  SECTION("rollback takes back what was done") {
    const RunReport back = must(staged.world.rollback(report.run));
    INFO(text(back));
    CHECK(back.status == "done");
    CHECK(difference(staged.before, staged.world.snapshot()).empty());
    staged.check_whole(report.run);
  }
  SECTION("a policy without stages today lets resume go on") {
    staged.world.stages = {};
    CHECK(must(staged.world.resume(report.run)).status == "done");
    CHECK(staged.done(report.run) == 6);
  }
}

TEST_CASE("a stop while the probe is asked is no answer", "[stages]") {
  Staged staged;
  staged.probe.kind = FakeProbe::Kind::stops;
  SECTION("before anything") {
    staged.probe.wrong_at = 0;
    const auto stopped = staged.world.apply(staged.plan);
    REQUIRE_FALSE(stopped);
    CHECK(stopped.error().code == Code::interrupted);
    CHECK(difference(staged.before, staged.world.snapshot()).empty());
  }
  SECTION("between") {
    staged.probe.wrong_at = 2;
    const RunReport report = must(staged.world.apply(staged.plan));
    CHECK(report.interrupted);
    CHECK(staged.done(report.run) == 3);
    CHECK(staged.load(report.run).stages.size() == 1);
    CHECK(report.notices.front().find("stopped") != std::string::npos);
    CHECK(must(staged.world.resume(report.run)).status == "done");
    CHECK(staged.probe.asked == 5);  // what had passed is not asked again
  }
}

TEST_CASE("without a probe every stage waits for a person", "[stages]") {
  Staged staged;
  staged.world.stages.probe = nullptr;
  const RunReport first = must(staged.world.apply(staged.plan));
  CHECK(first.interrupted);
  CHECK(staged.done(first.run) == 1);
  CHECK(staged.load(first.run).stages.back().outcome == "waiting");
  staged.check_whole(first.run);
  const RunReport second = must(staged.world.resume(first.run));
  CHECK(second.interrupted);
  CHECK(staged.done(first.run) == 3);
  const RunReport third = must(staged.world.resume(first.run));
  CHECK_FALSE(third.interrupted);
  CHECK(third.status == "done");
  CHECK(staged.done(first.run) == 6);
  CHECK(staged.load(first.run).stages.size() == 4);
  staged.check_whole(first.run);
  must(staged.world.rollback(first.run));
  CHECK(difference(staged.before, staged.world.snapshot()).empty());
}

TEST_CASE("a kill at any call of a staged apply loses no stage", "[stages]") {
  std::size_t kills = 0;
  for (std::size_t at = 0;; at += 7) {
    Staged staged;
    if (!staged.dies_at(at)) break;
    ++kills;
    INFO("call " << at);
    const std::vector<std::string> runs = must(staged.world.open_store()->run_names());
    if (runs.empty()) continue;
    const std::size_t asked = staged.probe.asked;
    std::size_t passed = 0;
    for (const StageState& stage : staged.load(runs.front()).stages)
      if (stage.outcome == "passed") ++passed;
    const RunReport resumed = must(staged.world.resume(runs.front()));
    INFO(text(resumed));
    CHECK_FALSE(resumed.interrupted);
    CHECK(staged.load(runs.front()).closed);
    CHECK(staged.probe.asked - asked <= boundaries.size() - passed);
    staged.check_whole(runs.front());
    must(staged.world.rollback(runs.front()));
    CHECK(difference(staged.before, staged.world.snapshot(), false).empty());
  }
  CHECK(kills > 20);
}

/// The plan with its instruction, which waits, behind the first `after` operations.
plan::PlanFile waiting_plan(World& world, std::size_t after) {
  plan::Plan plan = world.plan().plan;
  const auto found =
      std::ranges::find(plan.operations, plan::Action::instruct, &plan::Operation::action);
  REQUIRE(found != plan.operations.end());
  plan::Operation wait = *found;
  wait.waits = true;
  plan.operations.erase(found);
  plan.operations.insert(plan.operations.begin() + static_cast<std::ptrdiff_t>(after), wait);
  std::size_t number = 0;
  for (plan::Operation& operation : plan.operations) operation.id = plan::operation_id(++number);
  return must(plan::write_plan(std::move(plan)));
}

TEST_CASE("an instruction that waits stands between what is before and behind it", "[stages]") {
  Staged staged;
  staged.world.stages = {};
  const std::size_t before_it = GENERATE(1u, 3u, 5u);
  staged.plan = waiting_plan(staged.world, before_it);
  const RunReport first = must(staged.world.apply(staged.plan));
  INFO(text(first));
  CHECK(first.interrupted);
  CHECK(staged.done(first.run) == before_it);
  REQUIRE_FALSE(first.notices.empty());
  for (const std::string& word : {std::string("Install the update."), std::string("resume")})
    CHECK(first.notices.front().find(word) != std::string::npos);
  const StageState waiting = staged.load(first.run).stages.back();
  CHECK(waiting.outcome == "waiting");
  CHECK(waiting.operation == plan::operation_id(before_it + 1));
  staged.check_whole(first.run);
  const std::string wait = waiting.operation;
  CHECK(operation(first, wait).outcome == "to_do");
  SECTION("resume is the leave") {
    const RunReport resumed = must(staged.world.resume(first.run));
    CHECK(operation(resumed, wait).outcome == "resumed");
    const Run loaded = staged.load(first.run);
    CHECK(went_past(loaded, *loaded.operations[before_it].operation));
    CHECK(loaded.operations[before_it].outcome == "resumed");
    CHECK_FALSE(resumed.interrupted);
    CHECK(resumed.status == "done");
    CHECK(staged.done(first.run) == 6);
    CHECK(staged.load(first.run).stages.back().outcome == "passed");
    staged.check_whole(first.run);
    CHECK_FALSE(must(staged.world.resume(first.run)).interrupted);
    CHECK(staged.load(first.run).stages.size() == 2);
  }
  SECTION("rollback takes back what was done") {}
  must(staged.world.rollback(first.run));
  staged.check_whole(first.run);
  CHECK(difference(staged.before, staged.world.snapshot()).empty());
}

TEST_CASE("a probe that passes gives no leave to an instruction that waits", "[stages]") {
  Staged staged;
  const std::size_t before_it = GENERATE(1u, 2u, 3u, 4u);
  staged.plan = waiting_plan(staged.world, before_it);
  const RunReport first = must(staged.world.apply(staged.plan));
  CHECK(first.interrupted);
  CHECK(staged.done(first.run) == before_it);
  CHECK_FALSE(must(staged.world.resume(first.run)).interrupted);
  CHECK(staged.done(first.run) == 6);
  CHECK(staged.probe.asked == 4);
  staged.check_whole(first.run);
}

TEST_CASE("a kill at any call never passes an instruction that waits", "[stages]") {
  std::size_t kills = 0;
  constexpr std::size_t before_it = 2;
  for (std::size_t at = 0;; at += 5) {
    Staged staged;
    staged.world.stages = {};
    staged.plan = waiting_plan(staged.world, before_it);
    if (!staged.dies_at(at)) break;
    ++kills;
    INFO("call " << at);
    const std::vector<std::string> runs = must(staged.world.open_store()->run_names());
    if (runs.empty()) continue;
    CHECK(staged.done(runs.front()) <= before_it);
    RunReport resumed = must(staged.world.resume(runs.front()));
    if (resumed.interrupted) {
      CHECK(staged.done(runs.front()) == before_it);
      resumed = must(staged.world.resume(runs.front()));
    }
    CHECK_FALSE(resumed.interrupted);
    const std::vector<StageState> stages = staged.load(runs.front()).stages;
    REQUIRE(stages.size() == 2);
    CHECK(stages.front().outcome == "waiting");
    CHECK(stages.back().outcome == "passed");
    staged.check_whole(runs.front());
  }
  CHECK(kills > 20);
}

/// The number of calls of an apply that stands still at its wait.
std::size_t calls_to_the_wait() {
  Staged staged;
  staged.world.stages = {};
  staged.plan = waiting_plan(staged.world, 2);
  std::size_t calls = 0;
  staged.memory.host.set_fault_hook([&](std::string_view, std::string_view) {
    ++calls;
    return std::optional<Error>();
  });
  CHECK(must(staged.world.apply(staged.plan)).interrupted);
  return calls;
}

TEST_CASE("a wait that was never told is told by resume", "[stages]") {
  const std::size_t calls = calls_to_the_wait();
  std::size_t untold = 0;
  for (std::size_t at = calls - 60; at < calls; ++at) {
    Staged staged;
    staged.world.stages = {};
    staged.plan = waiting_plan(staged.world, 2);
    REQUIRE(staged.dies_at(at));
    INFO("call " << at << " of " << calls);
    const std::string run = must(staged.world.open_store()->run_names()).front();
    const Run killed = staged.load(run);
    const StageState* stands = stands_at(killed);
    if (stands == nullptr) continue;
    CHECK(stands->operation == "op-0003");
    const auto store = staged.world.open_store();
    const std::uint64_t length =
        must(journal::read_journal(must(host::read_whole(store->journals(), journal_name(run),
                                                         journal::max_journal_bytes))))
            .records.size();
    if (!must(ends_unsigned(*store, killed, length))) continue;
    ++untold;
    // A resume that is killed as well has told nothing either.
    std::size_t count = 0;
    staged.memory.host.set_fault_hook([&](std::string_view, std::string_view) {
      return ++count > 3 ? std::optional(Error{Code::io, "the process is gone", ""}) : std::nullopt;
    });
    CHECK_FALSE(staged.world.resume(run));
    staged.memory.host.set_fault_hook({});
    const RunReport resumed = must(staged.world.resume(run));
    INFO(text(resumed));
    CHECK(resumed.interrupted);
    REQUIRE_FALSE(resumed.notices.empty());
    CHECK(resumed.notices.front().find("Install the update.") != std::string::npos);
    CHECK(staged.done(run) == 2);
    staged.check_whole(run);
    const RunReport ended = must(staged.world.resume(run));
    CHECK_FALSE(ended.interrupted);
    CHECK(staged.done(run) == 6);
    CHECK(staged.load(run).stages.size() == 2);
    staged.check_whole(run);
  }
  CHECK(untold > 3);
}

TEST_CASE("a record of a wait that does not fit is corrupt", "[stages]") {
  Staged staged;
  staged.world.stages = {};
  staged.plan = waiting_plan(staged.world, 2);
  const RunReport report = must(staged.world.apply(staged.plan));
  const auto store = staged.world.open_store();
  journal::Contents journal = must(journal::read_journal(
      must(host::read_whole(store->journals(), journal_name(report.run), 1u << 24))));
  const auto stage =
      std::ranges::find(journal.records, journal::type::stage, &journal::Record::type);
  REQUIRE(stage != journal.records.end());
  CHECK(stage->operation == "op-0003");
  CHECK(fold(staged.plan, journal));
  SECTION("of an operation that does not wait") { stage->operation = "op-0001"; }
  SECTION("of none in the plan") { stage->operation = "op-0099"; }
  SECTION("an outcome of probes") { stage->data["outcome"] = "failed"; }
  CHECK_FALSE(fold(staged.plan, journal));
}

TEST_CASE("a stage record that does not fit is corrupt", "[stages]") {
  Staged staged;
  const RunReport report = must(staged.world.apply(staged.plan));
  const auto store = staged.world.open_store();
  journal::Contents journal = must(journal::read_journal(
      must(host::read_whole(store->journals(), journal_name(report.run), 1u << 24))));
  const auto stage =
      std::ranges::find(journal.records, journal::type::stage, &journal::Record::type);
  REQUIRE(stage != journal.records.end());
  CHECK(fold(staged.plan, journal));
  SECTION("after nothing") { stage->data["after"] = 0; }
  SECTION("after more than there are") { stage->data["after"] = 7; }
  SECTION("more than the plan has") { stage->data["of"] = 100; }
  SECTION("another outcome") { stage->data["outcome"] = "skipped"; }
  SECTION("a member more") { stage->data["more"] = true; }
  SECTION("of an operation") { stage->operation = "op-0001"; }
  SECTION("before the start") { std::swap(*stage, journal.records.front()); }
  CHECK_FALSE(fold(staged.plan, journal));
}

TEST_CASE("an instruction that waits before everything else stops nothing", "[stages]") {
  Staged staged;
  staged.world.stages = {};
  staged.plan = waiting_plan(staged.world, 0);
  const RunReport report = must(staged.world.apply(staged.plan));
  CHECK_FALSE(report.interrupted);
  CHECK(report.status == "done");
  CHECK(report.operations.front().outcome == "to_do");
}

TEST_CASE("a wait names what did not come about before it", "[stages]") {
  Staged staged;
  staged.world.stages = {};
  staged.plan = waiting_plan(staged.world, 3);
  const plan::Operation& shell = staged.plan.plan.operations[1];
  staged.world.refused = {{shell.path, "a process runs it"}};
  const RunReport report = must(staged.world.apply(staged.plan));
  REQUIRE_FALSE(report.notices.empty());
  INFO(report.notices.front());
  CHECK(report.notices.front().find("Not done: " + shell.id) != std::string::npos);
  CHECK(report.notices.front().find("(a process runs it); what follows may rely on it") !=
        std::string::npos);
}

TEST_CASE("a plan that changes nothing has no stage to ask behind", "[stages]") {
  Staged staged;
  for (const char* path : {"www/shell-a.php", "www/sub/shell-b.php", "www/sub/shell-c.php",
                           "www/data/shell-d.php", "etc-iis/applicationHost.config"})
    staged.world.remove(path);
  staged.plan = staged.world.plan();
  const RunReport report = must(staged.world.apply(staged.plan));
  INFO(text(report));
  CHECK_FALSE(report.interrupted);
  CHECK(staged.probe.asked == 1);  // before
  CHECK(staged.load(report.run).stages.empty());
}

TEST_CASE("a stop between two stages ends there, and resume goes on", "[stages]") {
  Staged staged;
  staged.world.progress.stop = &staged.world.stop;
  staged.world.progress.stop_at = 3;  // while the second stage is worked through
  const RunReport report = must(staged.world.apply(staged.plan));
  INFO(text(report));
  CHECK(report.interrupted);
  CHECK(staged.done(report.run) < 6);
  staged.world.progress.stop = nullptr;
  staged.world.stop = false;
  CHECK(must(staged.world.resume(report.run)).status == "done");
  CHECK(staged.done(report.run) == 6);
  staged.check_whole(report.run);
}

TEST_CASE("a kill at any call of the resume behind a wait loses nothing", "[stages]") {
  std::size_t tried = 0;
  for (std::size_t at = 0;; at += 3) {
    REQUIRE(at < 1000);
    Staged staged;
    staged.world.stages = {};
    staged.plan = waiting_plan(staged.world, 4);
    const std::string run = must(staged.world.apply(staged.plan)).run;
    std::size_t count = 0;
    staged.memory.host.set_fault_hook([&](std::string_view, std::string_view) {
      return count++ < at ? std::nullopt : std::optional(Error{Code::io, "gone", ""});
    });
    const auto resumed = staged.world.resume(run);
    staged.memory.host.set_fault_hook({});
    if (count <= at) break;
    ++tried;
    INFO("call " << at);
    CHECK(must(staged.world.resume(run)).status == "done");
    CHECK(staged.done(run) == 6);
    staged.check_whole(run);
  }
  CHECK(tried > 10);
}

TEST_CASE("any call that fails when a wait is to be passed leaves what follows undone",
          "[stages]") {
  std::size_t stood = 0;
  for (const bool looks : {false, true})
    for (std::size_t at = 0; at < 30; ++at) {
      Staged staged;
      staged.world.stages = {};
      staged.plan = waiting_plan(staged.world, 4);
      const std::string run = must(staged.world.apply(staged.plan)).run;
      std::size_t count = 0;
      const auto once = [&](std::string_view what, std::string_view name) {
        const bool of_run = name.find(run) != std::string_view::npos;
        const bool here = looks ? of_run || what == "each_entry" : name == run + ".jsonl";
        return here && count++ == at ? std::optional(Error{Code::io, "broken", ""}) : std::nullopt;
      };
      looks ? staged.memory.host.set_look_hook(once) : staged.memory.host.set_fault_hook(once);
      const auto resumed = staged.world.resume(run);
      staged.memory.host.set_look_hook({});
      staged.memory.host.set_fault_hook({});
      INFO((looks ? "look " : "change ") << at);
      if (resumed || staged.load(run).stages.back().outcome != "waiting") continue;
      ++stood;
      CHECK(staged.done(run) == 4);
      CHECK(must(staged.world.resume(run)).status == "done");
      CHECK(staged.done(run) == 6);
      staged.check_whole(run);
    }
  CHECK(stood > 5);
}

}  // namespace remediate::run::test
