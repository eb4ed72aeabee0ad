// What an apply leaves alone and why, the room that it asks for, and what is left of one that never
// began.
#include <algorithm>

#include "remediate/crypto/digest.h"
#include "remediate/crypto/signature.h"
#include "remediate/host/durable.h"
#include "remediate/host/memory/tree.h"
#include "rich_world.h"
#include "survey_world.h"

namespace remediate::run::test {
namespace {

std::string outcome(const RunReport& report, const std::string& address) {
  const OperationReport& found = operation(report, address);
  return found.outcome + ": " + found.reason;
}

/// What an apply that ends before the run appears leaves behind.
void begin_and_die(MemoryWorld& memory, const plan::PlanFile& plan) {
  bool dead = false;
  memory.host.set_fault_hook(
      [&](std::string_view what, std::string_view name) -> std::optional<Error> {
        dead = dead || (what == "rename" && name.starts_with(".starting-"));
        return dead ? std::optional(Error{Code::io, "the process is gone", ""}) : std::nullopt;
      });
  REQUIRE_FALSE(memory.world->apply(plan));
  memory.host.set_fault_hook({});
  REQUIRE(dead);
}

plan::ApprovedPlan approve_signed(World& world, const plan::PlanFile& file) {
  plan::Policy policy = world.policy;
  policy.threshold = 1;
  const auto approver =
      must(crypto::Certificate::from_pem(keys().store.signer_certificate, "approver"));
  const auto key = must(crypto::PrivateKey::from_pem(keys().store.signer_key, "key"));
  const auto root = must(world.host().open_root(world.target()));
  return must(
      plan::check_approval({.file = file,
                            .signature = must(crypto::sign_detached(file.bytes, approver, key)),
                            .policy = policy,
                            .policy_sha256 = crypto::sha256_hex("policy"),
                            .approvers = {approver},
                            .host = host_facts(world.host(), world.target(), must(root->stat())),
                            .store = std::nullopt,
                            .confirmed_id = file.plan.plan_id,
                            .now = world.host().now()}));
}

}  // namespace

TEST_CASE("targets that a guard keeps out are not begun, the rest is done", "[apply]") {
  RichWorld rich;
  World& world = *rich.world;
  world.refused = {{must(RawPath::parse(shell)), "a process runs it"},
                   {must(RawPath::parse(setting_file)), "it is the tool's own"}};
  const RunReport report = must(world.apply(*rich.approved));
  INFO(text(report));
  CHECK(report.status == "partial");
  CHECK(outcome(report, shell) == "refused: a process runs it");
  CHECK(outcome(report, "www/sub/shell-b.php").starts_with("quarantined"));
  CHECK(world.exists(shell));
  CHECK(world.read(setting_file) == rich.before.at(setting_file).bytes);
  CHECK(must(world.verify()).ok());
  CHECK(must(world.rollback(rich.run)).status == "done");
  CHECK(difference(rich.before, world.snapshot()).empty());
}

TEST_CASE("the guards that hold now are asked about every target that is a file", "[apply]") {
  RichWorld rich;
  HostPolicy policy;
  policy.policy = rich.world->policy;
  policy.policy.allow_hard_links = true;
  CHECK(refused_targets(policy, rich.plan.plan, std::nullopt, {}).empty());
  policy.policy.protected_globs = {"www/login.php", "www/data/**"};
  const auto refused = refused_targets(policy, rich.plan.plan, std::nullopt, {});
  CHECK(refused.size() == 2);
  CHECK(refused.contains(must(RawPath::parse(page))));
  CHECK(refused.contains(must(RawPath::parse("www/data/shell-d.php"))));
}

TEST_CASE("a guard that keeps a target out after it was begun has no say in resume", "[apply]") {
  RichWorld rich;
  World& world = *rich.world;
  bool dead = false;  // once the shell is in the hold
  rich.host.set_fault_hook(
      [&](std::string_view what, std::string_view name) -> std::optional<Error> {
        if (dead) return Error{Code::io, "the process is gone", ""};
        dead = what == "rename" && name == "shell-a.php";
        return std::nullopt;
      });
  (void)world.apply(*rich.approved);
  rich.host.set_fault_hook({});
  REQUIRE(dead);
  world.refused = {{must(RawPath::parse(shell)), "a process runs it"},
                   {must(RawPath::parse("www/sub/shell-b.php")), "a process runs it"}};
  const RunReport report = must(world.resume(rich.run));
  INFO(text(report));
  CHECK(outcome(report, shell).starts_with("quarantined"));
  CHECK(must(world.verify()).ok());
}

TEST_CASE("a page stays while the line that names it stands", "[apply]") {
  SurveyWorld world;
  world.world.make_store(keys().store);
  world.playbook.steps[3].compiled.clear();
  const plan::PlanFile plan = must(world.try_plan());
  REQUIRE(changes(plan.plan).size() == 4);
  world.world.refused = {{must(RawPath::parse("inetpub/wwwroot/.user.ini")), "somebody's own"}};
  const Snapshot before = world.world.snapshot();
  const RunReport report = must(world.world.apply(plan));
  INFO(text(report));
  CHECK(report.status == "partial");
  CHECK(outcome(report, "op-0001") == "refused: somebody's own");
  const std::string kept = outcome(report, web_page);
  CHECK(kept.starts_with("refused: "));
  CHECK(kept.find(".user.ini") != std::string::npos);
  CHECK(world.world.exists(web_page));
  CHECK(must(world.world.verify()).ok());
  must(world.world.rollback(report.run));
  CHECK(difference(before, world.world.snapshot()).empty());
}

TEST_CASE("what cannot be looked at before an apply makes the plan stale, unless it is permission",
          "[apply]") {
  RichWorld rich;
  World& world = *rich.world;
  SECTION("the directory does not answer") {
    rich.directory.before = [](std::string_view) {
      return std::optional(Error{Code::io, "no answer", ""});
    };
    const auto applied = world.apply(*rich.approved);
    REQUIRE_FALSE(applied);
    INFO(applied.error().text());
    CHECK(applied.error().code == Code::stale_plan);
    CHECK(applied.error().text().find("no answer") != std::string::npos);
    CHECK(difference(rich.before, world.snapshot()).empty());
  }
  SECTION("a file may not be read") {
    const auto denied = [](std::string_view what, std::string_view name) -> std::optional<Error> {
      if (what != "open_file" || name != "shell-b.php") return std::nullopt;
      return Error{Code::permission, "it may not be read", ""};
    };
    rich.host.set_look_hook(denied);
    const RunReport report = must(world.apply(*rich.approved));
    rich.host.set_look_hook({});
    INFO(text(report));
    CHECK(outcome(report, "www/sub/shell-b.php").find("it may not be read") != std::string::npos);
    CHECK(world.exists("www/sub/shell-b.php"));
    CHECK_FALSE(world.exists(shell));
  }
  SECTION("its folder is another one now") {
    must(world.parent("www/sub/shell-b.php")
             ->rename("shell-b.php", *must(rich.host.make_root("/base/aside")), "b"));
    must(must(rich.host.open_root(world.target() + "/www"))
             ->rename("sub", *must(rich.host.make_root("/base/aside")), "old"));
    world.folder("www/sub");
    must(must(rich.host.open_root("/base/aside"))
             ->rename("b", *world.parent("www/sub/x"), "shell-b.php"));
    const auto applied = world.apply(*rich.approved);
    REQUIRE_FALSE(applied);
    CHECK(applied.error().text().find("its folder is another one") != std::string::npos);
  }
}

TEST_CASE("without room for what is to be sealed the originals are held only", "[apply]") {
  constexpr std::uint64_t margin = 64u << 20;
  struct Room {
    const char* name;
    std::uint64_t bytes, files;
    bool enough;
  };
  for (const Room& room : {Room{"just enough", margin + (1u << 20), 1000, true},
                           Room{"too few names", margin + (1u << 20), 66, false},
                           Room{"less than the margin", margin - 1, 1000, false},
                           Room{"the margin and nothing more", margin, 1000, false}}) {
    INFO(room.name);
    MemoryWorld memory;
    World& world = *memory.world;
    const plan::PlanFile plan = world.plan();
    must(memory.host.limit_mount("/", {.free_bytes = room.bytes, .free_files = room.files}, true));
    const RunReport report = must(world.apply(plan));
    INFO(text(report));
    const bool held_only = std::ranges::any_of(report.notices, [](const std::string& notice) {
      return notice.find("too little space to seal") != std::string::npos;
    });
    CHECK(held_only != room.enough);
    CHECK_FALSE(world.exists("www/shell-a.php"));
    CHECK(must(world.rollback(report.run)).status == "done");
  }
}

TEST_CASE("what is left of a run that never began goes, whatever call fails meanwhile", "[apply]") {
  std::size_t tried = 0;
  for (const bool looks : {false, true})
    for (std::size_t at = 0;; ++at) {
      REQUIRE(at < 1000);
      MemoryWorld memory;
      World& world = *memory.world;
      world.keep_old_version();
      const plan::PlanFile plan = world.plan();
      begin_and_die(memory, plan);
      const auto store = world.open_store();
      std::size_t count = 0;
      const auto once = [&](std::string_view what, std::string_view) {
        return count++ == at ? std::optional(Error{Code::io, "broken: " + std::string(what), ""})
                             : std::nullopt;
      };
      looks ? memory.host.set_look_hook(once) : memory.host.set_fault_hook(once);
      const auto discarded = discard_unstarted(*store);
      memory.host.set_look_hook({});
      memory.host.set_fault_hook({});
      if (count <= at) {
        REQUIRE(must(discarded) == std::vector<std::string>{run_name(plan.plan)});
        break;
      }
      ++tried;
      INFO("call " << at);
      if (!discarded) CHECK(discarded.error().text().find("broken") != std::string::npos);
      must(discard_unstarted(*store));
      std::vector<std::string> left;
      must(store->runs().each_entry([&](std::string_view name, FileKind) {
        left.emplace_back(name);
        return true;
      }));
      CHECK(left.empty());
      CHECK(findings(must(world.verify())) == "");
      CHECK(must(world.apply(plan)).status == "done");
    }
  CHECK(tried > 10);
}

TEST_CASE("only what is left of the one run goes where one is named", "[apply]") {
  MemoryWorld memory;
  World& world = *memory.world;
  const plan::PlanFile plan = world.plan();
  begin_and_die(memory, plan);
  const auto store = world.open_store();
  CHECK(must(discard_unstarted(*store, "run-another")).empty());
  CHECK(must(discard_unstarted(*store, run_name(plan.plan))).size() == 1);
  CHECK(must(discard_unstarted(*store)).empty());
}

TEST_CASE("a run without its first record did nothing, and resume says so", "[apply]") {
  MemoryWorld memory;
  World& world = *memory.world;
  const plan::PlanFile plan = world.plan();
  const Snapshot before = world.snapshot();
  begin_and_die(memory, plan);
  const auto store = world.open_store();
  const std::string name = run_name(plan.plan);
  must(store->runs().rename(".starting-" + name, store->runs(), name));
  must(must(store->journals().open_file(name + ".jsonl", host::Access::read_write))->truncate(0));
  const RunReport report = must(world.resume(name));
  CHECK(report.status == "nothing_to_do");
  REQUIRE(report.notices.size() == 1);
  CHECK(report.notices.front().find("nothing was done") != std::string::npos);
  CHECK(difference(before, world.snapshot()).empty());
}

TEST_CASE("a record of what is refused that cannot be written is written by the next attempt",
          "[apply]") {
  std::size_t tried = 0;
  for (std::size_t number = 1;; ++number) {
    REQUIRE(number < 100);
    SurveyWorld world;
    world.world.make_store(keys().store);
    world.playbook.steps[3].compiled.clear();
    const plan::PlanFile plan = must(world.try_plan());
    world.world.refused = {{must(RawPath::parse("inetpub/wwwroot/.user.ini")), "somebody's own"}};
    const Snapshot before = world.world.snapshot();
    const std::string run = run_name(plan.plan);
    bool failed = false;
    {
      const Before moment(
          world.host, "write_at", run + ".jsonl",
          [] { return Error{Code::io, "the journal is broken", ""}; }, number);
      const auto applied = world.world.apply(plan);
      failed = moment.done();
      if (failed) CHECK_FALSE(applied);
    }
    if (!failed) break;
    ++tried;
    INFO("write " << number);
    CHECK(world.world.exists("inetpub/wwwroot/.user.ini"));
    const bool began = !must(world.world.open_store()->run_names()).empty();
    const RunReport report = must(began ? world.world.resume(run) : world.world.apply(plan));
    INFO(text(report));
    CHECK(report.status == "partial");
    CHECK(outcome(report, "op-0001") == "refused: somebody's own");
    CHECK(outcome(report, web_page).starts_with("refused: "));
    CHECK(world.world.exists(web_page));
    CHECK(must(world.world.verify()).ok());
    must(world.world.rollback(run));
    CHECK(difference(before, world.world.snapshot()).empty());
  }
  CHECK(tried > 5);
}

TEST_CASE("what is left of a run stays where its journal cannot be understood", "[apply]") {
  MemoryWorld memory;
  World& world = *memory.world;
  world.keep_old_version();
  const plan::PlanFile plan = world.plan();
  begin_and_die(memory, plan);
  const auto store = world.open_store();
  const std::string name = run_name(plan.plan) + ".jsonl";
  const std::string whole =
      must(host::read_whole(store->journals(), name, journal::max_journal_bytes));
  const auto write = [&](const std::string& bytes) {
    const auto file = must(store->journals().open_file(name, host::Access::read_write));
    must(file->truncate(0));
    must(file->write_at(0, bytes));
  };
  std::string told;
  SECTION("no record") { told = "tells what was done"; }
  journal::Contents contents = must(journal::read_journal(whole));
  Json& copies = contents.records.front().data["copies"];
  SECTION("copies that are none") { copies = 7, told = "/copies"; }
  SECTION("a copy of no path") {
    copies[0]["path"]["raw"] = "Li4veA==", told = "stands for a folder";
  }
  SECTION("a copy without an object") { copies[0]["object"] = "", told = "has no object"; }
  if (told.starts_with("tells"))
    write("no record\n" + whole);
  else
    write(journal::format_record(contents.records.front()));
  const auto discarded = discard_unstarted(*store);
  REQUIRE_FALSE(discarded);
  CHECK(discarded.error().text().find(told) != std::string::npos);
  const auto applied = world.apply(plan);
  REQUIRE_FALSE(applied);
  CHECK(applied.error().text().find(told) != std::string::npos);
  CHECK(store->journals().stat_entry(name));
  CHECK(world.exists(shell));
  write(whole);
  must(discard_unstarted(*store));
  CHECK(findings(must(world.verify())) == "");
}

TEST_CASE("a run has the signature of its own approval and no other", "[apply]") {
  MemoryWorld memory;
  World& world = *memory.world;
  const plan::PlanFile plan = world.plan();
  const plan::ApprovedPlan approved = approve_signed(world, plan);
  bool dead = false;
  memory.host.set_fault_hook([&](std::string_view what, std::string_view name) {
    dead = dead || (what == "rename" && name.starts_with(".starting-"));
    return dead ? std::optional(Error{Code::io, "gone", ""}) : std::nullopt;
  });
  REQUIRE_FALSE(world.apply(approved));
  memory.host.set_fault_hook({});
  SECTION("one that was confirmed by its id takes none over") {
    const RunReport report = must(world.apply(plan));
    CHECK(report.status == "done");
    CHECK(must(load_run(*world.open_store(), report.run)).plan_signature.empty());
  }
  SECTION("one that cannot be written is no start") {
    memory.host.set_fault_hook([](std::string_view, std::string_view name) -> std::optional<Error> {
      if (!name.starts_with("plan.json.p7s")) return std::nullopt;
      return Error{Code::no_space, "the disk is full", ""};
    });
    const auto full = world.apply(approved);
    memory.host.set_fault_hook({});
    REQUIRE_FALSE(full);
    CHECK(full.error().code == Code::no_space);
    CHECK(must(world.open_store()->run_names()).empty());
    CHECK(world.exists(shell));
    const RunReport report = must(world.apply(approved));
    CHECK(must(load_run(*world.open_store(), report.run)).plan_signature == approved.signature());
  }
  CHECK(must(world.verify()).ok());
}

TEST_CASE("a rollback of some that is resumed is not whole while others are held unsealed",
          "[apply]") {
  MemoryWorld memory;
  World& world = *memory.world;
  const plan::PlanFile plan = world.plan();
  must(memory.host.limit_mount("/", {.free_bytes = 60u << 20, .free_files = 100'000}, true));
  const RunReport applied = must(world.apply(plan));
  RollbackOptions options;
  options.only = {operation(applied, shell).id};
  CHECK(must(world.rollback(applied.run, options)).status == "done");
  const RunReport lacking = must(world.resume(applied.run));
  INFO(text(lacking));
  CHECK(lacking.status == "partial");
  CHECK(lacking.only_unsealed);
  must(memory.host.limit_mount("/", {.free_bytes = 1u << 30, .free_files = 100'000}, true));
  const RunReport sealed = must(world.resume(applied.run));
  INFO(text(sealed));
  CHECK(sealed.status == "done");
  CHECK_FALSE(sealed.only_unsealed);
  CHECK(world.exists(shell));
  CHECK_FALSE(world.exists("www/sub/shell-b.php"));
}

TEST_CASE("a run without a record is not told to have left nothing before that was looked at",
          "[apply]") {
  MemoryWorld memory;
  World& world = *memory.world;
  const plan::PlanFile plan = world.plan();
  begin_and_die(memory, plan);
  const auto store = world.open_store();
  const std::string name = run_name(plan.plan);
  must(store->runs().rename(".starting-" + name, store->runs(), name));
  must(must(store->journals().open_file(name + ".jsonl", host::Access::read_write))->truncate(0));
  std::size_t at = 0;
  for (;; ++at) {
    REQUIRE(at < 100);
    std::size_t count = 0;
    memory.host.set_look_hook([&](std::string_view what, std::string_view) {
      return count++ == at ? std::optional(Error{Code::io, "broken: " + std::string(what), ""})
                           : std::nullopt;
    });
    const auto loaded = load_run(*store, name);
    memory.host.set_look_hook({});
    if (count <= at) {
      REQUIRE(loaded);
      CHECK(loaded->phase.empty());
      break;
    }
    INFO("look " << at);
    REQUIRE_FALSE(loaded);
    CHECK(loaded.error().text().find("broken") != std::string::npos);
  }
  CHECK(at > 5);
  must(must(store->journals().create_file(name + ".head-2.json", 0600))->write_at(0, "{}"));
  const auto headed = load_run(*store, name);
  REQUIRE_FALSE(headed);
  CHECK(headed.error().text().find("has left a signed head") != std::string::npos);
}

TEST_CASE("a flag that cannot be set for now is tried again, one that may not be set is told",
          "[apply]") {
  struct Case {
    Code code;
    const char* outcome;
  };
  for (const Case& one : {Case{Code::io, "unknown"}, Case{Code::no_space, "unknown"},
                          Case{Code::read_only, "unknown"}, Case{Code::permission, "failed"}}) {
    INFO(code_name(one.code));
    RichWorld rich;
    World& world = *rich.world;
    {
      const EndBefore end(rich.host, "rename", "shell-a.php");
      (void)world.apply(*rich.approved);
      REQUIRE(end.ended());
    }
    {
      const Before moment(rich.host, "set_protection_flags", "shell-a.php",
                          [&] { return Error{one.code, "the flag stays off", ""}; });
      const RunReport report = must(world.resume(rich.run));
      INFO(text(report));
      CHECK(moment.done());
      CHECK(outcome(report, shell).starts_with(one.outcome));
      CHECK(outcome(report, shell).find("the flag stays off") != std::string::npos);
    }
    CHECK(world.exists(shell));
    if (one.code != Code::permission) CHECK(must(world.resume(rich.run)).status == "done");
    CHECK(must(world.verify()).ok());
  }
}

}  // namespace remediate::run::test
