#include "disk.h"

#include <algorithm>
#include <deque>
#include <random>
#include <set>

#include "remediate/crypto/digest.h"

namespace remediate::durability {
namespace {

using host::memory::Node;
using host::memory::NodePointer;
using host::memory::Tree;
using Kind = Event::Kind;

constexpr std::size_t sector = 512;

void read_node(const NodePointer& node, Disk& disk) {
  const Number number = node->stat.id.inode;
  if (disk.inodes.contains(number)) return;
  Inode& inode = disk.inodes[number];
  inode = {node->stat, node->bytes, node->target, node->attributes, node->flags, {}};
  disk.mounts.emplace(node->mount->id, *node->mount);
  for (const auto& [name, child] : node->entries) inode.entries[name] = child->stat.id.inode;
  for (const auto& [name, child] : node->entries) read_node(child, disk);
}

void put_bytes(std::string& bytes, std::size_t offset, std::string_view part) {
  if (bytes.size() < offset + part.size()) bytes.resize(offset + part.size());
  bytes.replace(offset, part.size(), part);
}

void write(Inode& inode, const Event& event, const Fate& fate) {
  const auto offset = static_cast<std::size_t>(event.offset);
  const std::string_view all = event.bytes;
  switch (fate.kind) {
    case Fate::Kind::lost:
      return;
    case Fate::Kind::whole:
      put_bytes(inode.bytes, offset, all);
      break;
    case Fate::Kind::zeros:
      if (inode.bytes.size() < offset + all.size()) inode.bytes.resize(offset + all.size());
      break;
    case Fate::Kind::prefix:
      put_bytes(inode.bytes, offset, all.substr(0, fate.parameter % (all.size() + 1)));
      break;
    case Fate::Kind::sectors: {
      if (inode.bytes.size() < offset + all.size()) inode.bytes.resize(offset + all.size());
      std::mt19937 chance(fate.parameter);
      for (std::size_t at = 0; at < all.size();) {
        const std::size_t length = std::min(sector - (offset + at) % sector, all.size() - at);
        if ((chance() & 1u) != 0) inode.bytes.replace(offset + at, length, all.substr(at, length));
        at += length;
      }
      break;
    }
  }
  inode.stat.modified = event.after.stat.modified;
}

void take(Disk& disk, const Event& event, const Fate& fate) {
  Inode& inode = disk.inodes[event.inode];
  switch (event.kind) {
    case Kind::birth:
      inode = event.after;
      return;
    case Kind::names:
      disk.inodes.erase(0);
      for (const Slot& slot : event.slots) {
        Inode& folder = disk.inodes[slot.folder];
        if (slot.inode == 0)
          folder.entries.erase(slot.name);
        else
          folder.entries[slot.name] = slot.inode;
      }
      return;
    case Kind::data:
      return write(inode, event, fate);
    case Kind::size:
      inode.bytes.resize(static_cast<std::size_t>(event.offset));
      return;
    case Kind::owner:
      inode.stat.owner = event.after.stat.owner;
      inode.stat.group = event.after.stat.group;
      inode.stat.mode = event.after.stat.mode;
      return;
    case Kind::attributes:
      inode.attributes = event.after.attributes;
      return;
    case Kind::times:
      inode.stat.modified = event.after.stat.modified;
      inode.stat.accessed = event.after.stat.accessed;
      return;
    case Kind::flags:
      inode.flags = event.after.flags;
      return;
    case Kind::flush_data:
    case Kind::flush_file:
    case Kind::flush_folder:
    case Kind::flush_mount:
      return;
  }
}

bool is_metadata(const Event& event) {
  return event.kind != Kind::birth && event.kind != Kind::data && !event.flush();
}

/// Whether a flush makes a change durable. Of names it may cover one folder of several.
bool covers(const Event& flush, const Event& change) {
  switch (flush.kind) {
    case Kind::flush_data:
      return flush.inode == change.inode &&
             (change.kind == Kind::data || change.kind == Kind::size);
    case Kind::flush_file:
    case Kind::flush_folder:
      return flush.inode == change.inode && change.kind != Kind::names;
    case Kind::flush_mount:
      return flush.mount == change.mount;
    default:
      return false;
  }
}

std::string_view kind_word(Kind kind) {
  static constexpr std::string_view words[] = {
      "birth", "names", "data",       "size",       "owner",        "attributes",
      "times", "flags", "flush_data", "flush_file", "flush_folder", "flush_mount"};
  return words[static_cast<std::size_t>(kind)];
}

}  // namespace

const Inode* Disk::find(std::string_view path) const {
  Number at = root;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
    if (part.empty()) continue;
    const auto folder = inodes.find(at);
    if (folder == inodes.end()) return nullptr;
    const auto found = folder->second.entries.find(part);
    if (found == folder->second.entries.end()) return nullptr;
    at = found->second;
  }
  const auto found = inodes.find(at);
  return found == inodes.end() ? nullptr : &found->second;
}

