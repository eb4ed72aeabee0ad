#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

/// A small target tree, and what an onlooker sees of a tree. Nothing here uses the tool's code.
namespace crash {

struct Facts {
  char kind = '?';  // f, d or something else
  std::uint32_t mode = 0, owner = 0, group = 0, flags = 0;
  std::uint64_t inode = 0, links = 0;
  std::int64_t modified_ns = 0;
  std::map<std::string, std::string> attributes;
  std::string bytes;
  bool operator==(const Facts&) const = default;
};
/// By path below the folder; the folder itself is "".
using Snapshot = std::map<std::string, Facts>;

/// A failure of the surroundings, not of what is judged: says so and ends the process with 3.
[[noreturn]] void stop(const std::string& why);

Snapshot snapshot(const std::string& folder);
std::string shown(const std::string& bytes);

struct Compare {
  bool flags = true;  // immutable and append-only
  bool inode = false;
  bool modified = true;
  bool bytes = true;
  bool links = true;
};
std::vector<std::string> differences(const Facts& wanted, const Facts& found, Compare compare);

/// Whole trees. The times of folders are left out: after a kill they are best effort.
std::vector<std::string> differences(const Snapshot& wanted, const Snapshot& found, bool inodes);

/// What is built, and what the playbook must make of it.
struct Sample {
  std::vector<std::string> targets;  // the files that go
  std::string config;                // the settings file that is edited
  /// Files that get another version, the settings file among them, and its bytes.
  std::map<std::string, std::string> exchanged;
  std::string replaced, good;  // a file that known good bytes replace; empty where there is none
  /// A settings file with a line that puts a file before every page: line, wait, file is the order.
  std::string naming, named, line;
  [[nodiscard]] std::vector<std::string> originals() const;
};
/// `all`: with a file of two names (hard links), both of which go, one that is replaced, and one
/// that waits for the line that names it.
Sample build_sample(const std::string& folder, bool all);
/// Where the known good version lies that goes with a playbook.
std::string good_folder(const std::string& playbook);
/// Writes the playbook that removes the targets by their digests, which `sha256sum` tells, and the
/// known good version of what is replaced.
void write_playbook(const std::string& file, const std::string& tree, const Sample& sample);

/// Whether files below can have the attributes and flags that the sample needs.
bool can_hold_sample(const std::string& folder);

/// Mounts of this process are nobody else's from now on, and end with it.
void keep_mounts_private();
/// A file system in memory at `folder`, which is made.
void mount_apart(const std::string& folder);

/// Removes a folder with everything in it, immutable files and mount_apart(folder + "/tree") too.
void remove_tree(const std::string& folder);

std::string read_file(const std::string& path);
void write_file(const std::string& path, const std::string& bytes, std::uint32_t mode = 0644);
bool set_flags(const std::string& path, std::uint32_t flags);

}  // namespace crash
