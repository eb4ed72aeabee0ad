#include "remediate/base/encoding.h"
#include "remediate/setting/directory/service.h"

namespace remediate::setting {
namespace {

struct Component {
  std::string type;
  std::string value;
};

/// The components of a DN in string form (RFC 4514), escapes resolved. Multi-valued ones and such
/// that are no valid form keep their text: they only fail to be what is looked for.
std::vector<Component> components(std::string_view dn) {
  std::vector<Component> found;
  Component current;
  bool in_value = false;
  for (std::size_t i = 0; i <= dn.size(); ++i) {
    if (i == dn.size() || dn[i] == ',') {
      found.push_back(std::move(current));
      current = {};
      in_value = false;
    } else if (dn[i] == '=' && !in_value) {
      in_value = true;
    } else if (dn[i] == '\\' && i + 1 < dn.size()) {
      const auto byte = i + 2 < dn.size() ? hex_decode(dn.substr(i + 1, 2)) : std::nullopt;
      (in_value ? current.value : current.type) += byte ? *byte : std::string(1, dn[i + 1]);
      i += byte ? 2 : 1;
    } else {
      (in_value ? current.value : current.type).push_back(dn[i]);
    }
  }
  return found;
}

}  // namespace

const std::vector<std::string>* DirectoryObject::values(std::string_view attribute) const {
  for (const auto& [name, list] : attributes)
    if (ascii_iequals(name, attribute)) return &list;
  return nullptr;
}

std::string server_of(std::string_view dn) {
  const std::vector<Component> parts = components(dn);
  for (std::size_t i = 1; i < parts.size(); ++i)
    if (ascii_iequals(parts[i].type, "CN") && ascii_iequals(parts[i].value, "Servers"))
      return parts[i - 1].value;
  return {};
}

std::string name_of(std::string_view dn) { return components(dn).front().value; }

}  // namespace remediate::setting
