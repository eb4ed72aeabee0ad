#include "remediate/crypto/certificate.h"

#include <array>
#include <cstring>
#include <optional>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"
#include "remediate/crypto/openssl.h"

namespace remediate::crypto {
namespace {

constexpr std::size_t kMaxPem = 64 * 1024;
constexpr int kMinRsaBits = 2048;
constexpr std::string_view kUsable = "use an ECDSA P-256 or an RSA-3072 key";

/// Encrypted PEM must fail instead of asking on the terminal.
int no_password(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

Result<void> check_pem_size(std::string_view pem, std::string_view what) {
  if (pem.size() <= kMaxPem) return {};
  return fail(Code::bad_input, std::string(what) + " is larger than 64 KiB",
              "give one PEM object alone");
}

struct PemBlock {
  std::string name;
  std::string der;
};

/// The next PEM block; nothing at the end, an error when a block is damaged.
Result<std::optional<PemBlock>> next_block(BIO* input, std::string_view what) {
  char* name = nullptr;
  char* header = nullptr;
  unsigned char* data = nullptr;
  long length = 0;
  ERR_clear_error();
  if (PEM_read_bio(input, &name, &header, &data, &length) != 1) {
    if (ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE) {
      ERR_clear_error();
      return std::nullopt;
    }
    return std::unexpected(openssl_error(Code::bad_input,
                                         std::string(what) + " holds a damaged PEM block",
                                         "get an unharmed copy of the certificate"));
  }
  PemBlock block{name, {reinterpret_cast<const char*>(data), static_cast<std::size_t>(length)}};
  OPENSSL_free(name);
  OPENSSL_free(header);
  OPENSSL_clear_free(data, static_cast<std::size_t>(length));
  return block;
}

bool usable_curve(EVP_PKEY* key) {
  std::array<char, 64> group{};
  std::size_t length = 0;
  if (EVP_PKEY_get_group_name(key, group.data(), group.size(), &length) != 1) return false;
  const std::string_view name(group.data(), length);
  return name == "prime256v1" || name == "P-256" || name == "secp384r1" || name == "P-384" ||
         name == "secp521r1" || name == "P-521";
}

bool add_extension(X509* x509, int nid, const char* value) {
  X509V3_CTX setting;
  X509V3_set_ctx_nodb(&setting);
  X509V3_set_ctx(&setting, x509, x509, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>> extension(
      X509V3_EXT_conf_nid(nullptr, &setting, nid, value));
  return extension != nullptr && X509_add_ext(x509, extension.get(), -1) == 1;
}

bool set_serial(X509* x509) {
  std::array<unsigned char, 16> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) return false;
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7f) | 0x40);  // positive and never short
  const std::unique_ptr<BIGNUM, Freed<BN_free>> number(
      BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
  return number != nullptr &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(x509)) != nullptr;
}

bool set_subject(X509* x509, std::string_view common_name) {
  X509_NAME* name = X509_get_subject_name(x509);
  return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(common_name.data()),
                                    static_cast<int>(common_name.size()), -1, 0) == 1 &&
         X509_set_issuer_name(x509, name) == 1;
}

bool set_validity(X509* x509, Timestamp now, int days) {
  return ASN1_TIME_adj(X509_getm_notBefore(x509), now.seconds, 0, 0) != nullptr &&
         ASN1_TIME_adj(X509_getm_notAfter(x509), now.seconds, days, 0) != nullptr;
}

bool set_extensions(X509* x509, Use use) {
  const bool signs = use == Use::sign;
  return add_extension(x509, NID_basic_constraints, "critical,CA:FALSE") &&
         add_extension(x509, NID_key_usage,
                       signs ? "critical,digitalSignature" : "critical,keyAgreement") &&
         (!signs || add_extension(x509, NID_ext_key_usage, "emailProtection,codeSigning")) &&
         add_extension(x509, NID_subject_key_identifier, "hash");
}

}  // namespace

