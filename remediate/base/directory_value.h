#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "remediate/base/error.h"
#include "remediate/base/json.h"

namespace remediate {

/// One attribute of one object of a directory service and what it is changed to, as plans,
/// journals and manifests have it. Nothing for a value: the object does not have the attribute.
struct DirectoryValue {
  std::string dn;         // as the directory gave it; raw bytes
  std::string guid;       // objectGUID: "457e0398-cafe-43fb-b128-23c9e9f47c20"
  std::string attribute;  // its lDAPDisplayName
  std::optional<std::string> before;
  std::optional<std::string> after;
  std::string when_changed;  // the object's whenChanged when the plan was made; for people
  std::uint64_t usn_changed = 0;
  bool operator==(const DirectoryValue&) const = default;
};

[[nodiscard]] Json to_json(const DirectoryValue& value);
[[nodiscard]] Result<DirectoryValue> directory_value_from_json(const Json& json,
                                                               const std::string& pointer);

/// The 16 bytes of an objectGUID as people and Exchange write them, lower-case; empty for bytes
/// that are none.
[[nodiscard]] std::string guid_text(std::string_view bytes);
/// The other way round; nothing for a text that is no GUID.
[[nodiscard]] std::optional<std::string> guid_bytes(std::string_view text);

}  // namespace remediate
