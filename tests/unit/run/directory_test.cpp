#include <utility>

#include "remediate/run/directory_reset.h"
#include "world.h"

// Changes of a directory beside those of files, each kill and lost answer at its own place.

namespace remediate::run::test {
namespace {

constexpr const char* attribute = "msExchExternalHostName";
constexpr const char* poison = "http://x/#script";
constexpr const char* guid = "457e0398-cafe-43fb-b128-23c9e9f47c20";
constexpr const char* dn =
    "CN=OAB (Default Web Site),CN=HTTP,CN=Protocols,CN=EX1,CN=Servers,CN=Org,DC=lab,DC=test";
const std::string address = std::string(dn) + " " + attribute;

using Value = std::optional<std::string>;

struct Killed {};

struct Fixture : MemoryWorld {
  Fixture() {
    setting::DirectoryObject object;
    object.dn = dn;
    object.guid = guid;
    object.when_changed = "20210303091522.0Z";
    object.classes = {"top", "msExchVirtualDirectory", "msExchOABVirtualDirectory"};
    object.attributes[attribute] = {poison};
    directory.objects = {object};
    world->exchange = &directory;
  }
  [[nodiscard]] Value value() const {
    const auto* values = directory.objects.front().values(attribute);
    return values == nullptr ? Value() : Value(values->front());
  }
  void write(const Value& wanted) {
    auto& attributes = directory.objects.front().attributes;
    attributes.erase(attribute);
    if (wanted) attributes[attribute] = {*wanted};
  }
  void calm() { directory.before = {}, directory.after_swap = {}; }
  setting::MemoryDirectory directory;
};

/// Does `what` when the directory is called for the nth time with this name.
std::function<std::optional<Error>(std::string_view)> at(
    std::string_view call, int number, std::function<std::optional<Error>()> what) {
  return [=, count = 0](std::string_view now) mutable -> std::optional<Error> {
    if (now != call || ++count != number) return std::nullopt;
    return what();
  };
}

std::optional<Error> lost() { return Error{Code::io, "no answer", ""}; }

std::string run_of(const plan::PlanFile& plan) { return run_name(plan.plan); }

}  // namespace

TEST_CASE("a value in a directory is changed, proven and put back with the files", "[directory]") {
  Fixture fixture;
  World& world = *fixture.world;
  const Snapshot before = world.snapshot();
  const plan::PlanFile plan = world.plan();
  CHECK(plan.plan.operations.front().address == address);
  const RunReport applied = must(world.apply(plan));
  INFO(text(applied));
  CHECK(applied.status == "done");
  CHECK(operation(applied, address).outcome == "reset");
  CHECK(fixture.value() == std::nullopt);
  CHECK(must(world.verify()).ok());
  RollbackOptions only;
  only.only = {"poisoned"};
  // Finalize has nothing of it to remove, and it can be put back all the same.
  const RunReport finalized = must(world.finalize(applied.run));
  CHECK(finalized.status == "done");
  const RunReport back = must(world.rollback(applied.run, only));
  INFO(text(back));
  CHECK(back.status == "done");
  CHECK(fixture.value() == poison);
  CHECK(must(world.verify()).ok());
}

TEST_CASE("without a connection a plan that needs one is refused", "[directory]") {
  Fixture fixture;
  World& world = *fixture.world;
  const plan::PlanFile plan = world.plan();
  const Snapshot before = world.snapshot();
  world.exchange = nullptr;
  const auto refused = world.apply(plan);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::configuration);
  CHECK(difference(before, world.snapshot()).empty());
  world.exchange = &fixture.directory;
  const RunReport applied = must(world.apply(plan));
  world.exchange = nullptr;
  const RunReport back = must(world.rollback(applied.run));
  CHECK(back.status == "partial");
  CHECK(operation(back, address).outcome == "failed");
  CHECK(fixture.value() == std::nullopt);
  CHECK(difference(before, world.snapshot()).empty());
}

