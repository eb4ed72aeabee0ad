#include <utility>

#include "world.h"

// A line that has PHP run a file with every page: the line goes before the file and comes back
// after it, also when a part of the run fails.

namespace remediate::run::test {
namespace {

constexpr const char* ini = "www/.user.ini";
constexpr const char* named = "www/shell-a.php";
constexpr const char* with_line =
    "; a good line\nauto_prepend_file = shell-a.php\nmemory_limit = 8M\n";
constexpr const char* without_line = "; a good line\nmemory_limit = 8M\n";

playbook::Playbook line_playbook(const std::string& configuration) {
  playbook::Playbook playbook;
  playbook.id = "playbook--11111111-2222-3333-4444-888888888888";
  playbook.name = "Test line";
  playbook.revision = 1;
  playbook.sha256 = std::string(64, 'd');
  playbook::Indicator line;
  line.id = "line";
  line.name = "A file before every page";
  line.authorises = playbook::Authorises::remove;
  line.setting = playbook::SettingCondition{
      "php-user-ini", {{"/" + configuration, playbook::Spelling::posix}}, {}, "directive", "", {}};
  playbook::AttributeTest test;
  test.name = "name";
  test.equals = "auto_prepend_file";
  line.setting->where = {test};
  playbook.indicators = {line};
  playbook::Step take_out;
  take_out.id = "take-out";
  take_out.action = playbook::Action::reset_setting;
  take_out.indicators = {"line"};
  take_out.change = playbook::Change{"remove_element", "", "", std::nullopt, ""};
  playbook.steps = {take_out};
  return playbook;
}

bool is_of_named_file(std::string_view name) {
  return name == "shell-a.php" || name.starts_with("op-0003") || name.starts_with("op-0004");
}

struct Prepended {
  MemoryWorld memory;
  World& world = *memory.world;
  plan::PlanFile plan;
  std::string run;

