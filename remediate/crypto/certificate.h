#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "remediate/base/file_facts.h"

namespace remediate::crypto {

/// What an X.509 certificate is used for here.
enum class Use : std::uint8_t { sign, recover };

/// A public certificate. Copies share the parsed form.
class Certificate {
 public:
  struct Impl;
  /// One PEM certificate; refuses a second one, and keys that CMS cannot use with
  /// OpenSSL 3.0 (Ed25519), naming those that can (ECDSA P-256, RSA-3072).
  [[nodiscard]] static Result<Certificate> from_pem(std::string_view pem, std::string_view what);
  [[nodiscard]] std::string pem() const;
  [[nodiscard]] std::string subject() const;      // RFC 2253, safe to print
  [[nodiscard]] std::string fingerprint() const;  // SHA-256 of the DER form, hexadecimal
  /// SHA-256 of the public key: equal for two certificates of one key pair.
  [[nodiscard]] std::string key_fingerprint() const;
  [[nodiscard]] bool valid_at(Timestamp time) const;
  /// bad_input when nothing can be sealed to it, or its key usage says that it is for something
  /// else: an EC key needs keyAgreement, an RSA key keyEncipherment. One that says nothing
  /// of its usage is for all.
  [[nodiscard]] Result<void> may_recover(std::string_view what) const;
  [[nodiscard]] const Impl& impl() const { return *impl_; }
  explicit Certificate(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<const Impl> impl_;
};

/// A private key; wiped when destroyed. PEM, not encrypted (protect it with its mode).
class PrivateKey {
 public:
  struct Impl;
  [[nodiscard]] static Result<PrivateKey> from_pem(std::string_view pem, std::string_view what);
  [[nodiscard]] bool matches(const Certificate& certificate) const;
  [[nodiscard]] const Impl& impl() const { return *impl_; }
  explicit PrivateKey(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<const Impl> impl_;
};

struct NewIdentity {
  std::string certificate_pem;
  std::string key_pem;
};
/// A self-signed P-256 certificate, valid from `now` for `days`. sign: digitalSignature with
/// EKU emailProtection and codeSigning; recover: keyAgreement.
[[nodiscard]] Result<NewIdentity> make_identity(std::string_view common_name, Use use,
                                                Timestamp now, int days);

}  // namespace remediate::crypto
