#include <optional>
#include <string>
#include <utility>

#include "remediate/host/durable.h"
#include "world.h"

// Restores that meet an unusable mount, a crash at the worst moment, a stranger in the hold, or an
// outbox that fails.

namespace remediate::run::test {
namespace {

constexpr const char* shell = "www/shell-a.php";
constexpr const char* shell_place = "/base/target/www/shell-a.php";
constexpr host::Space plenty{1u << 30, 1u << 20};

RollbackOptions with_key(const World& world) {
  RollbackOptions options;
  options.recovery = world.recovery();
  return options;
}

std::unique_ptr<host::Directory> hold_of(World& world, const std::string& run) {
  return must(world.host().open_root(world.store_path() + "/hold/" + run));
}

/// As if the process ended right after the first rename of a name that ends with `suffix`;
/// `before` runs just ahead of that rename. The faults end with the object.
class EndAfterRename {
 public:
  template <class Before>
  EndAfterRename(host::MemoryHost& host, std::string suffix, Before before) : host_(host) {
    host_.set_fault_hook(
        [this, suffix = std::move(suffix), before](std::string_view operation,
                                                   std::string_view name) -> std::optional<Error> {
          if (busy_) return std::nullopt;
          if (renamed_) return Error{Code::io, "the process ended", ""};
          if (operation == "rename" && name.ends_with(suffix)) {
            busy_ = true;
            before();
            busy_ = false;
            renamed_ = true;
          }
          return std::nullopt;
        });
  }
  EndAfterRename(host::MemoryHost& host, std::string suffix)
      : EndAfterRename(host, std::move(suffix), [] {}) {}
  ~EndAfterRename() { host_.set_fault_hook({}); }
  EndAfterRename(const EndAfterRename&) = delete;
  EndAfterRename& operator=(const EndAfterRename&) = delete;
  [[nodiscard]] bool renamed() const { return renamed_; }

