#pragma once

#include <memory>
#include <string>
#include <vector>

#include "remediate/host/directory.h"

namespace remediate::host {

/// Which machine this is. `id` is a digest source, not shown: hash it before storing.
struct Identity {
  std::string machine_id;  // /etc/machine-id, MachineGuid; the host name where there is none
  std::string host_name;
  std::string boot_id;  // changes with every boot
};

/// A file that a process runs, or has loaded as code.
struct FileInUse {
  FileId id;  // device and inode only
  std::uint64_t process = 0;
  std::string name;  // of the process, raw bytes
};
/// A process, by number and name (raw bytes).
struct ProcessName {
  std::uint64_t process = 0;
  std::string name;
};
/// The files in use at one moment. Not complete when processes could not be looked into.
struct FilesInUse {
  std::vector<FileInUse> files;             // each file once, this process's first
  std::uint64_t own_process = 0;            // this one
  std::uint64_t processes = 0;              // seen
  std::uint64_t unread = 0;                 // of these: could not be looked into
  std::vector<ProcessName> unread_first{};  // of those, the first three
  bool cut_off = false;                     // more files than are looked at
};

/// The operating system. One implementation a platform; tests inject their own.
class Host {
 public:
  virtual ~Host() = default;
  /// A directory the operator named: links in `path` are followed, as a shell would.
  [[nodiscard]] virtual Result<std::unique_ptr<Directory>> open_root(const std::string& path) = 0;
  /// Like open_root; missing directories are created with mode 0700.
  [[nodiscard]] virtual Result<std::unique_ptr<Directory>> make_root(const std::string& path) = 0;
  [[nodiscard]] virtual Identity identity() const = 0;
  [[nodiscard]] virtual Timestamp now() const = 0;
  /// May chown, set any attribute and read everything.
  [[nodiscard]] virtual bool superuser() const = 0;
  [[nodiscard]] virtual std::uint32_t user() const = 0;
  /// Executables and code libraries of all processes of the running system, by identity and not by
  /// name: a disk of another machine has none. A script is in use by nobody, its interpreter is.
  /// Bounded. On Windows: the Restart Manager (RmGetList) and each process's image and modules.
  [[nodiscard]] virtual Result<FilesInUse> files_in_use() const = 0;
};

/// The platform's implementation. Its lifetime is the caller's.
[[nodiscard]] std::unique_ptr<Host> native_host();

}  // namespace remediate::host
