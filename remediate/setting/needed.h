#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "remediate/base/raw_path.h"

namespace remediate::setting {

/// A file that a configuration has the server run with every page: where it is missing while the
/// configuration still names it, every page fails.
struct NeededFile {
  std::string name;  // as written: absolute, or looked for along the include path
  std::string address;
  std::size_t line = 0;
};

/// What a configuration file of this name needs, in file order. Nothing for names of files that
/// say no such thing, and for bytes that the server itself would not take. Pure and thread-safe.
[[nodiscard]] std::vector<NeededFile> needed_files(std::string_view file_name,
                                                   std::string_view bytes);
/// Whether it may be this file, below the root: an absolute name by all of it, another by its end.
/// Links are not followed.
[[nodiscard]] bool may_be(const NeededFile& needed, const RawPath& path);

}  // namespace remediate::setting
