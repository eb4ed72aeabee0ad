#include "scene.h"

namespace remediate::run::test {
namespace {

std::optional<Error> nothing() { return std::nullopt; }

/// Others write to the held file right before it is read to be sealed.
std::optional<Error> write_to_held(RichWorld& rich, const char* path) {
  const auto file = must(rich.hold()->open_file(rich.first_of(path), host::Access::read_write));
  must(file->write_at(must(file->stat()).size, rich.marker));
  return std::nullopt;
}
std::optional<Error> write_to_plain(RichWorld& rich) { return write_to_held(rich, plain); }
std::optional<Error> move_folder(RichWorld& rich) {
  must(must(rich.host.open_root("/base/target/www"))
           ->rename("sub", *must(rich.host.make_root("/base/aside")), "sub"));
  return std::nullopt;
}
void ended_with_stranger(RichWorld& rich) {
  ended_behind(rich, applies, "rename", "shell-b.php", [&] { rich.replace(plain, rich.marker); });
}
void ended_when_captured(RichWorld& rich, const char* path) {
  const std::string whole = path;
  ended_behind(rich, applies, "rename", whole.substr(whole.rfind('/') + 1));
}
void ended_when_put_back(RichWorld& rich) {
  bool moved = false, wrote = false, busy = false, behind = false;
  const std::string id = rich.first_of(plain);
  rich.host.set_fault_hook(
      [&](std::string_view call, std::string_view name) -> std::optional<Error> {
        if (busy) return std::nullopt;
        if (behind) return Error{Code::io, "the process ended", ""};
        if (moved && !wrote) {
          wrote = busy = true;
          (void)write_to_plain(rich);
          busy = false;
        }
        moved = moved || (call == "rename" && name == "shell-b.php");
        behind = call == "rename" && name == id;
        return std::nullopt;
      });
  (void)applies(rich);
  rich.host.set_fault_hook({});
  REQUIRE(behind);
}
void unsealed(RichWorld& rich) { rich.world->max_sealed_bytes = 100; }

const std::vector<Scene>& scenes() {
  static const std::vector<Scene> all = {
      {"others replace it right before it is captured", plain, [](RichWorld&) {}, applies,
       before_call("rename", plain, "",
                   [](RichWorld& rich) {
                     rich.replace(plain, rich.marker);
                     return nothing();
                   }),
       false},
      {"others write to it when it is held", plain, [](RichWorld&) {}, applies,
       before_call("stat_entry", plain, "=", write_to_plain), false},
      {"the same with a flag and a second name", twin, [](RichWorld&) {}, applies,
       before_call("stat_entry", twin, "=",
                   [](RichWorld& rich) { return write_to_held(rich, twin); }),
       false},
      {"others write to it when it is held and too large to be sealed", plain, unsealed, applies,
       before_call("stat_entry", plain, "=", write_to_plain), false},
      {"it is too large to be sealed", plain, unsealed, applies},
      {"the process ended when it was captured", shell,
       [](RichWorld& rich) { ended_when_captured(rich, shell); }, resumes},
      {"the process ended when it was captured, and its folder is gone", plain,
       [](RichWorld& rich) {
         ended_when_captured(rich, plain);
         (void)move_folder(rich);
       },
       resumes},
      {"the process ended when a stranger was captured",
       plain,
       ended_with_stranger,
       resumes,
       {},
       false},
      {"the process ended when what was written to was put back",
       plain,
       ended_when_put_back,
       resumes,
       {},
       false},
  };
  return all;
}

}  // namespace

TEST_CASE("a call that fails while a file is removed changes nothing in the end",
          "[sweep][scene]") {
  const std::size_t number = GENERATE(range<std::size_t>(0, 9));
  REQUIRE(scenes().size() == 9);
  play(scenes().at(number));
}

}  // namespace remediate::run::test
