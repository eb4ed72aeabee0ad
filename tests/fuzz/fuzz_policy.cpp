#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "remediate/plan/policy.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace remediate;
  const auto policy =
      plan::parse_policy({reinterpret_cast<const char*>(data), size}, "policy.json");
  if (!policy) {
    require(policy.error().code == Code::bad_input && !policy.error().message.empty());
    return 0;
  }
  require(policy->threshold <= 16 && policy->approver_files.size() >= policy->threshold);
  require(policy->max_percent <= 100 && policy->max_files <= 1'000'000);
  require(policy->plan_lifetime_hours >= 1 && policy->plan_lifetime_hours <= 24 * 31);
  require(policy->max_sealed_bytes >= 1u << 16);
  for (const std::string& root : policy->allowed_roots) require(root.starts_with('/'));
  return 0;
}
