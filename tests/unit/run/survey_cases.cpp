#include "survey_cases.h"

#include <algorithm>

namespace remediate::run::test {

Change failing(const std::string& operation, const std::string& name, std::size_t count,
               std::size_t from, Code code) {
  return [=](SurveyWorld& world) {
    const auto seen = std::make_shared<std::size_t>(0);
    world.host.set_look_hook(
        [=](std::string_view what, std::string_view of) -> std::optional<Error> {
          if (what != operation || of != name) return std::nullopt;
          const std::size_t number = (*seen)++;
          if (number < from || number >= from + count) return std::nullopt;
          return Error{code, "the disk is broken at " + std::string(of), ""};
        });
  };
}

Change writing(const std::string& path, const std::string& bytes) {
  return [=](SurveyWorld& world) {
    world.world.folder(path.substr(0, path.rfind('/')));
    if (world.world.exists(path)) world.world.remove(path);
    world.put(path, bytes);
  };
}

Change both(const Change& first, const Change& second) {
  return [=](SurveyWorld& world) {
    first(world);
    second(world);
  };
}

Change links_to(const std::string& path, const std::string& target) {
  return [=](SurveyWorld& world) {
    if (world.world.exists(path)) world.world.remove(path);
    must(world.host.plant(world.world.target() + "/" + path, FileKind::symlink, target));
  };
}

void check(const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    INFO(one.name);
    SurveyWorld world;
    one.before(world);
    const plan::Plan made = world.plan();
    INFO(issues(made));
    CHECK(issues(made).find(one.told) != std::string::npos);
    const std::vector<std::string> now = changes(made);
    for (const std::string& kept : one.kept) {
      INFO("changes " << kept);
      CHECK(std::ranges::find(now, kept) == now.end());
    }
    CHECK(now.size() + one.kept.size() == 6 + one.more);
  }
}

}  // namespace remediate::run::test
