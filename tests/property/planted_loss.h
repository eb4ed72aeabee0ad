#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "random.h"
#include "tree_reader.h"

namespace property {

/// What a faulty rollback might lose, done to a tree by plain system calls. `plant` gives the path
/// that the comparison has to name; nothing where the tree has no entry that could lose it.
struct Loss {
  std::string name;
  std::function<std::optional<std::string>(const std::string& root, const Tree& tree, Random&)>
      plant;
};
[[nodiscard]] const std::vector<Loss>& losses();

}  // namespace property
