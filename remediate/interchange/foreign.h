#pragma once

#include <string>
#include <string_view>

#include "remediate/base/error.h"
#include "remediate/base/file_facts.h"
#include "remediate/base/json.h"
#include "remediate/interchange/items.h"

// Reading JSON that others wrote: members may be missing or of another type.

namespace remediate::interchange {

/// The document; bad_input with the pointer when it is not JSON or breaks a bound.
[[nodiscard]] Result<Json> read_document(const ImportFile& file);

/// Nothing when `object` is none or has no such member.
[[nodiscard]] const Json* member(const Json& object, const char* key);
/// The text of a member; empty when it is none.
[[nodiscard]] std::string text_of(const Json& object, const char* key);
/// true, 1 and "1"
[[nodiscard]] bool flag_of(const Json& object, const char* key);

/// "red" for "TLP:RED", "tlp:red" and "red"; "clear" for white; empty when it is no label.
[[nodiscard]] std::string tlp_label(std::string_view text);
/// The more restrictive of two labels; an empty one counts for none.
[[nodiscard]] std::string stricter_tlp(const std::string& a, const std::string& b);

[[nodiscard]] bool is_stix(const Json& document);
[[nodiscard]] Result<void> read_stix(const ImportFile& file, const Json& document,
                                     const Timestamp& now, Collected& collected);
[[nodiscard]] bool is_misp(const Json& document);
[[nodiscard]] Result<void> read_misp(const ImportFile& file, const Json& document,
                                     Collected& collected);

}  // namespace remediate::interchange
