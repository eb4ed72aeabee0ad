#pragma once

// Well-formed XHTML that is safe to open; private to report/.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "remediate/report/words.h"

namespace remediate::report {

/// Safe as element content and inside a quoted attribute: nothing in it can end either.
[[nodiscard]] std::string escape(std::string_view text);

/// "<tag>escaped text</tag>"; `tag` and `kind` (the class) are the caller's own words.
[[nodiscard]] std::string element(std::string_view tag, std::string_view text,
                                  std::string_view kind = {});
/// A list with one escaped item a text; empty for no texts.
[[nodiscard]] std::string html_list(const std::vector<std::string>& items);
[[nodiscard]] std::string html_facts(const std::vector<std::pair<std::string, std::string>>& facts);
/// A table with escaped cells; the first row is its head.
[[nodiscard]] std::string html_table(const std::vector<std::vector<std::string>>& rows);
/// A unified diff, its lines marked by kind.
[[nodiscard]] std::string html_diff(std::string_view diff);
[[nodiscard]] std::string html_steps(const std::vector<NextStep>& steps);
/// The whole page around a body: strict content policy, style inline, nothing loaded.
[[nodiscard]] std::string html_page(std::string_view title, std::string_view body);

}  // namespace remediate::report