  explicit Prepended(const char* configuration = ini) {
    world.file(configuration, with_line, 0640);
    world.first = {line_playbook(configuration)};
    plan = world.plan();
    run = run_name(plan.plan);
  }
  /// The function fails for this name, every time.
  void fails(const std::string& function, const std::string& entry) {
    memory.host.set_fault_hook([=](std::string_view operation, std::string_view name) {
      return operation == function && name == entry
                 ? std::optional(Error{Code::io, "injected fault", ""})
                 : std::nullopt;
    });
  }
  void works() { memory.host.set_fault_hook({}); }
  void look_fails(const std::string& entry) {
    memory.host.set_look_hook([=](std::string_view, std::string_view name) {
      return name == entry ? std::optional(Error{Code::io, "injected fault", ""}) : std::nullopt;
    });
  }
  [[nodiscard]] bool breaks_pages() { return !world.exists(named) && world.read(ini) == with_line; }
};

/// The configuration that is exchanged has this name in no call: its new version has one.
const OperationReport& line_of(const RunReport& report) {
  for (const OperationReport& one : report.operations)
    if (one.address.starts_with(ini)) return one;
  FAIL("no operation for the line");
  return report.operations.front();
}

}  // namespace

TEST_CASE("line and file go and come back", "[line_order]") {
  Prepended prepended;
  const RunReport applied = must(prepended.world.apply(prepended.plan));
  CHECK(applied.status == "done");
  CHECK(prepended.world.read(ini) == without_line);
  CHECK_FALSE(prepended.world.exists(named));
  CHECK(must(prepended.world.rollback(prepended.run)).status == "done");
  CHECK(prepended.world.read(ini) == with_line);
  CHECK(prepended.world.exists(named));
}

TEST_CASE("a file stays while the line that names it could not be taken out", "[line_order]") {
  Prepended prepended;
  prepended.fails("exchange", "op-0001.new");
  const RunReport applied = must(prepended.world.apply(prepended.plan));
  prepended.works();
  INFO(text(applied));
  CHECK(line_of(applied).outcome != "reset");
  CHECK_FALSE(prepended.breaks_pages());
  const OperationReport& file = operation(applied, named);
  CHECK(file.outcome == "refused");
  CHECK(file.reason.find("www/.user.ini, line 2, has PHP run it with every page") !=
        std::string::npos);
  // The others go all the same.
  CHECK(operation(applied, "www/sub/shell-b.php").outcome == "quarantined");
  CHECK_FALSE(prepended.world.exists("www/sub/shell-b.php"));
  CHECK(must(prepended.world.verify(prepended.run)).ok());
  CHECK(must(prepended.world.rollback(prepended.run)).status == "done");
  CHECK(prepended.world.read(ini) == with_line);
}

TEST_CASE("a line does not come back before the file that it names", "[line_order]") {
  Prepended prepended;
  must(prepended.world.apply(prepended.plan));
  bool other = false;
  SECTION("as it was") {}
  SECTION("merged with what others wrote") {
    other = true;
    const auto folder = prepended.world.parent(ini);
    const auto file = must(folder->open_file(".user.ini", host::Access::read_write));
    must(file->write_at(0, std::string("; A good line")));
  }
  SECTION("from its sealed copy") { must(prepended.world.finalize(prepended.run)); }
  RollbackOptions options;
  options.recovery = prepended.world.recovery();
  prepended.memory.host.set_fault_hook([](std::string_view operation, std::string_view name) {
    const bool file = name == "shell-a.php" || name.starts_with("op-0004");
    return file && operation == "rename" ? std::optional(Error{Code::io, "injected fault", ""})
                                         : std::nullopt;
  });
  const RunReport refused = must(prepended.world.rollback(prepended.run, options));
  prepended.works();
  INFO(text(refused));
  CHECK_FALSE(prepended.world.exists(named));
  CHECK(line_of(refused).outcome == "failed");
  CHECK(line_of(refused).reason.find("would have PHP run www/shell-a.php") != std::string::npos);
  CHECK_FALSE(prepended.breaks_pages());
  const RunReport back = must(prepended.world.rollback(prepended.run, options));
  INFO(text(back));
  CHECK(back.status == "done");
  CHECK(prepended.world.exists(named));
  CHECK(prepended.world.read(ini).find("auto_prepend_file = shell-a.php") != std::string::npos);
  CHECK((prepended.world.read(ini) == with_line) == !other);
}

TEST_CASE("a file in the place of the one that was taken is enough", "[line_order]") {
  Prepended prepended;
  must(prepended.world.apply(prepended.plan));
  prepended.world.file(named, "the operator's own\n");
  RollbackOptions options;
  options.only = {"line"};
  CHECK(must(prepended.world.rollback(prepended.run, options)).status == "done");
  CHECK(prepended.world.read(ini) == with_line);
}

TEST_CASE("a rollback that was killed knows which files it was to bring back", "[line_order]") {
  const bool line_alone = GENERATE(false, true);
  INFO((line_alone ? "the line alone" : "all"));
  RollbackOptions options;
  if (line_alone) options.only = {"line"};
  std::size_t resumed_lines = 0;
  for (std::size_t at = 0;; ++at) {
    Prepended prepended;
    World& world = prepended.world;
    must(world.apply(prepended.plan));
    std::size_t count = 0;
    bool dead = false, dies = true;
    prepended.memory.host.set_fault_hook(
        [&](std::string_view operation, std::string_view name) -> std::optional<Error> {
          dead = dead || (dies && count++ == at);
          if (dead || (operation == "rename" && is_of_named_file(name)))
            return Error{Code::io, "injected fault", ""};
          return std::nullopt;
        });
    (void)world.rollback(prepended.run, options);
    const bool killed = std::exchange(dead, false);
    dies = false;
    INFO("killed at call " << at);
    const bool was_open = world.read(ini) == without_line;
    const RunReport resumed = must(world.resume(prepended.run));
    prepended.works();
    if (!killed) break;
    INFO(text(resumed));
    if (resumed.phase != "rollback") continue;
    resumed_lines += was_open ? 1 : 0;
    CHECK(line_of(resumed).outcome == (line_alone ? "restored" : "failed"));
    CHECK(world.read(ini) == (line_alone ? with_line : without_line));
    CHECK_FALSE(world.exists(named));
  }
  CHECK(resumed_lines > 2);
}

TEST_CASE("what a killed rollback left is brought back though another one ended since",
          "[line_order]") {
  Prepended prepended;
  World& world = prepended.world;
  must(world.apply(prepended.plan));
  bool dead = false;
  prepended.memory.host.set_fault_hook([&](std::string_view operation, std::string_view name) {
    dead = dead || (operation == "rename" && name.starts_with("op-"));
    return dead ? std::optional(Error{Code::io, "the process is gone", ""}) : std::nullopt;
  });
  (void)world.rollback(prepended.run);
  prepended.works();
  REQUIRE(dead);
  RollbackOptions other;
  other.only = {"vdir-x"};
  CHECK(must(world.rollback(prepended.run, other)).status == "done");
  const RunReport resumed = must(world.resume(prepended.run));
  INFO(text(resumed));
  CHECK(resumed.status == "done");
  CHECK(line_of(resumed).outcome == "restored");
  CHECK(operation(resumed, named).outcome == "restored");
  CHECK(world.read(ini) == with_line);
}

TEST_CASE("a configuration that nobody can read any more keeps what is below it", "[line_order]") {
  Prepended prepended("www/sub/.user.ini");
  World& world = prepended.world;
  world.stop = true;
  REQUIRE(must(world.apply(prepended.plan)).interrupted);
  world.stop = false;
  world.remove("www/sub/.user.ini");
  const FileKind kind = GENERATE(FileKind::symlink, FileKind::directory, FileKind::fifo);
  INFO(kind_name(kind));
  must(prepended.memory.host.plant(world.target() + "/www/sub/.user.ini", kind,
                                   kind == FileKind::symlink ? "/nowhere" : ""));
  const RunReport resumed = must(world.resume(prepended.run));
  INFO(text(resumed));
  CHECK(resumed.status == "partial");
  CHECK(operation(resumed, "www/sub/shell-b.php").outcome == "refused");
  CHECK(operation(resumed, "www/sub/shell-b.php").reason.find("cannot be read or parsed") !=
        std::string::npos);
  CHECK(world.exists("www/sub/shell-b.php"));
  CHECK(operation(resumed, "www/data/shell-d.php").outcome == "quarantined");
  CHECK_FALSE(world.exists("www/data/shell-d.php"));
  CHECK(must(world.verify(prepended.run)).ok());
}

TEST_CASE("a configuration whose lines are computed keeps the files that it speaks of",
          "[line_order]") {
  Prepended prepended;
  World& world = prepended.world;
  world.stop = true;
  REQUIRE(must(world.apply(prepended.plan)).interrupted);
  world.stop = false;
  world.remove(ini);
  world.file(ini, "auto_prepend_file = ${HOME}/shell-a.php\n");
  const RunReport resumed = must(world.resume(prepended.run));
  INFO(text(resumed));
  CHECK(operation(resumed, named).outcome == "refused");
  CHECK(operation(resumed, named).reason.find("cannot be read or parsed") != std::string::npos);
  CHECK(world.exists(named));
  CHECK(operation(resumed, "www/sub/shell-b.php").outcome == "quarantined");
  CHECK(must(world.verify(prepended.run)).ok());
}

TEST_CASE("a place that cannot be looked at keeps the line out", "[line_order]") {
  Prepended prepended;
  World& world = prepended.world;
  must(world.apply(prepended.plan));
  RollbackOptions options;
  options.only = {"line", "shells"};
  // The file does not come back, and whether it is there cannot be seen when the line's turn comes.
  bool tried = false;
  prepended.memory.host.set_fault_hook([&](std::string_view call, std::string_view name) {
    const bool fails = call == "rename" && name.starts_with("op-0004");
    tried = tried || fails;
    return fails ? std::optional(Error{Code::io, "injected fault", ""}) : std::nullopt;
  });
  const std::string what = GENERATE("stat_entry", "open_directory");
  bool line = false, seen = false;
  prepended.memory.host.set_look_hook([&](std::string_view call, std::string_view name) {
    line = line || (tried && call == "open_file" && name == ".user.ini");
    const bool now = line && !seen && call == what &&
                     (name == "shell-a.php" || (call == "open_directory" && name == "www"));
    seen = seen || now;
    return now ? std::optional(Error{Code::io, "injected fault", ""}) : std::nullopt;
  });
  const RunReport back = must(world.rollback(prepended.run, options));
  prepended.memory.host.set_look_hook({});
  prepended.works();
  INFO(what << ": " << text(back));
  CHECK(seen);
  CHECK(line_of(back).outcome == "failed");
  CHECK(world.read(ini) == without_line);
  CHECK(must(world.rollback(prepended.run)).status == "done");
  CHECK(world.read(ini) == with_line);
}

TEST_CASE("a line alone comes back with a warning for each file that stays removed",
          "[line_order]") {
  Prepended prepended;
  World& world = prepended.world;
  must(world.apply(prepended.plan));
  RollbackOptions options;
  options.only = {"line"};
  options.dry_run = true;
  const auto warns = [](const RunReport& report) {
    for (const std::string& notice : report.notices)
      if (notice.find("stays removed: every page fails until") != std::string::npos) return true;
    return false;
  };
  CHECK(warns(must(world.rollback(prepended.run, options))));
  options.dry_run = false;
  const RunReport back = must(world.rollback(prepended.run, options));
  CHECK(warns(back));
  CHECK(world.read(ini) == with_line);
  CHECK_FALSE(warns(must(world.rollback(prepended.run))));
  CHECK(world.exists(named));
}

}  // namespace remediate::run::test
