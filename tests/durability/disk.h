#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "remediate/host/memory/tree.h"

namespace remediate::durability {

using Number = std::uint64_t;  // of an inode; 0: none

struct Inode {
  FileStat stat;
  std::string bytes;
  std::string target;
  std::vector<ExtendedAttribute> attributes;
  std::uint32_t flags = 0;
  std::map<std::string, Number, std::less<>> entries;
};

/// What the platters hold: every inode by its number, of all mounts.
struct Disk {
  std::map<Number, Inode> inodes;
  Number root = 0;
  std::map<std::uint64_t, host::memory::Mount> mounts;

  /// The inode at an absolute path; null when there is none. Links are not followed.
  [[nodiscard]] const Inode* find(std::string_view path) const;
  /// Every path with its inode, folders too, from `folder` on; "" is the folder itself.
  [[nodiscard]] std::map<std::string, Number> paths(std::string_view folder) const;
  /// Inodes that have no name left go, link counts are those of the names.
  void settle();
  /// Equal for equal disks.
  [[nodiscard]] std::string digest() const;
};

[[nodiscard]] Disk read_disk(const host::memory::Tree& tree);
/// A machine that has just been started with this disk. Numbers of lost inodes are used again.
[[nodiscard]] std::shared_ptr<host::memory::Tree> start(const Disk& disk, int boot);

/// One name of a folder, and what it leads to afterwards.
struct Slot {
  Number folder = 0;
  std::string name;
  Number inode = 0;
};

/// Something that a host call changed, or a flush that returned.
struct Event {
  enum class Kind : std::uint8_t {
    birth,       // an inode without a name
    names,       // slots, together or not at all
    data,        // bytes at an offset
    size,        // truncation
    owner,       // owner, group and mode
    attributes,  // extended attributes
    times,
    flags,
    flush_data,    // fdatasync
    flush_file,    // fsync of a file
    flush_folder,  // fsync of a folder
    flush_mount    // syncfs
  } kind = Kind::birth;
  Number inode = 0;  // of names: 0
  std::uint64_t mount = 0;
  std::uint64_t offset = 0;  // of size: the new one
  std::string bytes;
  std::vector<Slot> slots;
  Inode after;  // of birth and of changes of metadata

  [[nodiscard]] bool flush() const { return kind >= Kind::flush_data; }
};
[[nodiscard]] std::string describe(const Event& event);

/// What may happen to changes that no flush has covered.
enum class Order : std::uint8_t {
  free,      // POSIX: each on its own; only changes of one name keep their order
  journaled  // ext4, xfs: metadata of a mount is lost from the end; data on its own
};
[[nodiscard]] std::string_view order_name(Order order);

/// What became of one change at the cut.
struct Fate {
  enum class Kind : char {
    lost = 'x',
    whole = 'w',
    zeros = 'z',    // the size is there, the bytes are not
    sectors = 's',  // some 512-byte sectors arrived, chosen by `parameter`; the rest is as before
    prefix = 'p'    // the first `parameter` bytes arrived
  } kind = Kind::whole;
  std::uint32_t parameter = 0;
};

/// The disk at a cut, before the fates of the unflushed changes are known.
class Cut {
 public:
  /// After the first `count` events.
  Cut(const std::vector<Event>& events, std::size_t count, Order order);
  /// Indexes of the changes that no flush covers, in order.
  [[nodiscard]] const std::vector<std::size_t>& pending() const { return pending_; }
  /// One fate for each pending change. A change survives only when all do that it depends on.
  [[nodiscard]] Disk disk(const Disk& base, const std::vector<Fate>& fates) const;

 private:
  const std::vector<Event>& events_;
  std::size_t count_;
  std::vector<std::vector<std::size_t>> before_;  // what each change depends on
  std::vector<bool> safe_;
  std::vector<std::size_t> pending_;
};

}  // namespace remediate::durability
