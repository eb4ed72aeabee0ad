#pragma once

#include <memory>
#include <string>
#include <vector>

#include "quarantine/entry.h"
#include "remediate/crypto/certificate.h"
#include "remediate/crypto/digest.h"
#include "remediate/crypto/seal.h"
#include "remediate/host/directory.h"

namespace quarantine {

namespace host = remediate::host;
namespace crypto = remediate::crypto;

/// A sealed copy that has no name yet: it exists only while this value does.
struct PendingObject {
  std::unique_ptr<host::File> file;
  crypto::Sealed sealed;
};

/// Why a capture did not leave the approved file in the hold.
struct NotCaptured {
  enum class Kind : std::uint8_t { vanished, other_file_put_back, other_file_held, failed } kind;
  remediate::Error error;
};

/// The store's objects/ and the holds. It knows files, not why they are captured.
class Vault {
 public:
  /// Creates objects/ and hold/ when missing (0700).
  [[nodiscard]] static Result<Vault> open(const host::Directory& store, std::string store_id);

  struct HoldDirectory {
    HoldPlace place;
    std::unique_ptr<host::Directory> directory;  // .../hold/RUN
  };
  /// The hold of `run` on the mount of `target`: in the store when it is on the same mount, else
  /// in .remediate-hold-STORE at the top of that mount, owned by this user with mode 0700
  /// (refused when somebody else made it).
  [[nodiscard]] Result<HoldDirectory> make_hold(const host::Directory& target,
                                                const std::string& run) const;
  /// The same for a run that exists; not_found when the hold is gone. `target` is any directory on
  /// the mount and is only looked at for HoldPlace::mount_top.
  [[nodiscard]] Result<std::unique_ptr<host::Directory>> open_hold(HoldPlace place,
                                                                   const host::Directory& target,
                                                                   const std::string& run) const;

  /// Takes `name` out of `parent` into the hold, never overwriting, and looks there whether it
  /// is `expected`; another file goes back to its name, or stays held when the name was taken
  /// meanwhile. Not durable until both directories are synced.
  [[nodiscard]] std::expected<void, NotCaptured> capture(const host::Directory& parent,
                                                         std::string_view name,
                                                         const FileId& expected,
                                                         const host::Directory& hold,
                                                         const std::string& hold_name) const;

  /// One read: digest and sealed copy of what was read. Nothing is durable.
  [[nodiscard]] Result<PendingObject> seal(
      const host::File& original, const std::vector<crypto::Certificate>& recipients) const;
  [[nodiscard]] Result<PendingObject> seal(
      remediate::ByteSource& plain, const std::vector<crypto::Certificate>& recipients) const;
  /// Makes the objects durable, reads each back from the disk, compares, and gives each its
  /// digest as a name. Durable when it returns. On an error none may be relied on.
  [[nodiscard]] Result<void> keep(const std::vector<PendingObject>& objects) const;
  /// Removes an object of a run that never began; there may be none.
  [[nodiscard]] Result<void> discard(const std::string& name) const;
  /// Reads a sealed object again; corrupt when its bytes do not give its name.
  [[nodiscard]] Result<std::uint64_t> check_object(const std::string& name) const;
  /// Proves that a sealed object opens to the bytes of `sha256`; they are written nowhere.
  [[nodiscard]] Result<void> open_object(const std::string& name, const std::string& sha256,
                                         const crypto::Certificate& certificate,
                                         const crypto::PrivateKey& key) const;
  /// Decrypts into `into` (an empty file) and compares with `sha256`. Not durable. With `original`
  /// its holes, and no others, are holes again; without, every block of zeros is one.
  [[nodiscard]] Result<void> unseal(const std::string& name, const std::string& sha256,
                                    host::File& into, const crypto::Certificate& certificate,
                                    const crypto::PrivateKey& key,
                                    const remediate::Metadata* original = nullptr) const;
  [[nodiscard]] const host::Directory& objects() const { return *objects_; }

 private:
  explicit Vault(std::string store_id) : store_id_(std::move(store_id)) {}
  std::string store_id_;
  std::unique_ptr<host::Directory> objects_;
  std::unique_ptr<host::Directory> hold_;
};

}  // namespace quarantine
