#include "remediate/crypto/signature_form.h"

#include <algorithm>
#include <string>

#include <openssl/evp.h>

#include "remediate/crypto/der.h"

namespace remediate::crypto {
namespace {

constexpr std::string_view kSignedData{"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02", 9};
constexpr std::string_view kContent{"\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01", 13};
constexpr std::string_view kSha256{"\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01", 13};
constexpr std::string_view kEcdsaSha256{"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02", 12};
constexpr std::string_view kRsa{"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00", 15};
constexpr std::string_view kRsaPss{"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a", 11};
constexpr std::string_view kMalformed = "it is not CMS signed data";

std::string_view version_of(bool by_key) {
  return by_key ? std::string_view("\x03", 1) : std::string_view("\x01", 1);
}

std::string_view signer_fault(std::string_view rest, SignatureForm::Signer& signer) {
  const auto version = take(rest, V_ASN1_INTEGER, false);
  const auto identifier = take(rest);
  if (!version || !identifier) return kMalformed;
  signer.by_key = identifier->is_tagged(0) && !identifier->constructed;
  if (!signer.by_key && !(identifier->is(V_ASN1_SEQUENCE) && identifier->constructed))
    return kMalformed;
  signer.identifier = signer.by_key ? identifier->content : identifier->whole;
  if (version->content != version_of(signer.by_key)) return "a signer has a wrong version";
  const auto digest = take(rest, V_ASN1_SEQUENCE, true);
  if (!digest || digest->whole != kSha256) return "a signer's digest is not plain SHA-256";
  const auto attributes = take(rest);
  if (!attributes || !attributes->is_tagged(0) || !attributes->constructed)
    return "a signer has no signed attributes";
  const auto algorithm = take(rest, V_ASN1_SEQUENCE, true);
  if (!algorithm || !take(rest, V_ASN1_OCTET_STRING, false)) return kMalformed;
  signer.signature_algorithm = algorithm->whole;
  return rest.empty() ? std::string_view() : "it has attributes that are not signed";
}

}  // namespace

std::string_view signature_fault(std::string_view der, SignatureForm& form) {
  auto outer = take(der, V_ASN1_SEQUENCE, true);
  if (!outer || !der.empty()) return kMalformed;
  const auto type = take(outer->content, V_ASN1_OBJECT, false);
  auto wrapper = take(outer->content);
  if (!type || type->content != kSignedData || !wrapper || !wrapper->is_tagged(0) ||
      !outer->content.empty())
    return kMalformed;
  auto body = take(wrapper->content, V_ASN1_SEQUENCE, true);
  if (!body || !wrapper->content.empty()) return kMalformed;
  std::string_view& rest = body->content;
  const auto version = take(rest, V_ASN1_INTEGER, false);
  const auto digests = take(rest, V_ASN1_SET, true);
  const auto content = take(rest, V_ASN1_SEQUENCE, true);
  if (!version || !digests || !content) return kMalformed;
  if (digests->content != kSha256) return "its digests are not SHA-256 alone";
  if (content->whole != kContent) return "it is not over plain detached data";
  auto next = take(rest);
  if (next && next->is_tagged(0)) {
    for (std::string_view certificates = next->content; !certificates.empty();) {
      const auto certificate = take(certificates, V_ASN1_SEQUENCE, true);
      if (!certificate) return "it carries something else than certificates";
      form.certificates.push_back(certificate->whole);
    }
    next = take(rest);
  }
  if (next && next->is_tagged(1)) return "it carries revocation lists";
  if (!next || !next->is(V_ASN1_SET) || !rest.empty()) return kMalformed;
  std::string_view before;
  for (std::string_view signers = next->content; !signers.empty();) {
    const auto info = take(signers, V_ASN1_SEQUENCE, true);
    if (!info) return kMalformed;
    if (info->whole == before) return "it has a signature twice";  // DER sorts them
    before = info->whole;
    if (const auto fault = signer_fault(info->content, form.signers.emplace_back()); !fault.empty())
      return fault;
  }
  const bool by_key = std::ranges::any_of(form.signers, &SignatureForm::Signer::by_key);
  return version->content == version_of(by_key) ? std::string_view() : "it has a wrong version";
}

bool right_algorithm(std::string_view algorithm, int key_type) {
  if (key_type == EVP_PKEY_EC) return algorithm == kEcdsaSha256;
  if (key_type == EVP_PKEY_RSA && algorithm == kRsa) return true;
  auto outer = take(algorithm, V_ASN1_SEQUENCE, true);
  return (key_type == EVP_PKEY_RSA || key_type == EVP_PKEY_RSA_PSS) && outer &&
         outer->content.starts_with(kRsaPss);
}

}  // namespace remediate::crypto
