#include <algorithm>

#include "remediate/host/durable.h"
#include "remediate/run/run_state.h"
#include "rich_world.h"

namespace remediate::run::test {
namespace {

using journal::Record;

/// The plan and the journal of a finished apply, as records that a test can change.
struct Applied {
  MemoryWorld memory;
  plan::PlanFile plan = memory.world->plan();
  journal::Contents journal;

  Applied() {
    const RunReport report = must(memory.world->apply(plan));
    const auto store = memory.world->open_store();
    const std::string bytes =
        must(host::read_whole(store->journals(), journal_name(report.run), 1u << 24));
    journal = must(journal::read_journal(bytes));
  }
  [[nodiscard]] Result<Run> folded() const { return fold(plan, journal); }
  [[nodiscard]] Record& first(std::string_view type) {
    const auto found = std::ranges::find(journal.records, type, &Record::type);
    REQUIRE(found != journal.records.end());
    return *found;
  }
  void check_corrupt() const {
    const auto run = folded();
    REQUIRE_FALSE(run);
    INFO(run.error().text());
    CHECK(run.error().code == Code::corrupt);
  }
};

}  // namespace

TEST_CASE("a journal folds to where the run stands", "[state]") {
  const Applied applied;
  const Run run = must(applied.folded());
  CHECK(run.closed);
  CHECK(run.phase == "apply");
  CHECK(run.status == "done");
  for (const OperationState& operation : run.operations) {
    const bool instruct = operation.operation->action == plan::Action::instruct;
    CHECK(operation.state == (instruct ? State::planned : State::done));
    if (!instruct) CHECK(operation.entry.object.size() == 64);
  }
  journal::Contents cut = applied.journal;
  cut.records.pop_back();
  CHECK_FALSE(must(fold(applied.plan, cut)).closed);
  CHECK(must(fold(applied.plan, {})).phase.empty());
}

TEST_CASE("a record that is no step of a run is refused", "[state]") {
  Applied applied;
  SECTION("an end of no phase") { applied.journal.records.back().data["phase"] = ""; }
  SECTION("another plan") { applied.journal.records.front().data["plan_id"] = "other"; }
  SECTION("no start") {
    applied.journal.records.erase(applied.journal.records.begin());
    applied.journal.records.front().sequence = 1;
  }
  SECTION("a second start") {
    Record again = applied.journal.records.front();
    again.sequence = 2;
    applied.journal.records.insert(applied.journal.records.begin() + 1, again);
  }
  SECTION("an operation that the plan does not have") {
    applied.first(journal::type::intent).operation = "op-9999";
  }
  SECTION("sealed before it was captured") {
    applied.first(journal::type::captured).type = journal::type::sealed;
  }
  SECTION("done at once") { applied.first(journal::type::intent).type = journal::type::done; }
  SECTION("finalized without intent") {
    Record record = applied.first(journal::type::done);
    record.type = journal::type::finalized;
    applied.journal.records.push_back(record);
  }
  SECTION("not restored though no rollback began") {
    Record record = applied.first(journal::type::done);
    record.type = journal::type::not_restored;
    applied.journal.records.push_back(record);
  }
  SECTION("an intent without an entry") {
    applied.first(journal::type::intent).data = Json::object();
  }
  SECTION("an entry of another operation") {
    applied.first(journal::type::intent).data["entry"]["id"] = "op-0002";
  }
  SECTION("an entry that leads to another path") {
    applied.first(journal::type::intent).data["entry"]["path"] =
        Json{{"display", "x"}, {"raw", "ZXRjL3Bhc3N3ZA=="}};
  }
  SECTION("a capture without the folder's times") {
    applied.first(journal::type::captured).data.erase("parent_after");
  }
  applied.check_corrupt();
}

TEST_CASE("a value in a directory is never held, so no record can finalize it", "[state]") {
  RichWorld rich;
  const RunReport report = must(rich.world->apply(*rich.approved));
  const auto store = rich.world->open_store();
  journal::Contents journal = must(journal::read_journal(
      must(host::read_whole(store->journals(), journal_name(report.run), 1u << 24))));
  const auto value = std::ranges::find_if(
      rich.plan.plan.operations,
      [](const plan::Operation& one) { return one.setting.directory.has_value(); });
  REQUIRE(value != rich.plan.plan.operations.end());
  Record record = journal.records.back();
  record.type = journal::type::finalize_intent;
  record.operation = value->id;
  record.data = Json::object();
  journal.records.push_back(record);
  const auto folded = fold(rich.plan, journal);
  REQUIRE_FALSE(folded);
  CHECK(folded.error().code == Code::corrupt);
  CHECK(folded.error().text().find("which is no step of a run") != std::string::npos);
}

TEST_CASE("what is sealed and was not checked to be gone keeps a finalize from being whole",
          "[state]") {
  Applied applied;
  applied.journal.records.pop_back();  // closed
  const Record last = applied.journal.records.back();
  REQUIRE(last.type == journal::type::done);
  applied.journal.records.pop_back();
  Run run = must(applied.folded());
  const auto open = std::ranges::find(run.operations, State::sealed, &OperationState::state);
  REQUIRE(open != run.operations.end());
  CHECK(status_of(run, "finalize") == "failed");
  for (OperationState& operation : run.operations)
    if (operation.state == State::done) operation.state = State::finalized;
  CHECK(status_of(run, "finalize") == "partial");
  open->state = State::finalized;
  CHECK(status_of(run, "finalize") == "done");
}

TEST_CASE("a flag of another kind than it should be is no exception", "[state]") {
  Applied applied;
  applied.first(journal::type::captured).data["open_for_writing"] = "yes";
  CHECK(applied.folded());
}

TEST_CASE("every step of the table is taken and no other", "[state]") {
  constexpr std::array types = {
      journal::type::intent,   journal::type::captured,        journal::type::sealed,
      journal::type::done,     journal::type::not_done,        journal::type::restore_intent,
      journal::type::restored, journal::type::finalize_intent, journal::type::finalized,
      journal::type::closed,   journal::type::run_started,     journal::type::not_restored};
  std::size_t allowed = 0;
  for (int state = 0; state <= static_cast<int>(State::finalized); ++state)
    for (const std::string_view type : types)
      if (next_state(static_cast<State>(state), type)) ++allowed;
  CHECK(allowed == transitions.size());
  // What would lose an original or believe what was not checked.
  CHECK_FALSE(next_state(State::planned, journal::type::captured));
  CHECK_FALSE(next_state(State::intended, journal::type::sealed));
  CHECK_FALSE(next_state(State::intended, journal::type::done));
  CHECK_FALSE(next_state(State::captured, journal::type::finalize_intent));
  CHECK_FALSE(next_state(State::sealed, journal::type::finalize_intent));
  CHECK_FALSE(next_state(State::done, journal::type::finalized));
  CHECK_FALSE(next_state(State::restored, journal::type::finalize_intent));
  CHECK_FALSE(next_state(State::restored, journal::type::intent));
}

TEST_CASE("a run is found by a beginning that fits one", "[state]") {
  MemoryWorld memory;
  const RunReport first = must(memory.world->apply(memory.world->plan()));
  must(memory.world->rollback(first.run));
  const RunReport second = must(memory.world->apply(memory.world->plan()));
  const auto store = memory.world->open_store();
  CHECK(must(find_run(*store, first.run)) == first.run);
  CHECK(find_run(*store, "run-").error().code == Code::ambiguous);
  CHECK(find_run(*store, "run-x").error().code == Code::not_found);
  CHECK(find_run(*store, "").error().code == Code::not_found);
  CHECK(must(store->run_names()).size() == 2);
  CHECK(second.run != first.run);
}

}  // namespace remediate::run::test
