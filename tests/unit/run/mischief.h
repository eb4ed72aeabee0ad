#pragma once

#include <functional>

#include "rich_world.h"

namespace remediate::run::test {

struct Place {
  std::string folder, name;  // absolute
};
[[nodiscard]] Place place_of(const World& world, const std::string& path);

/// What others can do to a victim, or to what the hold has of the operation `id`. What they write
/// is the world's marker; what they take goes to /base/aside.
struct Mischief {
  const char* name;
  std::function<void(RichWorld&, const Place&, const std::string& id)> act;
};
[[nodiscard]] const std::vector<Mischief>& mischiefs();

}  // namespace remediate::run::test
