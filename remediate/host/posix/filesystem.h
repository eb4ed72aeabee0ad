#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "remediate/host/directory.h"

namespace remediate::host::posix {

[[nodiscard]] Result<Space> filesystem_space(int fd, std::string_view raw_path);
[[nodiscard]] Result<bool> filesystem_writable(int fd, std::string_view raw_path);
[[nodiscard]] Result<std::string> filesystem_name(int fd, std::string_view raw_path);
/// Directory::each_entry on a descriptor that nobody else reads through.
[[nodiscard]] Result<void> read_entries(
    int fd, std::string_view raw_path,
    const std::function<bool(std::string_view, FileKind)>& visit);

}  // namespace remediate::host::posix
