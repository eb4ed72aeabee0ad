// Plans of older revisions than a run of the store applied.
#include "remediate/run/revisions.h"

#include "world.h"

namespace remediate::run::test {

TEST_CASE("an older revision of a playbook than was applied is refused", "[revisions]") {
  MemoryWorld memory;
  World& world = *memory.world;
  const auto plan_of = [&](std::uint64_t revision) {
    plan::Plan plan = world.plan().plan;
    plan.playbooks.front().revision = revision;
    return must(plan::write_plan(std::move(plan)));
  };
  const RunReport first = must(world.apply(plan_of(5)));
  must(world.rollback(first.run));  // it counts all the same
  const plan::PlanFile older = plan_of(4);
  const auto refused = world.apply(older);
  REQUIRE_FALSE(refused);
  INFO(refused.error().text());
  CHECK(refused.error().code == Code::refused);
  for (const std::string& word : {std::string("revision 4"), std::string("revision 5"), first.run})
    CHECK(refused.error().text().find(word) != std::string::npos);
  CHECK(refused.error().remedy.find("allow_older_revisions") != std::string::npos);
  world.older_revisions_allowed = {"playbook--99999999-2222-4333-8444-555555555555"};
  CHECK_FALSE(world.apply(older));
  world.older_revisions_allowed = {older.plan.playbooks.front().id};
  const RunReport second = must(world.apply(older));
  must(world.rollback(second.run));
  world.older_revisions_allowed.clear();
  CHECK_FALSE(world.apply(plan_of(4)));
  CHECK(world.apply(plan_of(5)));
}

TEST_CASE("a run that cannot be read hides no revision", "[revisions]") {
  MemoryWorld memory;
  World& world = *memory.world;
  const RunReport first = must(world.apply(world.plan()));
  must(world.rollback(first.run));
  const plan::PlanFile plan = world.plan();
  const auto store = world.open_store();
  const auto folder =
      must(store->runs().open_directory(must(RawPath::parse(first.run)), host::Mounts::stay));
  must(folder->remove_file("plan.json"));
  const auto refused = world.apply(plan);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().text().find(first.run) != std::string::npos);
  world.older_revisions_allowed = {plan.plan.playbooks.front().id};
  CHECK(world.apply(plan));
}

TEST_CASE("runs of other playbooks, and earlier revisions, stand in nobody's way", "[revisions]") {
  MemoryWorld memory;
  World& world = *memory.world;
  const RunReport first = must(world.apply(world.plan()));
  must(world.rollback(first.run));
  plan::Plan later = world.plan().plan;
  later.playbooks.front().revision += 1;
  const RunReport second = must(world.apply(must(plan::write_plan(std::move(later)))));
  must(world.rollback(second.run));
  plan::Plan other = world.plan().plan;
  const std::string id = other.playbooks.front().id;
  other.playbooks.front().id = "playbook--99999999-2222-4333-8444-555555555555";
  for (plan::Operation& operation : other.operations)
    if (operation.playbook == id) operation.playbook = other.playbooks.front().id;
  const auto written = plan::write_plan(std::move(other));
  REQUIRE(written);
  CHECK(world.apply(*written));
}

TEST_CASE("any look that fails while revisions are compared refuses the plan", "[revisions]") {
  MemoryWorld memory;
  World& world = *memory.world;
  const RunReport first = must(world.apply(world.plan()));
  must(world.rollback(first.run));
  const plan::PlanFile plan = world.plan();
  const auto store = world.open_store();
  std::size_t at = 0;
  for (;; ++at) {
    REQUIRE(at < 100);
    std::size_t count = 0;
    memory.host.set_look_hook([&](std::string_view, std::string_view) {
      return count++ == at ? std::optional(Error{Code::io, "broken", ""}) : std::nullopt;
    });
    const auto checked = check_revisions(*store, plan.plan, {});
    memory.host.set_look_hook({});
    if (count <= at) {
      CHECK(checked);
      break;
    }
    REQUIRE_FALSE(checked);
    CHECK(checked.error().text().find("broken") != std::string::npos);
  }
  CHECK(at > 3);
  const auto folder =
      must(store->runs().open_directory(must(RawPath::parse(first.run)), host::Mounts::stay));
  must(must(folder->open_file("plan.json", host::Access::read_write))->write_at(0, "["));
  const auto damaged = check_revisions(*store, plan.plan, {});
  REQUIRE_FALSE(damaged);
  CHECK(damaged.error().text().find(first.run) != std::string::npos);
}

TEST_CASE("every playbook of a plan is compared with itself", "[revisions]") {
  MemoryWorld memory;
  World& world = *memory.world;
  world.overwrite_page();
  const auto plan_of = [&](std::uint64_t first, std::uint64_t second) {
    plan::Plan plan = world.plan().plan;
    REQUIRE(plan.playbooks.size() == 2);
    plan.playbooks[0].revision = first;
    plan.playbooks[1].revision = second;
    return must(plan::write_plan(std::move(plan))).plan;
  };
  const auto store = world.open_store();
  must(world.rollback(must(world.apply(must(plan::write_plan(plan_of(1, 5))))).run));
  CHECK(check_revisions(*store, plan_of(1, 5), {}));
  CHECK_FALSE(check_revisions(*store, plan_of(1, 4), {}));
  CHECK_FALSE(check_revisions(*store, plan_of(0, 5), {}));
}

}  // namespace remediate::run::test
