#pragma once

#include <memory>
#include <string>

#include "remediate/host/directory.h"
#include "remediate/host/link_reader.h"
#include "remediate/host/memory/memory_file.h"

namespace remediate::host::memory {

class MemoryDirectory final : public Directory, public LinkReader {
 public:
  MemoryDirectory(std::shared_ptr<Tree> tree, NodePointer node, std::string location);

  [[nodiscard]] Result<FileStat> stat() const override;
  [[nodiscard]] Result<std::unique_ptr<Directory>> open_directory(const RawPath& below,
                                                                  Mounts mounts) const override;
  [[nodiscard]] Result<FileStat> stat_entry(std::string_view name) const override;
  [[nodiscard]] Result<std::string> read_link(std::string_view name) const override;
  [[nodiscard]] Result<std::unique_ptr<File>> open_file(std::string_view name,
                                                        Access access) const override;
  [[nodiscard]] Result<std::unique_ptr<File>> create_file(std::string_view name,
                                                          std::uint32_t mode) const override;
  [[nodiscard]] Result<std::unique_ptr<File>> create_unnamed(std::uint32_t mode) const override;
  [[nodiscard]] Result<void> link_file(const File& unnamed, std::string_view name) const override;
  [[nodiscard]] Result<void> make_directory(std::string_view name,
                                            std::uint32_t mode) const override;
  [[nodiscard]] Result<void> rename(std::string_view name, const Directory& to,
                                    std::string_view new_name) const override;
  [[nodiscard]] Result<void> exchange(std::string_view name, const Directory& other,
                                      std::string_view other_name) const override;
  [[nodiscard]] Result<void> replace(std::string_view name,
                                     std::string_view new_name) const override;
  [[nodiscard]] Result<void> remove_file(std::string_view name) const override;
  [[nodiscard]] Result<void> remove_directory(std::string_view name) const override;
  [[nodiscard]] Result<void> sync() const override;
  [[nodiscard]] Result<void> sync_filesystem() const override;
  [[nodiscard]] Result<Space> space() const override;
  [[nodiscard]] Result<bool> writable_mount() const override;
  [[nodiscard]] Result<std::string> filesystem_type() const override;
  [[nodiscard]] Result<void> each_entry(
      const std::function<bool(std::string_view, FileKind)>& visit) const override;
  [[nodiscard]] Result<void> set_times(Timestamp accessed, Timestamp modified) const override;
  [[nodiscard]] Result<std::uint32_t> inode_flags() const override;
  [[nodiscard]] Result<std::unique_ptr<Directory>> mount_top() const override;
  [[nodiscard]] Result<std::unique_ptr<Lock>> lock(std::string_view name) const override;
  [[nodiscard]] Result<bool> locked(std::string_view name) const override;
  [[nodiscard]] std::string location() const override;

 private:
  /// With the lock held: the entry, or not_found.
  [[nodiscard]] Result<NodePointer> find(std::string_view verb, std::string_view name) const;
  /// With the lock held: whether entries may be added here or taken away.
  [[nodiscard]] Result<void> check_changeable(std::string_view verb, std::string_view name) const;
  [[nodiscard]] Result<void> check_free(std::string_view verb, std::string_view name) const;
  /// With the lock held: what rename, exchange and replace demand of the moved entry.
  [[nodiscard]] Result<NodePointer> check_movable(std::string_view verb, std::string_view name,
                                                  const MemoryDirectory& to) const;
  [[nodiscard]] std::unique_ptr<File> handle(const NodePointer& node, Access access,
                                             std::string_view name) const;
  [[nodiscard]] std::string path_to(std::string_view name) const { return below(location_, name); }

  std::shared_ptr<Tree> tree_;
  NodePointer node_;
  std::string location_;
};

}  // namespace remediate::host::memory
