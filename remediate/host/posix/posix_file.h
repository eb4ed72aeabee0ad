#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "remediate/host/directory.h"
#include "remediate/host/posix/descriptor.h"

namespace remediate::host::posix {

class PosixFile final : public File {
 public:
  static constexpr std::uint64_t unknown_volume = UINT64_MAX;

  /// `path` is raw and only for messages.
  PosixFile(Descriptor fd, Access access, std::string path, std::uint64_t volume = unknown_volume);

  [[nodiscard]] Result<FileStat> stat() const override;
  [[nodiscard]] Result<Metadata> metadata() const override;
  [[nodiscard]] Result<std::size_t> read_at(std::uint64_t offset,
                                            std::span<char> into) const override;
  [[nodiscard]] Result<void> write_at(std::uint64_t offset, std::string_view bytes) override;
  [[nodiscard]] Result<void> truncate(std::uint64_t size) override;
  [[nodiscard]] Result<void> reserve(std::uint64_t size) override;
  [[nodiscard]] Result<void> sync_data() override;
  [[nodiscard]] Result<void> sync() override;
  void drop_cache() const override;
  [[nodiscard]] Result<bool> has_other_writers() const override;
  [[nodiscard]] Result<std::vector<std::string>> restore_metadata(const Metadata& wanted,
                                                                  Privileges privileges) override;
  [[nodiscard]] Result<void> set_times(Timestamp accessed, Timestamp modified) override;
  [[nodiscard]] Result<void> set_protection_flags(std::uint32_t flags) override;

  [[nodiscard]] int descriptor() const { return fd_.get(); }

 private:
  Descriptor fd_;
  Access access_;
  std::string path_;
  mutable std::atomic<std::uint64_t> volume_;
};

}  // namespace remediate::host::posix
