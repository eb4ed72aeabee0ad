#include "scene.h"

namespace remediate::run::test {
namespace {

std::optional<Error> nothing() { return std::nullopt; }
std::optional<Error> fault() { return Error{Code::io, "injected fault of others", ""}; }

std::optional<Error> write_page(RichWorld& rich) {
  rich.write(page, rich.marker);
  return nothing();
}
std::optional<Error> replace_page(RichWorld& rich) {
  rich.replace(page, rich.marker);
  return nothing();
}
void ended_before_exchange(RichWorld& rich) {
  ended(rich, applies, "exchange", rich.first_of(page) + ".new");
}
void ended_behind_exchange(RichWorld& rich) {
  ended_behind(rich, applies, "exchange", rich.first_of(page) + ".new");
}
void add(const host::Directory& folder, const std::string& name, const std::string& bytes) {
  must(must(folder.create_file(name, 0600))->write_at(0, bytes));
}
void later_edit(RichWorld& rich) {
  applied(rich);
  rich.write(setting_file, "<!-- later -->");
}

const std::vector<Scene>& exchanges() {
  static const std::vector<Scene> all = {
      {"others write to the page right before the exchange", page, [](RichWorld&) {}, applies,
       before_call("exchange", page, ".new", write_page), false},
      {"others write to the new page right behind the exchange", page, [](RichWorld&) {}, applies,
       before_call("rename", page, ".new", write_page), false},
      {"the exchange fails", page, [](RichWorld&) {}, applies,
       before_call("exchange", page, ".new", [](RichWorld&) { return fault(); })},
      {"the process ended before the exchange", page, ended_before_exchange, resumes},
      {"the process ended behind the exchange", page, ended_behind_exchange, resumes},
      {"the process ended behind the exchange, and the new page is gone", page,
       [](RichWorld& rich) {
         ended_behind_exchange(rich);
         rich.take_away(page);
       },
       resumes},
      {"the process ended behind the exchange, and another page is there", page,
       [](RichWorld& rich) {
         ended_behind_exchange(rich);
         rich.replace(page, rich.marker);
       },
       resumes},
      {"the process ended behind the exchange of a stranger", page,
       [](RichWorld& rich) {
         ended_behind(rich, applies, "exchange", rich.first_of(page) + ".new",
                      [&] { rich.replace(page, rich.marker); });
       },
       resumes},
      {"the process ended behind the exchange of a stranger, and the new page is gone", page,
       [](RichWorld& rich) {
         ended_behind(rich, applies, "exchange", rich.first_of(page) + ".new",
                      [&] { rich.replace(page, rich.marker); });
         rich.take_away(page);
       },
       resumes},
      {"the process ended before the exchange, and others wrote to the new version", page,
       [](RichWorld& rich) {
         ended_before_exchange(rich);
         must(must(rich.hold()->open_file(rich.first_of(page) + ".new", host::Access::read_write))
                  ->write_at(0, rich.marker));
       },
       resumes},
      {"the process ended before the exchange, and the hold is gone",
       page,
       [](RichWorld& rich) {
         ended_before_exchange(rich);
         must(must(rich.host.open_root("/base/store/hold"))
                  ->rename(rich.run, *must(rich.host.make_root("/base/aside")), "hold"));
       },
       resumes,
       {},
       false},
      {"the first of two changes fails, the second goes on", setting_file, [](RichWorld&) {},
       applies, before_call("exchange", setting_file, ".new", [](RichWorld&) { return fault(); })},
  };
  return all;
}

const std::vector<Scene>& restores() {
  static const std::vector<Scene> all = {
      {"the process of the apply ended before the exchange", page, ended_before_exchange,
       rolls_back(page)},
      {"the process of the apply ended behind the exchange", page, ended_behind_exchange,
       rolls_back(page)},
      {"the mode of the held page was changed", page,
       [](RichWorld& rich) {
         applied(rich);
         change_held_mode(rich, page);
       },
       rolls_back(page)},
      {"others write to the page right before it is put back", page, applied, rolls_back(page),
       before_call("exchange", page, ".back", write_page), false},
      {"others replace the page right before it is put back", page, applied, rolls_back(page),
       before_call("exchange", page, ".back", replace_page), false},
      {"the setting was edited since", setting_file, later_edit, rolls_back(setting_file)},
      {"only the sealed copies are left, and the setting was edited since", setting_file,
       [](RichWorld& rich) {
         finalized(rich);
         rich.write(setting_file, "<!-- later -->");
       },
       rolls_back(setting_file, true)},
      {"an earlier undo left versions in the hold", setting_file,
       [](RichWorld& rich) {
         later_edit(rich);
         const auto hold = rich.hold();
         const std::string stem = rich.last_of(setting_file) + ".undo-";
         add(*hold, stem + "1", rich.world->read(setting_file));
         add(*hold, stem + "2", rich.marker);
       },
       rolls_back(setting_file)},
      {"the change was taken back by hand, and the flag is gone", setting_file,
       [](RichWorld& rich) {
         const std::string original = rich.world->read(setting_file);
         applied(rich);
         rich.replace(setting_file, original + "<!-- by hand -->");
       },
       rolls_back(setting_file)},
      {"the page's bytes were put back by hand", page,
       [](RichWorld& rich) {
         applied(rich);
         rich.replace(page, bad_page);
       },
       rolls_back(page)},
      {"others edit the setting right before it is put back", setting_file, later_edit,
       rolls_back(setting_file),
       [](RichWorld& rich, std::string_view call, std::string_view name) -> std::optional<Error> {
         if (call != "exchange" || !name.ends_with(".undo-1") || !rich.acted.insert("x").second)
           return std::nullopt;
         rich.write(setting_file, rich.marker);
         return std::nullopt;
       },
       false},
  };
  return all;
}

}  // namespace

TEST_CASE("a call that fails while a version is exchanged changes nothing in the end",
          "[sweep][scene]") {
  const std::size_t number = GENERATE(range<std::size_t>(0, 12));
  REQUIRE(exchanges().size() == 12);
  play(exchanges().at(number));
}

TEST_CASE("a call that fails while a version is put back changes nothing in the end",
          "[sweep][scene]") {
  const std::size_t number = GENERATE(range<std::size_t>(0, 11));
  REQUIRE(restores().size() == 11);
  play(restores().at(number));
}

}  // namespace remediate::run::test
