#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "remediate/observe/folders.h"
#include "remediate/observe/issue_log.h"
#include "remediate/observe/scan.h"
#include "remediate/observe/turns.h"

namespace remediate::observe {

/// What all walks and threads of one scan share.
class Shared {
 public:
  Shared(const host::Directory& root, const std::vector<ScopeInstance>& scopes, Selector& selector,
         const ScanOptions& options);

  /// Paths of scopes' folders that no walk has met, sorted.
  [[nodiscard]] std::vector<std::string> unreached() const;
  void reach(std::string_view path);
  /// The coverings of the folder `path` inside one covered by `above` (may be null).
  [[nodiscard]] std::shared_ptr<const Coverings> cover(
      std::string_view path, const std::shared_ptr<const Coverings>& above);

  void add(const ScanResult& part);
  /// False when there are too many files by now.
  [[nodiscard]] bool count_files(std::uint64_t more);
  void add(Link link);
  void fail_with(Error error);
  [[nodiscard]] std::optional<Error> failure() const;
  [[nodiscard]] ScanResult result();

  const host::Directory& root;
  const std::vector<ScopeInstance>& scopes;
  Selector& selector;
  const ScanOptions& options;
  IssueLog issues;

 private:
  struct Place {
    std::vector<std::size_t> scopes;
    bool reached = false;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Place, std::less<>> places_;  // by a scope's folder
  ScanResult total_;
  std::optional<Error> failure_;
  std::atomic<std::uint64_t> files_{0};
};

/// One round of walking, by as many threads as call work(). So many of them compute at the same
/// time as the options say; while the disk is slow, max_readers more wait for it.
class Walk {
 public:
  static constexpr unsigned max_readers = 32;

  explicit Walk(Shared& shared);
  void start(std::string path) { folders_.start(std::move(path)); }
  /// Returns when everything has been walked.
  void work();

 private:
  void add_readers();
  [[nodiscard]] std::optional<Job> next();

  Shared& shared_;
  Folders folders_;
  Turns turns_;
  std::vector<std::jthread> readers_;
};

}  // namespace remediate::observe
