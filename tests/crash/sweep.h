#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "tests/crash/scene.h"

namespace crash {

struct SweepOptions {
  std::string tool;
  std::string folder;  // private, made for this sweep; removed unless a case failed
  std::vector<Step> steps = {Step::init,  Step::plan,     Step::apply,    Step::resume,
                             Step::go_on, Step::rollback, Step::finalize, Step::unfinalize};
  bool full = false;
  bool same_files = true;
  bool apart = false;  // store and tree on two mounts
  bool quiet = false;
  /// 0: without a bound; a sweep that it cuts off fails.
  std::chrono::milliseconds time = std::chrono::seconds(600);
  unsigned workers = 2;
};

struct SweepResult {
  std::uint64_t kills = 0;
  std::uint64_t bad = 0;
  std::uint64_t skipped = 0;    // cases that the time did not allow
  std::uint64_t unreached = 0;  // cases whose kill never came
  std::uint64_t second_kills = 0;
  std::uint64_t second_missed = 0;  // recoveries that took fewer stops than the one counted
  /// A sweep that killed nothing, or not everywhere, has not shown what it promises.
  [[nodiscard]] int exit_code() const {
    const bool few_second = 3 * second_missed > second_kills;
    return bad != 0 || kills == 0 || skipped != 0 || unreached != 0 || few_second ? 1 : 0;
  }
};

/// Tries every chosen kill and prints a table; a bad state is printed with how to repeat it.
SweepResult sweep(const SweepOptions& options);

/// One case, told in detail; its folder stays.
int try_case(const SweepOptions& options, const Case& one);

/// The judge must see planted damage, and a sweep over a naive remover must find bad states.
int self_test(const SweepOptions& options);

}  // namespace crash
