#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "remediate/base/error.h"

namespace remediate::host {

/// A program of the tool's own that is run apart, because what it does must not be done as root
/// and may hang.
struct ChildRequest {
  std::string program;  // absolute path
  std::string input{};  // what it finds on its standard input
  std::uint64_t timeout_seconds = 10;
  std::size_t max_output = 64u << 10;
};

struct ChildEnd {
  int exit_code = 0;
  std::string output{};  // of its standard output; errors go nowhere
};

/// Runs it to its end. It has no environment, no descriptor besides the standard three, bounded
/// memory, and where this process is root it is nobody; it dies with this process. Killed, and
/// limit, when it takes longer or writes more; killed, and interrupted, when `stop` is set.
/// configuration when others could have changed the program, not_found when there is none.
[[nodiscard]] Result<ChildEnd> run_child(const ChildRequest& request,
                                         const std::atomic<bool>& stop);

[[nodiscard]] bool program_exists(const std::string& path);
/// The folder in which the running program lies.
[[nodiscard]] Result<std::string> program_folder();

}  // namespace remediate::host
