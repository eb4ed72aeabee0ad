#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "remediate/host/host.h"

namespace remediate::host {

namespace memory {
struct Tree;
}

/// A host whose tree lives in memory, for tests of everything above this folder. It keeps
/// the promises of Directory and File, with inode identity, hard links, extended
/// attributes and protection flags; nothing is lost in a "crash", and there are no holes.
/// The user is the superuser. Handles share the tree and may outlive the host. Thread-safe.
class MemoryHost final : public Host {
 public:
  /// Called before every call that changes or flushes something, without a lock held, with
  /// the name of the function ("rename", "write_at", "sync" ...) and of the entry. An
  /// error that it returns becomes the result of the call, and nothing is changed.
  using FaultHook =
      std::function<std::optional<Error>(std::string_view operation, std::string_view name)>;

  MemoryHost();
  /// Of a tree that somebody else made or keeps looking at.
  explicit MemoryHost(std::shared_ptr<memory::Tree> tree);
  ~MemoryHost() override;

  [[nodiscard]] Result<std::unique_ptr<Directory>> open_root(const std::string& path) override;
  [[nodiscard]] Result<std::unique_ptr<Directory>> make_root(const std::string& path) override;
  [[nodiscard]] Identity identity() const override;
  [[nodiscard]] Timestamp now() const override;
  [[nodiscard]] bool superuser() const override { return true; }
  [[nodiscard]] std::uint32_t user() const override { return 0; }
  [[nodiscard]] Result<FilesInUse> files_in_use() const override;

  /// The clock stands still at 2026-01-01T00:00:00Z until it is set.
  void set_now(Timestamp time);
  void set_identity(Identity identity);
  /// An empty function ends the faults. Not while other threads use the host.
  void set_fault_hook(FaultHook hook);
  /// The same before every call that only looks: opens, reads, lists, examines.
  void set_look_hook(FaultHook hook);
  /// A new entry of any kind at an absolute path whose folder exists; `target` is what a
  /// symbolic link points to.
  [[nodiscard]] Result<void> plant(const std::string& path, FileKind kind,
                                   const std::string& target = {});
  /// From now on process `process` runs the file at `path`; number 1 is this process itself.
  [[nodiscard]] Result<void> run_file(const std::string& path, std::uint64_t process,
                                      const std::string& name);
  void end_process(std::uint64_t process);
  /// So many processes cannot be looked into.
  void hide_processes(std::uint64_t count);
  /// Makes the empty folder at `path` the top of another mount.
  [[nodiscard]] Result<void> mount(const std::string& path, const std::string& filesystem_type);
  /// Of the mount at `path`: free bytes and whether it is writable.
  [[nodiscard]] Result<void> limit_mount(const std::string& path, Space space, bool writable);

 private:
  std::shared_ptr<memory::Tree> tree_;
};

}  // namespace remediate::host
