#include "scene.h"

namespace remediate::run::test {
TEST_CASE("a call that fails while a file is put back changes nothing in the end",
          "[sweep][scene]") {
  const std::vector<Scene> scenes = {
      {"the mode of a held file was changed", plain,
       [](RichWorld& rich) {
         applied(rich);
         change_held_mode(rich, plain);
       },
       rolls_back(plain)},
      {"another name of it is back", twin,
       [](RichWorld& rich) {
         applied(rich);
         must(rich.world->rollback(rich.run, only(rich, shell, false)));
       },
       rolls_back(twin)},
      {"only its sealed copy is left", plain, finalized, rolls_back(plain, true)},
      {"only its sealed copy is left, and its hold is gone", plain,
       [](RichWorld& rich) {
         finalized(rich);
         must(must(rich.host.open_root("/base/store/hold"))
                  ->rename(rich.run, *must(rich.host.make_root("/base/aside")), "hold"));
       },
       rolls_back(plain, true)},
      {"only its sealed copy is left, and its bytes were put there by hand", plain,
       [](RichWorld& rich) {
         finalized(rich);
         const std::string bytes(9000, 'b');
         rich.world->file(plain, bytes, 0600);
       },
       rolls_back(plain, true)},
      {"a finalize ended when the held file was removed", plain,
       [](RichWorld& rich) {
         applied(rich);
         ended_behind(
             rich, [](RichWorld& world) { return world.world->finalize(world.run); }, "remove_file",
             rich.first_of(plain));
       },
       rolls_back(plain, true)},
      {"only its sealed copy is left, another name is back",
       twin,
       [](RichWorld& rich) {
         finalized(rich);
         must(rich.world->rollback(rich.run, only(rich, shell, true)));
       },
       rolls_back(twin, true),
       {},
       true,
       "shell-a.php"},
      {"only its sealed copy is left, the folder of the other name is gone", shell,
       [](RichWorld& rich) {
         finalized(rich);
         must(must(rich.host.open_root("/base/target/www"))
                  ->rename("sub", *must(rich.host.make_root("/base/aside")), "sub"));
       },
       rolls_back(shell, true)},
      {"a stranger was captured", plain,
       [](RichWorld& rich) {
         ended_behind(rich, applies, "rename", "shell-b.php",
                      [&] { rich.replace(plain, rich.marker); });
       },
       rolls_back(plain)},
      {"a sealed copy was put in place and that was not recorded", plain,
       [](RichWorld& rich) {
         finalized(rich);
         ended_behind(rich, rolls_back(plain, true), "rename", rich.first_of(plain) + ".restore");
       },
       rolls_back(plain, true)},
  };
  const std::size_t number = GENERATE(range<std::size_t>(0, 10));
  REQUIRE(scenes.size() == 10);
  play(scenes.at(number));
}

}  // namespace remediate::run::test
