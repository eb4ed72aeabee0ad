#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "remediate/host/directory.h"
#include "remediate/observe/claims.h"

namespace remediate::observe {

struct PackageFiles {
  std::map<RawPath, PackageFile> owned;
  /// Why a database that is there could not be read whole; empty when it could. Then nobody can
  /// say of any file that it is not a package's.
  std::string unread;
  std::vector<Issue> notices;  // what was not looked up
  bool looked_up = false;      // there is a database
};

/// Which of `files` (below `root`) belong to packages. `prefix` is what stands before a file's path
/// in the database: empty where `root` is the top of the system, else the place of the files' root
/// below it, "/srv/www". `contents` is where the files themselves are read, to compare them with
/// what was delivered. Databases are read through the anchored seam as they stand, with bounds,
/// and nothing is run; the lists are streamed past the files that are asked for.
[[nodiscard]] PackageFiles find_package_files(const host::Directory& root,
                                              const std::string& prefix,
                                              const host::Directory& contents,
                                              std::span<const RawPath> files);

}  // namespace remediate::observe
