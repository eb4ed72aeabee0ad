#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "remediate/host/directory.h"
#include "remediate/observe/observation.h"

namespace remediate::observe {

/// A scope that covers a folder, and how many bytes of a path to skip to be below it.
struct Covering {
  std::size_t scope = 0;
  std::size_t skip = 0;
};
using Coverings = std::vector<Covering>;

/// A folder that has been listed and some of whose folders still wait. It knows its parent, so
/// that it can be opened again after its handle had to go.
struct Folder {
  ~Folder();  // frees a long chain of parents without recursion

  std::shared_ptr<Folder> parent;  // null at the start of a walk
  std::string name;                // at the start of a walk: its path below the root
  std::shared_ptr<const Coverings> coverings;
  std::uint32_t depth = 0;

  std::optional<FileId> identity;
  std::string waiting;  // names of folders below, each ended by NUL

  // Guarded by the mutex of Folders.
  std::size_t next = 0;  // into `waiting`
  std::shared_ptr<const host::Directory> handle;
  std::uint64_t used = 0;
};

/// A file that is to be looked at, and for which coverings of its folder (by index).
struct Wanted {
  std::string name;
  std::vector<std::size_t> for_facts;
  std::vector<std::size_t> for_content;
};

/// Some files of one folder.
struct Batch {
  std::shared_ptr<const host::Directory> handle;
  std::shared_ptr<const Coverings> coverings;
  std::string path;  // of the folder, with a final '/' unless it is the root
  std::vector<Wanted> files;
};

/// One folder to be listed, or files to be looked at.
struct Job {
  std::shared_ptr<Folder> parent;  // null: `name` is a path below the root
  std::string name;
  std::shared_ptr<const host::Directory> handle;  // the parent's, null when it had to go
  std::optional<Batch> batch;                     // then nothing of the above
};

/// The folders that wait, newest first, so that what is held is bounded by depth times width;
/// at most max_handles of them stay open, and those that at most max_batches batches are from.
class Folders {
 public:
  static constexpr std::size_t max_handles = 40;
  static constexpr std::size_t max_batches = 64;

  explicit Folders(const host::Directory& root) : root_(root) {}

  void start(std::string path);
  /// `handle` is that of `folder`, whose other members are filled in.
  void push(const std::shared_ptr<Folder>& folder, std::shared_ptr<const host::Directory> handle);
  /// Leaves files to another thread, where one has nothing to do: true, and `batch` is empty then.
  [[nodiscard]] bool offer(Batch& batch);
  /// The next job; nothing when all is done. Blocks while others may still add some.
  [[nodiscard]] std::optional<Job> take();
  /// The next job if there is one right now.
  [[nodiscard]] std::optional<Job> take_at_once();
  /// Every job that was taken ends with this.
  void finished();
  /// Lets take() return nothing from now on.
  void stop();
  /// The handle of a folder, opened again where necessary. changed when another folder has
  /// taken its name.
  [[nodiscard]] Result<std::shared_ptr<const host::Directory>> open(
      const std::shared_ptr<Folder>& folder);

 private:
  [[nodiscard]] bool has_job() const {
    return !batches_.empty() || !stack_.empty() || !starts_.empty();
  }
  [[nodiscard]] Job next();
  [[nodiscard]] Job next_folder();
  void keep(const std::shared_ptr<Folder>& folder, std::shared_ptr<const host::Directory> handle);
  void give_up(Folder& folder);

  const host::Directory& root_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> starts_;
  std::vector<std::shared_ptr<Folder>> stack_;
  std::vector<Folder*> open_;  // those with a handle; all are on stack_
  std::vector<Batch> batches_;
  std::uint64_t clock_ = 0;
  unsigned busy_ = 0;
  unsigned idle_ = 0;  // threads that wait in take()
  bool stopped_ = false;
};

}  // namespace remediate::observe
