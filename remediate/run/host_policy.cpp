#include "remediate/run/host_policy.h"

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"
#include "remediate/host/durable.h"

namespace remediate::run {
namespace {

constexpr std::uint64_t max_policy_bytes = 1u << 20;
constexpr std::uint64_t max_certificate_bytes = 64u << 10;

struct Split {
  std::string folder;
  std::string name;
};
Split split(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

Result<void> check_owner(const FileStat& stat, const std::string& what, std::uint32_t user) {
  if (stat.owner != 0 && stat.owner != user)
    return fail(Code::configuration,
                display(what) + " belongs to user " + std::to_string(stat.owner),
                "the policy must belong to root or to the user who runs the tool");
  const bool sticky_folder = stat.kind == FileKind::directory && (stat.mode & 01000u) != 0;
  if ((stat.mode & 022u) != 0 && !sticky_folder)
    return fail(Code::configuration, display(what) + " can be written by others",
                "chmod go-w it, and look who changed it");
  return {};
}

/// The bytes of a file that only root or this user can change.
Result<std::string> read_trusted(host::Host& host, const std::string& path,
                                 std::uint64_t max_bytes) {
  const Split place = split(path);
  TRY_LET(const auto directory, host.open_root(place.folder));
  TRY_LET(const auto file, directory->open_file(place.name, host::Access::read));
  TRY_LET(const FileStat folder_stat, directory->stat());
  TRY(check_owner(folder_stat, place.folder, host.user()));
  TRY_LET(const FileStat stat, file->stat());
  TRY(check_owner(stat, path, host.user()));
  return host::read_whole(*file, max_bytes);
}

Result<std::vector<crypto::Certificate>> load_certificates(host::Host& host,
                                                           const std::string& folder,
                                                           const std::vector<std::string>& files,
                                                           std::vector<std::string>& places) {
  std::vector<crypto::Certificate> certificates;
  for (const std::string& file : files) {
    const std::string path = file.starts_with('/') ? file : folder + "/" + file;
    places.push_back(path);
    auto pem = read_trusted(host, path, max_certificate_bytes);
    if (!pem) {
      Error error = std::move(pem).error().wrapped("the policy names certificate " + display(path) +
                                                   ", which cannot be read");
      error.code = Code::configuration;
      return std::unexpected(std::move(error));
    }
    TRY_LET(crypto::Certificate certificate, crypto::Certificate::from_pem(*pem, path));
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
  const std::string folder = split(path).folder;
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
  result.files.push_back(path);
  result.sha256 = crypto::sha256_hex(*bytes);
  TRY_LET(result.approvers,
          load_certificates(host, folder, result.policy.approver_files, result.files));
  TRY_LET(result.recovery,
          load_certificates(host, folder, result.policy.recovery_files, result.files));
  return result;
}

}  // namespace remediate::run
