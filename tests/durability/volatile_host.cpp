#include "volatile_host.h"

#include "remediate/base/try.h"

namespace remediate::durability {
namespace {

using host::Access;
using host::Directory;
using host::File;
using Kind = Event::Kind;
using LogPointer = std::shared_ptr<Log>;

Event event_of(Kind kind, const FileStat& stat) {
  Event event;
  event.kind = kind;
  event.inode = stat.id.inode;
  event.mount = stat.id.mount;
  event.after.stat = stat;
  return event;
}

class VolatileFile final : public File {
 public:
  VolatileFile(std::unique_ptr<File> inner, LogPointer log, std::string_view name)
      : inner_(std::move(inner)), log_(std::move(log)), name_(name) {}

  Result<FileStat> stat() const override { return inner_->stat(); }
  Result<Metadata> metadata() const override { return inner_->metadata(); }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<char> into) const override {
    return inner_->read_at(offset, into);
  }
  Result<void> write_at(std::uint64_t offset, std::string_view bytes) override {
    TRY(inner_->write_at(offset, bytes));
    TRY_LET(Event event, now(Kind::data));
    event.offset = offset;
    event.bytes = bytes;
    log_->events.push_back(std::move(event));
    return {};
  }
  Result<void> truncate(std::uint64_t size) override {
    TRY(inner_->truncate(size));
    TRY_LET(Event event, now(Kind::size));
    event.offset = size;
    log_->events.push_back(std::move(event));
    return {};
  }
  Result<void> reserve(std::uint64_t size) override { return inner_->reserve(size); }
  Result<void> sync_data() override {
    TRY(inner_->sync_data());
    return flushed(Kind::flush_data, log_->plant.file_data);
  }
  Result<void> sync() override {
    TRY(inner_->sync());
    return flushed(Kind::flush_file, log_->plant.file);
  }
  void drop_cache() const override { inner_->drop_cache(); }
  Result<bool> has_other_writers() const override { return inner_->has_other_writers(); }
  Result<std::vector<std::string>> restore_metadata(const Metadata& wanted,
                                                    host::Privileges privileges) override {
    TRY_LET(const Metadata before, inner_->metadata());
    TRY_LET(auto failed, inner_->restore_metadata(wanted, privileges));
    TRY_LET(const Metadata after, inner_->metadata());
    const auto log = [&](Kind kind) {
      Event event = event_of(kind, after.stat);
      event.after.attributes = after.attributes;
      log_->events.push_back(std::move(event));
    };
    if (before.stat.mode != after.stat.mode || before.stat.owner != after.stat.owner ||
        before.stat.group != after.stat.group)
      log(Kind::owner);
    if (before.attributes != after.attributes) log(Kind::attributes);
    log(Kind::times);
    return failed;
  }
  Result<void> set_times(Timestamp accessed, Timestamp modified) override {
    TRY(inner_->set_times(accessed, modified));
    TRY_LET(Event event, now(Kind::times));
    log_->events.push_back(std::move(event));
    return {};
  }
  Result<void> set_protection_flags(std::uint32_t flags) override {
    TRY(inner_->set_protection_flags(flags));
    TRY_LET(const Metadata metadata, inner_->metadata());
    Event event = event_of(Kind::flags, metadata.stat);
    event.after.flags = metadata.inode_flags;
    log_->events.push_back(std::move(event));
    return {};
  }

  [[nodiscard]] const File& inner() const { return *inner_; }

 private:
  Result<Event> now(Kind kind) const {
    TRY_LET(const FileStat stat, inner_->stat());
    return event_of(kind, stat);
  }
  Result<void> flushed(Kind kind, bool planted) {
    if (planted) return {};
    if (!log_->plant.file_suffix.empty() && name_.ends_with(log_->plant.file_suffix)) return {};
    TRY_LET(Event event, now(kind));
    log_->events.push_back(std::move(event));
    return {};
  }

