#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "remediate/host/memory/memory_host.h"

namespace remediate::host::memory {

struct Mount {
  std::uint64_t id = 0;
  std::string filesystem_type;
  Space space;
  bool writable = true;
};

/// An inode. A folder without a parent is the root or has been removed.
struct Node {
  FileStat stat;
  std::shared_ptr<Mount> mount;
  std::string bytes;
  std::string target;  // of a symbolic link
  std::vector<ExtendedAttribute> attributes;
  std::uint32_t flags = 0;
  std::map<std::string, std::shared_ptr<Node>, std::less<>> entries;
  std::weak_ptr<Node> parent;
  std::string name_in_parent;  // of folders
  bool removed = false;        // of folders
  std::size_t writers = 0;
  bool locked = false;
  /// So many files with names of this ending are listed in a folder besides, and are not there: it
  /// changes all the time, or is larger than it pays to make.
  struct Listed {
    std::size_t count = 0;
    std::string end;
  } listed_besides;

  [[nodiscard]] bool protected_from_change() const {
    return (flags & (flag_immutable | flag_append_only)) != 0;
  }
};
using NodePointer = std::shared_ptr<Node>;

/// Everything under one lock.
struct Tree {
  mutable std::mutex mutex;
  NodePointer root;
  Timestamp now{.seconds = 1'767'225'600, .nanoseconds = 0};
  Identity identity{.machine_id = "memory-machine", .host_name = "memory", .boot_id = "boot-1"};
  std::uint64_t next_inode = 2;
  std::uint64_t next_mount = 1;
  MemoryHost::FaultHook fault;
  MemoryHost::FaultHook look_fault;
  std::vector<FileInUse> in_use;
  std::uint64_t hidden_processes = 0;
  bool kinds_untold = false;  // a folder lists names only, as some file systems do

  Tree();
  /// What the fault hook says. Call without the lock.
  [[nodiscard]] Result<void> before(std::string_view operation, std::string_view name) const;
  /// The same before what only looks.
  [[nodiscard]] Result<void> look(std::string_view operation, std::string_view name) const;
  /// The rest is called with the lock held.
  [[nodiscard]] NodePointer make_node(FileKind kind, std::uint32_t mode,
                                      const std::shared_ptr<Mount>& mount);
  void touch(Node& node) const;
  /// Enters `node` into `folder`, where `name` must be free.
  void enter(const NodePointer& folder, std::string_view name, const NodePointer& node) const;
  void leave(const NodePointer& folder, std::string_view name) const;
};

[[nodiscard]] std::unexpected<Error> refusal(Code code, std::string_view verb,
                                             const std::string& raw_path, std::string_view why);
[[nodiscard]] std::string below(const std::string& folder, std::string_view name);
[[nodiscard]] std::string path_of(const Node& folder);

}  // namespace remediate::host::memory
