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
  std::string source;              // its path as given, or "embedded default"
  std::string path;                // absolute; empty for the embedded default
  std::string sha256;              // of its bytes; of the empty string for the embedded default
  std::vector<std::string> files;  // the policy's own file and the certificates that it names
  std::vector<crypto::Certificate> approvers;
  std::vector<crypto::Certificate> recovery;            // empty: the store's own
  std::vector<crypto::Certificate> playbook_signers{};  // empty: playbooks need no signature
  std::vector<crypto::Certificate> baseline_signers{};  // empty: whom the operator names
  std::string probe_ca{};  // PEM, of stages.probe.ca; empty: the system's authorities
};

/// `path` given: it must be usable. Empty: /etc/remediate/policy.json where it exists, else the
/// embedded default. Refused (configuration) where others than root and this user could have
/// written it or put another one in its place; see read_trusted(). The same for each file that it
/// names.
[[nodiscard]] Result<HostPolicy> load_policy(host::Host& host, const std::string& path);

inline constexpr const char* default_policy_path = "/etc/remediate/policy.json";

}  // namespace remediate::run
