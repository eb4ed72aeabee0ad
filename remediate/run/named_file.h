#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "remediate/run/session.h"
#include "remediate/setting/needed.h"

namespace remediate::run {

/// Lines that have a server run a file with every page, by configuration file. Where the file is
/// missing while such a line stands, every page fails; so the line goes first and comes back last.
using StandingLines = std::vector<std::pair<RawPath, setting::NeededFile>>;

/// The lines of configurations that this run was to change and did not, as they are now. Private to
/// run/.
[[nodiscard]] Result<StandingLines> standing_lines(const Session& session);
/// Why the file may not go; empty when no line stands that names it.
[[nodiscard]] std::string needed_by(const StandingLines& lines, const RawPath& file);

/// Why a configuration may not come back with these bytes: a line in them names a file that this
/// rollback is to bring back too and that is not at its place yet. Empty when there is none.
[[nodiscard]] Result<std::string> names_missing_file(const Session& session,
                                                     const RawPath& configuration,
                                                     std::string_view bytes);

}  // namespace remediate::run
