#pragma once

#include <string_view>
#include <vector>

namespace remediate::crypto {

/// The parts of a signature file that no signature covers, as they stand in it.
struct SignatureForm {
  struct Signer {
    std::string_view identifier;           // DER of issuer and serial, or the key identifier
    bool by_key = false;                   // which of the two
    std::string_view signature_algorithm;  // DER
  };
  std::vector<std::string_view> certificates;  // DER of each that came with the signature
  std::vector<Signer> signers;
};

/// Reads `der` into `form`; why it is not the one accepted form, or an empty text when it is:
/// detached signed data, SHA-256 without parameters, only signed attributes, no revocation lists,
/// the versions that RFC 5652 prescribes. What is accepted has no byte whose meaning nobody checks,
/// once `certificates`, `identifier` and `signature_algorithm` are compared too. The views are into
/// `der`. The caller has seen that `der` is DER.
[[nodiscard]] std::string_view signature_fault(std::string_view der, SignatureForm& form);

/// A signature algorithm for a key of OpenSSL type `key_type`, the only encoding that is accepted.
[[nodiscard]] bool right_algorithm(std::string_view algorithm, int key_type);

}  // namespace remediate::crypto
