#pragma once

#include <string>
#include <string_view>

#include "remediate/base/json.h"
#include "remediate/playbook/model.h"

namespace remediate::interchange {

/// The playbook as a CACAO 2.0 playbook: a person or an orchestrator is led through check, plan,
/// what each indicator found, apply, what each step did, verify; and rollback where apply fails.
/// `bytes` are what `playbook` was parsed from: they have the provenance of each indicator whole.
/// The same bytes give the same document and the same ids (UUIDv5). Commands for a shell hold no
/// text of the playbook, only variables.
[[nodiscard]] Result<std::string> cacao_playbook(const playbook::Playbook& playbook,
                                                 std::string_view bytes);

/// Version 5 of RFC 4122: always the same for the same namespace and name.
[[nodiscard]] std::string uuid5(std::string_view namespace_uuid, std::string_view name);

}  // namespace remediate::interchange