std::map<std::string, Number> Disk::paths(std::string_view folder) const {
  std::map<std::string, Number> result;
  const Inode* top = find(folder);
  if (top == nullptr) return result;
  std::deque<std::pair<std::string, Number>> rest{{"", top->stat.id.inode}};
  while (!rest.empty()) {
    const auto [path, number] = rest.front();
    rest.pop_front();
    const auto inode = inodes.find(number);
    if (inode == inodes.end() || !result.emplace(path, number).second) continue;
    for (const auto& [name, child] : inode->second.entries)
      rest.emplace_back(path.empty() ? name : path + "/" + name, child);
  }
  return result;
}

void Disk::settle() {
  std::map<Number, std::uint64_t> names{{root, 0}};
  std::deque<Number> rest{root};
  while (!rest.empty()) {
    Inode& inode = inodes[rest.front()];
    rest.pop_front();
    for (const auto& [name, child] : inode.entries)
      if (++names[child] == 1) rest.push_back(child);
  }
  std::erase_if(inodes, [&](const auto& pair) { return !names.contains(pair.first); });
  for (auto& [number, inode] : inodes) inode.stat.links = names[number];
}

std::string Disk::digest() const {
  crypto::Digest digest(crypto::Algorithm::sha256);
  const auto number = [&](auto value) { digest.update(std::to_string(value) + ","); };
  const auto text = [&](const std::string& value) {
    number(value.size());
    digest.update(value);
  };
  for (const auto& [id, inode] : inodes) {
    number(id);
    number(inode.stat.mode);
    number(inode.stat.owner);
    number(inode.stat.group);
    number(inode.stat.modified.seconds);
    number(inode.stat.modified.nanoseconds);
    number(inode.flags);
    text(inode.bytes);
    for (const auto& attribute : inode.attributes) text(attribute.name + "=" + attribute.value);
    for (const auto& [name, child] : inode.entries) {
      text(name);
      number(child);
    }
  }
  return digest.finish_hex();
}

Disk read_disk(const Tree& tree) {
  const std::scoped_lock lock(tree.mutex);
  Disk disk;
  disk.root = tree.root->stat.id.inode;
  read_node(tree.root, disk);
  return disk;
}

std::shared_ptr<Tree> start(const Disk& disk, int boot) {
  auto tree = std::make_shared<Tree>();
  std::map<std::uint64_t, std::shared_ptr<host::memory::Mount>> mounts;
  for (const auto& [id, mount] : disk.mounts) {
    mounts[id] = std::make_shared<host::memory::Mount>(mount);
    tree->next_mount = std::max(tree->next_mount, id + 1);
  }
  std::map<Number, NodePointer> nodes;
  for (const auto& [number, inode] : disk.inodes) {
    auto node = std::make_shared<Node>();
    node->stat = inode.stat;
    node->bytes = inode.bytes;
    node->target = inode.target;
    node->attributes = inode.attributes;
    node->flags = inode.flags;
    node->mount = mounts.at(inode.stat.id.mount);
    nodes[number] = std::move(node);
  }
  for (const auto& [number, inode] : disk.inodes)
    for (const auto& [name, child] : inode.entries) {
      nodes.at(number)->entries[name] = nodes.at(child);
      if (nodes.at(child)->stat.kind != FileKind::directory) continue;
      nodes.at(child)->parent = nodes.at(number);
      nodes.at(child)->name_in_parent = name;
    }
  tree->root = nodes.at(disk.root);
  tree->root->name_in_parent = "/";
  tree->next_inode = disk.inodes.rbegin()->first + 1;
  tree->identity.boot_id = "boot-" + std::to_string(boot);
  return tree;
}

