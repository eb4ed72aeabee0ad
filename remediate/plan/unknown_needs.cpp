#include "remediate/plan/unknown_needs.h"

#include <algorithm>

#include "remediate/setting/needed.h"

namespace remediate::plan {

UnknownNeeds::UnknownNeeds(std::vector<UnreadSetting> unread, std::uint64_t searched_bytes)
    : unread_(std::move(unread)), left_(searched_bytes) {
  for (UnreadSetting& file : unread_) file.bytes = setting::unquoted(file.bytes);
}

void UnknownNeeds::exclude(Plan& plan, std::map<RawPath, std::size_t>& planned) {
  if (unread_.empty()) return;
  std::erase_if(plan.operations, [&](const Operation& operation) {
    if (operation.action != Action::quarantine) return false;
    std::string reason = against(operation.path);
    if (reason.empty()) return false;
    planned.erase(operation.path);
    plan.exclusions.push_back(
        {operation.address, operation.playbook, operation.indicator, std::move(reason)});
    return true;
  });
}

std::string UnknownNeeds::against(const RawPath& path) {
  const std::string name = setting::unquoted(path.name());
  for (const UnreadSetting& file : unread_) {
    if (file.path == path) continue;
    const char* how = nullptr;
    if (path.within(file.folder)) {
      how = " may have PHP run it with every page";
    } else if (!file.bytes.empty()) {
      if (left_ < file.bytes.size()) {
        how = " may name it, which there are too many such files to look for,";
      } else {
        left_ -= file.bytes.size();
        if (file.bytes.find(name) != std::string::npos)
          how = " names it and may have PHP run it with every page";
      }
    }
    if (how != nullptr)
      return file.path.display() + how + ", but what it says is not known (" + file.reason +
             "): without the file every page could fail. Correct the settings file by hand or take "
             "it away, reload the server, then make a new plan";
  }
  return {};
}

}  // namespace remediate::plan