 private:
  host::MemoryHost& host_;
  bool busy_ = false, renamed_ = false;
};

State state_of(World& world, const std::string& run, const std::string& address) {
  const Run loaded = must(load_run(*world.open_store(), run));
  for (const OperationState& one : loaded.operations)
    if (one.operation->address == address) return one.state;
  FAIL("no operation " << address);
  return State::planned;
}

}  // namespace

TEST_CASE("a mount that cannot be written to keeps only its own files away", "[restore]") {
  MemoryWorld memory;
  World& world = *memory.world;
  const Snapshot before = world.snapshot();
  const RunReport applied = must(world.apply(world.plan()));
  const bool finalized = GENERATE(true, false);
  if (finalized) REQUIRE(must(world.finalize(applied.run)).status == "done");
  must(memory.host.limit_mount("/base/target/www/data", plenty, false));
  const RunReport back = must(world.rollback(applied.run, with_key(world)));
  INFO(text(back));
  CHECK(back.status == "partial");
  CHECK(operation(back, "www/data/shell-d.php").reason.find("read-only") != std::string::npos);
  for (const char* healthy : {shell, "www/sub/shell-b.php", "www/sub/shell-c.php"})
    CHECK(operation(back, healthy).outcome == "restored");
  must(memory.host.limit_mount("/base/target/www/data", plenty, true));
  CHECK(must(world.rollback(applied.run, with_key(world))).status == "done");
  CHECK(difference(before, world.snapshot(), !finalized).empty());
}

TEST_CASE("a mount that cannot be flushed leaves the others recorded", "[restore]") {
  MemoryWorld memory;
  World& world = *memory.world;
  const Snapshot before = world.snapshot();
  const RunReport applied = must(world.apply(world.plan()));
  bool failed = false;
  memory.host.set_fault_hook(
      [&](std::string_view operation, std::string_view) -> std::optional<Error> {
        if (operation != "sync_filesystem" || std::exchange(failed, true)) return std::nullopt;
        return Error{Code::io, "the disk failed", ""};
      });
  RollbackOptions shells;
  shells.only = {"shells"};
  const auto back = world.rollback(applied.run, shells);
  memory.host.set_fault_hook({});
  CHECK(failed);
  REQUIRE_FALSE(back);
  std::size_t restored = 0, open = 0;
  for (const char* path :
       {shell, "www/sub/shell-b.php", "www/sub/shell-c.php", "www/data/shell-d.php"}) {
    restored += state_of(world, applied.run, path) == State::restored ? 1 : 0;
    open += state_of(world, applied.run, path) == State::restoring ? 1 : 0;
  }
  CHECK(restored > 0);
  CHECK(open > 0);
  CHECK(restored + open == 4);
  CHECK(must(world.resume(applied.run)).status == "done");
  CHECK(must(world.rollback(applied.run)).status == "done");
  CHECK(difference(before, world.snapshot()).empty());
}

TEST_CASE("a sealed copy that was put in place right before a crash is known again", "[restore]") {
  MemoryWorld memory;
  World& world = *memory.world;
  const RunReport applied = must(world.apply(world.plan()));
  const std::string id = operation(applied, shell).id;
  const std::string how = GENERATE("nothing is held", "what is held is damaged", "finalized");
  const bool resumed = GENERATE(true, false);
  INFO(how << (resumed ? ", resume" : ", rollback"));
  const bool touched = how == "finalized";
  if (how == "nothing is held") must(hold_of(world, applied.run)->remove_file(id));
  if (how == "what is held is damaged")
    must(must(hold_of(world, applied.run)->open_file(id, host::Access::read_write))
             ->write_at(0, "X"));
  if (touched) REQUIRE(must(world.finalize(applied.run)).status == "done");
  RollbackOptions options = with_key(world);
  options.only = {id};
  {
    const EndAfterRename crash(memory.host, id + ".restore");
    REQUIRE_FALSE(world.rollback(applied.run, std::move(options)));
    REQUIRE(crash.renamed());
  }
  CHECK(world.read(shell) == "inert sample a\n");
  if (touched) {
    const auto file = must(world.parent(shell)->open_file("shell-a.php", host::Access::read_write));
    must(file->set_times({1, 0}, {2, 0}));
  }
  RollbackOptions again;
  again.only = {id};
  const RunReport back =
      must(resumed ? world.resume(applied.run) : world.rollback(applied.run, again));
  INFO(text(back));
  CHECK(operation(back, shell).outcome == (touched ? "restored_degraded" : "restored"));
  CHECK(world.read(shell) == "inert sample a\n");
}

TEST_CASE("another file with the same bytes is not taken for the one that was put back",
          "[restore]") {
  MemoryWorld memory;
  World& world = *memory.world;
  const RunReport applied = must(world.apply(world.plan()));
  const std::string id = operation(applied, shell).id;
  must(hold_of(world, applied.run)->remove_file(id));
  world.file(shell, "inert sample a\n");
  RollbackOptions options = with_key(world);
  options.only = {id};
  const RunReport back = must(world.rollback(applied.run, std::move(options)));
  INFO(text(back));
  CHECK(operation(back, shell).outcome == "conflict");
}

namespace {

/// An apply that ends right after it captured a stranger of some kind instead of shell-a.php.
struct Captured : MemoryWorld {
  explicit Captured(FileKind a_kind) : kind(a_kind) {
    const plan::PlanFile plan = world->plan();
    run = run_name(plan.plan);
    for (const plan::Operation& one : plan.plan.operations)
      if (one.address == shell) id = one.id;
    const EndAfterRename crash(host, "shell-a.php", [this] {
      const auto folder = world->parent(shell);
      must(folder->rename("shell-a.php", *folder, "moved.txt"));
      must(host.plant(shell_place, kind, kind == FileKind::symlink ? "index.php" : ""));
    });
    CHECK_FALSE(world->apply(plan));
    REQUIRE(crash.renamed());
    REQUIRE_FALSE(world->exists(shell));
  }

  [[nodiscard]] FileKind at_its_place() {
    return must(world->parent(shell)->stat_entry("shell-a.php")).kind;
  }

