#pragma once

#include <string>
#include <vector>

#include "remediate/base/json.h"
#include "remediate/host/directory.h"
#include "remediate/plan/plan.h"

namespace remediate::run {

/// A copy of a file of IIS's configuration history: its name in the run's folder, where it was.
struct HistoryCopy {
  std::string file;
  std::string from;  // display form
  std::string sha256;
};

/// IIS keeps old versions of applicationHost.config and drops the oldest for each new one, so an
/// edit destroys evidence of when a setting appeared. Where the plan edits that file, copies the
/// history below C:\inetpub\history into `into`, durably; else does nothing. What cannot be read is
/// told in `notices`; what cannot be written is an error.
[[nodiscard]] Result<std::vector<HistoryCopy>> keep_history(const host::Directory& root,
                                                            const plan::Plan& plan,
                                                            const host::Directory& into,
                                                            std::vector<std::string>& notices);

[[nodiscard]] Json to_json(const std::vector<HistoryCopy>& copies);
[[nodiscard]] Result<std::vector<HistoryCopy>> history_from_json(const Json& array);
/// corrupt when a copy is missing in the run's folder or has other bytes.
[[nodiscard]] Result<void> check_history(const host::Directory& run,
                                         const std::vector<HistoryCopy>& copies);

}  // namespace remediate::run
