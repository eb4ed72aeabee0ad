#pragma once

#include <string>

#include "remediate/run/rollback.h"

namespace remediate::interchange {

/// Writes the captured originals of a run for analysts: a zip with traditional encryption and the
/// password "infected", entries named by SHA-256 (one per digest), and an index (index.json) of
/// ids, paths and digests. Taken from the hold or, with `recovery`, from the sealed objects.
/// `file` must not exist; it is private (0600) and whole or absent. Entries that could not be
/// had are an Error, naming them: never a silently smaller archive.
[[nodiscard]] Result<std::uint64_t> write_infected_zip(
    host::Host& host, const run::Store& store, const run::Run& run, const std::string& file,
    const std::optional<run::Recovery>& recovery);

}  // namespace remediate::interchange
