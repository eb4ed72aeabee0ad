#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "remediate/base/file_facts.h"

namespace remediate {

inline constexpr std::uint32_t dos_read_only = 0x1, dos_hidden = 0x2, dos_system = 0x4;

/// The attributes that Windows clients of a Samba share see (`attrib`), out of the extended
/// attribute user.DOSATTRIB; nothing where it is missing or of a form that is not known.
[[nodiscard]] std::optional<std::uint32_t> dos_attributes(const Metadata& metadata);

/// What keeps people from seeing or removing a file, in words: hidden, system and read-only
/// attributes, a name that begins with a dot, immutable and append-only flags.
[[nodiscard]] std::vector<std::string> hiding(std::string_view name, const Metadata& metadata);

/// Without user.DOSATTRIB where that hides the file or makes it read-only: the share shows it as
/// its mode says then.
[[nodiscard]] Metadata without_hiding(Metadata metadata);

}  // namespace remediate
