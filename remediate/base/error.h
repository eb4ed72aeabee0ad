#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace remediate {

/// What kind of failure it is; each code has a caller that branches on it or
/// an exit code of its own. The spelling of code_name() is a public contract.
enum class Code : std::uint8_t {
  usage,           // exit 64
  bad_input,       // exit 65: a file given to the tool is not what it must be
  permission,      // exit 77
  configuration,   // exit 78: policy, keys or store are not usable
  stale_plan,      // exit 4: the target is no longer what was approved
  signature,       // exit 5: missing, wrong or untrusted
  approval,        // exit 5: not enough approvals
  not_found,       // exit 1 from here on
  already_exists,  // a name is taken; nothing was overwritten
  changed,         // the object is not the one that was recorded
  no_space,
  read_only,
  unsupported,  // this file system or host cannot do it safely
  refused,      // a guard stopped it
  conflict,     // somebody else's later change is in the way
  ambiguous,    // more than one thing fits where one is required
  limit,        // a bound on size, depth, count or time was reached
  corrupt,      // stored evidence does not verify
  busy,         // another instance holds the lock
  interrupted,
  io,
  internal,
};

[[nodiscard]] std::string_view code_name(Code code);
/// The process exit code that a command which ends with `code` returns.
[[nodiscard]] int exit_code(Code code);

/// A failure told to a person: `message` names the thing and what is wrong,
/// `remedy` what to do next; `causes` run from the nearest to the root cause.
struct [[nodiscard]] Error {
  Code code = Code::internal;
  std::string message;
  std::string remedy{};
  std::vector<std::string> causes{};
  int os_error = 0;  // errno or GetLastError() of the root cause, 0 if none

  /// The same failure seen one level up: `outer` becomes the message.
  [[nodiscard]] Error wrapped(std::string outer) &&;
  /// "message: cause: cause (remedy)" in one line.
  [[nodiscard]] std::string text() const;
};

template <class T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(Code code, std::string message,
                                                 std::string remedy = {}) {
  return std::unexpected(Error{code, std::move(message), std::move(remedy)});
}

}  // namespace remediate
