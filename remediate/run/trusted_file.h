#pragma once

#include <string>

#include "remediate/host/host.h"

namespace remediate::run {

/// The bytes of a file that nobody but root and this user can change or put another one in the
/// place of: it and every folder above it belong to one of the two and cannot be written by
/// others (a folder with the sticky bit may be); no part of the path is a symbolic link. Checked
/// on the handles through which it is then read, once. configuration, naming the part, else;
/// not_found when a part is missing. `path` may be relative to the working folder.
[[nodiscard]] Result<std::string> read_trusted(host::Host& host, const std::string& path,
                                               std::uint64_t max_bytes);

/// Where read_trusted() looks for `path`: absolute, without "." and "..".
[[nodiscard]] Result<std::string> trusted_place(host::Host& host, const std::string& path);

}  // namespace remediate::run
