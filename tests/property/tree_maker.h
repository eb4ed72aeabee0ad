#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "folder.h"
#include "random.h"
#include "tree_reader.h"

namespace property {

/// How a random tree came out besides what is on the disk.
struct MadeTree {
  std::string shape;                         // ordinary, deep, wide, same name, large, many drops
  std::set<std::string> digest_text;         // contents that the playbook names by digest
  std::string setting;                       // path of a configuration file, empty: none
  std::size_t resets = 0;                    // virtual directories /gone-0 ... in it that are to go
  std::map<std::string, std::size_t> kinds;  // how often each oddity was made
};

/// Contents with these words are removed by the playbook's second indicator.
extern const char* const marker;

/// Fills an empty folder by plain system calls, the same for the same seed but for what the file
/// system refuses. Half of the files are targets.
[[nodiscard]] MadeTree make_tree(const std::string& root, Random& random);

/// A valid POSIX ACL as the attribute's value.
[[nodiscard]] std::string access_list(Random& random);

}  // namespace property
