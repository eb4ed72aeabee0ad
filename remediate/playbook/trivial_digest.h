#pragma once

#include <string_view>

namespace remediate::playbook {

/// Of the empty file or of one line break, in lower-case MD5, SHA-1 or SHA-256: no playbook may
/// hold it.
[[nodiscard]] bool is_trivial_digest(std::string_view digest);

}  // namespace remediate::playbook
