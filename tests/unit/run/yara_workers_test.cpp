#include "remediate/run/yara_workers.h"

#include "remediate/match/engine.h"
#include "world.h"

namespace remediate::run::test {

TEST_CASE("YARA that cannot be started is told where rules are asked, and not before", "[yara]") {
  host::WorkerLimits limits;
  limits.workers = 0;
  const auto apart = start_yara_workers(limits);
  if (!match::have_yara()) {
    CHECK(apart == nullptr);
    return;
  }
  REQUIRE(apart != nullptr);
  for (const auto& answer : {apart->prepare("rule a { condition: true }"),
                             apart->ask("", "", std::chrono::milliseconds(10))}) {
    REQUIRE_FALSE(answer);
    CHECK(answer.error().text().find("YARA cannot be run in processes of its own") !=
          std::string::npos);
    CHECK(answer.error().text().find("there have to be workers") != std::string::npos);
  }
}

}  // namespace remediate::run::test
