#include "remediate/observe/visitor.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <ranges>

#include "remediate/base/encoding.h"
#include "remediate/observe/reading.h"

namespace remediate::observe {
namespace {

constexpr std::uint32_t max_depth = 20'000;
constexpr std::uint64_t count_step = 65'536;
constexpr std::size_t batch_files = 16;
constexpr std::size_t noted_bytes = 64u << 10;
/// A larger file is read by a thread that has a turn, so that few large buffers exist.
constexpr std::uint64_t small_file = 256u << 10;

// What listing and reading take where everything is in memory.
constexpr std::chrono::nanoseconds usual_call{20'000};
constexpr std::chrono::nanoseconds usual_entry{300};

std::chrono::nanoseconds usual_reading(std::uint64_t bytes) {
  return usual_call + std::chrono::nanoseconds(bytes);  // a byte a nanosecond
}

/// Facts of the file that is open, on demand.
class OpenTarget final : public TargetSource {
 public:
  OpenTarget(const host::File& file, const host::Directory& parent, const FileStat& seen,
             std::string_view path)
      : file_(file), parent_(parent), seen_(seen), path_(path) {}
  [[nodiscard]] Result<TargetFacts> facts() const override {
    return target_facts(file_, parent_, seen_, display(path_));
  }

 private:
  const host::File& file_;
  const host::Directory& parent_;
  const FileStat& seen_;
  std::string_view path_;
};

bool mounted_over(const host::Directory& folder, std::string_view name) {
  const auto entry = folder.stat_entry(name);
  const auto here = folder.stat();
  return entry && here && entry->id.mount != here->id.mount;
}

}  // namespace

Visitor::Visitor(Shared& shared, Folders& folders, Turns& turns)
    : shared_(shared), folders_(folders), turns_(turns) {
  counts_.files_per_scope.resize(shared.scopes.size());
}

bool Visitor::visit(Job& job) {
  if (job.batch) {
    base_.reset();
    path_ = std::move(job.batch->path);
    handle_ = std::move(job.batch->handle);
    coverings_ = std::move(job.batch->coverings);
    wanted_ = std::move(job.batch->files);
    look_at_wanted();
    return true;
  }
  set_path(job);
  Turns::Pause pause(turns_);
  auto handle = open(job);
  pause.end(usual_call);
  if (handle && *handle) return list(job, std::move(*handle));
  if (!handle) issue(handle.error());
  return true;
}

/// Null when there is nothing to list and it has been told.
Result<std::shared_ptr<const host::Directory>> Visitor::open(const Job& job) {
  auto path = RawPath::parse(job.name);
  if (!path) return std::unexpected(std::move(path).error());
  if (!job.parent) {
    auto opened = shared_.root.open_directory(*path, host::Mounts::cross);
    if (opened) return std::shared_ptr<const host::Directory>(std::move(*opened));
    if (opened.error().code != Code::not_found) return std::unexpected(std::move(opened).error());
    issue(Issue::Kind::path_not_found, opened.error().text());
    return nullptr;
  }
  if (job.parent->depth >= max_depth) {
    issue(Issue::Kind::unreadable,
          "lies more than " + std::to_string(max_depth) + " folders deep: not searched");
    return nullptr;
  }
  std::shared_ptr<const host::Directory> parent = job.handle;
  if (!parent) {
    auto again = folders_.open(job.parent);
    if (!again) return again;
    parent = std::move(*again);
  }
  auto opened = parent->open_directory(*path, host::Mounts::stay);
  if (opened) return std::shared_ptr<const host::Directory>(std::move(*opened));
  if (!mounted_over(*parent, job.name)) return std::unexpected(std::move(opened).error());
  issue(Issue::Kind::mount_skipped,
        "another file system is mounted here; it is searched when a scope names it");
  return nullptr;
}

bool Visitor::list(const Job& job, std::shared_ptr<const host::Directory> handle) {
  const auto coverings = shared_.cover(path_, job.parent ? job.parent->coverings : nullptr);
  handle_ = handle;
  coverings_ = coverings;
  waiting_.clear();
  entries_.clear();
  wanted_.clear();
  if (!path_.empty()) path_ += '/';
  bool carry_on = true;
  if (auto listed = read_entries(carry_on); !listed) issue(listed.error());
  if (carry_on) carry_on = take_entries();
  if (carry_on) look_at_wanted();
  if (carry_on) carry_on = flush_count();
  if (carry_on && !waiting_.empty()) {
    auto folder = std::make_shared<Folder>();
    folder->parent = job.parent;
    folder->name = job.name;
    folder->coverings = coverings;
    folder->depth = job.parent ? job.parent->depth + 1 : 0;
    folder->waiting = waiting_;
    base_ = folder;
    base_length_ = path_.empty() ? 0 : path_.size() - 1;
    folders_.push(folder, std::move(handle));
  }
  return carry_on;
}

/// Notes the entries, since the thread may have no turn while it lists; a folder of very many is
/// looked at in between.
Result<void> Visitor::read_entries(bool& carry_on) {
  std::int64_t noted = 0;
  Turns::Pause pause(turns_);
  auto listed = handle_->each_entry([&](std::string_view name, FileKind kind) {
    entries_.push_back(static_cast<char>(kind));
    entries_.append(name).push_back('\0');
    ++noted;
    if (entries_.size() < noted_bytes) return true;
    pause.end(usual_call + noted * usual_entry);
    noted = 0;
    carry_on = take_entries();
    pause.begin();
    return carry_on;
  });
  pause.end(usual_call + noted * usual_entry);
  return listed;
}

bool Visitor::take_entries() {
  bool carry_on = true;
  for (std::string_view left = entries_; carry_on && !left.empty();) {
    const std::size_t end = left.find('\0', 1);
    carry_on = entry(left.substr(1, end - 1), static_cast<FileKind>(left.front()));
    left.remove_prefix(end + 1);
  }
  entries_.clear();
  return carry_on;
}

bool Visitor::entry(std::string_view name, FileKind kind) {
  if (kind == FileKind::unknown) {
    const auto stat = handle_->stat_entry(name);
    if (!stat) {
      const std::size_t length = path_.size();
      path_ += name;
      issue(stat.error());
      path_.resize(length);
      return true;
    }
    kind = stat->kind;
  }
  if (kind == FileKind::directory) {
    waiting_.append(name).push_back('\0');
    return true;
  }
  if (kind == FileKind::symlink) link(name);
  if (kind != FileKind::regular) return true;
  file(name);
  if (counts_.files - counted_ < count_step) return true;
  return flush_count();
}

void Visitor::file(std::string_view name) {
  const std::size_t length = path_.size();
  path_ += name;
  ++counts_.files;
  Wanted wanted;
  const std::string_view path = path_;
  for (std::size_t i = 0; i < coverings_->size(); ++i) {
    const Covering& covering = (*coverings_)[i];
    ++counts_.files_per_scope[covering.scope];
    const Need need =
        shared_.selector.need(shared_.scopes[covering.scope], path.substr(covering.skip));
    if (need == Need::facts) wanted.for_facts.push_back(i);
    if (need == Need::content) wanted.for_content.push_back(i);
  }
  path_.resize(length);
  if (wanted.for_facts.empty() && wanted.for_content.empty()) return;
  wanted.name = name;
  wanted_.push_back(std::move(wanted));
  if (wanted_.size() == batch_files) hand_on();
}

void Visitor::hand_on() {
  Batch batch{handle_, coverings_, path_, std::move(wanted_)};
  const bool taken = folders_.offer(batch);
  wanted_ = std::move(batch.files);
  if (!taken) look_at_wanted();
}

void Visitor::look_at_wanted() {
  const std::size_t length = path_.size();
  for (Wanted& file : wanted_) {
    path_ += file.name;
    look_at(file);
    path_.resize(length);
  }
  wanted_.clear();
}

void Visitor::link(std::string_view name) {
  const std::size_t length = path_.size();
  path_ += name;
  const std::string_view path = path_;
  const auto folder = RawPath::parse(path.substr(0, length == 0 ? 0 : length - 1));
  const LinkTarget target =
      folder ? look_up_link(shared_.root, *handle_, *folder, name) : LinkTarget{};
  std::vector<std::size_t> for_content;
  bool told = false;
  for (std::size_t i = 0; i < coverings_->size(); ++i) {
    const Covering& covering = (*coverings_)[i];
    const ScopeInstance& scope = shared_.scopes[covering.scope];
    const Need need = shared_.selector.need(scope, path.substr(covering.skip));
    if (need == Need::content) for_content.push_back(i);
    const bool matters = need != Need::skip || target.kind == LinkTarget::Kind::folder ||
                         target.kind == LinkTarget::Kind::unknown;
    told |= matters && !searched(scope, target);
  }
  if (told)
    shared_.add(Link{display(path), "symbolic link to " + target.text +
                                        ": not followed, and what it leads to is not searched. "
                                        "A web server may serve it: look at it, and let a scope "
                                        "name that place"});
  missed(for_content, "it is a symbolic link to " + target.text);
  path_.resize(length);
}

/// Whether the same scope looks at what the link leads to, by its own name.
bool Visitor::searched(const ScopeInstance& scope, const LinkTarget& target) const {
  if (target.kind != LinkTarget::Kind::folder && target.kind != LinkTarget::Kind::file)
    return false;
  return std::ranges::any_of(shared_.scopes, [&](const ScopeInstance& other) {
    if (other.playbook != scope.playbook || other.scope != scope.scope ||
        !target.place.within(other.folder))
      return false;
    if (target.kind == LinkTarget::Kind::folder) return true;
    const std::size_t skip = other.folder.is_root() ? 0 : other.folder.bytes().size() + 1;
    const std::string_view place = target.place.bytes();
    return place.size() > skip && shared_.selector.need(other, place.substr(skip)) != Need::skip;
  });
}

void Visitor::look_at(Wanted& file) {
  Turns::Pause pause(turns_);
  auto opened = handle_->open_file(file.name, host::Access::read);
  const auto stat = opened ? (*opened)->stat() : Result<FileStat>(std::unexpected(opened.error()));
  if (stat) mind_size(file.for_content, stat->size);
  const bool small = stat && stat->size <= small_file;
  std::optional<Result<Reading>> reading;
  if (small && !file.for_content.empty())
    reading = read(**opened, *stat, file.for_content, small_file);
  pause.end(usual_reading(small ? stat->size : 0));
  if (!opened) {
    if (mounted_over(*handle_, file.name)) {
      miss(file.for_content, Issue::Kind::mount_skipped, "something is mounted on it");
    } else {
      miss(file.for_content, opened.error());
    }
    return;
  }
  if (!stat) return miss(file.for_content, stat.error());
  ++counts_.opened;
  if (!file.for_facts.empty()) tell(file.for_facts, {}, **opened, *stat);
  if (file.for_content.empty()) return;
  // What has grown since it was looked at is read as what it is now.
  if (!reading && stat->size <= Selector::max_held)
    reading = read(**opened, *stat, file.for_content, Selector::max_held);
  if (reading) {
    take(file.for_content, *reading, **opened, *stat);
  } else {
    look_at_large(file.for_content, **opened);
  }
  if (buffer_.capacity() > 2 * small_file) std::string().swap(buffer_);
}

void Visitor::mind_size(std::vector<std::size_t>& places, std::uint64_t size) const {
  std::erase_if(places, [&](std::size_t place) {
    const Covering& covering = (*coverings_)[place];
    return !shared_.selector.wants(shared_.scopes[covering.scope],
                                   std::string_view(path_).substr(covering.skip), size);
  });
}

std::uint64_t Visitor::limit(std::size_t place) const {
  return shared_.selector.max_file_size(shared_.scopes[(*coverings_)[place].scope]);
}

/// Nothing when it has more than `most` bytes, and a scope asks for them all the same.
std::optional<Result<Reading>> Visitor::read(const host::File& opened, const FileStat& seen,
                                             std::span<const std::size_t> places,
                                             std::uint64_t most) {
  std::uint64_t largest = 0;
  for (const std::size_t place : places) largest = std::max(largest, limit(place));
  auto reading = read_unchanged(opened, seen, std::min(largest, most), "it", buffer_);
  if (!reading && reading.error().code == Code::limit && most < largest) return std::nullopt;
  return reading;
}

void Visitor::take(std::vector<std::size_t>& places, const Result<Reading>& reading,
                   const host::File& opened, const FileStat& stat) {
  if (!reading) {
    if (reading.error().code == Code::limit) {
      too_large(places, stat.size);
    } else if (reading.error().code == Code::changed) {
      miss(places, Issue::Kind::changed_while_read, reading.error().text());
    } else {
      miss(places, reading.error());
    }
    return;
  }
  counts_.bytes_read += reading->bytes.size();
  mind_limit(places, reading->bytes.size());
  if (!places.empty()) tell(places, reading->bytes, opened, reading->stat);
}

void Visitor::look_at_large(std::vector<std::size_t>& places, const host::File& opened) {
  const auto path = RawPath::parse(path_);
  if (!path) return issue(path.error());
  for (bool again = true;; again = false) {
    const auto stat = opened.stat();
    if (!stat) return miss(places, stat.error());
    mind_limit(places, stat->size);
    if (places.empty()) return;
    const auto observed = shared_.selector.observe_large(
        observations(places, *path, stat->size), OpenContent(opened, *stat, "it"),
        OpenTarget(opened, *handle_, *stat, path_));
    if (observed) {
      counts_.bytes_read += stat->size;
      return;
    }
    const bool changed = observed.error().code == Code::changed;
    if (changed && again) continue;
    if (changed) return miss(places, Issue::Kind::changed_while_read, observed.error().text());
    return miss(places, observed.error());
  }
}

void Visitor::mind_limit(std::vector<std::size_t>& places, std::uint64_t size) {
  std::vector<std::size_t> over;
  std::erase_if(places, [&](std::size_t place) {
    if (size <= limit(place)) return false;
    over.push_back(place);
    return true;
  });
  if (over.empty()) return;
  too_large(over, size);
}

void Visitor::too_large(const std::vector<std::size_t>& places, std::uint64_t size) {
  std::uint64_t smallest = UINT64_MAX;
  for (const std::size_t place : places) smallest = std::min(smallest, limit(place));
  const std::string most = "more than the " + std::to_string(smallest) + " that are read";
  std::string reason = size > smallest ? "it has " + std::to_string(size) + " bytes, " + most
                                       : "it grew to " + most + " while it was looked at";
  if (const std::string_view way = shared_.selector.raises_limit(); !way.empty())
    reason += " (" + std::string(way) + ")";
  miss(places, Issue::Kind::too_large, reason);
  const auto path = RawPath::parse(path_);
  if (!path) return issue(path.error());
  for (const std::size_t place : places)
    shared_.selector.observe_unread(observation(place, *path, size));
}

std::vector<FileObservation> Visitor::observations(const std::vector<std::size_t>& places,
                                                   const RawPath& path, std::uint64_t size) const {
  std::vector<FileObservation> made;
  made.reserve(places.size());
  for (const std::size_t place : places) made.push_back(observation(place, path, size));
  return made;
}

FileObservation Visitor::observation(std::size_t place, const RawPath& path,
                                     std::uint64_t size) const {
  const Covering& covering = (*coverings_)[place];
  return {.scope = &shared_.scopes[covering.scope],
          .path = path,
          .below_scope = path_.substr(covering.skip),
          .size = size};
}

void Visitor::tell(const std::vector<std::size_t>& places, std::string_view content,
                   const host::File& opened, const FileStat& stat) {
  const auto path = RawPath::parse(path_);
  if (!path) return issue(path.error());
  shared_.selector.observe_in(observations(places, *path, stat.size), content,
                              OpenTarget(opened, *handle_, stat, path_));
}

void Visitor::miss(const std::vector<std::size_t>& places, Issue::Kind kind,
                   const std::string& reason) {
  issue(kind, reason);
  missed(places, reason);
}

void Visitor::missed(const std::vector<std::size_t>& places, const std::string& reason) {
  const auto path = RawPath::parse(path_);
  if (!path || !shared_.options.missed) return;
  for (const std::size_t place : places) {
    const Covering& covering = (*coverings_)[place];
    shared_.options.missed(shared_.scopes[covering.scope], *path,
                           std::string_view(path_).substr(covering.skip), reason);
  }
}

void Visitor::miss(const std::vector<std::size_t>& places, const Error& error) {
  if (error.code == Code::not_found) return issue(error);  // vanished: it says nothing any more
  miss(places, Issue::Kind::unreadable, error.text());
}

bool Visitor::flush_count() {
  const std::uint64_t more = counts_.files - counted_;
  counted_ = counts_.files;
  if (shared_.count_files(more)) return true;
  shared_.fail_with({.code = Code::limit,
                     .message = "the scopes hold more files than the limit of the scan",
                     .remedy = "narrow the scopes or raise the limit"});
  return false;
}

void Visitor::set_path(const Job& job) {
  const auto append = [this](std::string_view name) {
    if (!path_.empty()) path_ += '/';
    path_ += name;
  };
  if (job.parent && job.parent == base_) {
    path_.resize(base_length_);
  } else {
    chain_.clear();
    for (const Folder* above = job.parent.get(); above != nullptr; above = above->parent.get()) {
      chain_.push_back(above);
    }
    path_.clear();
    for (const Folder* above : chain_ | std::views::reverse) append(above->name);
    base_ = job.parent;
    base_length_ = path_.size();
  }
  append(job.name);
}

void Visitor::issue(Issue::Kind kind, std::string reason) {
  shared_.issues.add(kind, path_.empty() ? "(root)" : display(path_), std::move(reason));
}

void Visitor::issue(const Error& error) {
  issue(Issue::Kind::unreadable,
        error.code == Code::not_found ? "vanished during the scan" : error.text());
}

}  // namespace remediate::observe
