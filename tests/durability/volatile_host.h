#pragma once

#include <memory>
#include <string>
#include <vector>

#include "disk.h"

namespace remediate::durability {

/// Flushes that do nothing and say that they did: planted bugs, which the harness has to find.
struct Plant {
  bool file_data = false;   // fdatasync
  bool file = false;        // fsync of files
  bool folder = false;      // fsync of folders
  bool filesystem = false;  // syncfs
  std::string file_suffix;  // no flush of files whose names end so, of either kind
};

/// Everything that was changed and flushed, in order.
struct Log {
  std::vector<Event> events;
  Plant plant;
};

/// A machine whose changes reach the disk only when they are flushed. Programs see every change
/// at once, as they do through a page cache; the log tells what a power cut may take. Not
/// thread-safe for changes.
class VolatileHost final : public host::Host {
 public:
  explicit VolatileHost(std::shared_ptr<host::memory::Tree> tree);
  VolatileHost(const Disk& disk, int boot) : VolatileHost(start(disk, boot)) {}

  [[nodiscard]] Result<std::unique_ptr<host::Directory>> open_root(
      const std::string& path) override;
  [[nodiscard]] Result<std::unique_ptr<host::Directory>> make_root(
      const std::string& path) override;
  [[nodiscard]] host::Identity identity() const override { return memory_.identity(); }
  [[nodiscard]] Timestamp now() const override { return memory_.now(); }
  [[nodiscard]] bool superuser() const override { return true; }
  [[nodiscard]] std::uint32_t user() const override { return 0; }
  [[nodiscard]] Result<host::FilesInUse> files_in_use() const override {
    return memory_.files_in_use();
  }

  [[nodiscard]] const std::vector<Event>& events() const { return log_->events; }
  /// What programs see now.
  [[nodiscard]] Disk seen() const { return read_disk(*tree_); }
  /// Every call fails once there are that many events: the process was killed there.
  void kill_at(std::size_t events);
  void plant(const Plant& plant) { log_->plant = plant; }
  void let_live() { memory_.set_fault_hook({}); }

 private:
  std::shared_ptr<host::memory::Tree> tree_;
  host::MemoryHost memory_;
  std::shared_ptr<Log> log_;
};

}  // namespace remediate::durability
