#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "remediate/base/error.h"

namespace remediate::host {

/// The walls around a confined process. What the system lacks is told in `missing`, one sentence
/// each; an empty list means that all of them stand.
struct Confinement {
  std::vector<std::string> missing;
};

/// For good, and for every thread that is started later: this process and what it might turn into
/// can read files, compute and write to what is open already. It cannot write, create, remove,
/// rename, link or run a file, change its owner, mode, times or attributes, start a process, look
/// into or signal another one, use the network, mount, or gain privileges. A call that is made for
/// none of the tool's reading ends the process at once, so that no denial can pass for a result.
/// Reading is not restricted. On Linux by Landlock and seccomp.
/// internal when another thread runs already; an error when a wall that the system has could not
/// be put up. What the system does not have is no error.
[[nodiscard]] Result<Confinement> confine();

/// What confined work hands out.
struct Product {
  int code = 0;
  std::vector<std::optional<std::string>> outputs;
};

/// At most this many bytes come out of confined work.
inline constexpr std::uint64_t max_product_bytes = 1u << 30;

/// Runs `work` in a child process that confines itself first, and takes its product out. The child
/// has the standard streams of this process and ends with it. Only for a process with one thread.
/// refused when the child was ended for a forbidden call, io when it ended in another odd way:
/// there is no product then.
[[nodiscard]] Result<Product> run_confined(
    const std::function<Product(const Confinement& walls)>& work);

}  // namespace remediate::host