TEST_CASE("what others write is never overwritten", "[directory]") {
  Fixture fixture;
  World& world = *fixture.world;
  const plan::PlanFile plan = world.plan();
  const Value theirs = "https://theirs";
  SECTION("before the run") {
    fixture.write(theirs);
    const auto refused = world.apply(plan);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::stale_plan);
  }
  SECTION("between the last look and the change") {
    fixture.directory.before = at("swap", 1, [&]() -> std::optional<Error> {
      fixture.write(theirs);
      return std::nullopt;
    });
    const RunReport applied = must(world.apply(plan));
    CHECK(applied.status == "partial");
    CHECK(operation(applied, address).outcome == "changed");
  }
  SECTION("after the run") {
    const RunReport applied = must(world.apply(plan));
    RollbackOptions look;
    look.dry_run = true;
    CHECK(operation(must(world.rollback(applied.run, look)), address).outcome == "would_restore");
    fixture.write(theirs);
    CHECK(operation(must(world.rollback(applied.run, look)), address).outcome == "would_conflict");
    world.exchange = nullptr;
    CHECK(operation(must(world.rollback(applied.run, look)), address).reason.find("--directory") !=
          std::string::npos);
    world.exchange = &fixture.directory;
    const RunReport back = must(world.rollback(applied.run));
    CHECK(operation(back, address).outcome == "conflict");
  }
  SECTION("in the middle of a rollback") {
    const RunReport applied = must(world.apply(plan));
    fixture.directory.before = at("swap", 1, [&]() -> std::optional<Error> {
      fixture.write(theirs);
      return std::nullopt;
    });
    const RunReport back = must(world.rollback(applied.run));
    CHECK(operation(back, address).outcome == "conflict");
  }
  CHECK(fixture.value() == theirs);
  CHECK(must(world.verify()).ok());
}

TEST_CASE("an object that was moved, or is gone, is left alone", "[directory]") {
  Fixture fixture;
  World& world = *fixture.world;
  const plan::PlanFile plan = world.plan();
  const RunReport applied = must(world.apply(plan));
  SECTION("moved") { fixture.directory.objects.front().dn = "CN=elsewhere,DC=lab,DC=test"; }
  SECTION("made anew") {
    fixture.directory.objects.front().guid = "00000000-0000-0000-0000-000000000002";
  }
  const RunReport back = must(world.rollback(applied.run));
  CHECK(operation(back, address).outcome == "conflict");
  CHECK(fixture.value() == std::nullopt);
}

TEST_CASE("a lost answer is looked after, not guessed", "[directory]") {
  enum class Lost : std::uint8_t { request, answer, look };
  enum class Then : std::uint8_t { resume, rollback, others, moved, gone };
  const Lost what = GENERATE(Lost::request, Lost::answer, Lost::look);
  const Then then = GENERATE(Then::resume, Then::rollback, Then::others, Then::moved, Then::gone);
  Fixture fixture;
  World& world = *fixture.world;
  const plan::PlanFile plan = world.plan();
  if (what == Lost::request) fixture.directory.before = at("swap", 1, lost);
  if (what == Lost::answer) fixture.directory.after_swap = lost;
  if (what == Lost::look) fixture.directory.before = at("read", 3, lost);
  const RunReport applied = must(world.apply(plan));
  INFO(text(applied));
  CHECK(applied.status == "partial");
  CHECK(operation(applied, address).outcome == "unknown");
  CHECK(fixture.value().has_value() == (what == Lost::request));
  fixture.calm();
  if (then == Then::moved || then == Then::gone) {
    if (then == Then::gone)
      fixture.directory.objects.clear();
    else
      fixture.directory.objects.front().dn = "CN=elsewhere";
    const RunReport resumed = must(world.resume(applied.run));
    CHECK(operation(resumed, address).outcome == (then == Then::gone ? "vanished" : "changed"));
    return;
  }
  if (then == Then::others) {
    fixture.write("https://theirs");
    const RunReport resumed = must(world.resume(applied.run));
    CHECK(operation(resumed, address).outcome == "changed");
    CHECK(fixture.value() == "https://theirs");
    return;
  }
  if (then == Then::resume) {
    const RunReport resumed = must(world.resume(applied.run));
    CHECK(resumed.status == "done");
    CHECK(operation(resumed, address).outcome == "reset");
    CHECK(fixture.value() == std::nullopt);
  }
  CHECK(must(world.rollback(applied.run)).status == "done");
  CHECK(fixture.value() == poison);
  CHECK(must(world.verify()).ok());
}

