#pragma once

#include <functional>

#include "rich_world.h"

// Scenes that a run can be in after a crash or after others acted. In each of them every call that
// concerns one file fails once, or is the last one before the process ends. Whatever fails: after a
// resume and a rollback everything is as it would have been without that failure.

namespace remediate::run::test {

using Act = std::function<Result<RunReport>(RichWorld&)>;
using Others =
    std::function<std::optional<Error>(RichWorld&, std::string_view call, std::string_view name)>;

struct Scene {
  const char* what;
  const char* victim;
  std::function<void(RichWorld&)> before;
  Act act;
  Others others{};
  bool same_end = true;  // else who acts between two calls decides where what they wrote ends
  const char* other_name = nullptr;  // calls of that name concern the victim too
};

[[nodiscard]] std::string notices(const RunReport& report);

/// Plays the scene once for each call that concerns the victim.
void play(const Scene& scene);

inline constexpr const char* plain = "www/sub/shell-b.php";

[[nodiscard]] RollbackOptions only(RichWorld& rich, const char* path, bool key);
[[nodiscard]] Act rolls_back(const char* path, bool key = false);
[[nodiscard]] Result<RunReport> applies(RichWorld& rich);
[[nodiscard]] Result<RunReport> resumes(RichWorld& rich);
void applied(RichWorld& rich);
void finalized(RichWorld& rich);
/// The command's process ends before the call, or right behind it, others having acted before it.
void ended(RichWorld& rich, const Act& act, const std::string& call, const std::string& name);
void ended_behind(RichWorld& rich, const Act& act, const std::string& call, const std::string& name,
                  const std::function<void()>& others = {});
/// The process of an apply ends as soon as an operation has come to a state.
void ended_in(RichWorld& rich, const std::string& id, State wanted);
void change_held_mode(RichWorld& rich, const char* path);
/// Others act once, right before a call that is of the file's first operation with this suffix, or
/// of its name where the suffix is "".
[[nodiscard]] Others before_call(const char* call, const char* path, const char* suffix,
                                 std::function<std::optional<Error>(RichWorld&)> act);
[[nodiscard]] Others also(Others first, Others second);

}  // namespace remediate::run::test
