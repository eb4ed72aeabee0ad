#pragma once

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
  unsigned seconds = 90;   // 0: until every case was tried
  unsigned workers = 2;
};

struct ErrorResult {
  std::uint64_t cases = 0;
  std::uint64_t faults = 0;  // system calls that were made to fail
  std::uint64_t bad = 0;
  std::uint64_t covered = 0, pairs = 0;  // (call, error): tried at least once, and all there are
  std::uint64_t skipped = 0;             // cases that the time did not allow
};

ErrorResult error_sweep(const ErrorOptions& options);

/// One case, told in detail; its folder stays.
int try_fault(const ErrorOptions& options, const FaultCase& one);

/// Every planted bug of the careless remover is found, and nothing in the careful one.
int error_self_test(const ErrorOptions& options);

}  // namespace crash
