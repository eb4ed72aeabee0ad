#include "remediate/host/posix/flush.h"

#include <atomic>
#include <cerrno>

#include "remediate/base/encoding.h"
#include "remediate/host/posix/errors.h"

namespace remediate::host::posix {

Result<void> flush(int (*call)(int), int fd, std::string_view verb, std::string_view path) {
  static std::atomic<bool> failed_before{false};
  if (failed_before)
    return fail(Code::io,
                "cannot " + std::string(verb) + " " + display(path) +
                    ": an earlier flush of this process failed",
                "find out why the disk failed, then start anew: `remediate resume`");
  if (call(fd) == 0) return {};
  const int error = errno;
  failed_before = true;
  return os_fail(error, verb, path);
}

}  // namespace remediate::host::posix
