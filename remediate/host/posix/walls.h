#pragma once

#include <optional>
#include <string>

#include "remediate/base/error.h"

namespace remediate::host::posix {

/// Nothing when the wall stands, else why this system does not have it. Both need
/// PR_SET_NO_NEW_PRIVS to be set already.
using Lacking = std::optional<std::string>;

/// Landlock: reading below / is all that stays of the file system; no TCP, no signals and no
/// abstract sockets to others where the kernel knows these rules. The calling thread only.
[[nodiscard]] Result<Lacking> forbid_file_changes();

/// Whether Landlock also judges truncation (ABI 3, Linux 6.2): before that an open for reading may
/// truncate, and only a filter that sees its flags can tell.
[[nodiscard]] bool landlock_judges_truncation();

/// seccomp, all threads. `by_path` says that Landlock judges what openat2 opens; else that call,
/// whose flags no filter can see, is told to be missing.
[[nodiscard]] Result<Lacking> limit_system_calls(bool by_path);

/// seccomp for a process that only computes on what it has: it cannot open anything. Its messages
/// come and go over what is open. `and_forking` may start such processes and end them.
enum class Computing : unsigned char { alone, and_forking };
/// False when the system has the wall and it could not be put up.
[[nodiscard]] bool limit_to_computing(Computing how);

}  // namespace remediate::host::posix
