#include "remediate/plan/unknown_needs.h"

#include <utility>

namespace remediate::plan {

UnknownNeeds::UnknownNeeds(std::vector<UnreadSetting> unread, std::uint64_t searched_bytes)
    : left_(searched_bytes) {
  for (UnreadSetting& file : unread) {
    setting::UnparsedText text(std::exchange(file.bytes, {}));
    unread_.push_back({std::move(file), std::move(text)});
  }
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
  for (const auto& [file, text] : unread_) {
    if (file.path == path) continue;
    const char* how = nullptr;
    if (path.within(file.folder)) {
      how = " may have PHP run it with every page";
    } else if (text.size() != 0) {
      if (left_ < text.size()) {
        how = " may name it, which there are too many such files to look for,";
      } else {
        left_ -= text.size();
        if (text.speaks_of(path.name())) how = " names it and may have PHP run it with every page";
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
