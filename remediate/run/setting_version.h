#pragma once

#include <memory>
#include <string>

#include "remediate/host/host.h"
#include "remediate/plan/plan.h"

namespace remediate::run {

inline constexpr std::uint64_t max_setting_bytes = 32u << 20;

/// One version of a configuration file, or of a file that is replaced.
struct Version {
  std::string bytes;
  std::string sha256;
};
[[nodiscard]] Result<Version> read_version(const host::File& file);

/// What the plan makes of `before`; changed unless it is what was planned, to the byte. Reads the
/// baseline that the plan names, if it names one, and compares its digest. A replaced file becomes
/// the known good bytes of the plan.
[[nodiscard]] Result<std::string> edit_version(const host::Directory& root,
                                               const plan::Operation& operation,
                                               const std::string& before);
/// changed when a baseline that the operation names is no longer what was approved; not_found where
/// it is gone.
[[nodiscard]] Result<void> check_baselines(const host::Directory& root,
                                           const plan::Operation& operation);
/// changed unless the difference in meaning between the two versions is the plan's; of a replaced
/// file unless `after` is the known good version to the byte.
[[nodiscard]] Result<void> check_difference(const plan::Operation& operation,
                                            const std::string& before, const std::string& after);

/// `current` with the change from `before` to `after` taken out: three-way for a configuration
/// file; a replaced file is `before` again. conflict where others changed the same.
[[nodiscard]] Result<std::string> undo_version(const plan::Operation& operation,
                                               const std::string& before, const std::string& after,
                                               const std::string& current);

/// What the new version of a file takes over from the one at its place: of a replaced file, whose
/// mode an attacker may have chosen, neither setuid, setgid nor capabilities, nor what hides it.
[[nodiscard]] Metadata metadata_of_version(const plan::Operation& operation, Metadata original);

/// A version as a private file without a name, with the metadata of the file whose place it will
/// take (its modification time is now, so that the server notices). Its content is durable when
/// this returns; it is gone unless link_file() gives it a name.
[[nodiscard]] Result<std::unique_ptr<host::File>> build_version(host::Host& host,
                                                                const host::Directory& directory,
                                                                const std::string& bytes,
                                                                const Metadata& metadata);

}  // namespace remediate::run