TEST_CASE("a crash at any call of a run is recovered", "[directory]") {
  for (const char* call : {"read", "swap", "after"}) {
    for (int number = 1; number <= 3; ++number) {
      for (const bool forward : {true, false}) {
        Fixture fixture;
        World& world = *fixture.world;
        const Snapshot before = world.snapshot();
        const plan::PlanFile plan = world.plan();
        const auto kill = []() -> std::optional<Error> { throw Killed{}; };
        if (std::string_view(call) == "after")
          fixture.directory.after_swap = kill;
        else
          fixture.directory.before = at(call, number, kill);
        bool killed = false;
        try {
          (void)world.apply(plan);
        } catch (const Killed&) {
          killed = true;
        }
        fixture.calm();
        INFO(call << " " << number << (killed ? " killed" : " not reached"));
        const auto runs = must(world.open_store()->run_names());
        if (runs.empty()) {  // killed while the targets were compared: nothing had begun
          CHECK(difference(before, world.snapshot()).empty());
          CHECK(fixture.value() == poison);
          continue;
        }
        if (forward) {
          const RunReport resumed = must(world.resume(run_of(plan)));
          CHECK(resumed.status == "done");
          CHECK(fixture.value() == std::nullopt);
        }
        const RunReport back = must(world.rollback(run_of(plan)));
        INFO(text(back));
        CHECK(fixture.value() == poison);
        CHECK(difference(before, world.snapshot()).empty());
        CHECK(must(world.verify()).ok());
      }
    }
  }
}

TEST_CASE("a crash at any call of a rollback is recovered", "[directory]") {
  for (const char* call : {"read", "swap", "after"}) {
    for (int number = 1; number <= 2; ++number) {
      Fixture fixture;
      World& world = *fixture.world;
      const Snapshot before = world.snapshot();
      const plan::PlanFile plan = world.plan();
      const RunReport applied = must(world.apply(plan));
      const auto kill = []() -> std::optional<Error> { throw Killed{}; };
      if (std::string_view(call) == "after")
        fixture.directory.after_swap = kill;
      else
        fixture.directory.before = at(call, number, kill);
      try {
        (void)world.rollback(applied.run);
      } catch (const Killed&) {
        (void)0;
      }
      fixture.calm();
      INFO(call << " " << number);
      (void)must(world.resume(applied.run));
      CHECK(fixture.value() == poison);
      CHECK(difference(before, world.snapshot()).empty());
      CHECK(must(world.verify()).ok());
    }
  }
}

namespace {

std::optional<Error> with(Code code) { return Error{code, "the server says no", ""}; }

struct Answer {
  Code code;
  const char* outcome;
};

}  // namespace

TEST_CASE("what the server answers to the change is what the report says", "[directory]") {
  const Answer answer =
      GENERATE(Answer{Code::not_found, "vanished"}, Answer{Code::changed, "changed"},
               Answer{Code::refused, "refused"}, Answer{Code::permission, "refused"},
               Answer{Code::limit, "failed"}, Answer{Code::io, "unknown"});
  const char* call = GENERATE("read", "swap");
  INFO(code_name(answer.code) << " to the " << call);
  Fixture fixture;
  World& world = *fixture.world;
  const plan::PlanFile plan = world.plan();
  const bool read = call == std::string_view("read");
  // The first read compares it with the plan, the second comes before the change.
  fixture.directory.before = at(call, read ? 2 : 1, [&] { return with(answer.code); });
  const RunReport applied = must(world.apply(plan));
  fixture.calm();
  INFO(text(applied));
  // Before its intent an operation without an answer is one that was not begun.
  const bool not_begun = read && answer.code == Code::io;
  CHECK(operation(applied, address).outcome == (not_begun ? "not_started" : answer.outcome));
  CHECK(operation(applied, address).reason.find("the server says no") != std::string::npos);
  CHECK(fixture.value() == poison);
  CHECK(operation(applied, "www/shell-a.php").outcome == "quarantined");
  CHECK(must(world.verify()).ok());
  const RunReport resumed = must(world.resume(applied.run));
  INFO(text(resumed));
  const bool open = answer.code == Code::io;
  CHECK(operation(resumed, address).outcome == (open ? "reset" : answer.outcome));
  CHECK(fixture.value().has_value() != open);
  CHECK(must(world.rollback(applied.run)).status == "done");
  CHECK(fixture.value() == poison);
}

