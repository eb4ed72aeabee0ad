#pragma once

#include <map>
#include <string>
#include <vector>

#include "remediate/observe/observation.h"

namespace remediate::observe {

/// Whose a file is by a database of packages.
struct PackageFile {
  enum class Content : std::uint8_t { unknown, as_delivered, different };
  std::string manager;  // "dpkg", "rpm"
  std::string package;
  Content content = Content::unknown;
};

/// What others have of files that somebody wants to change: a moment's view, gathered when a plan
/// is made and again when it is applied.
struct Claims {
  /// By path: why the file is the tool's own ("it is the policy file").
  std::map<RawPath, std::string> tool;
  /// By path: who runs it ("process 812 (nginx)").
  std::map<RawPath, std::string> processes;
  std::map<RawPath, PackageFile> packages;
  std::string packages_unread;  // as PackageFiles::unread
  std::vector<Issue> notices;   // what could not be looked up
};

}  // namespace remediate::observe
