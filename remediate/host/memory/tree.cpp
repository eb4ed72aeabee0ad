#include "remediate/host/memory/tree.h"

#include <algorithm>

#include "remediate/base/encoding.h"

namespace remediate::host::memory {

Tree::Tree() {
  auto mount = std::make_shared<Mount>();
  mount->id = next_mount++;
  mount->filesystem_type = "memory";
  mount->space = {.free_bytes = std::uint64_t{1} << 40, .free_files = std::uint64_t{1} << 32};
  root = make_node(FileKind::directory, 0755, mount);
  root->name_in_parent = "/";
}

namespace {

Result<void> ask(const MemoryHost::FaultHook& hook, std::string_view operation,
                 std::string_view name) {
  if (!hook) return {};
  if (auto error = hook(operation, name)) return std::unexpected(std::move(*error));
  return {};
}

}  // namespace

Result<void> Tree::before(std::string_view operation, std::string_view name) const {
  return ask(fault, operation, name);
}

Result<void> Tree::look(std::string_view operation, std::string_view name) const {
  return ask(look_fault, operation, name);
}

NodePointer Tree::make_node(FileKind kind, std::uint32_t mode,
                            const std::shared_ptr<Mount>& mount) {
  auto node = std::make_shared<Node>();
  node->mount = mount;
  node->stat.kind = kind;
  node->stat.id = {.device = mount->id, .inode = next_inode++, .mount = mount->id};
  node->stat.mode = mode & 07777u;
  node->stat.modified = node->stat.accessed = node->stat.changed = now;
  node->stat.born = now;
  return node;
}

void Tree::touch(Node& node) const { node.stat.modified = node.stat.changed = now; }

void Tree::enter(const NodePointer& folder, std::string_view name, const NodePointer& node) const {
  folder->entries.emplace(std::string(name), node);
  ++node->stat.links;
  node->stat.changed = now;
  if (node->stat.kind == FileKind::directory) {
    node->parent = folder;
    node->name_in_parent = name;
  }
  touch(*folder);
}

void Tree::leave(const NodePointer& folder, std::string_view name) const {
  const auto found = folder->entries.find(name);
  Node& node = *found->second;
  --node.stat.links;
  node.stat.changed = now;
  folder->entries.erase(found);
  touch(*folder);
}

std::unexpected<Error> refusal(Code code, std::string_view verb, const std::string& raw_path,
                               std::string_view why) {
  return fail(code,
              "cannot " + std::string(verb) + " " + display(raw_path) + ": " + std::string(why));
}

std::string below(const std::string& folder, std::string_view name) {
  std::string path = folder;
  if (name.empty()) return path;
  if (!path.ends_with('/')) path += '/';
  return path.append(name);
}

std::string path_of(const Node& folder) {
  const NodePointer parent = folder.parent.lock();
  return parent ? below(path_of(*parent), folder.name_in_parent) : folder.name_in_parent;
}

}  // namespace remediate::host::memory
