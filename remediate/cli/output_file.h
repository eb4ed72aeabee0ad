#pragma once

#include <string>

#include "remediate/cli/command.h"

// Files that a command is told to write. write_file() makes a new one: already_exists when the name
// is taken, and nothing is overwritten.

namespace remediate::cli {

/// What write_file() would say, before the work is done. "" and "-" always are free.
[[nodiscard]] Result<void> expect_free(Global& global, const std::string& path);
/// A new version of a file that the caller has read.
[[nodiscard]] Result<void> replace_file(Global& global, const std::string& path,
                                        const std::string& bytes);

}  // namespace remediate::cli
