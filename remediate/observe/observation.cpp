#include "remediate/observe/observation.h"

namespace remediate::observe {

std::string_view issue_name(Issue::Kind kind) {
  switch (kind) {
    case Issue::Kind::unreadable:
      return "unreadable";
    case Issue::Kind::too_large:
      return "too_large";
    case Issue::Kind::mount_skipped:
      return "mount_skipped";
    case Issue::Kind::changed_while_read:
      return "changed_while_read";
    case Issue::Kind::not_evaluated:
      return "not_evaluated";
    case Issue::Kind::path_not_found:
      return "path_not_found";
    case Issue::Kind::ambiguous_name:
      return "ambiguous_name";
    case Issue::Kind::not_looked_up:
      return "not_looked_up";
  }
  return "unknown";
}

}  // namespace remediate::observe
