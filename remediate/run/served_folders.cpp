#include "remediate/run/served_folders.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "remediate/base/encoding.h"
#include "remediate/observe/scan.h"
#include "remediate/setting/provider.h"

namespace remediate::run {
namespace {

constexpr std::size_t max_unsearched = 50;

/// As the configuration spells it, and who serves it.
struct Served {
  std::string folder;
  std::string by;
};

/// Safe to show, with the backslashes of a Windows path as they are written.
std::string spelled_safely(const std::string& folder) {
  std::string shown = display(folder, 600);
  for (std::size_t at = shown.find("\\\\"); at != std::string::npos;
       at = shown.find("\\\\", at + 1))
    shown.erase(at, 1);
  return shown;
}

class ServedFolders {
 public:
  ServedFolders(const host::Directory& root, const std::vector<RawPath>& scopes,
                std::vector<plan::IssueReport>& issues)
      : root_(root), scopes_(scopes), issues_(issues) {}

  void read(const plan::SettingObservation& file) {
    if (!ascii_iequals(file.path.name(), "applicationHost.config") || !file.refusal.empty() ||
        !files_.insert(file.path).second)
      return;
    const auto found =
        setting::find_provider("iis-xml")->find(file.bytes, {"virtualDirectory", {}, {}});
    if (!found) {
      if (file.playbook.empty())  // the planner tells it of those that a playbook asks about
        issues_.push_back({"not_evaluated", file.path.display(),
                           "which folders IIS serves is not known: " + found.error().text()});
      return;
    }
    for (const setting::Setting& directory : *found)
      for (const auto& [name, value] : directory.attributes)
        if (name == "physicalPath" && !value.empty())
          served_.emplace(ascii_lower(value), Served{value, display(directory.address, 300) +
                                                                " of " + file.path.display()});
  }

  void tell() {
    for (const auto& [key, served] : served_) look(served);
    std::vector<const RawPath*> told;
    for (const auto& [place, served] : unsearched_) {
      if (std::ranges::any_of(told, [&](const RawPath* one) { return place.within(*one); }))
        continue;
      told.push_back(&place);
      tell_one(served, "no scope of these playbooks searches anything in it",
               "add a scope for it, or name a playbook that has one, and make a new plan");
    }
    if (count_ > max_unsearched)
      issues_.push_back({"not_searched", "(folders that IIS serves)",
                         std::to_string(count_ - max_unsearched) +
                             " more folders that IIS serves were not searched and are not listed"});
  }

 private:
  void look(const Served& served) {
    const observe::Spelled spelled{served.folder, true};
    if (observe::lies_elsewhere(spelled, {}))
      return tell_one(served, "it lies on another drive or machine than this root",
                      "mount that disk and make a plan of its own with --root on it, where a "
                      "playbook's C: is that disk; its folders need a scope there");
    std::vector<observe::Issue> unclear;
    const auto places = observe::locate(root_, spelled, {}, &unclear);
    if (!places) return tell_one(served, "where it lies is not known", places.error().text());
    for (const observe::Issue& one : unclear)
      tell_one(served, "it could not be looked for in " + one.where, one.reason);
    for (const RawPath& place : *places)
      if (std::ranges::none_of(scopes_, [&](const RawPath& scope) {
            return place.within(scope) || scope.within(place);
          }))
        unsearched_.emplace(place, served);
  }

  void tell_one(const Served& served, const std::string& why, const std::string& remedy) {
    if (++count_ <= max_unsearched)
      issues_.push_back({"not_searched", spelled_safely(served.folder),
                         "IIS serves this folder (" + served.by + "), and " + why +
                             ": nothing there was searched (" + remedy + ")"});
  }

  const host::Directory& root_;
  const std::vector<RawPath>& scopes_;
  std::vector<plan::IssueReport>& issues_;
  std::set<RawPath> files_;
  std::map<std::string, Served> served_;  // by the folder in lower case
  std::map<RawPath, Served> unsearched_;  // a folder comes before what is in it
  std::size_t count_ = 0;
};

}  // namespace

void tell_unsearched_folders(const host::Directory& root,
                             std::span<const plan::SettingObservation> settings,
                             const std::vector<RawPath>& scopes,
                             std::vector<plan::IssueReport>& issues) {
  ServedFolders served(root, scopes, issues);
  for (const plan::SettingObservation& file : settings) served.read(file);
  served.tell();
}

}  // namespace remediate::run
