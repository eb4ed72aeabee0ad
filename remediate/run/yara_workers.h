#pragma once

#include <memory>

#include "remediate/host/workers.h"
#include "remediate/match/yara_apart.h"

namespace remediate::run {

/// YARA in processes of its own, as many as there are threads that ask. As host::start_workers;
/// null in a build without YARA. Where they cannot be started, the first rules that are to be asked
/// get the error: most plans ask none.
[[nodiscard]] std::unique_ptr<match::Apart> start_yara_workers(const host::WorkerLimits& limits);

}  // namespace remediate::run
