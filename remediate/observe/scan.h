#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "remediate/host/directory.h"
#include "remediate/observe/observation.h"

namespace remediate::observe {

/// A spelled folder or file with its variables, to be found below a root.
struct Spelled {
  std::string text;
  bool windows = false;
};
struct Variables {
  std::vector<std::pair<std::string, std::vector<std::string>>> candidates;  // name -> values
};

/// Where a spelled path lies below `root`: none, or one or more (each candidate value of a
/// variable, each of several names that differ in case only). `C:\x`, `\\?\C:\x` and `/x` start
/// at the root; other drives have no place below a root and give none. %SystemDrive%, %windir%,
/// %SystemRoot%, %ProgramFiles%, %ProgramData%, %CommonProgramFiles% are known. Windows names
/// compare without (ASCII) case, the exact spelling first. Mounts may be crossed. Links are not
/// followed: a link on the way and a folder that cannot be read go to `issues`, or are the Error
/// when `issues` is null. The last component may be of any kind.
[[nodiscard]] Result<std::vector<RawPath>> locate(const host::Directory& root,
                                                  const Spelled& spelled,
                                                  const Variables& variables,
                                                  std::vector<Issue>* issues = nullptr);

/// Whether a spelled path is of another drive, machine or volume than any root: locate() gives no
/// place for it. False for what cannot be understood.
[[nodiscard]] bool lies_elsewhere(const Spelled& spelled, const Variables& variables);

struct ScanOptions {
  unsigned threads = 2;
  std::uint64_t max_files = 50'000'000;
  std::size_t max_links = 1000;
  /// Told of each file whose content a scope needs and that was not read (too large, unreadable, a
  /// symbolic link). From several threads at once; issues and links tell it too.
  std::function<void(const ScopeInstance& scope, const RawPath& path, std::string_view below_scope,
                     const std::string& reason)>
      missed{};
};

/// A symbolic link below a scope that leads to a folder, to what a scope would look at, or nobody
/// knows where; not one to a place that the same scopes search anyway.
struct Link {
  std::string where;  // display form
  std::string reason;
};

struct ScanResult {
  std::vector<std::uint64_t> files_per_scope;  // regular files seen, by index of the scope
  std::uint64_t files = 0;                     // a file in two scopes counts once
  std::uint64_t opened = 0;
  std::uint64_t bytes_read = 0;
  std::vector<Issue> issues;  // at most 10,000, then one that says how many more
  std::uint64_t issues_dropped = 0;
  std::vector<Link> links;  // sorted, at most max_links
  std::uint64_t links_dropped = 0;
};

/// Walks every scope once, files below several scopes included, without writing anything and
/// without changing access times where the host allows. Memory does not grow with the tree.
/// A scope's folder may lie on any mount; mounts below it are issues, not searched. Symbolic
/// links are not followed but told, special files are passed over. A file that changes while it is
/// read is tried twice. limit when there are more than max_files. `scopes` must outlive the
/// observations.
[[nodiscard]] Result<ScanResult> scan(const host::Directory& root,
                                      const std::vector<ScopeInstance>& scopes, Selector& selector,
                                      const ScanOptions& options);

/// A configuration file with what a plan must know of it.
struct SettingFile {
  RawPath path;
  std::string bytes;
  std::string sha256;
  TargetFacts facts;
};
[[nodiscard]] Result<SettingFile> read_setting_file(const host::Directory& root,
                                                    const RawPath& path, std::uint64_t max_bytes);

}  // namespace remediate::observe
