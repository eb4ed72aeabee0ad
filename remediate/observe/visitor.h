#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "remediate/observe/link_target.h"
#include "remediate/observe/reading.h"
#include "remediate/observe/turns.h"
#include "remediate/observe/walker.h"

namespace remediate::observe {

/// Lists folders and looks at their files: one a thread, with buffers that are used again. The
/// thread has a turn when it calls.
class Visitor {
 public:
  Visitor(Shared& shared, Folders& folders, Turns& turns);
  /// False when the scan must end (Shared::failure() says why).
  [[nodiscard]] bool visit(Job& job);
  [[nodiscard]] const ScanResult& counts() const { return counts_; }

 private:
  [[nodiscard]] Result<std::shared_ptr<const host::Directory>> open(const Job& job);
  [[nodiscard]] bool list(const Job& job, std::shared_ptr<const host::Directory> handle);
  [[nodiscard]] Result<void> read_entries(bool& carry_on);
  /// Those that are noted.
  [[nodiscard]] bool take_entries();
  [[nodiscard]] bool entry(std::string_view name, FileKind kind);
  void file(std::string_view name);
  void link(std::string_view name);
  /// Leaves the files that are wanted so far to another thread, or looks at them.
  void hand_on();
  void look_at_wanted();
  void look_at(Wanted& file);
  /// Leaves out the places at which nobody wants a file of this size.
  void mind_size(std::vector<std::size_t>& places, std::uint64_t size) const;
  [[nodiscard]] std::uint64_t limit(std::size_t place) const;
  [[nodiscard]] std::optional<Result<Reading>> read(const host::File& opened, const FileStat& seen,
                                                    std::span<const std::size_t> places,
                                                    std::uint64_t most);
  /// The issue of a file that could not be looked at, and what the selector must know of it.
  void miss(const std::vector<std::size_t>& places, Issue::Kind kind, const std::string& reason);
  void miss(const std::vector<std::size_t>& places, const Error& error);
  void missed(const std::vector<std::size_t>& places, const std::string& reason);
  void too_large(const std::vector<std::size_t>& places, std::uint64_t size);
  /// Leaves out, and tells, the places that want no file of this size.
  void mind_limit(std::vector<std::size_t>& places, std::uint64_t size);
  void take(std::vector<std::size_t>& places, const Result<Reading>& reading,
            const host::File& opened, const FileStat& stat);
  void look_at_large(std::vector<std::size_t>& places, const host::File& opened);
  [[nodiscard]] std::vector<FileObservation> observations(const std::vector<std::size_t>& places,
                                                          const RawPath& path,
                                                          std::uint64_t size) const;
  [[nodiscard]] FileObservation observation(std::size_t place, const RawPath& path,
                                            std::uint64_t size) const;
  void tell(const std::vector<std::size_t>& places, std::string_view content,
            const host::File& opened, const FileStat& stat);
  [[nodiscard]] bool searched(const ScopeInstance& scope, const LinkTarget& target) const;
  [[nodiscard]] bool flush_count();
  void set_path(const Job& job);
  void issue(Issue::Kind kind, std::string reason);
  void issue(const Error& error);

  Shared& shared_;
  Folders& folders_;
  Turns& turns_;
  ScanResult counts_;

  // Of the folder that is being listed or whose files are looked at.
  std::shared_ptr<const host::Directory> handle_;
  std::shared_ptr<const Coverings> coverings_;
  std::string path_;  // of the folder, with a final '/', or of the entry looked at
  std::string waiting_;
  std::string entries_;  // noted and not looked at: kind, name, NUL each
  std::vector<Wanted> wanted_;
  std::uint64_t counted_ = 0;  // files told to Shared

  // A folder whose path is the first base_length_ bytes of path_: mostly the next one's parent.
  std::shared_ptr<Folder> base_;
  std::size_t base_length_ = 0;
  std::vector<const Folder*> chain_;
  std::string buffer_;
};

}  // namespace remediate::observe
