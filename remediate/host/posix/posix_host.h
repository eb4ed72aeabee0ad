#pragma once

#include <string>

#include "remediate/host/host.h"
#include "remediate/host/posix/resolve.h"

namespace remediate::host::posix {

class PosixHost final : public Host {
 public:
  explicit PosixHost(Resolution resolution = best_resolution()) : resolution_(resolution) {}
  [[nodiscard]] Result<std::unique_ptr<Directory>> open_root(const std::string& path) override;
  [[nodiscard]] Result<std::unique_ptr<Directory>> make_root(const std::string& path) override;
  [[nodiscard]] Identity identity() const override;
  [[nodiscard]] Timestamp now() const override;
  [[nodiscard]] bool superuser() const override;
  [[nodiscard]] std::uint32_t user() const override;
  [[nodiscard]] Result<FilesInUse> files_in_use() const override;

 private:
  Resolution resolution_;
};

}  // namespace remediate::host::posix
