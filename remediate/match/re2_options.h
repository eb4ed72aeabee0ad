#pragma once

#include <cstdint>

#include <re2/re2.h>

namespace remediate::match {

/// How every expression is read: bytes as Latin-1, a dot is any of them.
[[nodiscard]] inline RE2::Options re2_options(std::int64_t memory, bool ignore_case) {
  RE2::Options made(RE2::Latin1);
  made.set_dot_nl(true);
  made.set_never_nl(false);
  made.set_log_errors(false);
  made.set_case_sensitive(!ignore_case);
  made.set_max_mem(memory);
  return made;
}

}  // namespace remediate::match
