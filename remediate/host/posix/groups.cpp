#include "remediate/host/groups.h"

#include <unistd.h>

namespace remediate::host {

std::vector<std::uint32_t> own_groups() {
  std::vector<std::uint32_t> groups{::getegid()};
  const int count = ::getgroups(0, nullptr);
  if (count <= 0) return groups;
  std::vector<gid_t> others(static_cast<std::size_t>(count));
  const int filled = ::getgroups(count, others.data());
  if (filled > 0) groups.insert(groups.end(), others.begin(), others.begin() + filled);
  return groups;
}

}  // namespace remediate::host
