#include "remediate/host/memory/memory_directory.h"

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"

namespace remediate::host::memory {
namespace {

class MemoryLock final : public Lock {
 public:
  MemoryLock(std::shared_ptr<Tree> tree, NodePointer node)
      : tree_(std::move(tree)), node_(std::move(node)) {}
  ~MemoryLock() override {
    const std::scoped_lock lock(tree_->mutex);
    node_->locked = false;
  }
  MemoryLock(const MemoryLock&) = delete;
  MemoryLock& operator=(const MemoryLock&) = delete;

 private:
  std::shared_ptr<Tree> tree_;
  NodePointer node_;
};

template <class Concrete, class Interface>
Result<const Concrete*> same_host(const Interface& object) {
  const auto* concrete = dynamic_cast<const Concrete*>(&object);
  if (concrete == nullptr) {
    return fail(Code::internal, "a handle of another host was given to a handle of this one");
  }
  return concrete;
}

std::string kind_text(const Node& node) {
  return node.stat.kind == FileKind::symlink ? "a symbolic link"
                                             : "a " + std::string(kind_name(node.stat.kind));
}

/// Whether `node` is `folder` or lies above it.
bool encloses(const Node* node, const NodePointer& folder) {
  for (NodePointer at = folder; at; at = at->parent.lock()) {
    if (at.get() == node) return true;
  }
  return false;
}

}  // namespace

MemoryDirectory::MemoryDirectory(std::shared_ptr<Tree> tree, NodePointer node, std::string location)
    : tree_(std::move(tree)), node_(std::move(node)), location_(std::move(location)) {}

std::string MemoryDirectory::location() const { return display(location_); }

Result<NodePointer> MemoryDirectory::find(std::string_view verb, std::string_view name) const {
  const auto found = node_->entries.find(name);
  if (found == node_->entries.end()) {
    return refusal(Code::not_found, verb, path_to(name), "there is no such entry");
  }
  return found->second;
}

Result<void> MemoryDirectory::check_changeable(std::string_view verb, std::string_view name) const {
  if (node_->removed) {
    return refusal(Code::not_found, verb, path_to(name), "the directory has been removed");
  }
  if (!node_->mount->writable) {
    return refusal(Code::read_only, verb, path_to(name), "the mount is read-only");
  }
  if (node_->protected_from_change()) {
    return refusal(Code::permission, verb, path_to(name), "the directory is immutable");
  }
  return {};
}

Result<void> MemoryDirectory::check_free(std::string_view verb, std::string_view name) const {
  TRY(check_changeable(verb, name));
  if (!node_->entries.contains(name)) return {};
  return refusal(Code::already_exists, verb, path_to(name), "the name is taken");
}

Result<NodePointer> MemoryDirectory::check_movable(std::string_view verb, std::string_view name,
                                                   const MemoryDirectory& to) const {
  TRY(check_changeable(verb, name));
  TRY_LET(NodePointer node, find(verb, name));
  if (node_->mount != to.node_->mount || node->mount != node_->mount) {
    return refusal(Code::unsupported, verb, path_to(name),
                   "it is on another mount than " + display(to.location_));
  }
  if (node->protected_from_change()) {
    return refusal(Code::permission, verb, path_to(name), "it is immutable");
  }
  if (encloses(node.get(), to.node_)) {
    return refusal(Code::unsupported, verb, path_to(name), "a directory cannot enter itself");
  }
  return node;
}

std::unique_ptr<File> MemoryDirectory::handle(const NodePointer& node, Access access,
                                              std::string_view name) const {
  return std::make_unique<MemoryFile>(tree_, node, access, path_to(name));
}

Result<FileStat> MemoryDirectory::stat() const {
  TRY(tree_->look("stat", ""));
  const std::scoped_lock lock(tree_->mutex);
  return facts_of(*node_);
}

Result<std::unique_ptr<Directory>> MemoryDirectory::open_directory(const RawPath& path,
                                                                   Mounts mounts) const {
  TRY(tree_->look("open_directory", path.bytes()));
  const std::scoped_lock lock(tree_->mutex);
  NodePointer current = node_;
  std::string location = location_;
  for (const std::string_view component : path.components()) {
    location = below(location, component);
    const auto found = current->entries.find(component);
    if (found == current->entries.end()) {
      return refusal(Code::not_found, "open", location, "there is no such entry");
    }
    current = found->second;
    if (current->stat.kind != FileKind::directory) {
      return refusal(Code::refused, "open", location,
                     "it is " + kind_text(*current) + ", not a directory");
    }
    if (mounts == Mounts::stay && current->mount != node_->mount) {
      return refusal(Code::refused, "open", location, "another file system is mounted here");
    }
  }
  return std::make_unique<MemoryDirectory>(tree_, std::move(current), std::move(location));
}

Result<std::string> MemoryDirectory::read_link(std::string_view name) const {
  TRY(RawPath::check_component(name));
  TRY(tree_->look("read_link", name));
  const std::scoped_lock lock(tree_->mutex);
  TRY_LET(const NodePointer node, find("read the link", name));
  if (node->stat.kind != FileKind::symlink)
    return refusal(Code::refused, "read the link", path_to(name), "it is not a symbolic link");
  return node->target;
}

Result<FileStat> MemoryDirectory::stat_entry(std::string_view name) const {
  TRY(RawPath::check_component(name));
  TRY(tree_->look("stat_entry", name));
  const std::scoped_lock lock(tree_->mutex);
  TRY_LET(const NodePointer node, find("examine", name));
  return facts_of(*node);
}

Result<std::unique_ptr<File>> MemoryDirectory::open_file(std::string_view name,
                                                         Access access) const {
  TRY(RawPath::check_component(name));
  TRY(tree_->look("open_file", name));
  const std::scoped_lock lock(tree_->mutex);
  TRY_LET(const NodePointer node, find("open", name));
  if (node->stat.kind != FileKind::regular) {
    return refusal(Code::refused, "open", path_to(name),
                   "it is " + kind_text(*node) + ", not a regular file");
  }
  if (access == Access::read_write) {
    if (!node->mount->writable) {
      return refusal(Code::read_only, "open", path_to(name), "the mount is read-only");
    }
    if (node->protected_from_change()) {
      return refusal(Code::permission, "open", path_to(name), "it is immutable");
    }
  }
  return handle(node, access, name);
}

Result<std::unique_ptr<File>> MemoryDirectory::create_file(std::string_view name,
                                                           std::uint32_t mode) const {
  TRY(RawPath::check_component(name));
  TRY(tree_->before("create_file", name));
  const std::scoped_lock lock(tree_->mutex);
  TRY(check_free("create", name));
  const NodePointer node = tree_->make_node(FileKind::regular, mode, node_->mount);
  tree_->enter(node_, name, node);
  return handle(node, Access::read_write, name);
}

Result<std::unique_ptr<File>> MemoryDirectory::create_unnamed(std::uint32_t mode) const {
  TRY(tree_->before("create_unnamed", ""));
  const std::scoped_lock lock(tree_->mutex);
  TRY(check_changeable("create an unnamed file in", ""));
  return handle(tree_->make_node(FileKind::regular, mode, node_->mount), Access::read_write,
                "(unnamed file)");
}

Result<void> MemoryDirectory::link_file(const File& unnamed, std::string_view name) const {
  TRY(RawPath::check_component(name));
  TRY_LET(const MemoryFile* file, same_host<MemoryFile>(unnamed));
  TRY(tree_->before("link_file", name));
  const std::scoped_lock lock(tree_->mutex);
  TRY(check_free("link", name));
  if (file->node()->mount != node_->mount) {
    return refusal(Code::unsupported, "link", path_to(name), "the file is on another mount");
  }
  if (file->node()->protected_from_change()) {
    return refusal(Code::permission, "link", path_to(name), "the file is immutable");
  }
  tree_->enter(node_, name, file->node());
  return {};
}

Result<void> MemoryDirectory::make_directory(std::string_view name, std::uint32_t mode) const {
  TRY(RawPath::check_component(name));
  TRY(tree_->before("make_directory", name));
  const std::scoped_lock lock(tree_->mutex);
  TRY(check_free("create the directory", name));
  tree_->enter(node_, name, tree_->make_node(FileKind::directory, mode, node_->mount));
  return {};
}

Result<void> MemoryDirectory::rename(std::string_view name, const Directory& to,
                                     std::string_view new_name) const {
  TRY(RawPath::check_component(name));
  TRY(RawPath::check_component(new_name));
  TRY_LET(const MemoryDirectory* target, same_host<MemoryDirectory>(to));
  TRY(tree_->before("rename", name));
  const std::scoped_lock lock(tree_->mutex);
  TRY_LET(const NodePointer node, check_movable("rename", name, *target));
  TRY(target->check_free("rename to", new_name));
  tree_->leave(node_, name);
  tree_->enter(target->node_, new_name, node);
  return {};
}

Result<void> MemoryDirectory::exchange(std::string_view name, const Directory& other,
                                       std::string_view other_name) const {
  TRY(RawPath::check_component(name));
  TRY(RawPath::check_component(other_name));
  TRY_LET(const MemoryDirectory* target, same_host<MemoryDirectory>(other));
  TRY(tree_->before("exchange", name));
  const std::scoped_lock lock(tree_->mutex);
  TRY_LET(const NodePointer mine, check_movable("exchange", name, *target));
  TRY_LET(const NodePointer theirs, target->check_movable("exchange", other_name, *this));
  if (mine == theirs) return {};
  tree_->leave(node_, name);
  tree_->leave(target->node_, other_name);
  tree_->enter(node_, name, theirs);
  tree_->enter(target->node_, other_name, mine);
  return {};
}

Result<void> MemoryDirectory::replace(std::string_view name, std::string_view new_name) const {
  TRY(RawPath::check_component(name));
  TRY(RawPath::check_component(new_name));
  TRY(tree_->before("replace", new_name));
  const std::scoped_lock lock(tree_->mutex);
  TRY_LET(const NodePointer node, check_movable("replace", name, *this));
  const auto old = node_->entries.find(new_name);
  if (old != node_->entries.end()) {
    if (old->second == node) return {};
    if (old->second->stat.kind == FileKind::directory || node->stat.kind == FileKind::directory) {
      return refusal(Code::refused, "replace", path_to(new_name), "a directory is involved");
    }
    if (old->second->protected_from_change()) {
      return refusal(Code::permission, "replace", path_to(new_name), "it is immutable");
    }
    tree_->leave(node_, new_name);
  }
  tree_->leave(node_, name);
  tree_->enter(node_, new_name, node);
  return {};
}

Result<void> MemoryDirectory::remove_file(std::string_view name) const {
  TRY(RawPath::check_component(name));
  TRY(tree_->before("remove_file", name));
  const std::scoped_lock lock(tree_->mutex);
  TRY(check_changeable("remove", name));
  TRY_LET(const NodePointer node, find("remove", name));
  if (node->stat.kind == FileKind::directory) {
    return refusal(Code::refused, "remove", path_to(name), "it is a directory");
  }
  if (node->protected_from_change()) {
    return refusal(Code::permission, "remove", path_to(name), "it is immutable");
  }
  tree_->leave(node_, name);
  return {};
}

Result<void> MemoryDirectory::remove_directory(std::string_view name) const {
  constexpr std::string_view verb = "remove the directory";
  TRY(RawPath::check_component(name));
  TRY(tree_->before("remove_directory", name));
  const std::scoped_lock lock(tree_->mutex);
  TRY(check_changeable(verb, name));
  TRY_LET(const NodePointer node, find(verb, name));
  if (node->stat.kind != FileKind::directory) {
    return refusal(Code::refused, verb, path_to(name), "it is not a directory");
  }
  if (!node->entries.empty() || node->mount != node_->mount) {
    return refusal(Code::refused, verb, path_to(name), "it is not empty or a mount point");
  }
  if (node->protected_from_change()) {
    return refusal(Code::permission, verb, path_to(name), "it is immutable");
  }
  tree_->leave(node_, name);
  node->removed = true;
  return {};
}

Result<void> MemoryDirectory::sync() const { return tree_->before("sync", ""); }

Result<void> MemoryDirectory::sync_filesystem() const {
  return tree_->before("sync_filesystem", "");
}

Result<Space> MemoryDirectory::space() const {
  TRY(tree_->look("space", ""));
  const std::scoped_lock lock(tree_->mutex);
  return node_->mount->space;
}

Result<bool> MemoryDirectory::writable_mount() const {
  TRY(tree_->look("writable_mount", ""));
  const std::scoped_lock lock(tree_->mutex);
  return node_->mount->writable;
}

Result<std::string> MemoryDirectory::filesystem_type() const {
  TRY(tree_->look("filesystem_type", ""));
  const std::scoped_lock lock(tree_->mutex);
  return node_->mount->filesystem_type;
}

Result<void> MemoryDirectory::each_entry(
    const std::function<bool(std::string_view, FileKind)>& visit) const {
  TRY(tree_->look("each_entry", ""));
  std::vector<std::pair<std::string, FileKind>> entries;
  Node::Listed besides;
  {
    const std::scoped_lock lock(tree_->mutex);
    entries.reserve(node_->entries.size());
    for (const auto& [name, node] : node_->entries)
      entries.emplace_back(name, tree_->kinds_untold ? FileKind::unknown : node->stat.kind);
    besides = node_->listed_besides;
  }
  for (const auto& [name, kind] : entries) {
    if (!visit(name, kind)) return {};
  }
  for (std::size_t number = 0; number < besides.count; ++number) {
    if (!visit(std::to_string(number) + besides.end, FileKind::regular)) return {};
  }
  return {};
}

Result<void> MemoryDirectory::set_times(Timestamp accessed, Timestamp modified) const {
  TRY(tree_->before("set_times", ""));
  const std::scoped_lock lock(tree_->mutex);
  TRY(check_changeable("set the times of", ""));
  node_->stat.accessed = accessed;
  node_->stat.modified = modified;
  node_->stat.changed = tree_->now;
  return {};
}

Result<std::uint32_t> MemoryDirectory::inode_flags() const {
  TRY(tree_->look("inode_flags", ""));
  const std::scoped_lock lock(tree_->mutex);
  return node_->flags;
}

Result<std::unique_ptr<Directory>> MemoryDirectory::mount_top() const {
  TRY(tree_->look("mount_top", ""));
  const std::scoped_lock lock(tree_->mutex);
  NodePointer top = node_;
  for (NodePointer above = top->parent.lock(); above && above->mount == top->mount;
       above = top->parent.lock()) {
    top = above;
  }
  std::string location = path_of(*top);
  return std::make_unique<MemoryDirectory>(tree_, std::move(top), std::move(location));
}

Result<std::unique_ptr<Lock>> MemoryDirectory::lock(std::string_view name) const {
  TRY(RawPath::check_component(name));
  TRY(tree_->before("lock", name));
  const std::scoped_lock guard(tree_->mutex);
  auto node = find("lock", name);
  if (!node) {
    TRY(check_free("lock", name));
    node = tree_->make_node(FileKind::regular, 0600, node_->mount);
    tree_->enter(node_, name, *node);
  }
  if ((*node)->stat.kind != FileKind::regular) {
    return refusal(Code::refused, "lock", path_to(name), "it is " + kind_text(**node));
  }
  if ((*node)->locked) {
    return refusal(Code::busy, "lock", path_to(name), "it is locked elsewhere");
  }
  (*node)->locked = true;
  return std::make_unique<MemoryLock>(tree_, *node);
}

Result<bool> MemoryDirectory::locked(std::string_view name) const {
  const std::scoped_lock guard(tree_->mutex);
  const auto node = find("ask for the lock of", name);
  if (!node && node.error().code == Code::not_found) return false;
  if (!node) return std::unexpected(node.error());
  return (*node)->locked;
}

}  // namespace remediate::host::memory
