#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "fates.h"
#include "scene.h"

namespace remediate::durability {

struct Count {
  std::size_t calls = 0;   // changes and flushes of the steps that were cut
  std::size_t cuts = 0;    // points at which the power was cut
  std::size_t images = 0;  // different disks that a cut left
  std::size_t again = 0;   // recoveries that were cut a second time
  std::size_t bad = 0;
  double seconds = 0;
  std::string first;  // the first bad state: how to see it again, and what is wrong
};

/// Judges what a cut left: first the disk alone, then after a new process has done what the
/// documents advise, after that was cut too, and at the end.
class Judge {
 public:
  Judge(const Recording& recording, Order order, bool at_end)
      : recording_(recording), order_(order), at_end_(at_end) {}

  /// Empty: nothing is wrong. `seed` decides what is done and where it is cut.
  [[nodiscard]] std::string judge(const Disk& disk, std::uint64_t seed);
  /// Recoveries that were cut.
  [[nodiscard]] std::size_t again() const { return again_; }

 private:
  [[nodiscard]] std::string look(const Disk& disk) const;
  [[nodiscard]] std::string promised(const Disk& disk) const;
  [[nodiscard]] std::string not_as_before(const Disk& disk, bool same_inodes) const;
  [[nodiscard]] std::string recover(const Disk& disk, std::mt19937_64& chance, int boot);
  [[nodiscard]] std::string cut_again(const Disk& base, const VolatileHost& host,
                                      std::mt19937_64& chance, int boot);
  [[nodiscard]] std::string begin_anew(const Disk& disk, VolatileHost& host, Tool& tool) const;

  const Recording& recording_;
  Order order_;
  bool at_end_;  // the last step had returned
  bool finalized_ = false;
  std::size_t again_ = 0;
};

/// Cuts the power at every point of the last step of a script.
[[nodiscard]] Count sweep(const Script& script, Order order, const Effort& effort,
                          std::uint64_t seed, const Plant& plant = {});
/// "SCRIPT ORDER EVENTS FATES SEED" of Count::first again; what is wrong with it.
[[nodiscard]] std::string try_again(const Recording& recording, const std::string& words);

}  // namespace remediate::durability
