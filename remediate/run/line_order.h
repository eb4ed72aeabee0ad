#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "remediate/run/session.h"
#include "remediate/setting/needed.h"

// Lines that have a server run a file with every page. Where such a file is missing while a line
// needs it, every page fails: so the line goes before the file and comes back after it. Private to
// run/.

namespace remediate::run {

/// What a configuration needs, by that configuration. A line 0: nobody can read or parse it, and
/// the file is one that it may need.
using StandingLines = std::vector<std::pair<RawPath, setting::NeededFile>>;

/// Apply: the lines of configurations that this run was to change and did not, as they are now.
[[nodiscard]] StandingLines standing_lines(const Session& session);
/// Apply: why the file may not go; empty when no line stands that needs it.
[[nodiscard]] std::string needed_by(const StandingLines& lines, const RawPath& file);

/// Rollback: why a configuration may not come back with these bytes: a line in them needs a file
/// that this rollback is to bring back too and that is not at its place yet. Empty when there is
/// none.
[[nodiscard]] Result<std::string> needs_missing_file(const Session& session,
                                                     const RawPath& configuration,
                                                     std::string_view bytes);
/// Rollback: one warning for each line that is back while the file that it needs stays removed, a
/// few at most; `is_back` says which operations are taken back, or would be.
[[nodiscard]] std::vector<std::string> lines_without_files(
    const Run& run, const std::function<bool(const OperationState&)>& is_back);

}  // namespace remediate::run
