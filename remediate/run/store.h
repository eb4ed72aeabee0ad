#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "quarantine/vault.h"
#include "remediate/crypto/certificate.h"
#include "remediate/host/host.h"

namespace remediate::run {

/// How the folder is named, with a number behind, that keeps the keys of a store never made whole.
constexpr std::string_view unfinished_keys = "unfinished-keys-";

/// Keys for a new store; PEM text. What is missing is made: a P-256 signer, a recovery identity.
struct StoreKeys {
  std::string signer_certificate;
  std::string signer_key;
  std::string recovery_certificate;  // without its key: the private half is elsewhere
};

/// The tool's own folder: keys, runs, journals, objects, hold. One writer at a time.
class Store {
 public:
  /// not_found when there is none.
  [[nodiscard]] static Result<std::unique_ptr<Store>> open(host::Host& host,
                                                           const std::string& path);
  /// Opens or, on first use, makes one with keys of its own; `created()` tells which.
  [[nodiscard]] static Result<std::unique_ptr<Store>> open_or_create(host::Host& host,
                                                                     const std::string& path);
  /// already_exists when there is a store, refused where keys are left of one. Durable when it
  /// returns. Keys of an attempt that was cut short are put aside, never overwritten.
  [[nodiscard]] static Result<std::unique_ptr<Store>> create(host::Host& host,
                                                             const std::string& path,
                                                             const StoreKeys& keys);

  /// busy while another instance works on this store. Released by the destructor.
  [[nodiscard]] Result<std::unique_ptr<host::Lock>> lock() const;
  [[nodiscard]] bool created() const { return created_; }
  /// The folder in the store where keys of an attempt before were put by create(); else empty.
  [[nodiscard]] const std::string& aside() const { return aside_; }
  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  /// Of store.json, which names the certificates: every run records it.
  [[nodiscard]] const std::string& sha256() const { return sha256_; }
  [[nodiscard]] const host::Directory& root() const { return *root_; }
  [[nodiscard]] const host::Directory& keys() const { return *keys_; }
  [[nodiscard]] const host::Directory& runs() const { return *runs_; }
  [[nodiscard]] const host::Directory& journals() const { return *journals_; }
  [[nodiscard]] const quarantine::Vault& vault() const { return *vault_; }
  [[nodiscard]] const crypto::Certificate& signer() const { return *signer_; }
  [[nodiscard]] const crypto::Certificate& recovery() const { return *recovery_; }
  /// Read when asked for: commands that only verify need no private key.
  [[nodiscard]] Result<crypto::PrivateKey> signer_key() const;
  /// not_found when the private half is kept elsewhere.
  [[nodiscard]] Result<crypto::PrivateKey> recovery_key() const;
  [[nodiscard]] Result<std::vector<std::string>> run_names() const;  // sorted

 private:
  Store() = default;
  [[nodiscard]] Result<void> load();
  std::unique_ptr<host::Directory> root_, keys_, runs_, journals_;
  std::optional<quarantine::Vault> vault_;
  std::optional<crypto::Certificate> signer_, recovery_;
  std::string id_, path_, sha256_, aside_;
  bool created_ = false;
};

}  // namespace remediate::run
