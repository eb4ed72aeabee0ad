#pragma once

#include <string>
#include <vector>

#include "remediate/crypto/certificate.h"
#include "remediate/host/host.h"
#include "remediate/plan/policy.h"

namespace remediate::run {

/// The policy of this host with the certificates that it names.
struct HostPolicy {
  plan::Policy policy;
  std::string source;              // its path, or "embedded default"
  std::string sha256;              // of its bytes; of the empty string for the embedded default
  std::vector<std::string> files;  // the policy's own file and the certificates that it names
  std::vector<crypto::Certificate> approvers;
  std::vector<crypto::Certificate> recovery;  // empty: the store's own
};

/// `path` given: it must be usable. Empty: /etc/remediate/policy.json where it exists, else the
/// embedded default. Refused (configuration) when others than its owner can write the file or its
/// folder, or when it belongs to somebody else than root or this user.
[[nodiscard]] Result<HostPolicy> load_policy(host::Host& host, const std::string& path);

inline constexpr const char* default_policy_path = "/etc/remediate/policy.json";

}  // namespace remediate::run
