#pragma once

#include <memory>
#include <string>

#include "remediate/run/file_removal.h"
#include "remediate/run/restore.h"
#include "tests/race/race.h"
#include "tests/unit/run/world.h"

namespace race {

namespace run = remediate::run;

/// A target, a store and a run of one shell, whose single steps can be done again and again. Below
/// target/www: sub/{shell-b,good,third}.php, sub/symbolic.php -> outside/kept, sub/hard.php (the
/// same file), evil -> outside, decoy/ (empty).
class RunScene {
 public:
  enum class Begin : std::uint8_t { planned, applied, finalized };
  RunScene(const std::string& folder, Begin begin);
  ~RunScene();
  RunScene(const RunScene&) = delete;
  RunScene& operator=(const RunScene&) = delete;

  /// A session with a journal of its own; what an earlier one recorded is forgotten.
  void renew_session();
  [[nodiscard]] run::Session& session() { return *session_; }
  [[nodiscard]] run::OperationState& operation() { return *operation_; }
  [[nodiscard]] std::uint64_t records() const { return journal_->length(); }

  /// One removal or one restore of the shell by the tool's own code.
  void remove();
  void restore(const run::RollbackOptions& options);

  [[nodiscard]] std::string at(const std::string& below) const {
    return base_.path() + "/" + below;
  }
  [[nodiscard]] bool shell_is_held() const;
  /// The shell's inode back to its name or into the hold, whatever the attacker does meanwhile.
  [[nodiscard]] bool shell_to_place() const;
  [[nodiscard]] bool shell_to_hold() const;
  /// Nothing moves now: counts what is not as it must be.
  void settle(Tally& tally) const;
  void drop_objects() const;

  run::test::World& world() { return *world_; }
  Watched shell, good, third, outside;
  int www = -1, sub = -1, hold = -1;
  static constexpr const char* name = "shell-b.php";

 private:
  [[nodiscard]] bool take(ino_t wanted, int from, int into, const char* as) const;
  Base base_;
  std::unique_ptr<remediate::host::Host> host_ = remediate::host::native_host();
  std::unique_ptr<run::test::World> world_;
  std::unique_ptr<run::Store> store_;
  std::unique_ptr<remediate::host::Directory> root_, scratch_;
  std::unique_ptr<run::Run> run_;
  std::unique_ptr<remediate::journal::Journal> journal_;
  std::unique_ptr<run::Session> session_;
  std::atomic<bool> stop_{false};
  run::Control control_;
  run::OperationState* operation_ = nullptr;
  std::string held_name_;
};

}  // namespace race
