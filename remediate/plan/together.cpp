#include "remediate/plan/together.h"

#include <algorithm>
#include <optional>
#include <string>

#include "remediate/base/encoding.h"

namespace remediate::plan {
namespace {

/// Where it is served: the site and the path below it.
struct Served {
  std::string site;
  std::string path;
  bool operator==(const Served& other) const {
    return ascii_iequals(site, other.site) && ascii_iequals(path, other.path);
  }
};

/// The text between brackets, without the backslashes of the address.
std::optional<std::string> in_brackets(std::string_view address, std::string_view kind) {
  if (!address.starts_with(kind)) return std::nullopt;
  address.remove_prefix(kind.size());
  if (!address.starts_with('[')) return std::nullopt;
  std::string text;
  for (std::size_t at = 1; at < address.size(); ++at) {
    if (address[at] == ']') return at + 1 == address.size() ? std::optional(text) : std::nullopt;
    if (address[at] == '\\' && at + 1 < address.size()) ++at;
    text += address[at];
  }
  return std::nullopt;
}

/// Of `virtualDirectory[SITE/APPLICATION:/PATH]` and `application[SITE/PATH]`.
std::optional<Served> served_at(std::string_view address) {
  std::optional<std::string> text = in_brackets(address, "virtualDirectory");
  if (!text) text = in_brackets(address, "application");
  if (!text) return std::nullopt;
  if (const std::size_t colon = text->rfind(":/"); colon != std::string::npos)
    text->replace(colon, 2, text->ends_with(":/") ? "" : "/");
  const std::size_t slash = text->find('/');
  if (slash == std::string::npos) return std::nullopt;
  Served served{text->substr(0, slash), text->substr(slash)};
  while (served.path.starts_with("/")) served.path.erase(0, 1);
  if (served.path.empty()) return std::nullopt;
  return served;
}

/// Of an object that is called `CN=OAB (Default Web Site),...`.
std::optional<Served> served_by(std::string_view dn) {
  if (!dn.starts_with("CN=")) return std::nullopt;
  std::string name;
  std::size_t at = 3;
  for (; at < dn.size() && dn[at] != ','; ++at) {
    if (dn[at] == '\\' && at + 1 < dn.size()) ++at;
    name += dn[at];
  }
  const std::size_t open = name.rfind(" (");
  if (open == std::string::npos || open == 0 || !name.ends_with(')')) return std::nullopt;
  return Served{name.substr(open + 2, name.size() - open - 3), name.substr(0, open)};
}

bool goes_with(const Served& served, const SettingDifference& difference) {
  const std::string address = ascii_lower(difference.address);
  const std::string path = "/" + ascii_lower(served.path);
  if (address.find(path + "]") == std::string::npos &&
      address.find(path + "/") == std::string::npos)
    return false;
  return difference.kind == "removed" && difference.attribute.empty() &&
         (difference.address.starts_with("location[") ||
          difference.address.find("customMetadata/key[") != std::string::npos ||
          difference.address.starts_with("metadataKey["));
}

void tell(Operation& operation, std::string text) {
  operation.why.push_back({"together", std::move(text), 0, ""});
}

}  // namespace

void tell_what_belongs_together(std::vector<Operation>& operations) {
  for (Operation& operation : operations) {
    if (operation.action != Action::reset_setting || operation.setting.directory) continue;
    for (const SettingEdit& edit : operation.setting.edits) {
      const auto served = edit.kind == "remove_element" ? served_at(edit.address) : std::nullopt;
      if (!served) continue;
      for (const SettingDifference& difference : operation.setting.differences)
        if (goes_with(*served, difference))
          tell(operation, display(difference.address) + " belongs to " + display(edit.address) +
                              " and goes with it");
      for (Operation& other : operations) {
        if (!other.setting.directory || served_by(other.setting.directory->dn) != served) continue;
        tell(operation, "the object " + display(other.setting.directory->dn) +
                            " in the directory is the same virtual directory: see the change of " +
                            other.setting.directory->attribute);
        tell(other, display(edit.address) + " in " + operation.path.display() +
                        " is the same virtual directory");
      }
    }
  }
}

}  // namespace remediate::plan
