#pragma once

#include <functional>
#include <optional>
#include <string>

namespace remediate::contract {

/// While it lives, every system call that this thread makes for the host is first shown to `hook`.
/// A value that it returns becomes the result of the call, which then is not made; -1 goes with the
/// errno that the hook sets. A process that is forked meanwhile goes on with it. One at a time.
class CallHook {
 public:
  using Hook = std::function<std::optional<long>(const std::string& call)>;
  explicit CallHook(Hook hook);
  ~CallHook();
  CallHook(const CallHook&) = delete;
  CallHook& operator=(const CallHook&) = delete;
};

/// The calls from number `at` on fail with `error`, so many of them. Flushes do not count and are
/// not made, for after one that failed no flush of the process succeeds; nor does geteuid() count,
/// which cannot fail.
class FailingCalls {
 public:
  FailingCalls(std::size_t at, int error, std::size_t count);
  FailingCalls(const FailingCalls&) = delete;
  FailingCalls& operator=(const FailingCalls&) = delete;
  [[nodiscard]] bool fired() const { return !first_.empty(); }
  [[nodiscard]] const std::string& first() const { return first_; }

 private:
  std::size_t made_ = 0;
  std::string first_;
  CallHook hook_;
};

/// The calls of one name fail so many times, from the first on; their result is `result`.
class FailingCall {
 public:
  FailingCall(std::string name, int error, std::size_t count = 10'000, long result = -1);
  FailingCall(const FailingCall&) = delete;
  FailingCall& operator=(const FailingCall&) = delete;
  [[nodiscard]] std::size_t fired() const { return fired_; }

 private:
  std::size_t fired_ = 0;
  CallHook hook_;
};

/// The complaint of `body`, which runs in a process of its own; "?" when that ended early.
[[nodiscard]] std::string apart(const std::function<std::string()>& body);

}  // namespace remediate::contract
