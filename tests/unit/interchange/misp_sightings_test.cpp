#include "remediate/interchange/misp_sightings.h"

#include <catch2/catch.hpp>

namespace remediate::interchange::test {
namespace {

using run::State;

/// A run with one operation on a file, which is where `state` says, and before a rollback was
/// where `before` says.
struct GivenBack {
  run::Run run;
  GivenBack(plan::Action action, State before, State state) {
    run.name = "run-1";
    plan::Operation operation;
    operation.id = "op-0001";
    operation.action = action;
    run.plan.plan.operations = {operation};
    run::OperationState one;
    one.operation = &run.plan.plan.operations.front();
    one.before_restore = before;
    one.state = state;
    one.entry.sha256 = std::string(64, 'a');
    run.operations.push_back(std::move(one));
  }
  /// The digests are of a file that was none of what was looked for.
  [[nodiscard]] bool is_false_positive() const {
    const auto lines = misp_sightings(run);
    if (!lines) CHECK(lines.error().code == Code::not_found);
    return lines && lines->find(std::string(64, 'a')) != std::string::npos;
  }
};

}  // namespace

TEST_CASE("a file that was taken and given back is a false positive", "[sightings]") {
  const State before =
      GENERATE(State::captured, State::sealed, State::done, State::finalizing, State::finalized);
  const plan::Action action = GENERATE(plan::Action::quarantine, plan::Action::replace_file);
  CHECK(GivenBack(action, before, State::restored).is_false_positive());
  CHECK_FALSE(GivenBack(action, before, before).is_false_positive());
  CHECK_FALSE(GivenBack(action, before, State::restoring).is_false_positive());
}

TEST_CASE("another file that was held in its place and given back is none", "[sightings]") {
  const State before = GENERATE(State::intended, State::not_done);
  const plan::Action action = GENERATE(plan::Action::quarantine, plan::Action::replace_file);
  CHECK_FALSE(GivenBack(action, before, State::restored).is_false_positive());
}

TEST_CASE("a setting that was given back is none", "[sightings]") {
  CHECK_FALSE(
      GivenBack(plan::Action::reset_setting, State::done, State::restored).is_false_positive());
}

}  // namespace remediate::interchange::test
