// Bounds on what a whole plan takes in: just below is taken, just above is told.
#include "remediate/crypto/digest.h"
#include "world.h"

using namespace remediate;
using namespace remediate::run;
using namespace remediate::run::test;

namespace {

plan::Plan plan_with(World& world, std::uint64_t max_settings_bytes) {
  HostPolicy policy;
  policy.policy = world.policy;
  policy.sha256 = crypto::sha256_hex("policy");
  SurveyOptions survey;
  survey.root = world.target();
  survey.store = world.store_path();
  survey.tool = "remediate test";
  survey.max_settings_bytes = max_settings_bytes;
  return must(make_plan(world.host(), {shells_playbook()}, policy, survey)).plan;
}

std::size_t settings_of(const plan::Plan& plan) {
  std::size_t count = 0;
  for (const plan::Operation& operation : plan.operations)
    if (operation.action == plan::Action::reset_setting) ++count;
  return count;
}

std::size_t too_large(const plan::Plan& plan) {
  std::size_t count = 0;
  for (const auto& issue : plan.issues)
    if (issue.kind == "too_large" && issue.where == "etc-iis/applicationHost.config") ++count;
  return count;
}

}  // namespace

TEST_CASE("configuration files together have a bound, and what is left out is told", "[bounds]") {
  host::MemoryHost host;
  World world(host, "/bounds");
  world.fill();
  // Two indicators of the playbook look at it, each at bytes of its own.
  const std::uint64_t size = 2 * world.read("etc-iis/applicationHost.config").size();
  const plan::Plan whole = plan_with(world, size);
  CHECK(settings_of(whole) == 2);
  CHECK(too_large(whole) == 0);
  CHECK(too_large(plan_with(world, size - 1)) == 1);
  const plan::Plan none = plan_with(world, size / 2 - 1);
  CHECK(settings_of(none) == 0);
  CHECK(too_large(none) == 2);
  CHECK(SurveyOptions().max_settings_bytes == 256u << 20);
}
