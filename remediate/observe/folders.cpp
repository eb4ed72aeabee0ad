#include "remediate/observe/folders.h"

#include <algorithm>
#include <ranges>
#include <utility>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"

namespace remediate::observe {

Folder::~Folder() {
  std::shared_ptr<Folder> above = std::move(parent);
  while (above && above.use_count() == 1) {
    std::shared_ptr<Folder> further = std::move(above->parent);
    above = std::move(further);
  }
}

void Folders::start(std::string path) {
  const std::lock_guard lock(mutex_);
  starts_.push_back(std::move(path));
}

void Folders::push(const std::shared_ptr<Folder>& folder,
                   std::shared_ptr<const host::Directory> handle) {
  if (auto stat = handle->stat()) folder->identity = stat->id;
  const std::lock_guard lock(mutex_);
  stack_.push_back(folder);
  keep(folder, std::move(handle));
  changed_.notify_one();
}

bool Folders::offer(Batch& batch) {
  const std::lock_guard lock(mutex_);
  if (idle_ <= batches_.size() || batches_.size() >= max_batches) return false;
  batches_.push_back(std::exchange(batch, {}));
  changed_.notify_one();
  return true;
}

std::optional<Job> Folders::take() {
  std::unique_lock lock(mutex_);
  ++idle_;
  changed_.wait(lock, [this] { return stopped_ || busy_ == 0 || has_job(); });
  --idle_;
  if (stopped_ || !has_job()) return std::nullopt;
  return next();
}

std::optional<Job> Folders::take_at_once() {
  const std::lock_guard lock(mutex_);
  if (stopped_ || !has_job()) return std::nullopt;
  return next();
}

/// With the mutex held, and something to be done. Each one that is taken wakes one more thread when
/// there is more.
Job Folders::next() {
  Job job;
  if (batches_.empty()) {
    job = next_folder();
  } else {
    job.batch = std::move(batches_.back());
    batches_.pop_back();
  }
  ++busy_;
  if (has_job()) changed_.notify_one();
  return job;
}

Job Folders::next_folder() {
  Job job;
  if (stack_.empty()) {
    job.name = std::move(starts_.back());
    starts_.pop_back();
    return job;
  }
  const std::shared_ptr<Folder> folder = stack_.back();
  const std::size_t end = folder->waiting.find('\0', folder->next);
  job.parent = folder;
  job.name = folder->waiting.substr(folder->next, end - folder->next);
  job.handle = folder->handle;
  folder->used = ++clock_;
  folder->next = end + 1;
  if (folder->next == folder->waiting.size()) {
    stack_.pop_back();
    give_up(*folder);
    std::string().swap(folder->waiting);
    folder->next = 0;
  }
  return job;
}

void Folders::finished() {
  const std::lock_guard lock(mutex_);
  if (--busy_ == 0) changed_.notify_all();
}

void Folders::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

Result<std::shared_ptr<const host::Directory>> Folders::open(
    const std::shared_ptr<Folder>& folder) {
  std::vector<std::shared_ptr<Folder>> closed;
  std::shared_ptr<const host::Directory> at;
  {
    const std::lock_guard lock(mutex_);
    for (auto above = folder; above && !at; above = above->parent) {
      at = above->handle;
      if (!at) closed.push_back(above);
    }
  }
  for (const auto& below : closed | std::views::reverse) {
    TRY_LET(const RawPath path, RawPath::parse(below->name));
    TRY_LET(std::shared_ptr<const host::Directory> opened,
            at ? at->open_directory(path, host::Mounts::stay)
               : root_.open_directory(path, host::Mounts::cross));
    TRY_LET(const FileStat stat, opened->stat());
    if (stat.id != below->identity) {
      return fail(Code::changed,
                  "another folder has taken the name " + display(below->name) + " during the scan",
                  "scan again");
    }
    const std::lock_guard lock(mutex_);
    keep(below, opened);
    at = std::move(opened);
  }
  return at;
}

void Folders::keep(const std::shared_ptr<Folder>& folder,
                   std::shared_ptr<const host::Directory> handle) {
  if (folder->waiting.empty() || folder->handle) return;
  folder->handle = std::move(handle);
  folder->used = ++clock_;
  open_.push_back(folder.get());
  if (open_.size() > max_handles) {
    give_up(**std::ranges::min_element(open_, {}, [](const Folder* other) { return other->used; }));
  }
}

void Folders::give_up(Folder& folder) {
  folder.handle.reset();
  std::erase(open_, &folder);
}

}  // namespace remediate::observe
