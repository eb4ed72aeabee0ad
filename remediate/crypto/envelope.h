#pragma once

#include <string_view>

namespace remediate::crypto {

/// Why `ber` is not the one form of sealed object that is accepted (AuthEnvelopedData,
/// AES-256-GCM, a tag of 16 bytes, no stray bytes), or an empty text when it is. OpenSSL 3.0
/// itself takes other ciphers and shortened tags, which would let a forger weaken an object.
[[nodiscard]] std::string_view envelope_fault(std::string_view ber);

}  // namespace remediate::crypto