std::string describe(const Event& event) {
  std::string text(kind_word(event.kind));
  if (event.inode != 0) text += " of inode " + std::to_string(event.inode);
  if (event.kind == Kind::data)
    text += " " + std::to_string(event.bytes.size()) + " bytes at " + std::to_string(event.offset);
  for (const Slot& slot : event.slots)
    text += " [" + std::to_string(slot.folder) + "/" + slot.name + " -> " +
            (slot.inode == 0 ? "nothing" : std::to_string(slot.inode)) + "]";
  return text;
}

std::string_view order_name(Order order) { return order == Order::free ? "free" : "journaled"; }

Cut::Cut(const std::vector<Event>& events, std::size_t count, Order order)
    : events_(events), count_(std::min(count, events.size())), before_(count_), safe_(count_) {
  std::map<std::pair<Number, std::string>, std::size_t> last_of_name;
  std::map<std::uint64_t, std::size_t> last_of_mount;
  for (std::size_t at = 0; at < count_; ++at) {
    const Event& event = events_[at];
    for (const Slot& slot : event.slots) {
      const auto [found, fresh] = last_of_name.try_emplace({slot.folder, slot.name}, at);
      if (!fresh) before_[at].push_back(found->second);
      found->second = at;
    }
    if (order == Order::journaled && is_metadata(event)) {
      const auto [found, fresh] = last_of_mount.try_emplace(event.mount, at);
      if (!fresh) before_[at].push_back(found->second);
      found->second = at;
    }
  }
  // From the end, so that what a safe change depends on is made safe too.
  std::map<std::pair<Kind, Number>, std::size_t> flushed;
  std::map<std::uint64_t, std::size_t> mounts;
  for (std::size_t at = count_; at-- > 0;) {
    const Event& event = events_[at];
    if (event.flush()) {
      if (event.kind == Kind::flush_mount)
        mounts[event.mount] = at;
      else
        flushed[{event.kind, event.inode}] = at;
      continue;
    }
    bool safe = safe_[at] || event.kind == Kind::birth || mounts.contains(event.mount);
    for (const auto& [key, index] : flushed) safe = safe || covers(events_[index], event);
    if (event.kind == Kind::names && !safe) {
      const auto is_flushed = [&](const Slot& slot) {
        return flushed.contains({Kind::flush_folder, slot.folder});
      };
      safe = order == Order::free ? std::ranges::all_of(event.slots, is_flushed)
                                  : std::ranges::any_of(event.slots, is_flushed);
    }
    safe_[at] = safe;
    if (safe)
      for (const std::size_t earlier : before_[at]) safe_[earlier] = true;
  }
  for (std::size_t at = 0; at < count_; ++at)
    if (!safe_[at] && !events_[at].flush()) pending_.push_back(at);
}

Disk Cut::disk(const Disk& base, const std::vector<Fate>& fates) const {
  Disk disk = base;
  std::vector<bool> survives(count_);
  std::size_t next = 0;
  for (std::size_t at = 0; at < count_; ++at) {
    if (events_[at].flush()) continue;
    Fate fate;
    if (!safe_[at]) fate = fates[next++];
    survives[at] = fate.kind != Fate::Kind::lost &&
                   (safe_[at] || std::ranges::all_of(before_[at], [&](std::size_t earlier) {
                      return survives[earlier];
                    }));
    if (survives[at]) take(disk, events_[at], fate);
  }
  disk.settle();
  return disk;
}

}  // namespace remediate::durability