Result<void> check_key_type(EVP_PKEY* key, std::string_view what) {
  const std::string name(what);
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_EC:
      if (usable_curve(key)) return {};
      return fail(Code::bad_input, name + " has a key on a curve that is not supported",
                  std::string(kUsable));
    case EVP_PKEY_RSA:
    case EVP_PKEY_RSA_PSS:
      if (EVP_PKEY_get_bits(key) >= kMinRsaBits) return {};
      return fail(Code::bad_input,
                  name + " has an RSA key of " + std::to_string(EVP_PKEY_get_bits(key)) +
                      " bits, which is too weak",
                  std::string(kUsable));
    case EVP_PKEY_ED25519:
    case EVP_PKEY_ED448:
      return fail(Code::bad_input,
                  name + " has an Ed25519 or Ed448 key, which CMS of OpenSSL 3.0 cannot use",
                  std::string(kUsable));
    default:
      return fail(Code::bad_input, name + " has a key of a kind that is not supported",
                  std::string(kUsable));
  }
}

Result<Certificate> adopt_certificate(X509Ptr x509) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> raw{};
  unsigned length = 0;
  if (x509 == nullptr || X509_digest(x509.get(), EVP_sha256(), raw.data(), &length) != 1) {
    return std::unexpected(
        openssl_error(Code::internal, "the fingerprint of a certificate cannot be computed"));
  }
  auto impl = std::make_shared<Certificate::Impl>();
  impl->fingerprint = hex_encode({reinterpret_cast<const char*>(raw.data()), length});
  impl->x509 = std::move(x509);
  return Certificate(std::move(impl));
}

Result<Certificate> Certificate::from_pem(std::string_view pem, std::string_view what) {
  TRY(check_pem_size(pem, what));
  const BioPtr input = memory_bio(pem);
  TRY_LET(const std::optional<PemBlock> block, next_block(input.get(), what));
  if (!block || block->name != PEM_STRING_X509) {
    return fail(Code::bad_input,
                std::string(what) + (block ? " holds \"" + display(block->name, 60) + "\""
                                           : std::string(" holds nothing in PEM form")),
                "give a PEM file that begins with -----BEGIN CERTIFICATE-----");
  }
  TRY_LET(const std::optional<PemBlock> second, next_block(input.get(), what));
  if (second) {
    return fail(
        Code::bad_input,
        std::string(what) + " holds \"" + display(second->name, 60) + "\" after the certificate",
        "give each certificate in a file of its own");
  }
  const auto* at = reinterpret_cast<const unsigned char*>(block->der.data());
  const unsigned char* const end = at + block->der.size();
  X509Ptr x509(d2i_X509(nullptr, &at, static_cast<long>(block->der.size())));
  if (x509 == nullptr || at != end) {
    return std::unexpected(openssl_error(Code::bad_input,
                                         std::string(what) + " is not an X.509 certificate",
                                         "get an unharmed copy of the certificate"));
  }
  EVP_PKEY* key = X509_get0_pubkey(x509.get());
  if (key == nullptr) {
    return std::unexpected(openssl_error(Code::bad_input,
                                         std::string(what) + " has a key that OpenSSL cannot read",
                                         std::string(kUsable)));
  }
  TRY(check_key_type(key, what));
  return adopt_certificate(std::move(x509));
}

std::string Certificate::pem() const {
  const BioPtr output(BIO_new(BIO_s_mem()));
  if (output == nullptr || PEM_write_bio_X509(output.get(), impl_->x509.get()) != 1) return {};
  return bio_text(output.get());
}

std::string Certificate::subject() const {
  const BioPtr output(BIO_new(BIO_s_mem()));
  const X509_NAME* name = X509_get_subject_name(impl_->x509.get());
  // These flags escape controls and all that is not ASCII.
  if (output == nullptr || X509_NAME_print_ex(output.get(), name, 0, XN_FLAG_RFC2253) < 0)
    return {};
  return bio_text(output.get());
}

std::string Certificate::fingerprint() const { return impl_->fingerprint; }

std::string Certificate::key_fingerprint() const {
  unsigned char* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(impl_->x509.get()), &der);
  if (size <= 0) return {};
  const std::string bytes(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return sha256_hex(bytes);
}

bool Certificate::valid_at(Timestamp time) const {
  const int begin = ASN1_TIME_cmp_time_t(X509_get0_notBefore(impl_->x509.get()), time.seconds);
  const int end = ASN1_TIME_cmp_time_t(X509_get0_notAfter(impl_->x509.get()), time.seconds);
  return (begin == -1 || begin == 0) && (end == 0 || end == 1);
}