TEST_CASE("what the server answers to a rollback leaves it to the next one", "[directory]") {
  const Answer answer =
      GENERATE(Answer{Code::not_found, "conflict"}, Answer{Code::changed, "conflict"},
               Answer{Code::refused, "failed"}, Answer{Code::io, "failed"});
  const char* call = GENERATE("read", "swap");
  INFO(code_name(answer.code) << " to the " << call);
  Fixture fixture;
  World& world = *fixture.world;
  const RunReport applied = must(world.apply(world.plan()));
  fixture.directory.before = at(call, 1, [&] { return with(answer.code); });
  const RunReport back = must(world.rollback(applied.run));
  fixture.calm();
  INFO(text(back));
  const bool read_missing = call == std::string_view("swap") && answer.code == Code::not_found;
  CHECK(operation(back, address).outcome == (read_missing ? "failed" : answer.outcome));
  CHECK(operation(back, address).reason.find("the server says no") != std::string::npos);
  CHECK(fixture.value() == std::nullopt);
  CHECK(must(world.verify()).ok());
  CHECK(must(world.rollback(applied.run)).status == "done");
  CHECK(fixture.value() == poison);
}

TEST_CASE("a resume that cannot look at a change that was begun waits", "[directory]") {
  Fixture fixture;
  World& world = *fixture.world;
  const plan::PlanFile plan = world.plan();
  fixture.directory.before = at("swap", 1, lost);
  const RunReport applied = must(world.apply(plan));
  REQUIRE(operation(applied, address).outcome == "unknown");
  const auto value_before = fixture.value();
  SECTION("no connection") {
    fixture.calm();
    world.exchange = nullptr;
    const RunReport resumed = must(world.resume(applied.run));
    CHECK(operation(resumed, address).outcome == "unknown");
    CHECK(operation(resumed, address).reason.find("--directory") != std::string::npos);
    world.exchange = &fixture.directory;
  }
  SECTION("the server does not answer, or refuses") {
    for (const Code code : {Code::io, Code::permission, Code::limit}) {
      INFO(code_name(code));
      fixture.directory.before = at("read", 1, [&] { return with(code); });
      const RunReport resumed = must(world.resume(applied.run));
      CHECK(operation(resumed, address).outcome == "unknown");
    }
    fixture.calm();
  }
  CHECK(fixture.value() == value_before);
  CHECK(must(world.resume(applied.run)).status == "done");
  CHECK(fixture.value() == std::nullopt);
}

TEST_CASE("a change that was begun is not begun again once a rollback has", "[directory]") {
  Fixture fixture;
  World& world = *fixture.world;
  const plan::PlanFile plan = world.plan();
  fixture.directory.before = at("swap", 1, lost);
  const RunReport applied = must(world.apply(plan));
  fixture.calm();
  RollbackOptions other;
  other.only = {"vdir-x"};
  CHECK(must(world.rollback(applied.run, other)).status == "done");
  const RunReport resumed = must(world.resume(applied.run));
  INFO(text(resumed));
  CHECK(operation(resumed, address).outcome == "not_started");
  CHECK(fixture.value() == poison);
}

