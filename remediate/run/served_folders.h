#pragma once

#include <span>
#include <vector>

#include "remediate/host/directory.h"
#include "remediate/plan/planner.h"

namespace remediate::run {

/// An issue for each folder that IIS serves, by the applicationHost.config files among `settings`,
/// and in which no scope searches anything: on another drive or machine, or without a scope that
/// lies in it or around it. `scopes` are the folders of the scopes that were found. Bounded.
void tell_unsearched_folders(const host::Directory& root,
                             std::span<const plan::SettingObservation> settings,
                             const std::vector<RawPath>& scopes,
                             std::vector<plan::IssueReport>& issues);

}  // namespace remediate::run
