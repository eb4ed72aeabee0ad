// Changes everything in a store and asks who notices. Not attacked, because they are no evidence:
// keys/*.key (a key that does not fit its certificate signs nothing, and what it signed wrongly
// does not verify) and `lock` (empty).
//   tamper_sweep [--full] [TEST CASE]
#define CATCH_CONFIG_RUNNER
#include <chrono>

#include "sweep.h"

namespace remediate::run::test {
namespace {

void sweep_scene(const std::string& shape) {
  const auto began = std::chrono::steady_clock::now();
  Scene scene(shape);
  if (shape != "applied") mutable_limits().flips = mutable_limits().cuts = 16;
  Sweep sweep(scene, by_verify(scene));
  sweep_bytes(sweep);
  sweep_records(sweep);
  sweep_modes(sweep);
  sweep_history(sweep);
  sweep.print(shape,
              std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
  // The scene is whole again: the sweep undid each of its changes, and nothing else changed it.
  CHECK(by_verify(scene, scene.witness)(scene, true) == Verdict::missed);
  CHECK(sweep.total().missed == 0);
  CHECK(sweep.total().refused > 0);
  for (const Kind kind : {Kind::journal, Kind::head, Kind::head_signature, Kind::plan,
                          Kind::approval, Kind::store, Kind::certificate})
    CHECK(sweep.row(kind).found > 0);
}

}  // namespace

TEST_CASE("a store: applied") { sweep_scene("applied"); }
TEST_CASE("a store: rolled_back") { sweep_scene("rolled_back"); }
TEST_CASE("a store: finalized") { sweep_scene("finalized"); }
TEST_CASE("a store: stopped") { sweep_scene("stopped"); }
TEST_CASE("a store: crashed") { sweep_scene("crashed"); }

TEST_CASE("harness: a verify that only looks whether files are there is found out") {
  Scene scene("applied");
  Sweep sweep(scene, by_existence(scene), true);
  sweep_bytes(sweep);
  CHECK(sweep.total().found > 0);
  for (const Kind kind : {Kind::journal, Kind::manifest, Kind::head_signature, Kind::object})
    CHECK(sweep.row(kind).missed > sweep.row(kind).found);
}

TEST_CASE("harness: a verify that follows the chain and checks no signature is found out") {
  Scene scene("applied");
  Sweep sweep(scene, by_chain(scene), true);
  sweep_bytes(sweep);
  sweep_records(sweep);
  CHECK(sweep.row(Kind::journal).found > sweep.row(Kind::journal).missed);
  CHECK(sweep.row(Kind::journal).missed > 0);
  for (const Kind kind :
       {Kind::manifest, Kind::manifest_signature, Kind::head, Kind::head_signature, Kind::held})
    CHECK(sweep.row(kind).missed > 0);
}

}  // namespace remediate::run::test

int main(int argc, char** argv) {
  Catch::Session session;
  session.cli(session.cli() |
              Catch::clara::Opt(remediate::run::test::mutable_limits().full)["--full"](
                  "every bit of every byte, every length"));
  const int wrong = session.applyCommandLine(argc, argv);
  return wrong != 0 ? wrong : session.run();
}
