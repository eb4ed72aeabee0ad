#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "remediate/base/stream.h"
#include "remediate/crypto/certificate.h"
#include "remediate/crypto/digest.h"

namespace remediate::crypto {

/// The most that seal() takes: opening holds a small multiple of the object in memory, and
/// what could not be opened again must not be sealed. More is an Error of code limit.
inline constexpr std::uint64_t kMaxSealedPlain = std::uint64_t{1} << 30;

struct Sealed {
  std::string plain_sha256;  // of the bytes that were sealed, as they were read
  std::uint64_t plain_size = 0;
  std::string sealed_sha256;  // of the bytes that were written
  std::uint64_t sealed_size = 0;
};

/// CMS AuthEnvelopedData (RFC 5083), AES-256-GCM, to every recipient (at least one), streamed
/// in constant memory. Stock OpenSSL:
///   openssl cms -decrypt -binary -inform DER -in OBJECT.p7m -recip C.crt -inkey C.key -out FILE
[[nodiscard]] Result<Sealed> seal(ByteSource& plain, ByteSink& sealed,
                                  const std::vector<Certificate>& recipients);

/// Decrypts and authenticates. Bytes reach `plain` only as the stream goes: the caller must
/// discard them when this fails. Memory is a small multiple of the size (OpenSSL 3.0).
/// signature when the tag does not hold, corrupt when it is no sealed object at all, not_found
/// when the key opens none of the recipients. Only AES-256-GCM with a 16-byte tag is accepted,
/// so that nobody can turn an object into one of a weaker form.
[[nodiscard]] Result<StreamDigest> unseal(ByteSource& sealed, ByteSink& plain,
                                          const Certificate& certificate, const PrivateKey& key);

}  // namespace remediate::crypto
