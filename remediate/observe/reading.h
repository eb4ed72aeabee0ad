#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "remediate/host/directory.h"
#include "remediate/observe/observation.h"

namespace remediate::observe {

/// A file's whole content that did not change from the first byte to the last.
struct Reading {
  FileStat stat;
  std::string_view bytes;  // into the caller's buffer
};

/// Reads `file` into `buffer` (it grows, never shrinks). `seen` is what stat() told of it after it
/// was opened. limit when it is larger than `max_bytes`, changed when it was written to during both
/// of two tries.
[[nodiscard]] Result<Reading> read_unchanged(const host::File& file, const FileStat& seen,
                                             std::uint64_t max_bytes, std::string_view shown_name,
                                             std::string& buffer);

/// What `file` holds while it stays as `seen`. All of them must outlive it.
class OpenContent final : public LargeContent {
 public:
  OpenContent(const host::File& file, const FileStat& seen, std::string_view shown_name)
      : file_(file), seen_(seen), shown_name_(shown_name) {}
  [[nodiscard]] std::uint64_t size() const override { return seen_.size; }
  [[nodiscard]] Result<void> read(std::uint64_t offset, std::span<char> into) const override;
  [[nodiscard]] Result<void> unchanged() const override;

 private:
  const host::File& file_;
  const FileStat& seen_;
  std::string_view shown_name_;
};

/// The facts of a file that was read: changed when they are no longer those of `seen`.
[[nodiscard]] Result<TargetFacts> target_facts(const host::File& file,
                                               const host::Directory& parent, const FileStat& seen,
                                               std::string_view shown_name);

}  // namespace remediate::observe
