#pragma once

#include <set>
#include <vector>

#include "remediate/host/host.h"
#include "remediate/plan/planner.h"

namespace remediate::run {

/// A folder in which a step looks for what ASP.NET keeps of compiled pages.
struct CompiledFolder {
  std::string playbook;
  std::string step;
  RawPath folder;
};

/// Every record there is read, since it tells which pages share an assembly; records of pages with
/// the name of a match, and their assemblies, come with all that a removal must know. Changes
/// nothing. What cannot be read or goes beyond a bound is an issue.
[[nodiscard]] plan::CompiledPages scan_compiled(const host::Directory& root,
                                                const std::vector<CompiledFolder>& folders,
                                                const std::vector<match::FileMatch>& matches,
                                                std::vector<plan::IssueReport>& issues);

/// Whether the operation removes an assembly with the compiled form of its page.
[[nodiscard]] bool removes_assembly(const plan::Operation& operation);
/// Asked right before an assembly goes. changed when a record beside it that stays names it, or
/// cannot be read; `going` are the files that the run removes.
[[nodiscard]] Result<void> check_unshared(const host::Directory& root, const RawPath& assembly,
                                          const std::set<RawPath>& going);

}  // namespace remediate::run
