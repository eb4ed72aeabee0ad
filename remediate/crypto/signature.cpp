#include "remediate/crypto/signature.h"

#include <algorithm>
#include <climits>
#include <optional>
#include <vector>

#include <openssl/err.h>
#include <openssl/ess.h>

#include "remediate/base/clock.h"
#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/crypto/der.h"
#include "remediate/crypto/digest.h"
#include "remediate/crypto/openssl.h"
#include "remediate/crypto/signature_form.h"

namespace remediate::crypto {
namespace {

constexpr std::size_t kMaxSignature = 1u << 20;
constexpr int kMaxSigners = 64;
constexpr unsigned kFlags = CMS_DETACHED | CMS_BINARY | CMS_CADES | CMS_NOSMIMECAP;
constexpr const char* kResign =
    "get an unharmed signature, or have the unchanged file signed again";

using CertificateStack = std::unique_ptr<STACK_OF(X509), Freed<[](STACK_OF(X509) * certificates) {
                                           sk_X509_pop_free(certificates, X509_free);
                                         }>>;

std::unexpected<Error> bad_signature(std::string message, std::string remedy = kResign) {
  return std::unexpected(openssl_error(Code::signature, std::move(message), std::move(remedy)));
}

Result<void> check_size(std::string_view content) {
  if (content.size() <= static_cast<std::size_t>(INT_MAX)) return {};
  return fail(Code::limit, "content of 2 GiB and more cannot be signed or verified");
}

/// A signed-data message, its signers, and its digests over the content.
struct Opened {
  CmsPtr cms;
  BioPtr digests;
  CertificateStack embedded;
  SignatureForm form;                            // views into the signature that was given
  STACK_OF(CMS_SignerInfo) * signers = nullptr;  // owned by cms
  [[nodiscard]] int count() const { return sk_CMS_SignerInfo_num(signers); }
  [[nodiscard]] CMS_SignerInfo* signer(int i) const { return sk_CMS_SignerInfo_value(signers, i); }
};

Result<CmsPtr> parse(std::string_view der) {
  if (der.empty()) return bad_signature("the signature is empty");
  if (der.size() > kMaxSignature) return bad_signature("the signature is larger than 1 MiB");
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const unsigned char* const end = at + der.size();
  CmsPtr cms(d2i_CMS_ContentInfo(nullptr, &at, static_cast<long>(der.size())));
  if (cms == nullptr) return bad_signature("the signature is not CMS in DER form");
  if (at != end) return bad_signature("there are stray bytes after the signature");
  if (OBJ_obj2nid(CMS_get0_type(cms.get())) != NID_pkcs7_signed ||
      OBJ_obj2nid(CMS_get0_eContentType(cms.get())) != NID_pkcs7_data) {
    return bad_signature("the file is CMS, but not signed data");
  }
  if (CMS_is_detached(cms.get()) != 1) {
    return bad_signature("the signature carries a content of its own",
                         "sign detached (openssl cms -sign without -nodetach)");
  }
  return cms;
}

Result<std::string> der_of(CMS_ContentInfo* cms) {
  unsigned char* raw = nullptr;
  const int length = i2d_CMS_ContentInfo(cms, &raw);
  if (length <= 0) {
    return std::unexpected(openssl_error(Code::internal, "the signature cannot be written as DER"));
  }
  std::string der(reinterpret_cast<const char*>(raw), static_cast<std::size_t>(length));
  OPENSSL_free(raw);
  return der;
}

/// `der` must outlive what is returned.
Result<Opened> open(std::string_view der, std::string_view content) {
  TRY(check_size(content));
  ERR_clear_error();
  Opened opened;
  TRY_LET(opened.cms, parse(der));
  TRY_LET(const std::string again, der_of(opened.cms.get()));
  if (again != der) return bad_signature("the signature is not in DER form");
  if (const std::string_view fault = signature_fault(der, opened.form); !fault.empty()) {
    return bad_signature("the signature has a form that is not accepted: " + std::string(fault),
                         "sign again with `remediate approve` or openssl cms -sign -cades");
  }
  opened.signers = CMS_get0_SignerInfos(opened.cms.get());
  if (opened.signers == nullptr || opened.count() < 1) {
    return bad_signature("the signature has no signer");
  }
  if (static_cast<std::size_t>(opened.count()) != opened.form.signers.size()) {
    return bad_signature("the signature's signers cannot be told apart");
  }
  if (opened.count() > kMaxSigners) {
    return bad_signature("the signature has more than " + std::to_string(kMaxSigners) + " signers");
  }
  opened.embedded.reset(CMS_get1_certs(opened.cms.get()));  // null when there is none
  BioPtr input = memory_bio(content);
  if (input != nullptr) opened.digests.reset(CMS_dataInit(opened.cms.get(), input.get()));
  if (opened.digests == nullptr) return bad_signature("the signature's digests are not usable");
  static_cast<void>(input.release());  // now the end of the chain of digests
  std::vector<char> buffer(64 * 1024);
  std::size_t total = 0;
  for (int n = 0;
       (n = BIO_read(opened.digests.get(), buffer.data(), static_cast<int>(buffer.size()))) > 0;) {
    total += static_cast<std::size_t>(n);
  }
  if (total != content.size()) return bad_signature("the signed content could not be read");
  return opened;
}

/// The certificate of `signer` among those that came with the signature, or null.
X509* embedded_certificate(const Opened& opened, CMS_SignerInfo* signer) {
  for (int i = 0; i < sk_X509_num(opened.embedded.get()); ++i) {
    X509* candidate = sk_X509_value(opened.embedded.get(), i);
    if (CMS_SignerInfo_cert_cmp(signer, candidate) == 0) return candidate;
  }
  return nullptr;
}

void* signed_attribute(CMS_SignerInfo* signer, int nid, int type) {
  constexpr int kOnlyOneWithOneValue = -3;
  return CMS_signed_get0_data_by_OBJ(signer, OBJ_nid2obj(nid), kOnlyOneWithOneValue, type);
}

Result<void> check_algorithms(CMS_SignerInfo* signer) {
  X509_ALGOR* digest = nullptr;
  CMS_SignerInfo_get0_algs(signer, nullptr, nullptr, &digest, nullptr);
  const ASN1_OBJECT* algorithm = nullptr;
  if (digest != nullptr) X509_ALGOR_get0(&algorithm, nullptr, nullptr, digest);
  if (OBJ_obj2nid(algorithm) == NID_sha256) return {};
  return bad_signature("the signature does not use SHA-256", "sign again with -md sha256");
}

/// The signed attributes must name the content's type and this very certificate.
Result<void> check_attributes(const Opened& opened, CMS_SignerInfo* signer, X509* certificate) {
  const auto* type = static_cast<const ASN1_OBJECT*>(
      signed_attribute(signer, NID_pkcs9_contentType, V_ASN1_OBJECT));
  if (type == nullptr || OBJ_obj2nid(type) != NID_pkcs7_data) {
    return bad_signature("the signature does not state the type of what it signs");
  }
  const auto* raw = static_cast<const ASN1_STRING*>(
      signed_attribute(signer, NID_id_smime_aa_signingCertificateV2, V_ASN1_SEQUENCE));
  if (raw == nullptr) {
    return bad_signature("the signature does not name its certificate (it is not CAdES-BES)",
                         "sign again with openssl cms -sign -cades");
  }
  const unsigned char* at = ASN1_STRING_get0_data(raw);
  const std::unique_ptr<ESS_SIGNING_CERT_V2, Freed<ESS_SIGNING_CERT_V2_free>> named(
      d2i_ESS_SIGNING_CERT_V2(nullptr, &at, ASN1_STRING_length(raw)));
  const std::unique_ptr<STACK_OF(X509), Freed<[](STACK_OF(X509) * s) { sk_X509_free(s); }>> chain(
      sk_X509_new_null());
  bool complete = chain != nullptr && sk_X509_push(chain.get(), certificate) > 0;
  for (int i = 0; complete && i < sk_X509_num(opened.embedded.get()); ++i) {
    X509* other = sk_X509_value(opened.embedded.get(), i);
    if (X509_cmp(other, certificate) != 0) complete = sk_X509_push(chain.get(), other) > 0;
  }
  if (named == nullptr || !complete ||
      OSSL_ESS_check_signing_certs(nullptr, named.get(), chain.get(), 1) != 1) {
    return bad_signature("the signature was made with another certificate");
  }
  return {};
}

/// DER of what OpenSSL holds, by its own writing function.
template <auto Write, class T>
std::string written(const T* value) {
  unsigned char* raw = nullptr;
  const int length = value == nullptr ? 0 : Write(value, &raw);
  if (length <= 0) return {};
  std::string der(reinterpret_cast<const char*>(raw), static_cast<std::size_t>(length));
  OPENSSL_free(raw);
  return der;
}

/// The signer is named exactly as its certificate names itself; OpenSSL compares names without
/// case.
bool names_certificate(const SignatureForm::Signer& signer, X509* certificate) {
  if (signer.by_key) {
    const ASN1_OCTET_STRING* key = X509_get0_subject_key_id(certificate);
    return key != nullptr &&
           signer.identifier ==
               std::string_view(reinterpret_cast<const char*>(ASN1_STRING_get0_data(key)),
                                static_cast<std::size_t>(ASN1_STRING_length(key)));
  }
  std::string_view rest = signer.identifier;
  const auto named = take(rest, V_ASN1_SEQUENCE, true);
  return named &&
         named->content == written<i2d_X509_NAME>(X509_get_issuer_name(certificate)) +
                               written<i2d_ASN1_INTEGER>(X509_get0_serialNumber(certificate));
}

/// The unsigned parts that say who signed and how.
Result<void> check_form(const SignatureForm::Signer& signer, X509* certificate) {
  if (!names_certificate(signer, certificate)) {
    return bad_signature("the signature names its certificate in another spelling");
  }
  const int type = EVP_PKEY_get_base_id(X509_get0_pubkey(certificate));
  if (!right_algorithm(signer.signature_algorithm, type)) {
    return bad_signature("the signature's algorithm is not one for the signer's key",
                         "sign again with openssl cms -sign -cades -md sha256");
  }
  return {};
}

/// Signature over the attributes, digest of the content, and the attributes themselves.
Result<void> check_signer(const Opened& opened, int number, X509* certificate) {
  CMS_SignerInfo* signer = opened.signer(number);
  TRY(check_algorithms(signer));
  EVP_PKEY* key = X509_get0_pubkey(certificate);
  if (key == nullptr) return bad_signature("the signer's key cannot be read");
  if (auto usable = check_key_type(key, "the signer's certificate"); !usable) {
    return bad_signature(usable.error().message, usable.error().remedy);
  }
  if (CMS_signed_get_attr_count(signer) < 1) {
    return bad_signature("the signature has no signed attributes",
                         "sign again with openssl cms -sign -cades");
  }
  CMS_SignerInfo_set1_signer_cert(signer, certificate);
  if (CMS_SignerInfo_verify(signer) != 1) return bad_signature("the signature is wrong");
  if (CMS_SignerInfo_verify_content(signer, opened.digests.get()) != 1) {
    return bad_signature("the content is not what was signed");
  }
  TRY(check_form(opened.form.signers[static_cast<std::size_t>(number)], certificate));
  return check_attributes(opened, signer, certificate);
}

/// A certificate that came along is that of a signer, byte for byte: nothing else could be checked.
Result<void> check_certificates(const Opened& opened, const std::vector<std::string>& of_signers) {
  std::vector<std::string> seen;
  for (const std::string_view der : opened.form.certificates) {
    std::string digest = sha256_hex(der);
    if (std::ranges::find(of_signers, digest) == of_signers.end()) {
      return bad_signature("the signature carries a certificate of none of its signers",
                           "sign again without -certfile");
    }
    if (std::ranges::find(seen, digest) != seen.end()) {
      return bad_signature("the signature carries a certificate twice");
    }
    seen.push_back(std::move(digest));
  }
  return {};
}

Result<Timestamp> signing_time(CMS_SignerInfo* signer) {
  const auto* time = static_cast<const ASN1_TIME*>(
      signed_attribute(signer, NID_pkcs9_signingTime, V_ASN1_UTCTIME));
  if (time == nullptr) {
    time = static_cast<const ASN1_TIME*>(
        signed_attribute(signer, NID_pkcs9_signingTime, V_ASN1_GENERALIZEDTIME));
  }
  const std::unique_ptr<ASN1_TIME, Freed<ASN1_TIME_free>> epoch(ASN1_TIME_set(nullptr, 0));
  int days = 0;
  int seconds = 0;
  if (time == nullptr || epoch == nullptr ||
      ASN1_TIME_diff(&days, &seconds, epoch.get(), time) != 1) {
    return bad_signature("the signature does not say when it was made");
  }
  return Timestamp{std::int64_t{days} * 86'400 + seconds, 0};
}

Result<Certificate> shared_certificate(X509* x509) {
  if (X509_up_ref(x509) != 1) {
    return std::unexpected(openssl_error(Code::internal, "a certificate cannot be shared"));
  }
  return adopt_certificate(X509Ptr(x509));
}

Result<void> check_pair(const Certificate& certificate, const PrivateKey& key) {
  if (key.matches(certificate)) return {};
  return fail(Code::bad_input,
              "the private key does not belong to the certificate of " + certificate.subject(),
              "give the key that was made with this certificate");
}

/// What was just made must verify, else it is not handed out.
Result<std::string> proven(std::string der, std::string_view content,
                           const Certificate& certificate) {
  auto verified = verify_detached(der, content, {certificate});
  if (!verified) {
    return std::unexpected(
        std::move(verified).error().wrapped("the signature just made does not verify"));
  }
  if (verified->signers.size() != 1) {
    return fail(Code::internal, "the signature just made does not carry its signer");
  }
  return der;
}

}  // namespace

Result<std::string> sign_detached(std::string_view content, const Certificate& certificate,
                                  const PrivateKey& key) {
  TRY(check_size(content));
  TRY(check_pair(certificate, key));
  ERR_clear_error();
  const CmsPtr cms(CMS_sign(nullptr, nullptr, nullptr, nullptr, kFlags | CMS_PARTIAL));
  const BioPtr input = memory_bio(content);
  if (cms == nullptr || input == nullptr ||
      CMS_add1_signer(cms.get(), certificate.impl().x509.get(), key.impl().key.get(), EVP_sha256(),
                      kFlags) == nullptr ||
      CMS_final(cms.get(), input.get(), nullptr, kFlags) != 1) {
    return std::unexpected(
        openssl_error(Code::internal, "signing as " + certificate.subject() + " failed"));
  }
  TRY_LET(std::string der, der_of(cms.get()));
  return proven(std::move(der), content, certificate);
}

Result<std::string> add_signer(std::string_view signature_der, std::string_view content,
                               const Certificate& certificate, const PrivateKey& key) {
  TRY(check_pair(certificate, key));
  TRY_LET(const Opened opened, open(signature_der, content));
  for (int i = 0; i < opened.count(); ++i) {
    X509* present = embedded_certificate(opened, opened.signer(i));
    if (present == nullptr) {
      return bad_signature("the signature lacks the certificate of signer " +
                           std::to_string(i + 1));
    }
    TRY(check_signer(opened, i, present));
    if (X509_cmp(present, certificate.impl().x509.get()) == 0) {
      return fail(Code::already_exists, certificate.subject() + " has signed this before",
                  "have somebody else sign");
    }
  }
  // The digest that is reused here was verified above.
  if (CMS_add1_signer(opened.cms.get(), certificate.impl().x509.get(), key.impl().key.get(),
                      EVP_sha256(), kFlags | CMS_REUSE_DIGEST) == nullptr) {
    return std::unexpected(openssl_error(
        Code::internal, "adding the signature of " + certificate.subject() + " failed"));
  }
  TRY_LET(std::string der, der_of(opened.cms.get()));
  return proven(std::move(der), content, certificate);
}

Result<Verified> verify_detached(std::string_view signature_der, std::string_view content,
                                 const std::vector<Certificate>& trusted) {
  TRY_LET(const Opened opened, open(signature_der, content));
  Verified verified;
  std::vector<std::string> certificates;  // of the signers
  const auto counted = [&verified](const Certificate& certificate) {
    return std::any_of(verified.signers.begin(), verified.signers.end(), [&](const Signer& one) {
      return one.certificate.fingerprint() == certificate.fingerprint();
    });
  };
  for (int i = 0; i < opened.count(); ++i) {
    CMS_SignerInfo* signer = opened.signer(i);
    bool known = false;
    std::optional<Error> wrong;
    for (const Certificate& certificate : trusted) {
      if (CMS_SignerInfo_cert_cmp(signer, certificate.impl().x509.get()) != 0) continue;
      auto holds = check_signer(opened, i, certificate.impl().x509.get());
      if (!holds) {
        wrong = std::move(holds).error().wrapped("the signature of " + certificate.subject() +
                                                 " does not hold");
        continue;
      }
      known = true;
      certificates.push_back(certificate.fingerprint());
      TRY_LET(const Timestamp signed_at, signing_time(signer));
      if (!counted(certificate)) verified.signers.push_back(Signer{certificate, signed_at});
      break;
    }
    if (known) continue;
    if (wrong) return std::unexpected(std::move(*wrong));
    X509* stranger = embedded_certificate(opened, signer);
    if (stranger == nullptr) {
      return bad_signature("signer " + std::to_string(i + 1) +
                               " is not one that is trusted, and its certificate is missing",
                           "have the file signed again, without -nocerts");
    }
    // Nobody trusts it, but a file in which one signature is wrong was changed.
    if (auto holds = check_signer(opened, i, stranger); !holds) {
      return std::unexpected(
          std::move(holds).error().wrapped("the signature of signer " + std::to_string(i + 1) +
                                           ", who is not trusted, does not hold"));
    }
    TRY_LET(const Certificate certificate, shared_certificate(stranger));
    certificates.push_back(certificate.fingerprint());
    verified.unknown.push_back(certificate.fingerprint());
  }
  TRY(check_certificates(opened, certificates));
  verified.signatures = opened.form.signers.size();
  verified.certificates = opened.form.certificates.size();
  return verified;
}

}  // namespace remediate::crypto
