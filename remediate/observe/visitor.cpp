#include "remediate/observe/visitor.h"

#include <algorithm>
#include <ranges>

#include "remediate/base/encoding.h"
#include "remediate/observe/reading.h"

namespace remediate::observe {
namespace {

constexpr std::uint32_t max_depth = 20'000;
constexpr std::uint64_t count_step = 65'536;

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

Visitor::Visitor(Shared& shared, Folders& folders) : shared_(shared), folders_(folders) {
  counts_.files_per_scope.resize(shared.scopes.size());
}

bool Visitor::visit(const Job& job) {
  set_path(job);
  auto handle = open(job);
  if (handle && *handle) return list(job, std::move(*handle));
  if (!handle) issue(std::move(handle).error());
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
  handle_ = handle.get();
  coverings_ = coverings.get();
  waiting_.clear();
  if (!path_.empty()) path_ += '/';
  bool carry_on = true;
  auto listed = handle->each_entry([this, &carry_on](std::string_view name, FileKind kind) {
    carry_on = entry(name, kind);
    return carry_on;
  });
  if (!listed) issue(std::move(listed).error());
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
  for_facts_.clear();
  for_content_.clear();
  const std::string_view path = path_;
  for (std::size_t i = 0; i < coverings_->size(); ++i) {
    const Covering& covering = (*coverings_)[i];
    ++counts_.files_per_scope[covering.scope];
    const Need need =
        shared_.selector.need(shared_.scopes[covering.scope], path.substr(covering.skip));
    if (need == Need::facts) for_facts_.push_back(i);
    if (need == Need::content) for_content_.push_back(i);
  }
  if (!for_facts_.empty() || !for_content_.empty()) look_at(name);
  path_.resize(length);
}

void Visitor::link(std::string_view name) {
  const std::size_t length = path_.size();
  path_ += name;
  const std::string_view path = path_;
  const auto folder = RawPath::parse(path.substr(0, length == 0 ? 0 : length - 1));
  const LinkTarget target =
      folder ? look_up_link(shared_.root, *handle_, *folder, name) : LinkTarget{};
  for_content_.clear();
  bool told = false;
  for (std::size_t i = 0; i < coverings_->size(); ++i) {
    const Covering& covering = (*coverings_)[i];
    const ScopeInstance& scope = shared_.scopes[covering.scope];
    const Need need = shared_.selector.need(scope, path.substr(covering.skip));
    if (need == Need::content) for_content_.push_back(i);
    const bool matters = need != Need::skip || target.kind == LinkTarget::Kind::folder ||
                         target.kind == LinkTarget::Kind::unknown;
    told |= matters && !searched(scope, target);
  }
  if (told)
    shared_.add(Link{display(path), "symbolic link to " + target.text +
                                        ": not followed, and what it leads to is not searched. "
                                        "A web server may serve it: look at it, and let a scope "
                                        "name that place"});
  missed(for_content_, "it is a symbolic link to " + target.text);
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

void Visitor::look_at(std::string_view name) {
  auto opened = handle_->open_file(name, host::Access::read);
  if (!opened) {
    if (mounted_over(*handle_, name)) {
      miss(for_content_, Issue::Kind::mount_skipped, "something is mounted on it");
    } else {
      miss(for_content_, opened.error());
    }
    return;
  }
  const auto stat = (*opened)->stat();
  if (!stat) return miss(for_content_, stat.error());
  ++counts_.opened;
  if (!for_facts_.empty()) tell(for_facts_, {}, **opened, *stat);
  if (!for_content_.empty()) read(**opened, *stat);
}

void Visitor::read(const host::File& opened, const FileStat& stat) {
  std::uint64_t largest = 0;
  const auto limit = [this](std::size_t place) {
    return shared_.selector.max_file_size(shared_.scopes[(*coverings_)[place].scope]);
  };
  for (const std::size_t place : for_content_) largest = std::max(largest, limit(place));
  const auto reading = read_unchanged(opened, largest, "it", buffer_);
  if (!reading) {
    if (reading.error().code == Code::limit) {
      miss(for_content_, Issue::Kind::too_large, reading.error().text());
    } else if (reading.error().code == Code::changed) {
      miss(for_content_, Issue::Kind::changed_while_read, reading.error().text());
    } else {
      miss(for_content_, reading.error());
    }
    return;
  }
  counts_.bytes_read += reading->bytes.size();
  std::vector<std::size_t> over;
  std::erase_if(for_content_, [&](std::size_t place) {
    if (reading->bytes.size() <= limit(place)) return false;
    over.push_back(place);
    return true;
  });
  if (!over.empty()) {
    miss(over, Issue::Kind::too_large,
         "it has " + std::to_string(stat.size) +
             " bytes, more than a playbook that covers it reads");
  }
  if (!for_content_.empty()) tell(for_content_, reading->bytes, opened, reading->stat);
}

void Visitor::tell(const std::vector<std::size_t>& places, std::string_view content,
                   const host::File& opened, const FileStat& stat) {
  auto path = RawPath::parse(path_);
  if (!path) return issue(std::move(path).error());
  std::vector<FileObservation> observations;
  for (const std::size_t place : places) {
    const Covering& covering = (*coverings_)[place];
    observations.push_back({.scope = &shared_.scopes[covering.scope],
                            .path = *path,
                            .below_scope = path_.substr(covering.skip),
                            .size = stat.size});
  }
  shared_.selector.observe_in(observations, content, OpenTarget(opened, *handle_, stat, path_));
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

void Visitor::issue(Error error) {
  issue(Issue::Kind::unreadable,
        error.code == Code::not_found ? "vanished during the scan" : error.text());
}

}  // namespace remediate::observe
