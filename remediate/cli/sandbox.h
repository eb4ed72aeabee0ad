#pragma once

#include <optional>
#include <string>
#include <vector>

#include "remediate/cli/command.h"

namespace remediate::cli {

/// What a command that reads in a confined process wants written. That process cannot write, so
/// everything is kept here and done outside once the command has ended well.
struct Outbox {
  std::string printed;
  std::string said;
  std::vector<std::string> paths;                 // fixed before the command reads anything
  std::vector<std::optional<std::string>> files;  // for each path
};

/// Null outside of a confined process.
[[nodiscard]] Outbox* outbox();

/// Runs a command that named its files in `global.confined`. `report` prints an error and gives
/// the exit code.
[[nodiscard]] Result<int> run_confined(Global& global, const Action& action,
                                       const std::function<int(const Error&)>& report);

}  // namespace remediate::cli
