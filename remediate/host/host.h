#pragma once

#include <memory>
#include <string>

#include "remediate/host/directory.h"

namespace remediate::host {

/// Which machine this is. `id` is a digest source, not shown: hash it before storing.
struct Identity {
  std::string machine_id;  // /etc/machine-id, MachineGuid; the host name where there is none
  std::string host_name;
  std::string boot_id;  // changes with every boot
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
};

/// The platform's implementation. Its lifetime is the caller's.
[[nodiscard]] std::unique_ptr<Host> native_host();

}  // namespace remediate::host
