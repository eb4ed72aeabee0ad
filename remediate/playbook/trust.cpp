#include "remediate/playbook/trust.h"

#include "remediate/base/encoding.h"
#include "remediate/crypto/signature.h"

namespace remediate::playbook {
namespace {

std::string remedy_for(const SignedKind& kind, const std::string& file) {
  return "have " + std::string(kind.signer) +
         " read and sign it: openssl cms -sign -binary -cades "
         "-nosmimecap -md sha256 -outform DER -in " +
         display(file) + " -signer SIGNER.crt -inkey SIGNER.key -out " + display(file) +
         std::string(signature_suffix);
}

}  // namespace

Result<std::string> check_signature(std::string_view bytes, const std::string& file,
                                    std::string_view signature,
                                    const std::vector<crypto::Certificate>& signers, Timestamp now,
                                    const SignedKind& kind) {
  const std::string name = std::string(kind.noun) + " " + display(file);
  if (signature.empty())
    return fail(Code::signature,
                name + " is not signed: there is no " + display(file) +
                    std::string(signature_suffix) + ", and " + std::string(kind.demand),
                remedy_for(kind, file));
  auto verified = crypto::verify_detached(signature, bytes, signers);
  if (!verified) {
    Error error = std::move(verified).error().wrapped(
        "the signature of " + name + " does not hold: it was changed, or signed in another form");
    error.code = Code::signature;
    error.remedy = "find out who changed it; then " + remedy_for(kind, file);
    return std::unexpected(std::move(error));
  }
  std::string others;
  for (const crypto::Signer& signer : verified->signers) {
    if (signer.certificate.valid_at(now)) return signer.certificate.fingerprint();
    others += " the certificate of " + signer.certificate.subject() + " is not valid today;";
  }
  for (const std::string& stranger : verified->unknown) others += " sha256 " + stranger + ";";
  if (!others.empty()) others.back() = ')';
  return fail(Code::signature,
              name + " is signed by none of " + std::string(kind.signers) +
                  (others.empty() ? "" : " (signed by:" + others),
              remedy_for(kind, file));
}

}  // namespace remediate::playbook
