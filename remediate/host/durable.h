#pragma once

#include <string>
#include <string_view>

#include "remediate/base/stream.h"
#include "remediate/host/directory.h"

namespace remediate::host {

/// Writes a whole file of the tool's own store: unnamed or temporary file, length checked, fsync,
/// atomic rename (overwrites an older version), fsync of the directory. Durable when it returns.
/// A crash in between may leave a file .writing-N there: not evidence, and not in the way.
[[nodiscard]] Result<void> write_durable(const Directory& directory, std::string_view name,
                                         std::string_view bytes, std::uint32_t mode = 0600);
/// The whole file; limit when it is larger than `max_bytes`.
[[nodiscard]] Result<std::string> read_whole(const File& file, std::uint64_t max_bytes);
[[nodiscard]] Result<std::string> read_whole(const Directory& directory, std::string_view name,
                                             std::uint64_t max_bytes);
/// Opens `name` below `directory`, creating it with `mode` when missing.
[[nodiscard]] Result<std::unique_ptr<Directory>> ensure_directory(const Directory& directory,
                                                                  std::string_view name,
                                                                  std::uint32_t mode);

/// A File as a stream; the file must outlive it.
class FileSource final : public ByteSource {
 public:
  explicit FileSource(const File& file) : file_(file) {}
  [[nodiscard]] Result<std::size_t> read(std::span<char> into) override;

 private:
  const File& file_;
  std::uint64_t offset_ = 0;
};

class FileSink final : public ByteSink {
 public:
  explicit FileSink(File& file) : file_(file) {}
  [[nodiscard]] Result<void> write(std::string_view bytes) override;
  [[nodiscard]] std::uint64_t written() const { return offset_; }

 private:
  File& file_;
  std::uint64_t offset_ = 0;
};

}  // namespace remediate::host
