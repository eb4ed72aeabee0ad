#include "remediate/host/memory/memory_host.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <set>

#include "remediate/base/try.h"
#include "remediate/host/memory/memory_directory.h"

namespace remediate::host {
namespace {

using memory::NodePointer;
using memory::refusal;
using memory::Tree;

constexpr int max_links = 40;
constexpr std::uint64_t own_process = 1;

std::deque<std::string> split(std::string_view path) {
  std::deque<std::string> parts;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    if (end > 0) parts.emplace_back(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return parts;
}

/// Follows links as a shell would; creates missing folders when asked to.
Result<NodePointer> walk(Tree& tree, const std::string& path, bool create) {
  if (!path.starts_with('/')) {
    return refusal(Code::bad_input, "open", path, "a path in memory starts with '/'");
  }
  std::deque<std::string> rest = split(path);
  NodePointer current = tree.root;
  int links = 0;
  while (!rest.empty()) {
    const std::string part = std::move(rest.front());
    rest.pop_front();
    if (part == ".") continue;
    if (part == "..") {
      if (NodePointer parent = current->parent.lock()) current = std::move(parent);
      continue;
    }
    TRY(RawPath::check_component(part));
    const auto found = current->entries.find(part);
    if (found == current->entries.end()) {
      if (!create) return refusal(Code::not_found, "open", path, "no entry " + part);
      NodePointer made = tree.make_node(FileKind::directory, 0700, current->mount);
      tree.enter(current, part, made);
      current = std::move(made);
    } else if (found->second->stat.kind == FileKind::symlink) {
      if (++links > max_links) return refusal(Code::refused, "open", path, "too many links");
      const std::string& target = found->second->target;
      if (target.starts_with('/')) current = tree.root;
      const auto more = split(target);
      rest.insert(rest.begin(), more.begin(), more.end());
    } else if (found->second->stat.kind != FileKind::directory) {
      return refusal(Code::refused, "open", path, part + " is not a directory");
    } else {
      current = found->second;
    }
  }
  return current;
}

std::unique_ptr<Directory> handle(const std::shared_ptr<Tree>& tree, const NodePointer& node) {
  return std::make_unique<memory::MemoryDirectory>(tree, node, memory::path_of(*node));
}

}  // namespace

MemoryHost::MemoryHost() : tree_(std::make_shared<Tree>()) {}
MemoryHost::MemoryHost(std::shared_ptr<Tree> tree) : tree_(std::move(tree)) {}
MemoryHost::~MemoryHost() = default;

Result<std::unique_ptr<Directory>> MemoryHost::open_root(const std::string& path) {
  TRY(tree_->look("open_root", path));
  const std::scoped_lock lock(tree_->mutex);
  TRY_LET(const NodePointer node, walk(*tree_, path, false));
  return handle(tree_, node);
}

Result<std::unique_ptr<Directory>> MemoryHost::make_root(const std::string& path) {
  TRY(tree_->before("make_root", path));
  const std::scoped_lock lock(tree_->mutex);
  TRY_LET(const NodePointer node, walk(*tree_, path, true));
  return handle(tree_, node);
}

Identity MemoryHost::identity() const {
  const std::scoped_lock lock(tree_->mutex);
  return tree_->identity;
}

Timestamp MemoryHost::now() const {
  const std::scoped_lock lock(tree_->mutex);
  return tree_->now;
}

void MemoryHost::set_now(Timestamp time) {
  const std::scoped_lock lock(tree_->mutex);
  tree_->now = time;
}

void MemoryHost::set_identity(Identity identity) {
  const std::scoped_lock lock(tree_->mutex);
  tree_->identity = std::move(identity);
}

void MemoryHost::set_fault_hook(FaultHook hook) { tree_->fault = std::move(hook); }
void MemoryHost::set_look_hook(FaultHook hook) { tree_->look_fault = std::move(hook); }

Result<void> MemoryHost::plant(const std::string& path, FileKind kind, const std::string& target) {
  const std::size_t cut = path.rfind('/');
  if (cut == std::string::npos) {
    return refusal(Code::bad_input, "plant", path, "a path in memory starts with '/'");
  }
  const std::string name = path.substr(cut + 1);
  TRY(RawPath::check_component(name));
  const std::scoped_lock lock(tree_->mutex);
  TRY_LET(const NodePointer folder, walk(*tree_, path.substr(0, cut + 1), false));
  if (folder->entries.contains(name)) {
    return refusal(Code::already_exists, "plant", path, "the name is taken");
  }
  const NodePointer node = tree_->make_node(kind, 0644, folder->mount);
  node->target = target;
  tree_->enter(folder, name, node);
  return {};
}

Result<FilesInUse> MemoryHost::files_in_use() const {
  TRY(tree_->look("files_in_use", ""));
  const std::scoped_lock lock(tree_->mutex);
  FilesInUse result;
  result.own_process = own_process;
  std::set<std::uint64_t> processes{own_process};
  std::set<std::pair<std::uint64_t, std::uint64_t>> seen;
  for (const bool own : {true, false})
    for (const FileInUse& file : tree_->in_use) {
      processes.insert(file.process);
      if ((file.process == own_process) == own &&
          seen.insert({file.id.device, file.id.inode}).second)
        result.files.push_back(file);
    }
  result.unread = tree_->hidden_processes;
  result.processes = processes.size() + result.unread;
  for (std::uint64_t hidden = 1; hidden <= std::min<std::uint64_t>(result.unread, 3); ++hidden)
    result.unread_first.push_back({9000 + hidden, "hidden"});
  return result;
}

Result<void> MemoryHost::run_file(const std::string& path, std::uint64_t process,
                                  const std::string& name) {
  const std::size_t cut = path.rfind('/');
  if (cut == std::string::npos) {
    return refusal(Code::bad_input, "run", path, "a path in memory starts with '/'");
  }
  const std::scoped_lock lock(tree_->mutex);
  TRY_LET(const NodePointer folder, walk(*tree_, path.substr(0, cut + 1), false));
  const auto found = folder->entries.find(path.substr(cut + 1));
  if (found == folder->entries.end() || found->second->stat.kind != FileKind::regular) {
    return refusal(Code::not_found, "run", path, "there is no such file");
  }
  const FileId& id = found->second->stat.id;
  tree_->in_use.push_back(
      {.id = {.device = id.device, .inode = id.inode}, .process = process, .name = name});
  return {};
}

void MemoryHost::end_process(std::uint64_t process) {
  const std::scoped_lock lock(tree_->mutex);
  std::erase_if(tree_->in_use, [&](const FileInUse& file) { return file.process == process; });
}

void MemoryHost::hide_processes(std::uint64_t count) {
  const std::scoped_lock lock(tree_->mutex);
  tree_->hidden_processes = count;
}

Result<void> MemoryHost::mount(const std::string& path, const std::string& filesystem_type) {
  const std::scoped_lock lock(tree_->mutex);
  TRY_LET(const NodePointer node, walk(*tree_, path, false));
  if (node == tree_->root || !node->entries.empty()) {
    return refusal(Code::refused, "mount on", path, "it is the root or not empty");
  }
  auto mount = std::make_shared<memory::Mount>(*node->mount);
  mount->id = tree_->next_mount++;
  mount->filesystem_type = filesystem_type;
  node->stat.id = {.device = mount->id, .inode = tree_->next_inode++, .mount = mount->id};
  node->mount = std::move(mount);
  return {};
}

Result<void> MemoryHost::limit_mount(const std::string& path, Space space, bool writable) {
  const std::scoped_lock lock(tree_->mutex);
  TRY_LET(const NodePointer node, walk(*tree_, path, false));
  node->mount->space = space;
  node->mount->writable = writable;
  return {};
}

}  // namespace remediate::host
