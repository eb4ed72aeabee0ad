#pragma once

#include "remediate/host/memory/tree.h"

namespace remediate::host::memory {

class MemoryFile final : public File {
 public:
  /// With the tree's lock held.
  MemoryFile(std::shared_ptr<Tree> tree, NodePointer node, Access access, std::string path);
  ~MemoryFile() override;
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  [[nodiscard]] Result<FileStat> stat() const override;
  [[nodiscard]] Result<Metadata> metadata() const override;
  [[nodiscard]] Result<std::size_t> read_at(std::uint64_t offset,
                                            std::span<char> into) const override;
  [[nodiscard]] Result<void> write_at(std::uint64_t offset, std::string_view bytes) override;
  [[nodiscard]] Result<void> truncate(std::uint64_t size) override;
  [[nodiscard]] Result<void> reserve(std::uint64_t size) override;
  [[nodiscard]] Result<void> sync_data() override;
  [[nodiscard]] Result<void> sync() override;
  void drop_cache() const override {}
  [[nodiscard]] Result<bool> has_other_writers() const override;
  [[nodiscard]] Result<std::vector<std::string>> restore_metadata(const Metadata& wanted,
                                                                  Privileges privileges) override;
  [[nodiscard]] Result<void> set_times(Timestamp accessed, Timestamp modified) override;
  [[nodiscard]] Result<void> set_protection_flags(std::uint32_t flags) override;

  [[nodiscard]] const NodePointer& node() const { return node_; }

 private:
  [[nodiscard]] std::string_view name() const;
  [[nodiscard]] Result<void> check_writable(std::string_view verb) const;

  std::shared_ptr<Tree> tree_;
  NodePointer node_;
  Access access_;
  std::string path_;
};

[[nodiscard]] FileStat facts_of(const Node& node);

}  // namespace remediate::host::memory
