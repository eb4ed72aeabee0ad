#pragma once

#include <map>
#include <string>

#include "remediate/crypto/digest.h"
#include "remediate/observe/packages.h"

namespace remediate::observe {

/// What is asked of the databases: by the absolute path that they would name, the file there.
using WantedFiles = std::map<std::string, RawPath, std::less<>>;

/// Each adds to `found`; nothing where `root` has no such database.
void find_dpkg_files(const host::Directory& root, const host::Directory& contents,
                     const WantedFiles& wanted, PackageFiles& found);
void find_rpm_files(const host::Directory& root, const host::Directory& contents,
                    const WantedFiles& wanted, PackageFiles& found);

/// Whether a file below `contents` has that digest; unknown where it cannot be read.
[[nodiscard]] PackageFile::Content compare_content(const host::Directory& contents,
                                                   const RawPath& file, crypto::Algorithm algorithm,
                                                   std::string_view hexadecimal);

/// Adds to `unread`, which tells everything that could not be read.
void add_unread(PackageFiles& found, const std::string& why);

}  // namespace remediate::observe
