#pragma once

#include <string>
#include <vector>

#include "random.h"

namespace property {

struct Bait {
  std::vector<std::string> shipped;  // texts of the playbooks that come with the tool
};
[[nodiscard]] Bait read_bait(const std::string& playbook_folder);

struct HostilePlaybook {
  std::string kind;  // what is wrong with it, for the counts
  std::string text;
};
/// A malicious or careless playbook: any bytes, most of them nearly right.
[[nodiscard]] HostilePlaybook hostile_playbook(Random& random, const Bait& bait);

}  // namespace property