TEST_CASE("an attribute that got further values is left alone", "[directory]") {
  Fixture fixture;
  World& world = *fixture.world;
  const plan::PlanFile plan = world.plan();
  auto& attributes = fixture.directory.objects.front().attributes;
  const std::vector<std::string> theirs = {"http://a", "http://b"};
  SECTION("before the run") {
    attributes[attribute] = theirs;
    const auto refused = world.apply(plan);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().text().find("has several values now") != std::string::npos);
    CHECK(attributes[attribute] == theirs);
  }
  SECTION("no value at all is as good as none") {
    attributes[attribute] = {};
    CHECK(world.apply(plan).error().text().find("is now absent") != std::string::npos);
  }
  SECTION("right behind the change") {
    fixture.directory.after_swap = [&]() -> std::optional<Error> {
      attributes[attribute] = theirs;
      return std::nullopt;
    };
    const RunReport applied = must(world.apply(plan));
    fixture.calm();
    INFO(text(applied));
    CHECK(operation(applied, address).outcome == "changed");
    CHECK(operation(applied, address).reason.find("somebody else changes it too") !=
          std::string::npos);
    CHECK(attributes[attribute] == theirs);
  }
  SECTION("another value right behind the change") {
    fixture.directory.after_swap = [&]() -> std::optional<Error> {
      fixture.write("http://theirs");
      return std::nullopt;
    };
    const RunReport applied = must(world.apply(plan));
    fixture.calm();
    CHECK(operation(applied, address).outcome == "changed");
    CHECK(fixture.value() == "http://theirs");
  }
  SECTION("while it is put back: ours goes again") {
    const RunReport applied = must(world.apply(plan));
    bool first = true;
    const bool answered = GENERATE(true, false);
    fixture.directory.after_swap = [&]() -> std::optional<Error> {
      if (std::exchange(first, false))
        attributes[attribute] = {poison, "http://b"};
      else if (!answered)
        return lost();
      return std::nullopt;
    };
    const RunReport back = must(world.rollback(applied.run));
    fixture.calm();
    INFO(text(back));
    CHECK(operation(back, address).outcome == (answered ? "conflict" : "failed"));
    CHECK(must(world.verify()).ok());
  }
}

TEST_CASE("a directory that cannot be read before the run stops it", "[directory]") {
  const Code code = GENERATE(Code::io, Code::not_found, Code::permission);
  Fixture fixture;
  World& world = *fixture.world;
  const plan::PlanFile plan = world.plan();
  const Snapshot before = world.snapshot();
  fixture.directory.before = at("read", 1, [&] { return with(code); });
  const auto refused = world.apply(plan);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::stale_plan);
  CHECK(refused.error().text().find("the server says no") != std::string::npos);
  CHECK(difference(before, world.snapshot()).empty());
  CHECK(must(world.open_store()->run_names()).empty());
}

TEST_CASE("a value is changed to another one and back", "[directory]") {
  // The shipped step takes it away; a plan may as well name another value.
  Fixture fixture;
  World& world = *fixture.world;
  const plan::PlanFile plan = world.plan();
  DirectoryValue value = *plan.plan.operations.front().setting.directory;
  CHECK(must(directory_drift(fixture.directory, value)).empty());
  CHECK(directory_obstacle(fixture.directory, value).empty());
  fixture.write("http://theirs");
  CHECK(must(directory_drift(fixture.directory, value)).front().find("approved was") !=
        std::string::npos);
  CHECK(directory_obstacle(fixture.directory, value).find("somebody else changed it since") !=
        std::string::npos);
  value.guid = "00000000-0000-0000-0000-000000000009";
  CHECK(directory_drift(fixture.directory, value).error().code == Code::not_found);
  CHECK_FALSE(directory_obstacle(fixture.directory, value).empty());
  value = *plan.plan.operations.front().setting.directory;
  value.dn = "CN=elsewhere";
  CHECK(must(directory_drift(fixture.directory, value)).front().find("the object is now") !=
        std::string::npos);
}

TEST_CASE("a journal that skips the capture of a file is corrupt", "[directory]") {
  Fixture fixture;
  World& world = *fixture.world;
  const plan::PlanFile plan = world.plan();
  const RunReport applied = must(world.apply(plan));
  Run run = must(load_run(*world.open_store(), applied.run));
  for (OperationState& state : run.operations) {
    if (state.operation->action == plan::Action::instruct) continue;
    state.state = State::intended;
    const bool in_directory = state.operation->setting.directory.has_value();
    journal::Record record;
    record.operation = state.operation->id;
    record.type = in_directory ? journal::type::captured : journal::type::done;
    const auto refused = advance(run, state, record);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::corrupt);
  }
}

}  // namespace remediate::run::test
