#pragma once

#include <cstdint>
#include <string>

#include "scene.h"
#include "series.h"

namespace property {

/// One random tree: plan, apply, check, roll back, check, in a new folder below `base`, which is
/// gone afterwards. Throws Failed with what differs and the entries that it is about.
void rollback_case(std::uint64_t seed, const std::string& base, const Keys& keys, Counts& counts);

/// Every loss that the comparison has to see, planted in a tree that was rolled back: throws when
/// one is not seen or could not be planted in any of `cases` trees.
void self_test(std::uint64_t seed, std::uint64_t cases, const std::string& base, const Keys& keys,
               Counts& counts);

}  // namespace property
