#include "remediate/run/host_policy.h"

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"
#include "remediate/run/trusted_file.h"

namespace remediate::run {
namespace {

constexpr std::uint64_t max_policy_bytes = 1u << 20;
constexpr std::uint64_t max_certificate_bytes = 64u << 10;

/// A file that the policy names: relative to the policy's own folder.
std::string beside(const std::string& policy, const std::string& file) {
  const std::size_t slash = policy.rfind('/');
  if (file.starts_with('/') || slash == std::string::npos) return file;
  return policy.substr(0, slash + 1) + file;
}

Result<std::string> read_named(host::Host& host, const std::string& path) {
  auto pem = read_trusted(host, path, max_certificate_bytes);
  if (pem) return pem;
  Error error = std::move(pem).error().wrapped("the policy names certificate " + display(path) +
                                               ", which cannot be read");
  error.code = Code::configuration;
  return std::unexpected(std::move(error));
}

Result<std::vector<crypto::Certificate>> load_certificates(host::Host& host,
                                                           const std::string& policy,
                                                           const std::vector<std::string>& files,
                                                           std::vector<std::string>& places) {
  std::vector<crypto::Certificate> certificates;
  for (const std::string& file : files) {
    const std::string path = beside(policy, file);
    places.push_back(path);
    TRY_LET(const std::string pem, read_named(host, path));
    TRY_LET(crypto::Certificate certificate, crypto::Certificate::from_pem(pem, path));
    for (const crypto::Certificate& other : certificates)
      if (other.key_fingerprint() == certificate.key_fingerprint())
        return fail(Code::configuration, "the policy names one key twice: " + display(path),
                    "name one certificate with a key of its own for each person");
    certificates.push_back(std::move(certificate));
  }
  return certificates;
}

}  // namespace

Result<HostPolicy> load_policy(host::Host& host, const std::string& given) {
  HostPolicy result;
  result.source = "embedded default";
  result.sha256 = crypto::sha256_hex("");
  const std::string path = given.empty() ? default_policy_path : given;
  auto bytes = read_trusted(host, path, max_policy_bytes);
  if (!bytes && given.empty() && bytes.error().code == Code::not_found) return result;
  if (!bytes)
    return std::unexpected(
        std::move(bytes).error().wrapped("the policy " + display(path) + " cannot be used"));
  auto parsed = plan::parse_policy(*bytes, path);
  if (!parsed)
    return std::unexpected(
        std::move(parsed).error().wrapped("the policy " + display(path) + " cannot be used"));
  result.policy = std::move(*parsed);
  result.source = path;
  TRY_LET(result.path, trusted_place(host, path));
  result.files.push_back(path);
  result.sha256 = crypto::sha256_hex(*bytes);
  TRY_LET(result.approvers,
          load_certificates(host, path, result.policy.approver_files, result.files));
  TRY_LET(result.recovery,
          load_certificates(host, path, result.policy.recovery_files, result.files));
  TRY_LET(result.playbook_signers,
          load_certificates(host, path, result.policy.playbook_signer_files, result.files));
  TRY_LET(result.baseline_signers,
          load_certificates(host, path, result.policy.baseline_signer_files, result.files));
  if (result.policy.stages && result.policy.stages->probe &&
      !result.policy.stages->probe->ca_file.empty()) {
    const std::string ca = beside(path, result.policy.stages->probe->ca_file);
    result.files.push_back(ca);
    TRY_LET(result.probe_ca, read_named(host, ca));
    TRY(crypto::Certificate::from_pem(result.probe_ca, ca));
  }
  return result;
}

}  // namespace remediate::run
