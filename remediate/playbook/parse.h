#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "remediate/playbook/model.h"

namespace remediate::playbook {

/// One finding of `check`. Codes are stable (docs/playbook-diagnostics.md): PBnnn is an error,
/// PWnnn a warning.
struct Diagnostic {
  std::string code;
  std::string file;
  std::string pointer;   // RFC 6901
  std::string message;   // what is wrong
  std::string expected;  // what would be right
  [[nodiscard]] bool is_error() const { return code.starts_with("PB"); }
  [[nodiscard]] std::string text() const;  // "file:/pointer: PB012: message; expected ..."
};

struct Parsed {
  Playbook playbook;
  std::vector<Diagnostic> warnings;
};

/// Every error found in one pass (at most 100), in document order; never a partial playbook.
[[nodiscard]] std::expected<Parsed, std::vector<Diagnostic>> parse_playbook(std::string_view bytes,
                                                                            std::string_view file);

/// playbook-- and a lower-case RFC 4122 UUID.
[[nodiscard]] bool is_playbook_id(std::string_view id);

}  // namespace remediate::playbook