  FileKind kind;
  std::string run, id;
};

}  // namespace

TEST_CASE("a stranger of any kind that was captured goes back after a crash", "[restore]") {
  const FileKind kind = GENERATE(FileKind::regular, FileKind::directory, FileKind::symlink,
                                 FileKind::fifo, FileKind::socket);
  INFO(kind_name(kind));
  Captured crashed(kind);
  World& world = *crashed.world;
  SECTION("resume") {
    const RunReport resumed = must(world.resume(crashed.run));
    INFO(text(resumed));
    CHECK(operation(resumed, shell).outcome == "changed");
    CHECK(crashed.at_its_place() == kind);
    CHECK(must(world.rollback(crashed.run)).status == "done");
    CHECK(crashed.at_its_place() == kind);
  }
  SECTION("rollback") {
    const RunReport back = must(world.rollback(crashed.run));
    INFO(text(back));
    CHECK(operation(back, shell).outcome == "restored");
    CHECK(crashed.at_its_place() == kind);
  }
  SECTION("resume while its name is taken, then rollback") {
    world.file(shell, "somebody else's\n");
    const RunReport resumed = must(world.resume(crashed.run));
    INFO(text(resumed));
    CHECK(operation(resumed, shell).outcome == "held");
    const VerifyReport verified = must(world.verify());
    INFO(findings(verified));
    CHECK(verified.ok());
    CHECK(findings(verified).find("not approved") != std::string::npos);
    const RunReport refused = must(world.rollback(crashed.run));
    INFO(text(refused));
    CHECK(operation(refused, shell).outcome == "conflict");
    CHECK(world.read(shell) == "somebody else's\n");
    world.remove(shell);
    const RunReport back = must(world.rollback(crashed.run));
    INFO(text(back));
    CHECK(operation(back, shell).outcome == "restored");
    CHECK(crashed.at_its_place() == kind);
    CHECK(must(world.verify()).ok());
  }
  SECTION("rollback that ends right after it put the stranger back") {
    {
      const EndAfterRename crash(crashed.host, crashed.id);
      CHECK_FALSE(world.rollback(crashed.run));
      REQUIRE(crash.renamed());
    }
    const RunReport back = must(world.resume(crashed.run));
    INFO(text(back));
    CHECK(operation(back, shell).outcome == "restored");
    CHECK(crashed.at_its_place() == kind);
  }
}

TEST_CASE("what somebody put into the hold later is left alone", "[restore]") {
  MemoryWorld memory;
  World& world = *memory.world;
  const RunReport applied = must(world.apply(world.plan()));
  const std::string id = operation(applied, shell).id;
  must(hold_of(world, applied.run)->remove_file(id));
  must(memory.host.plant(world.store_path() + "/hold/" + applied.run + "/" + id,
                         FileKind::directory));
  const RunReport back = must(world.rollback(applied.run));
  INFO(text(back));
  CHECK(operation(back, shell).outcome == "tampered");
  CHECK_FALSE(world.exists(shell));
}

TEST_CASE("a copy that fails leaves nothing in the outbox, and the next try succeeds",
          "[restore]") {
  MemoryWorld memory;
  World& world = *memory.world;
  const RunReport applied = must(world.apply(world.plan()));
  const std::string id = operation(applied, shell).id;
  const std::string outbox = world.target() + "-outbox";
  const std::string name = applied.run + "-" + id;
  world.file(shell, "somebody else's\n");
  const bool sealed = GENERATE(false, true);
  if (sealed) must(hold_of(world, applied.run)->remove_file(id));
  const auto rollback = [&] {
    RollbackOptions options = with_key(world);
    options.only = {id};
    options.outbox = outbox;
    return must(world.rollback(applied.run, std::move(options)));
  };
  const auto entries = [&] {
    std::size_t count = 0;
    must(must(memory.host.open_root(outbox))->each_entry([&](std::string_view, FileKind) {
      ++count;
      return true;
    }));
    return count;
  };
  const bool unnamed = GENERATE(true, false);
  const std::string failing = GENERATE("write_at", "restore_metadata", "sync");
  INFO(failing << (unnamed ? ", unnamed" : ", named") << (sealed ? ", sealed" : ", held"));
  bool in_outbox = false, failed = false;
  memory.host.set_fault_hook(
      [&](std::string_view operation, std::string_view) -> std::optional<Error> {
        in_outbox = in_outbox || operation == "make_root";
        if (!in_outbox) return std::nullopt;
        if (operation == "create_unnamed" && !unnamed)
          return Error{Code::unsupported, "this file system has no unnamed files", ""};
        if (operation != failing || std::exchange(failed, true)) return std::nullopt;
        return Error{Code::no_space, "the disk is full", ""};
      });
  const RunReport first = rollback();
  memory.host.set_fault_hook({});
  INFO(text(first));
  CHECK(failed);
  CHECK(operation(first, shell).outcome == "conflict");
  CHECK(operation(first, shell).reason.find("the disk is full") != std::string::npos);
  CHECK(entries() == 0);

  for (int again = 0; again < 2; ++again) {
    const RunReport boxed = rollback();
    INFO(text(boxed));
    CHECK(operation(boxed, shell).outcome == "in_outbox");
    CHECK(must(host::read_whole(*must(memory.host.open_root(outbox)), name, 100)) ==
          "inert sample a\n");
    CHECK(entries() == 1);
  }
  must(must(must(memory.host.open_root(outbox))->open_file(name, host::Access::read_write))
           ->truncate(3));
  const RunReport taken = rollback();
  INFO(text(taken));
  CHECK(operation(taken, shell).outcome == "conflict");
  CHECK(operation(taken, shell).reason.find(name) != std::string::npos);
  CHECK(world.read(shell) == "somebody else's\n");
}

}  // namespace remediate::run::test
