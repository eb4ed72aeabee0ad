#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace remediate::interchange {

/// The folders that the playbook will search, one scope each.
class Scopes {
 public:
  explicit Scopes(const std::vector<std::string>& folders);
  [[nodiscard]] const std::vector<std::string>& ids() const { return ids_; }

  struct Below {
    std::string scope;      // id
    std::string glob;       // of the folder below the scope's; empty: it is the scope's own,
    bool in_scope = false;  // or, when this is false, no glob can say it
  };
  /// Where an absolute folder, as a source spells it, lies in the scopes: in the deepest of them.
  [[nodiscard]] std::optional<Below> below(std::string_view folder) const;

 private:
  std::vector<std::string> ids_;
  std::vector<std::string> folders_;  // normalised
};

}  // namespace remediate::interchange
