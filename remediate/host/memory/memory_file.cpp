#include "remediate/host/memory/memory_file.h"

#include <algorithm>

#include "remediate/base/try.h"

namespace remediate::host::memory {
namespace {

constexpr std::uint64_t max_file_bytes = std::uint64_t{1} << 32;
constexpr std::uint32_t protection_bits = flag_immutable | flag_append_only;
constexpr std::string_view capability_attribute = "security.capability";

}  // namespace

FileStat facts_of(const Node& node) {
  FileStat facts = node.stat;
  facts.size = node.stat.kind == FileKind::symlink ? node.target.size() : node.bytes.size();
  facts.allocated = (facts.size + 511) / 512 * 512;
  return facts;
}

MemoryFile::MemoryFile(std::shared_ptr<Tree> tree, NodePointer node, Access access,
                       std::string path)
    : tree_(std::move(tree)), node_(std::move(node)), access_(access), path_(std::move(path)) {
  if (access_ == Access::read_write) ++node_->writers;
}

MemoryFile::~MemoryFile() {
  const std::scoped_lock lock(tree_->mutex);
  if (access_ == Access::read_write) --node_->writers;
}

std::string_view MemoryFile::name() const {
  return std::string_view(path_).substr(path_.rfind('/') + 1);
}

Result<void> MemoryFile::check_writable(std::string_view verb) const {
  if (access_ == Access::read_write) return {};
  return refusal(Code::io, verb, path_, "the handle is open for reading only");
}

Result<FileStat> MemoryFile::stat() const {
  TRY(tree_->look("stat", name()));
  const std::scoped_lock lock(tree_->mutex);
  return facts_of(*node_);
}

Result<Metadata> MemoryFile::metadata() const {
  TRY(tree_->look("metadata", name()));
  const std::scoped_lock lock(tree_->mutex);
  Metadata metadata;
  metadata.stat = facts_of(*node_);
  metadata.attributes = node_->attributes;
  metadata.inode_flags = node_->flags;
  metadata.inode_flags_known = true;
  return metadata;
}

Result<std::size_t> MemoryFile::read_at(std::uint64_t offset, std::span<char> into) const {
  TRY(tree_->look("read_at", name()));
  if (offset > max_file_bytes) return refusal(Code::io, "read", path_, "the offset is too large");
  const std::scoped_lock lock(tree_->mutex);
  if (offset >= node_->bytes.size()) return 0;
  return node_->bytes.copy(into.data(), into.size(), static_cast<std::size_t>(offset));
}

Result<void> MemoryFile::write_at(std::uint64_t offset, std::string_view bytes) {
  TRY(tree_->before("write_at", name()));
  TRY(check_writable("write"));
  if (offset > max_file_bytes || bytes.size() > max_file_bytes - offset) {
    return refusal(Code::io, "write", path_, "the file would be too large");
  }
  const std::scoped_lock lock(tree_->mutex);
  const auto at = static_cast<std::size_t>(offset);
  const std::size_t end = at + bytes.size();
  const std::size_t size = node_->bytes.size();
  if (end > size) {
    if (end - size > node_->mount->space.free_bytes) {
      return refusal(Code::no_space, "write", path_, "no space left");
    }
    node_->mount->space.free_bytes -= end - size;
    node_->bytes.resize(end);
  }
  node_->bytes.replace(at, bytes.size(), bytes);
  tree_->touch(*node_);
  return {};
}

Result<void> MemoryFile::truncate(std::uint64_t size) {
  TRY(tree_->before("truncate", name()));
  TRY(check_writable("set the size of"));
  if (size > max_file_bytes) {
    return refusal(Code::io, "set the size of", path_, "the file would be too large");
  }
  const std::scoped_lock lock(tree_->mutex);
  node_->bytes.resize(static_cast<std::size_t>(size));
  tree_->touch(*node_);
  return {};
}

Result<void> MemoryFile::reserve(std::uint64_t size) {
  TRY(tree_->before("reserve", name()));
  TRY(check_writable("reserve space for"));
  const std::scoped_lock lock(tree_->mutex);
  if (size > node_->bytes.size() + node_->mount->space.free_bytes) {
    return refusal(Code::no_space, "reserve space for", path_, "no space left");
  }
  return {};
}

Result<void> MemoryFile::sync_data() { return tree_->before("sync_data", name()); }

Result<void> MemoryFile::sync() { return tree_->before("sync", name()); }

Result<bool> MemoryFile::has_other_writers() const {
  TRY(tree_->look("has_other_writers", name()));
  if (access_ != Access::read) {
    return refusal(Code::unsupported, "look for writers of", path_, "this handle itself can write");
  }
  const std::scoped_lock lock(tree_->mutex);
  return node_->writers > 0;
}

Result<std::vector<std::string>> MemoryFile::restore_metadata(const Metadata& wanted,
                                                              Privileges privileges) {
  TRY(tree_->before("restore_metadata", name()));
  const std::scoped_lock lock(tree_->mutex);
  if (node_->protected_from_change()) {
    return std::vector<std::string>{"owner: operation not permitted",
                                    "mode: operation not permitted",
                                    "times: operation not permitted"};
  }
  const bool keep = privileges == Privileges::keep;
  node_->stat.owner = wanted.stat.owner;
  node_->stat.group = wanted.stat.group;
  node_->stat.mode = wanted.stat.mode & (keep ? 07777u : 01777u);
  node_->attributes = wanted.attributes;
  if (!keep) {
    std::erase_if(node_->attributes,
                  [](const auto& attribute) { return attribute.name == capability_attribute; });
  }
  std::ranges::sort(node_->attributes);
  node_->stat.accessed = wanted.stat.accessed;
  node_->stat.modified = wanted.stat.modified;
  node_->stat.changed = tree_->now;
  return std::vector<std::string>{};
}

Result<void> MemoryFile::set_times(Timestamp accessed, Timestamp modified) {
  TRY(tree_->before("set_times", name()));
  const std::scoped_lock lock(tree_->mutex);
  if (node_->protected_from_change()) {
    return refusal(Code::permission, "set the times of", path_, "it is immutable");
  }
  node_->stat.accessed = accessed;
  node_->stat.modified = modified;
  node_->stat.changed = tree_->now;
  return {};
}

Result<void> MemoryFile::set_protection_flags(std::uint32_t flags) {
  TRY(tree_->before("set_protection_flags", name()));
  const std::scoped_lock lock(tree_->mutex);
  node_->flags = (node_->flags & ~protection_bits) | (flags & protection_bits);
  node_->stat.changed = tree_->now;
  return {};
}

}  // namespace remediate::host::memory
