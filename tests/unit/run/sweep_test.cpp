#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>
#include <utility>
#include <vector>

#include "remediate/host/durable.h"
#include "world.h"

// An error at every call that changes or flushes something, once and from then on, and at every
// call that only looks; then a new process. No original may be lost, and a rollback has to bring
// all of them back.

namespace remediate::run::test {
namespace {

enum class How { once, from_then_on };
enum class Calls { changes, looks };

/// Counts the calls of one sort and lets one of them fail, or it and all after it.
class Fault {
 public:
  Fault(host::MemoryHost& host, std::size_t at, How how, Code code, Calls calls = Calls::changes)
      : host_(host) {
    auto hook = [this, at, how, code](std::string_view operation,
                                      std::string_view name) -> std::optional<Error> {
      const std::size_t now = count_++;
      if (now < at || (how == How::once && now > at)) return std::nullopt;
      if (where_.empty()) where_ = std::string(operation) + " " + std::string(name);
      return Error{code, "injected fault in " + std::string(operation), ""};
    };
    if (calls == Calls::changes)
      host_.set_fault_hook(hook);
    else
      host_.set_look_hook(hook);
  }
  ~Fault() {
    host_.set_fault_hook({});
    host_.set_look_hook({});
  }
  Fault(const Fault&) = delete;
  Fault& operator=(const Fault&) = delete;
  [[nodiscard]] bool fired() const { return !where_.empty(); }
  [[nodiscard]] const std::string& where() const { return where_; }

 private:
  host::MemoryHost& host_;
  std::size_t count_ = 0;
  std::string where_;
};

/// The world of the sweep: files protected by flags, two names of one file, a second mount.
struct SweepWorld : MemoryWorld {
  SweepWorld() {
    world->protect("www/shell-a.php", host::flag_immutable);
    world->protect("etc-iis/applicationHost.config", host::flag_immutable);
    world->overwrite_page();
    world->keep_old_version();
    world->protect(page, host::flag_immutable);
    before = world->snapshot();
    originals = inodes(host, world->target());
    plan = world->plan();
    run = run_name(plan.plan);
  }

  /// Which originals are nowhere on the host with their bytes.
  [[nodiscard]] std::string lost() {
    const auto now = inodes(host, "/base");
    std::string missing;
    for (const auto& [id, bytes] : originals) {
      const auto found = now.find(id);
      if (found == now.end() || found->second != bytes)
        missing += "inode " + std::to_string(id.second) + " is lost; ";
    }
    return missing;
  }

  [[nodiscard]] bool has_run() { return !must(world->open_store()->run_names()).empty(); }

  /// What a person would do next: resume, look, take everything back. Says what went wrong.
  [[nodiscard]] std::string recover(RollbackOptions options = {}) {
    const bool same_inodes = !options.recovery.has_value();
    std::string problems = same_inodes ? lost() : "";
    if (has_run()) {
      const auto resumed = world->resume(run);
      if (!resumed) return problems + "resume: " + resumed.error().text();
      if (same_inodes) problems += lost();
      const VerifyReport report = must(world->verify());
      if (!report.ok()) problems += "verify: " + findings(report);
      const auto back = world->rollback(run, std::move(options));
      if (!back) return problems + "rollback: " + back.error().text();
      if (back->status != "done" && back->status != "nothing_to_do")
        problems += "rollback: " + text(*back) + " after " + text(*resumed);
    }
    const std::string changed = difference(before, world->snapshot(), same_inodes);
    return problems + (changed.empty() ? "" : "not as before: " + changed);
  }

