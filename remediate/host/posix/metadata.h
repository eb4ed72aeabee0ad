#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "remediate/base/file_facts.h"
#include "remediate/host/directory.h"

namespace remediate::host::posix {

inline constexpr std::size_t max_attribute_bytes = 64u << 10;
inline constexpr std::size_t max_attributes_bytes = 1u << 20;
/// From here on the rest of a sparse file counts as one extent: the bytes stay right.
inline constexpr std::size_t max_extents = 65'536;

[[nodiscard]] Result<Metadata> read_metadata(int fd, std::string_view raw_path);
/// File::restore_metadata.
[[nodiscard]] Result<std::vector<std::string>> write_metadata(int fd, std::string_view raw_path,
                                                              const Metadata& wanted,
                                                              Privileges privileges);
[[nodiscard]] Result<std::vector<ExtendedAttribute>> read_attributes(int fd,
                                                                     std::string_view raw_path);

struct InodeFlags {
  std::uint32_t bits = 0;
  bool known = false;  // false where the file system has none
};
[[nodiscard]] Result<InodeFlags> read_inode_flags(int fd, std::string_view raw_path);
/// Sets exactly the immutable and append-only bits.
[[nodiscard]] Result<void> write_protection_flags(int fd, std::string_view raw_path,
                                                  std::uint32_t flags);
[[nodiscard]] Result<void> write_times(int fd, std::string_view raw_path, Timestamp accessed,
                                       Timestamp modified);

}  // namespace remediate::host::posix
