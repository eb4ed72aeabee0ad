#pragma once

#include <random>
#include <string>
#include <vector>

#include "disk.h"

namespace remediate::durability {

using Fates = std::vector<Fate>;

/// How many images are made of one cut.
struct Effort {
  std::size_t exhaustive = 1024;  // all combinations where there are at most so many
  std::size_t structured = 1024;  // else: all lost, one lost, one survives, prefixes, torn writes
  std::size_t random = 16;        // and random ones
  bool until_first_bad = false;
};

/// The combinations to be tried for the changes that no flush covered. Each change is lost or
/// whole; a write may also leave its size with zeros, some of its sectors, or its beginning.
[[nodiscard]] std::vector<Fates> choose(const std::vector<Event>& events,
                                        const std::vector<std::size_t>& pending,
                                        const Effort& effort, std::mt19937_64& chance);
[[nodiscard]] Fates random_fates(const std::vector<Event>& events,
                                 const std::vector<std::size_t>& pending, std::mt19937_64& chance);

/// "xw3s81p17": one letter a change, with its parameter; and back.
[[nodiscard]] std::string write_fates(const Fates& fates);
[[nodiscard]] Fates read_fates(std::string_view text);

}  // namespace remediate::durability
