#pragma once

#include <string>
#include <string_view>

#include "remediate/base/error.h"

namespace remediate::host::posix {

/// "No such file or directory"
[[nodiscard]] std::string errno_text(int number);
/// "cannot VERB PATH: REASON" with the code and the remedy that belong to the errno value.
[[nodiscard]] Error os_error(int number, std::string_view verb, std::string_view raw_path);
[[nodiscard]] std::unexpected<Error> os_fail(int number, std::string_view verb,
                                             std::string_view raw_path);
/// The same where the value means that the file system or kernel lacks the operation.
[[nodiscard]] std::unexpected<Error> unsupported(int number, std::string_view verb,
                                                 std::string_view raw_path, std::string_view why,
                                                 std::string remedy = {});
/// "cannot VERB PATH: WHY", code refused.
[[nodiscard]] std::unexpected<Error> refuse(std::string_view verb, std::string_view raw_path,
                                            std::string_view why, std::string remedy = {});
/// True for the values by which file systems say that they lack an operation.
[[nodiscard]] bool means_unsupported(int number);
/// `name` below `folder`, for messages.
[[nodiscard]] std::string joined(std::string_view folder, std::string_view name);

}  // namespace remediate::host::posix