Result<void> Certificate::may_recover(std::string_view what) const {
  X509* x509 = impl_->x509.get();
  const int kind = EVP_PKEY_get_base_id(X509_get0_pubkey(x509));
  const bool agrees = kind == EVP_PKEY_EC;
  const std::string asked = agrees ? "keyAgreement" : "keyEncipherment";
  if (kind == EVP_PKEY_RSA_PSS)
    return fail(Code::bad_input, std::string(what) + " has an RSA-PSS key, which can only sign",
                "give a certificate with an ECDSA P-256 key and the key usage keyAgreement");
  if ((X509_get_key_usage(x509) & (agrees ? KU_KEY_AGREEMENT : KU_KEY_ENCIPHERMENT)) != 0)
    return {};
  return fail(Code::bad_input,
              std::string(what) + " is not for sealing: its key usage lacks " + asked,
              "give a certificate of its own for recovery (openssl req -x509 ... -addext "
              "keyUsage=critical," +
                  asked + "), not one that signs");
}

Result<PrivateKey> PrivateKey::from_pem(std::string_view pem, std::string_view what) {
  TRY(check_pem_size(pem, what));
  const BioPtr input = memory_bio(pem);
  bool encrypted = false;
  ERR_clear_error();
  KeyPtr key(PEM_read_bio_PrivateKey(input.get(), nullptr, no_password, &encrypted));
  if (key == nullptr) {
    if (encrypted) {
      return std::unexpected(openssl_error(
          Code::bad_input, std::string(what) + " is encrypted with a pass phrase",
          "decrypt it (openssl pkey -in KEY -out PLAIN) and protect it with its file mode"));
    }
    return std::unexpected(
        openssl_error(Code::bad_input, std::string(what) + " is not a private key in PEM form",
                      "give a file that begins with -----BEGIN PRIVATE KEY-----"));
  }
  TRY(check_key_type(key.get(), what));
  const KeyPtr second(PEM_read_bio_PrivateKey(input.get(), nullptr, no_password, &encrypted));
  ERR_clear_error();
  if (second != nullptr || encrypted) {
    return fail(Code::bad_input, std::string(what) + " holds more than one private key",
                "give each key in a file of its own");
  }
  auto impl = std::make_shared<Impl>();
  impl->key = std::move(key);
  return PrivateKey(std::move(impl));
}

bool PrivateKey::matches(const Certificate& certificate) const {
  EVP_PKEY* known = X509_get0_pubkey(certificate.impl().x509.get());
  const bool same = known != nullptr && EVP_PKEY_eq(known, impl_->key.get()) == 1;
  ERR_clear_error();
  return same;
}

Result<NewIdentity> make_identity(std::string_view common_name, Use use, Timestamp now, int days) {
  constexpr int kMostDays = 36'500;
  constexpr std::size_t kMostName = 64;  // ub-common-name of X.520
  if (common_name.empty() || common_name.size() > kMostName || !is_utf8(common_name)) {
    return fail(Code::bad_input,
                "\"" + display(common_name, 100) + "\" is no name for a certificate",
                "give 1 to 64 bytes of UTF-8");
  }
  if (days < 1 || days > kMostDays) {
    return fail(Code::bad_input,
                "a certificate cannot be valid for " + std::to_string(days) + " days",
                "give 1 to " + std::to_string(kMostDays) + " days");
  }
  ERR_clear_error();
  std::string curve = "P-256";
  const KeyPtr key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve.data()));
  const X509Ptr x509(X509_new());
  const BioPtr certificate(BIO_new(BIO_s_mem()));
  const BioPtr secret(BIO_new(BIO_s_secmem()));
  const bool made =
      key != nullptr && x509 != nullptr && certificate != nullptr && secret != nullptr &&
      X509_set_version(x509.get(), X509_VERSION_3) == 1 && set_serial(x509.get()) &&
      set_subject(x509.get(), common_name) && set_validity(x509.get(), now, days) &&
      X509_set_pubkey(x509.get(), key.get()) == 1 && set_extensions(x509.get(), use) &&
      X509_sign(x509.get(), key.get(), EVP_sha256()) > 0 &&
      PEM_write_bio_X509(certificate.get(), x509.get()) == 1 &&
      PEM_write_bio_PrivateKey(secret.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1;
  if (!made) {
    return std::unexpected(openssl_error(
        Code::internal, "no certificate could be made for \"" + display(common_name, 100) + "\"",
        "check the system's time and OpenSSL configuration"));
  }
  return NewIdentity{bio_text(certificate.get()), bio_text(secret.get())};
}

}  // namespace remediate::crypto
