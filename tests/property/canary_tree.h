#pragma once

#include <string>
#include <vector>

#include "tree_reader.h"

namespace property {

/// Why a file must never be removed; `none` may be, within the limits.
enum class Guarded { none, system, exchange, policy, store, own, hard_link, other_mount };
[[nodiscard]] const char* guarded_name(Guarded why);

struct Canary {
  std::string path;
  Guarded why = Guarded::none;
  std::string content;
  bool shell = false;  // what an honest playbook is after
};

/// The files of a host with both kinds of folders. All of them hold the word "inert", so that a
/// broad rule hits them all.
[[nodiscard]] const std::vector<Canary>& canaries();
inline constexpr const char* store_folder = "var/lib/remediate";
inline constexpr const char* mounted_folder = "srv/www/site/mnt";
/// The host's policy protects this, and its settings.
inline constexpr const char* policy_glob = "srv/www/shop/**";

/// Writes them below an empty root; `outside` gets what is mounted into the tree, where this
/// process may mount (in a name space of its own). True when it was mounted.
bool make_canary_tree(const std::string& root, const std::string& outside);
void unmount_canary_tree(const std::string& root);

/// Why this path must stay, whatever a playbook says.
[[nodiscard]] Guarded guarded(const std::string& path);

}  // namespace property
