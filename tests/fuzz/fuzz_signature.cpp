#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "remediate/crypto/digest.h"
#include "remediate/crypto/signature.h"

namespace {

/// Its key made seeds/signature/genuine and was thrown away.
constexpr std::string_view signer =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBdTCCARugAwIBAgIUHIh3KBfamR4YceRSNS34P0g+CTQwCgYIKoZIzj0EAwIw\n"
    "DzENMAsGA1UEAwwEZnV6ejAgFw0yNjExMjIwMjUwNDFaGA8yMTA5MDExMTAyNTA0\n"
    "MVowDzENMAsGA1UEAwwEZnV6ejBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABCUT\n"
    "hdZRQyEmuh45+5QbmM4IGoOQIE448tEF7t6eaXD4/sVCTS+2E/LYueqe499vWRhn\n"
    "Paz2aGV46WDnjo9h8lqjUzBRMB0GA1UdDgQWBBQYqr6uoVu+30qHnpm9aq5XBWWs\n"
    "vTAfBgNVHSMEGDAWgBQYqr6uoVu+30qHnpm9aq5XBWWsvTAPBgNVHRMBAf8EBTAD\n"
    "AQH/MAoGCCqGSM49BAMCA0gAMEUCIC6DsxzOtO1I9HG6JXBlsngo2hqhrcMst+TJ\n"
    "fpst2ABXAiEAjcRnhLolesuOpYSdw4lETJsTenveU7kxJsLDXcSIfps=\n"
    "-----END CERTIFICATE-----\n";
constexpr std::string_view content = "what was signed\n";
constexpr std::string_view genuine =
    "0c7a9fab401c01b0e75152a3c63d9270d407c394a43371097e1aa39378fd24da";

}  // namespace

/// Bytes of a signature file. Nobody can sign again, so exactly one file may hold: a second one
/// would be a changed one that passes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace remediate::crypto;
  static const std::vector<Certificate> trusted{*Certificate::from_pem(signer, "the signer")};
  const std::string_view file(reinterpret_cast<const char*>(data), size);
  const auto verified = verify_detached(file, content, trusted);
  const bool is_genuine = sha256_hex(file) == genuine;
  if (is_genuine != (verified.has_value() && verified->signers.size() == 1)) std::abort();
  if (verify_detached(file, "something else\n", trusted).has_value()) std::abort();
  return 0;
}
