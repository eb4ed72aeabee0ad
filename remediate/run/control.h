#pragma once

#include <atomic>
#include <cstdint>
#include <string>

namespace remediate::run {

/// Tells a person how far a run is. Called from one thread.
class Progress {
 public:
  virtual ~Progress() = default;
  virtual void step(const std::string& phase, std::uint64_t done, std::uint64_t total,
                    const std::string& what) = 0;
  virtual void note(const std::string& text) = 0;
};

/// `stop` may be set from a signal handler: the run ends after the current batch of operations
/// and can be resumed.
struct Control {
  Progress& progress;
  const std::atomic<bool>& stop;
};

}  // namespace remediate::run
