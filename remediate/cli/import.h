#pragma once

#include "remediate/cli/command.h"

namespace remediate::cli {

void add_import(CLI::App& app, Global& global, Action& chosen);

}  // namespace remediate::cli
