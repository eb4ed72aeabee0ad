#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "remediate/crypto/certificate.h"

namespace remediate::crypto {

/// Detached CMS SignedData in DER, CAdES-BES, SHA-256, over the exact bytes. Stock OpenSSL:
///   openssl cms -verify -binary -inform DER -in X.p7s -content X -certfile SIGNER.crt
///     -nointern -noverify -out /dev/null
[[nodiscard]] Result<std::string> sign_detached(std::string_view content,
                                                const Certificate& certificate,
                                                const PrivateKey& key);
/// Verifies every present signer over `content` first (each against its embedded
/// certificate), then adds one more; already_exists when that certificate signed before.
[[nodiscard]] Result<std::string> add_signer(std::string_view signature_der,
                                             std::string_view content,
                                             const Certificate& certificate, const PrivateKey& key);

struct Signer {
  Certificate certificate;
  Timestamp signed_at;  // the signer's own claim
};

/// The distinct signers among `trusted` (pinned by fingerprint, no CA) whose signature over
/// `content` holds. A present signer of `trusted` with a wrong signature, or an unreadable
/// file, is an Error of code signature; signers that are not in `trusted` are not counted and
/// are listed in `unknown` by fingerprint, after their signature held with the certificate that
/// came along. No signer at all: Error signature. Only one form is accepted (signature_form.h),
/// so that no bit of the file can be changed unseen.
struct Verified {
  std::vector<Signer> signers;
  std::vector<std::string> unknown;
  std::size_t signatures = 0;    // in the file
  std::size_t certificates = 0;  // that came along
};
[[nodiscard]] Result<Verified> verify_detached(std::string_view signature_der,
                                               std::string_view content,
                                               const std::vector<Certificate>& trusted);

}  // namespace remediate::crypto
