#include "remediate/crypto/seal.h"

#include <array>
#include <optional>
#include <utility>

#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/rsa.h>

#include "remediate/base/try.h"
#include "remediate/crypto/envelope.h"
#include "remediate/crypto/openssl.h"

namespace remediate::crypto {
namespace {

constexpr std::size_t kChunk = 64 * 1024;
/// Room for recipients and for the lengths of the chunks that the content is written in.
constexpr std::uint64_t kMaxSealedObject = kMaxSealedPlain + (std::uint64_t{64} << 20);
constexpr unsigned kFlags = CMS_BINARY | CMS_STREAM | CMS_PARTIAL;
constexpr const char* kDamaged = "use another copy of the object; this one cannot be trusted";

/// Where OpenSSL writes the object: gathers, counts and digests, and keeps a sink's own error.
class Outlet {
 public:
  explicit Outlet(ByteSink& sink) : sink_(sink) { held_.reserve(2 * kChunk); }

  bool take(std::string_view bytes) {
    if (error_) return false;
    held_ += bytes;
    return held_.size() < kChunk || flush();
  }
  bool flush() {
    if (error_) return false;
    if (auto written = sink_.write(held_); !written) {
      error_ = std::move(written).error();
      return false;
    }
    digest_.update(held_);
    size_ += held_.size();
    held_.clear();
    return true;
  }
  [[nodiscard]] std::optional<Error>& error() { return error_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::string sha256() { return digest_.finish_hex(); }

 private:
  ByteSink& sink_;
  std::string held_;
  Digest digest_{Algorithm::sha256};
  std::uint64_t size_ = 0;
  std::optional<Error> error_;
};

int outlet_write(BIO* bio, const char* bytes, std::size_t length, std::size_t* written) {
  BIO_clear_retry_flags(bio);
  *written = 0;
  if (!static_cast<Outlet*>(BIO_get_data(bio))->take({bytes, length})) return 0;
  *written = length;
  return 1;
}

long outlet_control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

const BIO_METHOD* outlet_method() {
  static const auto method = [] {
    std::unique_ptr<BIO_METHOD, Freed<BIO_meth_free>> made(
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "remediate outlet"));
    const bool complete = made != nullptr && BIO_meth_set_write_ex(made.get(), outlet_write) == 1 &&
                          BIO_meth_set_ctrl(made.get(), outlet_control) == 1;
    if (!complete) made.reset();
    return made;
  }();
  return method.get();
}

BioPtr outlet_bio(Outlet& outlet) {
  BioPtr bio(outlet_method() == nullptr ? nullptr : BIO_new(outlet_method()));
  if (bio != nullptr) {
    BIO_set_data(bio.get(), &outlet);
    BIO_set_init(bio.get(), 1);
  }
  return bio;
}

bool set_rsa(CMS_RecipientInfo* recipient) {
  EVP_PKEY_CTX* key = CMS_RecipientInfo_get0_pkey_ctx(recipient);
  return key != nullptr && EVP_PKEY_CTX_set_rsa_padding(key, RSA_PKCS1_OAEP_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_oaep_md(key, EVP_sha256()) == 1;
}

bool set_ecdh(CMS_RecipientInfo* recipient) {
  EVP_PKEY_CTX* key = CMS_RecipientInfo_get0_pkey_ctx(recipient);
  return key != nullptr && EVP_PKEY_CTX_set_ecdh_kdf_md(key, EVP_sha256()) == 1;
}

Result<void> add_recipient(CMS_ContentInfo* cms, const Certificate& certificate) {
  X509* x509 = certificate.impl().x509.get();
  const int type = EVP_PKEY_get_base_id(X509_get0_pubkey(x509));
  if (type == EVP_PKEY_RSA_PSS) {
    return fail(
        Code::bad_input,
        "the key of " + certificate.subject() + " can sign, but nothing can be sealed to it",
        "use a recovery certificate with an ECDSA P-256 or RSA-3072 key");
  }
  CMS_RecipientInfo* recipient = CMS_add1_recipient_cert(cms, x509, kFlags | CMS_KEY_PARAM);
  if (recipient == nullptr || !(type == EVP_PKEY_RSA ? set_rsa(recipient) : set_ecdh(recipient))) {
    return std::unexpected(openssl_error(Code::configuration,
                                         "nothing can be sealed to " + certificate.subject(),
                                         "use a recovery certificate made for key agreement"));
  }
  return {};
}

/// The chain of encrypting and encoding filters; frees them, but not the outlet below.
class Filters {
 public:
  Filters(BIO* outlet, CMS_ContentInfo* cms) : top_(BIO_new_CMS(outlet, cms)), outlet_(outlet) {}
  Filters(const Filters&) = delete;
  Filters& operator=(const Filters&) = delete;
  ~Filters() {
    while (top_ != nullptr && top_ != outlet_) {
      BIO* next = BIO_pop(top_);
      BIO_free(top_);
      top_ = next;
    }
  }
  [[nodiscard]] BIO* top() const { return top_; }

 private:
  BIO* top_;
  BIO* outlet_;
};

std::unexpected<Error> sealing_failed(Outlet& outlet) {
  if (outlet.error()) {
    ERR_clear_error();
    return std::unexpected(std::move(*outlet.error()));
  }
  return std::unexpected(openssl_error(Code::internal, "sealing failed",
                                       "nothing was removed; check the recovery certificates"));
}

/// The streaming filters write nothing at all when there is no content.
bool seal_nothing(CMS_ContentInfo* cms, BIO* outlet) {
  const BioPtr empty = memory_bio("");
  return empty != nullptr && CMS_final(cms, empty.get(), nullptr, CMS_BINARY) == 1 &&
         i2d_CMS_bio(outlet, cms) == 1;
}

Result<std::string> read_object(ByteSource& sealed) {
  std::string object;
  std::vector<char> buffer(kChunk);
  for (;;) {
    TRY_LET(const std::size_t count, sealed.read(buffer));
    if (count == 0) return object;
    if (object.size() + count > kMaxSealedObject) {
      return fail(Code::limit, "the sealed object is larger than any this tool makes",
                  "open it with openssl cms -decrypt on a machine with enough memory");
    }
    object.append(buffer.data(), count);
  }
}

bool addressed_to(CMS_RecipientInfo* recipient, X509* certificate) {
  if (CMS_RecipientInfo_type(recipient) == CMS_RECIPINFO_TRANS) {
    return CMS_RecipientInfo_ktri_cert_cmp(recipient, certificate) == 0;
  }
  if (CMS_RecipientInfo_type(recipient) != CMS_RECIPINFO_AGREE) return false;
  STACK_OF(CMS_RecipientEncryptedKey)* keys = CMS_RecipientInfo_kari_get0_reks(recipient);
  for (int i = 0; i < sk_CMS_RecipientEncryptedKey_num(keys); ++i) {
    auto* key = sk_CMS_RecipientEncryptedKey_value(keys, i);
    if (CMS_RecipientEncryptedKey_cert_cmp(key, certificate) == 0) return true;
  }
  return false;
}

bool addressed_to(CMS_ContentInfo* cms, X509* certificate) {
  STACK_OF(CMS_RecipientInfo)* recipients = CMS_get0_RecipientInfos(cms);
  for (int i = 0; i < sk_CMS_RecipientInfo_num(recipients); ++i) {
    if (addressed_to(sk_CMS_RecipientInfo_value(recipients, i), certificate)) return true;
  }
  return false;
}

std::unexpected<Error> not_authentic() {
  return std::unexpected(openssl_error(Code::signature,
                                       "the sealed object was changed or damaged: it does not "
                                       "authenticate",
                                       kDamaged));
}

Result<CmsPtr> parse_object(ByteSource& sealed) {
  TRY_LET(const std::string object, read_object(sealed));
  if (const std::string_view fault = envelope_fault(object); !fault.empty()) {
    return std::unexpected(openssl_error(
        Code::corrupt, "this is not an object that was sealed here: " + std::string(fault),
        kDamaged));
  }
  const auto* at = reinterpret_cast<const unsigned char*>(object.data());
  CmsPtr cms(d2i_CMS_ContentInfo(nullptr, &at, static_cast<long>(object.size())));
  if (cms == nullptr) {
    return std::unexpected(
        openssl_error(Code::corrupt, "the sealed object is not readable as CMS", kDamaged));
  }
  return cms;
}

}  // namespace

Result<Sealed> seal(ByteSource& plain, ByteSink& sealed,
                    const std::vector<Certificate>& recipients) {
  if (recipients.empty()) {
    return fail(Code::configuration, "there is no recovery certificate to seal to",
                "name at least one recovery certificate in the policy");
  }
  ERR_clear_error();
  const CmsPtr cms(CMS_encrypt(nullptr, nullptr, EVP_aes_256_gcm(), kFlags));
  Outlet outlet(sealed);
  const BioPtr bottom = outlet_bio(outlet);
  if (cms == nullptr || bottom == nullptr) return sealing_failed(outlet);
  for (const Certificate& certificate : recipients) TRY(add_recipient(cms.get(), certificate));

  Sealed result;
  Digest digest(Algorithm::sha256);
  std::vector<char> buffer(kChunk);
  std::optional<Filters> filters;
  for (;;) {
    TRY_LET(const std::size_t count, plain.read(buffer));
    if (count == 0) break;
    result.plain_size += count;
    if (result.plain_size > kMaxSealedPlain) {
      return fail(Code::limit, "more than 1 GiB cannot be sealed into one object",
                  "treat this file by hand");
    }
    digest.update({buffer.data(), count});
    if (!filters) filters.emplace(bottom.get(), cms.get());
    if (filters->top() == nullptr ||
        BIO_write(filters->top(), buffer.data(), static_cast<int>(count)) !=
            static_cast<int>(count)) {
      return sealing_failed(outlet);
    }
  }
  // The flush ends the cipher and writes the tag behind the content.
  const bool ended =
      filters ? BIO_flush(filters->top()) == 1 : seal_nothing(cms.get(), bottom.get());
  if (!ended || !outlet.flush()) return sealing_failed(outlet);
  result.plain_sha256 = digest.finish_hex();
  result.sealed_sha256 = outlet.sha256();
  result.sealed_size = outlet.size();
  return result;
}

Result<StreamDigest> unseal(ByteSource& sealed, ByteSink& plain, const Certificate& certificate,
                            const PrivateKey& key) {
  ERR_clear_error();
  TRY_LET(const CmsPtr cms, parse_object(sealed));
  X509* x509 = certificate.impl().x509.get();
  if (!addressed_to(cms.get(), x509) || !key.matches(certificate)) {
    return fail(Code::not_found,
                "the sealed object cannot be opened with the key and certificate of " +
                    certificate.subject(),
                "use the recovery certificate it was sealed to together with its own key");
  }
  if (CMS_decrypt_set1_pkey(cms.get(), key.impl().key.get(), x509) != 1) return not_authentic();
  const BioPtr decrypted(CMS_dataInit(cms.get(), nullptr));
  if (decrypted == nullptr || BIO_method_type(decrypted.get()) != BIO_TYPE_CIPHER) {
    return not_authentic();
  }
  StreamDigest result;
  Digest digest(Algorithm::sha256);
  std::vector<char> buffer(kChunk);
  for (;;) {
    const int count = BIO_read(decrypted.get(), buffer.data(), static_cast<int>(buffer.size()));
    if (count <= 0) {
      // The cipher's status is where a wrong tag shows; the read itself ends in silence.
      if (count < 0 || BIO_get_cipher_status(decrypted.get()) != 1) return not_authentic();
      break;
    }
    const std::string_view bytes(buffer.data(), static_cast<std::size_t>(count));
    TRY(plain.write(bytes));
    digest.update(bytes);
    result.size += bytes.size();
  }
  ERR_clear_error();
  result.sha256 = digest.finish_hex();
  return result;
}

}  // namespace remediate::crypto
