#pragma once

#include <string>
#include <string_view>

#include "remediate/base/error.h"

namespace remediate::host {

/// What directories of a host that has symbolic links also are.
class LinkReader {
 public:
  virtual ~LinkReader() = default;
  /// The text of the link `name`, one validated component: raw bytes that lead anywhere. Nothing is
  /// followed. refused when it is no link, limit when the text has more than 4,096 bytes.
  [[nodiscard]] virtual Result<std::string> read_link(std::string_view name) const = 0;
};

}  // namespace remediate::host
