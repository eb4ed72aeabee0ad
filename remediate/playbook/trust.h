#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "remediate/crypto/certificate.h"

namespace remediate::playbook {

/// Beside FILE the signature is in FILE.p7s: detached CMS over the file's exact bytes.
inline constexpr std::string_view signature_suffix = ".p7s";

/// What is signed, in words: what it is, why it must be, and by whom.
struct SignedKind {
  std::string_view noun;
  std::string_view demand;
  std::string_view signers;
  std::string_view signer;
};
inline constexpr SignedKind signed_playbook{"playbook", "the policy names playbook_signers",
                                            "the policy's playbook_signers",
                                            "a signer of the policy"};

/// Who of `signers` signed exactly these bytes, by fingerprint: the first whose certificate is
/// valid at `now`. `signature` is empty where there is no signature file. signature, naming the
/// file, the reason and what to do, when nobody did; a signature of somebody of `signers` that
/// does not hold is refused whoever else signed. Parse only the bytes that were given here.
[[nodiscard]] Result<std::string> check_signature(std::string_view bytes, const std::string& file,
                                                  std::string_view signature,
                                                  const std::vector<crypto::Certificate>& signers,
                                                  Timestamp now,
                                                  const SignedKind& kind = signed_playbook);

}  // namespace remediate::playbook
