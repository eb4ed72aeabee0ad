#pragma once

// Private to this folder: owners of OpenSSL objects and its errors as ours.

#include <memory>
#include <string>

#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "remediate/base/error.h"
#include "remediate/crypto/certificate.h"

namespace remediate::crypto {

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using BioPtr = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using CmsPtr = std::unique_ptr<CMS_ContentInfo, Freed<CMS_ContentInfo_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using X509Ptr = std::unique_ptr<X509, Freed<X509_free>>;

struct Certificate::Impl {
  X509Ptr x509;
  std::string fingerprint;
};

struct PrivateKey::Impl {
  KeyPtr key;
};

/// A failed call of OpenSSL: the reasons it queued become the causes, the queue is emptied.
[[nodiscard]] Error openssl_error(Code code, std::string message, std::string remedy = {});
/// The bytes as a read-only BIO, or nothing when they are too many for one.
[[nodiscard]] BioPtr memory_bio(std::string_view bytes);
[[nodiscard]] std::string bio_text(BIO* memory);

/// Takes over `x509`; the key's type is not checked.
[[nodiscard]] Result<Certificate> adopt_certificate(X509Ptr x509);
/// Refuses keys that CMS of OpenSSL 3.0 cannot use, and weak ones.
[[nodiscard]] Result<void> check_key_type(EVP_PKEY* key, std::string_view what);

}  // namespace remediate::crypto
