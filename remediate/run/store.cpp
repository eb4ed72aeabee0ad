#include "remediate/run/store.h"

#include <algorithm>
#include <array>

#include "remediate/base/clock.h"
#include "remediate/base/encoding.h"
#include "remediate/base/json.h"
#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"
#include "remediate/host/durable.h"

namespace remediate::run {
namespace {

constexpr int key_days = 3650;
constexpr std::uint64_t max_key_bytes = 64u << 10;
constexpr std::size_t max_leftovers = 64;
constexpr std::string_view marker = "store.json";
/// What becomes store.json by its new name: as long as it is there, the store never was whole.
constexpr std::string_view making = "store.making";
constexpr std::array<std::string_view, 4> folders = {"runs", "journal", "objects", "hold"};

Result<bool> exists(const host::Directory& directory, std::string_view name) {
  auto stat = directory.stat_entry(name);
  if (stat) return true;
  if (stat.error().code == Code::not_found) return false;
  return std::unexpected(std::move(stat).error());
}

Result<void> check_private(const host::Directory& directory, std::string_view what,
                           const char* remedy, std::uint32_t user) {
  TRY_LET(const FileStat stat, directory.stat());
  if ((stat.mode & 077u) != 0)
    return fail(Code::configuration,
                std::string(what) + " " + directory.location() + " can be reached by others",
                remedy);
  if (stat.owner != user)
    return fail(Code::permission,
                std::string(what) + " " + directory.location() + " belongs to user " +
                    std::to_string(stat.owner),
                "run as that user, or name another folder with --store");
  return {};
}

/// One of the store's own certificates, byte for byte as it was written when the store was made.
Result<crypto::Certificate> read_certificate(const host::Directory& keys, const std::string& name,
                                             const std::string& where,
                                             const std::string& fingerprint) {
  TRY_LET(const std::string pem, host::read_whole(keys, name, max_key_bytes));
  TRY_LET(crypto::Certificate certificate, crypto::Certificate::from_pem(pem, where + name));
  if (certificate.pem() != pem || certificate.fingerprint() != fingerprint)
    return fail(Code::corrupt,
                where + name + " is not the certificate that the store was made with",
                "it was damaged or replaced: take it from a backup, or use another store");
  return certificate;
}

Result<bool> is_empty_folder(const host::Directory& root, std::string_view name) {
  TRY_LET(const RawPath path, RawPath::parse(name));
  TRY_LET(const auto folder, root.open_directory(path, host::Mounts::stay));
  bool empty = true;
  TRY(folder->each_entry([&](std::string_view, FileKind) { return empty = false; }));
  return empty;
}

std::string aside_name(std::size_t number) {
  return std::string(unfinished_keys) + std::to_string(number);
}

/// What is there when making a store was cut short. Keys without the file that says so are another
/// matter: they may be all that opens what was sealed.
Result<void> check_leftover(const host::Directory& root, std::string_view name, bool begun,
                            const std::string& path) {
  if (name == "lock" || name == making || name.starts_with(".writing-") ||
      name.starts_with(unfinished_keys) || (name == "keys" && begun))
    return {};
  if (name == "keys" || std::ranges::find(folders, name) != folders.end()) {
    TRY_LET(const bool empty, is_empty_folder(root, name));
    if (empty) return {};
  }
  if (name == "keys")
    return fail(Code::refused,
                display(path) +
                    " has keys and no store.json: they may be what opens the objects "
                    "of a store, and are not overwritten",
                "put store.json back from a backup, or name another folder with --store; move "
                "keys/ away only when nothing was ever sealed to them");
  return fail(Code::refused, display(path) + " is not empty and not a store",
              "name an empty or a new folder with --store");
}

/// Listed before the marker is looked for: a store that appears meanwhile is seen as one.
Result<void> check_vacant(const host::Directory& root, const std::string& path) {
  std::vector<std::string> names;
  TRY(root.each_entry([&](std::string_view name, FileKind) {
    names.emplace_back(name);
    return names.size() <= max_leftovers;
  }));
  TRY_LET(const bool present, exists(root, marker));
  if (present)
    return fail(Code::already_exists, "there is a store at " + display(path),
                "use it, or name another folder with --store");
  if (names.size() > max_leftovers)
    return fail(Code::refused, display(path) + " is not empty and not a store",
                "name an empty or a new folder with --store");
  std::ranges::sort(names);  // keys before what was sealed to them
  TRY_LET(const bool begun, exists(root, making));
  for (const std::string& name : names) TRY(check_leftover(root, name, begun, path));
  return {};
}

/// Nothing was sealed to the keys of a store that never was whole; they are kept all the same.
Result<std::string> put_aside(const host::Directory& root) {
  TRY_LET(const bool begun, exists(root, making));
  if (!begun) return std::string();
  std::string aside;
  TRY_LET(const bool keys, exists(root, "keys"));
  for (std::size_t number = 1; keys && aside.empty(); ++number) {
    auto renamed = root.rename("keys", root, aside_name(number));
    if (renamed)
      aside = aside_name(number);
    else if (renamed.error().code != Code::already_exists || number == max_leftovers)
      return std::unexpected(std::move(renamed).error());
  }
  if (!aside.empty()) TRY(root.sync());
  TRY(root.remove_file(making));
  return aside;
}

Result<std::unique_ptr<host::Lock>> lock_of(const host::Directory& root, const std::string& path) {
  auto lock = root.lock("lock");
  if (!lock && lock.error().code == Code::busy)
    return fail(Code::busy, "another instance works on the store " + display(path),
                "wait until it has ended");
  return lock;
}

}  // namespace

Result<void> Store::load() {
  TRY_LET(const std::string bytes, host::read_whole(*root_, marker, max_key_bytes));
  TRY_LET(const Json json, parse_json(bytes, path_ + "/" + std::string(marker)));
  JsonReader reader(json, "");
  TRY_LET(const std::int64_t version, reader.integer("format_version"));
  if (version != 1)
    return fail(Code::configuration, path_ + " is a store of another format",
                "use the version of the tool that made it");
  TRY_LET(id_, reader.string("store_id"));
  TRY(reader.string("created"));
  TRY_LET(const std::string signer, reader.string("signer"));
  TRY_LET(const std::string recovery, reader.string("recovery"));
  TRY(reader.done());
  sha256_ = crypto::sha256_hex(bytes);
  TRY_LET(keys_, host::ensure_directory(*root_, "keys", 0700));
  TRY_LET(runs_, host::ensure_directory(*root_, "runs", 0700));
  TRY_LET(journals_, host::ensure_directory(*root_, "journal", 0700));
  TRY_LET(vault_, quarantine::Vault::open(*root_, id_));
  const std::string where = path_ + "/keys/";
  TRY_LET(signer_, read_certificate(*keys_, "signer.crt", where, signer));
  TRY_LET(recovery_, read_certificate(*keys_, "recovery.crt", where, recovery));
  return {};
}

Result<std::unique_ptr<Store>> Store::open(host::Host& host, const std::string& path) {
  std::unique_ptr<Store> store(new Store());
  store->path_ = path;
  auto root = host.open_root(path);
  if (!root && root.error().code == Code::not_found)
    return fail(Code::not_found, "there is no store at " + display(path),
                "name it with --store, or make one with `remediate init`");
  if (!root) return std::unexpected(std::move(root).error());
  store->root_ = std::move(*root);
  TRY_LET(const bool present, exists(*store->root_, marker));
  if (!present)
    return fail(Code::not_found, "there is no store at " + display(path),
                "name it with --store, or make one with `remediate init`");
  TRY(check_private(*store->root_, "the store", "chmod 700 it and look who changed it",
                    host.user()));
  if (auto loaded = store->load(); !loaded)
    return std::unexpected(
        std::move(loaded).error().wrapped("the store " + display(path) + " cannot be used"));
  return store;
}

Result<std::unique_ptr<Store>> Store::create(host::Host& host, const std::string& path,
                                             const StoreKeys& given) {
  TRY_LET(auto root, host.make_root(path));
  TRY(check_vacant(*root, path));
  TRY(check_private(*root, "the folder for a new store,", "chmod 700 it, then try again",
                    host.user()));
  TRY_LET(const auto lock, lock_of(*root, path));  // two may begin at once
  TRY(check_vacant(*root, path));

  StoreKeys keys = given;
  if (keys.signer_certificate.empty() != keys.signer_key.empty())
    return fail(Code::usage, "a signer needs both its certificate and its key",
                "give --signer-cert and --signer-key together");
  if (keys.signer_certificate.empty()) {
    TRY_LET(crypto::NewIdentity made,
            crypto::make_identity("remediate signer", crypto::Use::sign, host.now(), key_days));
    keys.signer_certificate = std::move(made.certificate_pem);
    keys.signer_key = std::move(made.key_pem);
  }
  std::string recovery_key;
  if (keys.recovery_certificate.empty()) {
    TRY_LET(
        crypto::NewIdentity made,
        crypto::make_identity("remediate recovery", crypto::Use::recover, host.now(), key_days));
    keys.recovery_certificate = std::move(made.certificate_pem);
    recovery_key = std::move(made.key_pem);
  }
  TRY_LET(const auto signer,
          crypto::Certificate::from_pem(keys.signer_certificate, "the signer's certificate"));
  TRY_LET(const auto signer_key, crypto::PrivateKey::from_pem(keys.signer_key, "the signer's key"));
  if (!signer_key.matches(signer))
    return fail(Code::configuration, "the signer's key does not belong to its certificate",
                "give a pair that belongs together");
  TRY_LET(const auto recovery,
          crypto::Certificate::from_pem(keys.recovery_certificate, "the recovery certificate"));
  TRY(recovery.may_recover("the recovery certificate"));

  TRY_LET(const std::string id, crypto::random_hex(8));
  const Json json{{"format_version", 1},
                  {"store_id", id},
                  {"created", format_utc(host.now())},
                  {"signer", signer.fingerprint()},
                  {"recovery", recovery.fingerprint()}};
  TRY_LET(std::string aside, put_aside(*root));
  TRY(host::write_durable(*root, making, write_json(json)));  // before the first key
  TRY_LET(const auto folder, host::ensure_directory(*root, "keys", 0700));
  TRY(host::write_durable(*folder, "signer.crt", signer.pem(), 0644));
  TRY(host::write_durable(*folder, "signer.key", keys.signer_key));
  TRY(host::write_durable(*folder, "recovery.crt", recovery.pem(), 0644));
  if (!recovery_key.empty()) TRY(host::write_durable(*folder, "recovery.key", recovery_key));
  // Before the marker: commands that only read may not make what is missing.
  for (const std::string_view name : folders) TRY(host::ensure_directory(*root, name, 0700));
  TRY(root->rename(making, *root, marker));  // last: a store is whole or is none
  TRY(root->sync());
  TRY_LET(auto store, open(host, path));
  store->created_ = true;
  store->aside_ = std::move(aside);
  return store;
}

Result<std::unique_ptr<Store>> Store::open_or_create(host::Host& host, const std::string& path) {
  auto store = open(host, path);
  if (store || store.error().code != Code::not_found) return store;
  auto made = create(host, path, {});
  if (!made && made.error().code == Code::already_exists) return open(host, path);
  return made;
}

Result<std::unique_ptr<host::Lock>> Store::lock() const { return lock_of(*root_, path_); }

Result<crypto::PrivateKey> Store::signer_key() const {
  TRY_LET(const std::string pem, host::read_whole(*keys_, "signer.key", max_key_bytes));
  return crypto::PrivateKey::from_pem(pem, path_ + "/keys/signer.key");
}

Result<crypto::PrivateKey> Store::recovery_key() const {
  TRY_LET(const std::string pem, host::read_whole(*keys_, "recovery.key", max_key_bytes));
  return crypto::PrivateKey::from_pem(pem, path_ + "/keys/recovery.key");
}

Result<std::vector<std::string>> Store::run_names() const {
  std::vector<std::string> names;
  TRY(runs_->each_entry([&](std::string_view name, FileKind) {
    if (!name.starts_with('.')) names.emplace_back(name);  // a run that is being made
    return true;
  }));
  std::ranges::sort(names);
  return names;
}

}  // namespace remediate::run