  std::unique_ptr<File> inner_;
  LogPointer log_;
  std::string name_;
};

class VolatileDirectory final : public Directory {
 public:
  VolatileDirectory(std::unique_ptr<Directory> inner, LogPointer log)
      : inner_(std::move(inner)), log_(std::move(log)) {}

  Result<FileStat> stat() const override { return inner_->stat(); }
  Result<std::unique_ptr<Directory>> open_directory(const RawPath& below,
                                                    host::Mounts mounts) const override {
    return wrapped(inner_->open_directory(below, mounts));
  }
  Result<FileStat> stat_entry(std::string_view name) const override {
    return inner_->stat_entry(name);
  }
  Result<std::unique_ptr<File>> open_file(std::string_view name, Access access) const override {
    return wrapped(inner_->open_file(name, access), name);
  }
  Result<std::unique_ptr<File>> create_file(std::string_view name,
                                            std::uint32_t mode) const override {
    TRY_LET(auto file, inner_->create_file(name, mode));
    TRY_LET(const FileStat stat, file->stat());
    born(stat);
    TRY(named({{name, &stat}}));
    return wrapped(std::move(file), name);
  }
  Result<std::unique_ptr<File>> create_unnamed(std::uint32_t mode) const override {
    TRY_LET(auto file, inner_->create_unnamed(mode));
    TRY_LET(const FileStat stat, file->stat());
    born(stat);
    return wrapped(std::move(file), "");
  }
  Result<void> link_file(const File& unnamed, std::string_view name) const override {
    const File& file = dynamic_cast<const VolatileFile&>(unnamed).inner();
    TRY(inner_->link_file(file, name));
    TRY_LET(const FileStat stat, file.stat());
    return named({{name, &stat}});
  }
  Result<void> make_directory(std::string_view name, std::uint32_t mode) const override {
    TRY(inner_->make_directory(name, mode));
    TRY_LET(const FileStat stat, inner_->stat_entry(name));
    born(stat);
    return named({{name, &stat}});
  }
  Result<void> rename(std::string_view name, const Directory& to,
                      std::string_view new_name) const override {
    const auto& target = dynamic_cast<const VolatileDirectory&>(to);
    TRY(inner_->rename(name, *target.inner_, new_name));
    TRY_LET(const FileStat stat, target.inner_->stat_entry(new_name));
    return named({{name, nullptr}, {new_name, &stat, &target}});
  }
  Result<void> exchange(std::string_view name, const Directory& other,
                        std::string_view other_name) const override {
    const auto& target = dynamic_cast<const VolatileDirectory&>(other);
    TRY(inner_->exchange(name, *target.inner_, other_name));
    TRY_LET(const FileStat here, inner_->stat_entry(name));
    TRY_LET(const FileStat there, target.inner_->stat_entry(other_name));
    return named({{name, &here}, {other_name, &there, &target}});
  }
  Result<void> replace(std::string_view name, std::string_view new_name) const override {
    TRY(inner_->replace(name, new_name));
    TRY_LET(const FileStat stat, inner_->stat_entry(new_name));
    return named({{name, nullptr}, {new_name, &stat}});
  }
  Result<void> remove_file(std::string_view name) const override {
    TRY(inner_->remove_file(name));
    return named({{name, nullptr}});
  }
  Result<void> remove_directory(std::string_view name) const override {
    TRY(inner_->remove_directory(name));
    return named({{name, nullptr}});
  }
  Result<void> sync() const override {
    TRY(inner_->sync());
    return flushed(Kind::flush_folder, log_->plant.folder);
  }
  Result<void> sync_filesystem() const override {
    TRY(inner_->sync_filesystem());
    return flushed(Kind::flush_mount, log_->plant.filesystem);
  }
  Result<host::Space> space() const override { return inner_->space(); }
  Result<bool> writable_mount() const override { return inner_->writable_mount(); }
  Result<std::string> filesystem_type() const override { return inner_->filesystem_type(); }
  Result<void> each_entry(
      const std::function<bool(std::string_view, FileKind)>& visit) const override {
    return inner_->each_entry(visit);
  }
  Result<void> set_times(Timestamp accessed, Timestamp modified) const override {
    TRY(inner_->set_times(accessed, modified));
    TRY_LET(const FileStat stat, inner_->stat());
    log_->events.push_back(event_of(Kind::times, stat));
    return {};
  }
  Result<std::uint32_t> inode_flags() const override { return inner_->inode_flags(); }
  Result<std::unique_ptr<Directory>> mount_top() const override {
    return wrapped(inner_->mount_top());
  }
  Result<std::unique_ptr<host::Lock>> lock(std::string_view name) const override {
    const bool fresh = !inner_->stat_entry(name);
    TRY_LET(auto lock, inner_->lock(name));
    if (!fresh) return lock;
    TRY_LET(const FileStat stat, inner_->stat_entry(name));
    born(stat);
    TRY(named({{name, &stat}}));
    return lock;
  }
  Result<bool> locked(std::string_view name) const override { return inner_->locked(name); }
  std::string location() const override { return inner_->location(); }

