#include "remediate/interchange/scopes.h"

#include <algorithm>

#include "remediate/base/encoding.h"
#include "remediate/interchange/path_pattern.h"

namespace remediate::interchange {

namespace {

/// With '/' between components and none at the end; without case where it is a Windows path.
std::string normalised(std::string_view folder) {
  std::string text(folder);
  if (!text.starts_with('/')) {
    text = ascii_lower(text);
    std::ranges::replace(text, '\\', '/');
  }
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

}  // namespace

Scopes::Scopes(const std::vector<std::string>& folders) {
  for (const std::string& folder : folders) {
    folders_.push_back(normalised(folder));
    ids_.push_back("folder-" + std::to_string(folders_.size()));
  }
}

std::optional<Scopes::Below> Scopes::below(std::string_view folder) const {
  const std::string wanted = normalised(folder);
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < folders_.size(); ++i) {
    const bool inside = wanted == folders_[i] || wanted.starts_with(folders_[i] + "/");
    if (inside && (!best || folders_[i].size() > folders_[*best].size())) best = i;
  }
  if (!best) return std::nullopt;
  Below found{ids_[*best], {}, true};
  std::string_view rest = std::string_view(wanted).substr(folders_[*best].size());
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::size_t end = std::min(rest.find('/'), rest.size());
    const std::string glob = name_glob(rest.substr(0, end));
    if (glob.empty()) return Below{ids_[*best], {}, false};
    found.glob += (found.glob.empty() ? "" : "/") + glob.substr(3);
    rest.remove_prefix(end);
  }
  return found;
}

}  // namespace remediate::interchange
