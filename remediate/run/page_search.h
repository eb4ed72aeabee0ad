#pragma once

#include <vector>

#include "remediate/host/host.h"
#include "remediate/plan/planner.h"

namespace remediate::run {

/// Fills in Record::pages: the files below the root that a record's virtual path fits, by the end
/// of their path or, below the record's application, by at least a folder and a name. Looks at the
/// root's own mount and the scopes' ones; nothing is opened but folders, and nothing at all without
/// a record. What cannot be listed or goes beyond a bound is in `unsearched` and an issue.
void find_pages(const host::Directory& root, const std::vector<RawPath>& scopes,
                plan::CompiledPages& compiled, std::vector<plan::IssueReport>& issues);

}  // namespace remediate::run
