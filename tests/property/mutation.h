#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "random.h"

namespace property {

/// The document with one to three values lost, exchanged, doubled, of another type or far too big.
[[nodiscard]] std::string mutated_value(Random& random, nlohmann::json document);
[[nodiscard]] std::string as_text(Random& random, nlohmann::json document);
/// Bytes flipped, cut off, doubled keys, huge numbers, deep nesting, what JSON does not know.
[[nodiscard]] std::string mutated_text(Random& random, std::string text);
/// A shipped playbook turned on other folders.
[[nodiscard]] nlohmann::json widened(Random& random, nlohmann::json playbook,
                                     const std::vector<std::string>& folders,
                                     const std::vector<std::string>& more_folders);

}  // namespace property
