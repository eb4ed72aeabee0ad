#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "remediate/observe/link_target.h"
#include "remediate/observe/walker.h"

namespace remediate::observe {

/// Lists folders and looks at their files: one a thread, with buffers that are used again.
class Visitor {
 public:
  Visitor(Shared& shared, Folders& folders);
  /// False when the scan must end (Shared::failure() says why).
  [[nodiscard]] bool visit(const Job& job);
  [[nodiscard]] const ScanResult& counts() const { return counts_; }

 private:
  [[nodiscard]] Result<std::shared_ptr<const host::Directory>> open(const Job& job);
  [[nodiscard]] bool list(const Job& job, std::shared_ptr<const host::Directory> handle);
  [[nodiscard]] bool entry(std::string_view name, FileKind kind);
  void file(std::string_view name);
  void link(std::string_view name);
  void look_at(std::string_view name);
  /// The issue of a file that could not be looked at, and what the selector must know of it.
  void miss(const std::vector<std::size_t>& places, Issue::Kind kind, const std::string& reason);
  void miss(const std::vector<std::size_t>& places, const Error& error);
  void missed(const std::vector<std::size_t>& places, const std::string& reason);
  void read(const host::File& opened, const FileStat& stat);
  void tell(const std::vector<std::size_t>& places, std::string_view content,
            const host::File& opened, const FileStat& stat);
  [[nodiscard]] bool searched(const ScopeInstance& scope, const LinkTarget& target) const;
  [[nodiscard]] bool flush_count();
  void set_path(const Job& job);
  void issue(Issue::Kind kind, std::string reason);
  void issue(Error error);

  Shared& shared_;
  Folders& folders_;
  ScanResult counts_;

  // Of the folder that is being listed.
  const host::Directory* handle_ = nullptr;
  const Coverings* coverings_ = nullptr;
  std::string path_;  // of the folder, with a final '/', or of the entry looked at
  std::string waiting_;
  std::uint64_t counted_ = 0;  // files told to Shared

  // A folder whose path is the first base_length_ bytes of path_: mostly the next one's parent.
  std::shared_ptr<Folder> base_;
  std::size_t base_length_ = 0;
  std::vector<const Folder*> chain_;
  std::vector<std::size_t> for_facts_;  // indexes into *coverings_
  std::vector<std::size_t> for_content_;
  std::string buffer_;
};

}  // namespace remediate::observe