  Snapshot before;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::string> originals;
  plan::PlanFile plan;
  std::string run;
};

constexpr std::size_t no_end = 5000;  // far above the number of calls of any phase here

/// The outcome of one fault: whether it was reached, and what was wrong afterwards.
struct Outcome {
  bool fired = false;
  std::string where;
  std::string problems;
};

/// Runs `body` with fault 0, stride, 2 * stride ... until one is no longer reached.
template <class Body>
std::size_t sweep(std::size_t stride, const Body& body) {
  std::string problems;
  std::size_t at = 0;
  for (; at < no_end; at += stride) {
    const Outcome outcome = body(at);
    if (!outcome.fired) break;
    if (!outcome.problems.empty())
      problems +=
          "call " + std::to_string(at) + " (" + outcome.where + "): " + outcome.problems + "\n";
  }
  CHECK(problems == "");
  CHECK(at < no_end);
  return at;
}

}  // namespace

TEST_CASE("the sweep sees what is lost", "[sweep]") {
  SweepWorld world;
  CHECK(world.lost().empty());
  must(world.world->apply(world.plan));
  CHECK(world.lost().empty());
  CHECK(difference(world.before, world.world->snapshot()).find("shell-a.php is missing") !=
        std::string::npos);
  must(world.world->finalize(world.run));
  CHECK_FALSE(world.lost().empty());
  CHECK_FALSE(world.recover().empty());
}

TEST_CASE("an error in any call of apply loses nothing", "[sweep]") {
  const auto drawn =
      GENERATE(table<How, Code>({{How::once, Code::io}, {How::from_then_on, Code::no_space}}));
  const How how = std::get<0>(drawn);
  const Code code = std::get<1>(drawn);
  INFO((how == How::once ? "once, " : "from then on, ") << code_name(code));
  const std::size_t calls = sweep(how == How::once ? 1 : 3, [how, code](std::size_t at) -> Outcome {
    SweepWorld world;
    Outcome outcome;
    {
      const Fault fault(world.host, at, how, code);
      const auto applied = world.world->apply(world.plan);
      outcome = {fault.fired(), fault.where(), ""};
      if (!fault.fired()) CHECK((applied && applied->status == "done"));
    }
    outcome.problems = world.recover();
    return outcome;
  });
  CHECK(calls > 100);
}

TEST_CASE("an error in any call of the resume after one loses nothing", "[sweep]") {
  std::size_t pairs = 0;
  for (std::size_t first = 9; first < no_end; first += 31) {
    bool reached = true;
    INFO("apply ended at call " << first);
    pairs += sweep(5, [&](std::size_t at) -> Outcome {
      SweepWorld world;
      {
        const Fault fault(world.host, first, How::from_then_on, Code::io);
        (void)world.world->apply(world.plan);
        reached = fault.fired();
      }
      if (!reached || !world.has_run()) return {};
      Outcome outcome;
      {
        const Fault fault(world.host, at, How::from_then_on, Code::io);
        (void)world.world->resume(world.run);
        outcome = {fault.fired(), fault.where(), ""};
      }
      outcome.problems = world.recover();
      return outcome;
    });
    if (!reached) break;
  }
  CHECK(pairs > 40);
}

TEST_CASE("a protected file that changes while it is captured keeps its flag", "[sweep]") {
  const bool two_names = GENERATE(false, true);
  const std::size_t calls = sweep(1, [&](std::size_t at) -> Outcome {
    MemoryWorld memory;
    World& world = *memory.world;
    const auto folder = world.parent("www/shell-a.php");
    const auto writer = must(folder->open_file("shell-a.php", host::Access::read_write));
    if (two_names) must(folder->link_file(*writer, "shell-twin.php"));
    world.protect("www/shell-a.php", host::flag_immutable);
    const plan::PlanFile plan = world.plan();
    const std::string run = run_name(plan.plan);
    std::size_t count = 0;
    bool moved = false, changed = false, writing = false;
    std::string where;
    memory.host.set_fault_hook(
        [&](std::string_view operation, std::string_view name) -> std::optional<Error> {
          // It is in the hold and nothing is sealed: a process that has it open writes.
          if (moved && !std::exchange(changed, true)) {
            writing = true;
            must(writer->write_at(0, "X"));
            writing = false;
          }
          moved = moved || (operation == "rename" && name == "shell-a.php");
          if (!changed || writing || count++ < at) return std::nullopt;
          if (where.empty()) where = std::string(operation) + " " + std::string(name);
          return Error{Code::io, "the process ended", ""};
        });
    (void)world.apply(plan);
    memory.host.set_fault_hook({});
    Outcome outcome{!where.empty(), where, ""};
    const auto resumed = world.resume(run);
    if (!resumed) outcome.problems += "resume: " + resumed.error().text() + "; ";
    const std::vector<std::string> names{"www/shell-a.php", "www/shell-twin.php"};
    const auto look = [&](const char* after, bool all) {
      const Snapshot now = world.snapshot();
      for (const std::string& name : names) {
        const auto found = now.find(name);
        if (found == now.end() && all && (two_names || name != names.back()))
          outcome.problems += name + " is gone after " + after + "; ";
        if (found != now.end() && (found->second.flags & host::flag_immutable) == 0)
          outcome.problems += name + " has lost its flag after " + after + "; ";
      }
    };
    look("resume", false);
    const auto back = world.rollback(run);
    if (!back) outcome.problems += "rollback: " + back.error().text() + "; ";
    look("rollback", true);
    return outcome;
  });
  CHECK(calls > 20);
}

TEST_CASE("an error in any call of rollback loses nothing", "[sweep]") {
  const How how = GENERATE(How::once, How::from_then_on);
  INFO((how == How::once ? "once" : "from then on"));
  const std::size_t calls = sweep(how == How::once ? 1 : 3, [&](std::size_t at) -> Outcome {
    SweepWorld world;
    must(world.world->apply(world.plan));
    Outcome outcome;
    {
      const Fault fault(world.host, at, how, Code::io);
      const auto back = world.world->rollback(world.run);
      outcome = {fault.fired(), fault.where(), ""};
      // A flag that could not be set is told as such and not tried again.
      if (back)
        for (const OperationReport& one : back->operations)
          if (one.outcome == "restored_degraded") world.before.at(one.address).flags = 0;
      if (!fault.fired()) CHECK((back && back->status == "done"));
    }
    outcome.problems = world.recover();
    return outcome;
  });
  CHECK(calls > 40);
}

TEST_CASE("an error in any call of finalize leaves the original or its sealed copy", "[sweep]") {
  const How how = GENERATE(How::once, How::from_then_on);
  INFO((how == How::once ? "once" : "from then on"));
  const std::size_t calls = sweep(how == How::once ? 1 : 3, [&](std::size_t at) -> Outcome {
    SweepWorld world;
    must(world.world->apply(world.plan));
    Outcome outcome;
    {
      const Fault fault(world.host, at, how, Code::io);
      const auto finalized = world.world->finalize(world.run);
      outcome = {fault.fired(), fault.where(), ""};
      if (!fault.fired()) CHECK((finalized && finalized->status == "done"));
    }
    RollbackOptions options;
    options.recovery = world.world->recovery();
    outcome.problems = world.recover(std::move(options));
    return outcome;
  });
  CHECK(calls > 10);
}

namespace {

Result<void> told(const auto& result) {
  if (result) return {};
  return std::unexpected(result.error());
}

/// A command, and what has to be there before it.
struct Command {
  const char* name;
  std::function<void(SweepWorld&)> before;
  std::function<Result<void>(SweepWorld&, const plan::ApprovedPlan&)> act;
};

const Command& command(std::size_t number) {
  static const auto nothing = [](SweepWorld&) {};
  static const auto applied = [](SweepWorld& w) { must(w.world->apply(w.plan)); };
  static const auto killed = [](SweepWorld& w) {
    const Fault fault(w.host, 60, How::from_then_on, Code::io);
    (void)w.world->apply(w.plan);
  };
  static const std::vector<Command> commands = {
      {"plan", nothing, [](SweepWorld& w, const auto&) { return told(w.world->try_plan()); }},
      {"apply", nothing,
       [](SweepWorld& w, const auto& plan) { return told(w.world->apply(plan)); }},
      {"resume", killed, [](SweepWorld& w, const auto&) { return told(w.world->resume(w.run)); }},
      {"rollback", applied,
       [](SweepWorld& w, const auto&) { return told(w.world->rollback(w.run)); }},
      {"finalize", applied,
       [](SweepWorld& w, const auto&) { return told(w.world->finalize(w.run)); }},
      {"verify", applied, [](SweepWorld& w, const auto&) { return told(w.world->verify()); }},
      {"verify after a kill", killed,
       [](SweepWorld& w, const auto&) { return told(w.world->verify()); }},
      {"rollback after a kill", killed,
       [](SweepWorld& w, const auto&) { return told(w.world->rollback(w.run)); }}};
  return commands.at(number);
}

}  // namespace

TEST_CASE("a look that fails in any call of a command loses nothing", "[sweep][look]") {
  const Command& chosen = command(GENERATE(range<std::size_t>(0, 8)));
  INFO(chosen.name);
  const auto begun = std::chrono::steady_clock::now();
  const std::size_t calls = sweep(1, [&](std::size_t at) -> Outcome {
    SweepWorld world;
    chosen.before(world);
    const plan::ApprovedPlan approved = world.world->approve(world.plan);
    Outcome outcome;
    {
      const Fault fault(world.host, at, How::once, Code::io, Calls::looks);
      const auto ended = chosen.act(world, approved);
      outcome = {fault.fired(), fault.where(), ""};
      if (!fault.fired()) CHECK(ended);
    }
    RollbackOptions options;
    if (std::string_view(chosen.name) == "finalize") options.recovery = world.world->recovery();
    outcome.problems = world.recover(std::move(options));
    return outcome;
  });
  std::cout << "looks of " << chosen.name << ": " << calls << " faults, "
            << std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count()
            << " s\n";
  CHECK(calls > 20);
}

}  // namespace remediate::run::test
