#pragma once

#include <chrono>
#include <set>
#include <string>
#include <vector>

#include "tests/crash/scene.h"

namespace crash {

/// A fault to try: in which command, and what recovers afterwards.
struct FaultCase {
  Case where;
  Fault fault;
};
/// As in `apply:renameat2:3:EIO:once:resume`, or `resume@17:write:0:short:always:rollback`.
std::string spelled(const FaultCase& one);
std::optional<FaultCase> parse_fault_case(const std::string& text);

struct ErrorOptions {
  std::string tool;
  std::string folder;  // private, made for this sweep; removed unless a case failed
  std::vector<Step> steps = {Step::init,  Step::plan,     Step::apply,    Step::resume,
                             Step::go_on, Step::rollback, Step::finalize, Step::unfinalize};
  std::set<std::string> calls;  // only these; empty: all
  bool full = false;
  bool same_files = true;
  bool quiet = false;
  bool until_bad = false;  // the first bad state is enough
  /// Zero: without a bound. A sweep that it cuts off fails.
  std::chrono::milliseconds time = std::chrono::seconds(600);
  unsigned sample_seconds = 100;  // then nothing is begun beyond what is promised
  unsigned workers = 2;
};

/// What is promised: the full form tries every case; the short form every pair of a call and an
/// error somewhere, and every flush with EIO. Beyond that it takes samples while there is time.
struct ErrorResult {
  std::uint64_t cases = 0;
  std::uint64_t faults = 0;  // system calls that were made to fail
  std::uint64_t bad = 0;
  std::uint64_t covered = 0, pairs = 0;  // (call, error): met at least once, and all there are
  std::uint64_t left_out = 0;            // promised cases that the time did not allow
  std::uint64_t samples_left = 0;        // the same of the others
  [[nodiscard]] int exit_code() const {
    return bad != 0 || cases == 0 || left_out != 0 || covered < pairs ? 1 : 0;
  }
};

ErrorResult error_sweep(const ErrorOptions& options);

/// One case, told in detail; its folder stays.
int try_fault(const ErrorOptions& options, const FaultCase& one);

/// Every planted bug of the careless remover is found, and nothing in the careful one.
int error_self_test(const ErrorOptions& options);

}  // namespace crash
