#pragma once

#include <string>
#include <vector>

#include "remediate/base/stream.h"
#include "remediate/crypto/certificate.h"
#include "remediate/crypto/digest.h"

namespace remediate::crypto {

struct Sealed {
  std::string plain_sha256;   // of the bytes that were sealed, as they were read
  std::uint64_t plain_size = 0;
  std::string sealed_sha256;  // of the bytes that were written
  std::uint64_t sealed_size = 0;
};

/// CMS AuthEnvelopedData (RFC 5083), AES-256-GCM, to every recipient (at least one), streamed
/// in constant memory. Stock OpenSSL:
///   openssl cms -decrypt -binary -inform DER -in OBJECT.p7m -recip C.crt -inkey C.key -out FILE
[[nodiscard]] Result<Sealed> seal(ByteSource& plain, ByteSink& sealed, const std::vector<Certificate>& recipients);

/// Decrypts and authenticates. Bytes reach `plain` only as the stream goes: the caller must
/// discard them when this fails. Memory is a small multiple of the size (OpenSSL 3.0).
/// signature when the tag does not hold, not_found when the key opens none of the recipients.
[[nodiscard]] Result<StreamDigest> unseal(ByteSource& sealed, ByteSink& plain, const Certificate& certificate,
                                          const PrivateKey& key);

}  // namespace remediate::crypto
