#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "remediate/host/directory.h"
#include "remediate/host/link_reader.h"
#include "remediate/host/posix/resolve.h"

namespace remediate::host::posix {

/// Nothing but what is remembered of its volume changes after construction, so calls from several
/// threads do not meet: each_entry reads through a descriptor (and position) of its own.
class PosixDirectory final : public Directory, public LinkReader {
 public:
  /// `location` is raw and only for messages.
  PosixDirectory(Descriptor fd, std::string location, Resolution resolution);

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
  [[nodiscard]] Anchor anchor() const;
  [[nodiscard]] std::string path_to(std::string_view name) const;
  /// renameat2 with exactly one of RENAME_NOREPLACE and RENAME_EXCHANGE.
  [[nodiscard]] Result<void> move(std::string_view name, const Directory& to,
                                  std::string_view new_name, unsigned flag) const;

  /// The volume of a file in it on that device, or PosixFile::unknown_volume. The file system is
  /// asked once: on one mount a device is one volume for as long as the handle keeps the mount.
  [[nodiscard]] std::uint64_t volume_on(std::uint64_t device) const;

  static constexpr std::uint64_t unknown_device = UINT64_MAX;

  Descriptor fd_;
  std::string location_;
  Resolution resolution_;
  mutable std::atomic<std::uint64_t> home_volume_{0};
  mutable std::atomic<std::uint64_t> home_device_{unknown_device};
};

}  // namespace remediate::host::posix
