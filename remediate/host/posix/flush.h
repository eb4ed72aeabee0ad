#pragma once

#include <string_view>

#include "remediate/base/error.h"

namespace remediate::host::posix {

/// fsync, fdatasync or syncfs. A flush that failed is final, EINTR included: the kernel may have
/// dropped the pages already, and tells so once. From then on every flush of this process fails,
/// so that nothing that was written before is believed; a new process reads what is there.
[[nodiscard]] Result<void> flush(int (*call)(int), int fd, std::string_view verb,
                                 std::string_view path);

}  // namespace remediate::host::posix
