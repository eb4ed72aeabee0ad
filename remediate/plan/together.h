#pragma once

#include <vector>

#include "remediate/plan/plan.h"

namespace remediate::plan {

/// Says of operations that are one thing to Exchange and IIS that they belong together: a virtual
/// directory or application with its <location> and customMetadata key, and with the object of the
/// same name in the directory. It adds reasons of kind "together"; nothing else changes.
void tell_what_belongs_together(std::vector<Operation>& operations);

}  // namespace remediate::plan
