#include "remediate/observe/observation.h"

#include "remediate/base/try.h"

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

Result<void> Selector::observe_large(std::span<const FileObservation> places,
                                     const LargeContent& content, const TargetSource& target) {
  const std::lock_guard lock(one_whole_);
  std::string whole(static_cast<std::size_t>(content.size()), '\0');
  TRY(content.read(0, whole));
  TRY(content.unchanged());
  observe_in(places, whole, target);
  return {};
}

}  // namespace remediate::observe