 private:
  struct Name {
    std::string_view name;
    const FileStat* leads_to;  // null: nothing
    const VolatileDirectory* folder = nullptr;
  };

  Result<std::unique_ptr<Directory>> wrapped(Result<std::unique_ptr<Directory>> opened) const {
    if (!opened) return opened;
    return std::make_unique<VolatileDirectory>(std::move(*opened), log_);
  }
  Result<std::unique_ptr<File>> wrapped(Result<std::unique_ptr<File>> opened,
                                        std::string_view name) const {
    if (!opened) return opened;
    return std::make_unique<VolatileFile>(std::move(*opened), log_, name);
  }
  void born(const FileStat& stat) const { log_->events.push_back(event_of(Kind::birth, stat)); }
  Result<void> named(std::initializer_list<Name> names) const {
    Event event;
    event.kind = Kind::names;
    for (const Name& one : names) {
      TRY_LET(const FileStat folder, (one.folder ? one.folder : this)->inner_->stat());
      event.mount = folder.id.mount;
      event.slots.push_back({folder.id.inode, std::string(one.name),
                             one.leads_to == nullptr ? 0 : one.leads_to->id.inode});
    }
    log_->events.push_back(std::move(event));
    return {};
  }
  Result<void> flushed(Kind kind, bool planted) const {
    if (planted) return {};
    TRY_LET(const FileStat stat, inner_->stat());
    log_->events.push_back(event_of(kind, stat));
    return {};
  }

  std::unique_ptr<Directory> inner_;
  LogPointer log_;
};

}  // namespace

VolatileHost::VolatileHost(std::shared_ptr<host::memory::Tree> tree)
    : tree_(std::move(tree)), memory_(tree_), log_(std::make_shared<Log>()) {}

Result<std::unique_ptr<Directory>> VolatileHost::open_root(const std::string& path) {
  TRY_LET(auto opened, memory_.open_root(path));
  return std::make_unique<VolatileDirectory>(std::move(opened), log_);
}

/// Like the platform's: each folder that is made is flushed into the one above it.
Result<std::unique_ptr<Directory>> VolatileHost::make_root(const std::string& path) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string folder = path.substr(0, end);
    auto opened = open_root(folder);
    if (!opened && opened.error().code == Code::not_found) {
      const std::size_t slash = folder.rfind('/');
      TRY_LET(const auto above, open_root(slash == 0 ? "/" : folder.substr(0, slash)));
      TRY(above->make_directory(folder.substr(slash + 1), 0700));
      TRY(above->sync());
      opened = open_root(folder);
    }
    if (!opened || end == std::string::npos) return opened;
  }
}

void VolatileHost::kill_at(std::size_t events) {
  memory_.set_fault_hook(
      [log = log_, events](std::string_view, std::string_view) -> std::optional<Error> {
        if (log->events.size() < events) return std::nullopt;
        return Error{Code::io, "the process is gone", ""};
      });
}

}  // namespace remediate::durability
