#pragma once

#include <chrono>

namespace remediate::match {

/// The processor time of this thread where the system tells it, else the time that passes.
struct SearchClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<SearchClock>;
  static constexpr bool is_steady = true;
  [[nodiscard]] static time_point now();
};

}  // namespace remediate::match
