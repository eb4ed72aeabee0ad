#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/stat.h>

namespace property {

/// One entry of a tree as plain system calls tell it; shares no code with the tool. Change and
/// birth times are left out: no program can set them.
struct Entry {
  mode_t type = 0;  // S_IFMT bits
  mode_t mode = 0;  // the other 12
  uid_t owner = 0;
  gid_t group = 0;
  std::int64_t size = 0;    // not of folders
  std::uint64_t links = 0;  // names of a file, folders of a folder
  dev_t device = 0;
  ino_t inode = 0;
  dev_t special = 0;
  std::pair<std::int64_t, long> modified, accessed;
  std::map<std::string, std::string> attributes;  // ACLs too
  int flags = 0;                                  // immutable and append-only
  std::string holes;                              // where the data lies; empty: everywhere
  std::string bytes;                              // of a file, or a link's target
  std::string twin;                               // first of the names that this tree has of it
};
using Tree = std::map<std::string, Entry>;  // by raw path below the root; "" is the root

/// Throws std::runtime_error. Leaves access times alone. Names in `passed_over` are not entered.
[[nodiscard]] Tree read_tree(const std::string& root,
                             const std::set<std::string>& passed_over = {});

struct Measure {
  bool inodes = true;           // the same inodes, hence the same birth times
  bool folder_times = true;     // modification times of folders
  bool access_times = true;     // of files
  std::set<std::string> moved;  // folders whose modification time may differ
  std::string rewritten;        // a file whose inode and modification time may differ
};
/// One line a difference, "path: what"; empty when the trees are the same.
[[nodiscard]] std::vector<std::string> differences(const Tree& before, const Tree& after,
                                                   const Measure& measure);

/// Printable ASCII as it is, every other byte as \xHH.
[[nodiscard]] std::string escaped(std::string_view raw);
/// For a line that a person reads: the middle of a long path is left out.
[[nodiscard]] std::string shortened(const std::string& text);
[[nodiscard]] std::string parent_of(std::string_view path);
/// A few words for a failing case.
[[nodiscard]] std::string description(const std::string& path, const Entry& entry);

/// Clears flags and removes everything below and including `root`; any depth. Throws.
void remove_tree(const std::string& root);

}  // namespace property
