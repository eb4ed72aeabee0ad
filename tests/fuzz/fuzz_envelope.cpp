#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

#include <openssl/cms.h>

#include "remediate/crypto/envelope.h"

/// Bytes of a sealed object. Where this project and OpenSSL both accept them, both have seen
/// AuthEnvelopedData that ends with the last byte.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view fault =
      remediate::crypto::envelope_fault({reinterpret_cast<const char*>(data), size});
  if (!fault.empty()) return 0;
  const unsigned char* at = data;
  const std::unique_ptr<CMS_ContentInfo, decltype(&CMS_ContentInfo_free)> message(
      d2i_CMS_ContentInfo(nullptr, &at, static_cast<long>(size)), &CMS_ContentInfo_free);
  if (!message) return 0;
  if (at != data + size) std::abort();
  if (OBJ_obj2nid(CMS_get0_type(message.get())) != NID_id_smime_ct_authEnvelopedData) std::abort();
  return 0;
}
