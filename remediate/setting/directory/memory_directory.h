#pragma once

#include <functional>

#include "remediate/setting/directory/service.h"

namespace remediate::setting {

/// A directory in memory, for tests: the same rules as the real one, with places to interfere.
class MemoryDirectory final : public DirectoryService {
 public:
  std::vector<DirectoryObject> objects;
  /// Called before each operation ("search", "read", "swap"); an error is what the call ends with,
  /// nothing lets it go on.
  std::function<std::optional<Error>(std::string_view)> before;
  /// Called after a swap was done: an error then is what a lost answer looks like.
  std::function<std::optional<Error>()> after_swap;

  [[nodiscard]] Result<std::vector<DirectoryObject>> virtual_directories() override;
  [[nodiscard]] Result<DirectoryObject> read(const std::string& guid) override;
  [[nodiscard]] Result<void> compare_and_swap(const std::string& guid, const std::string& attribute,
                                              const std::optional<std::string>& expected,
                                              const std::optional<std::string>& wanted) override;
};

}  // namespace remediate::setting
