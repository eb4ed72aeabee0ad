#include "quarantine/vault.h"

#include <algorithm>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/host/durable.h"

namespace quarantine {
namespace {

using remediate::Code;
using remediate::Error;
using remediate::fail;

constexpr std::uint64_t hole_block = 4096;

bool same_file(const FileId& a, const FileId& b) {
  return a.device == b.device && a.inode == b.inode;
}

/// Writes through and leaves zeros as holes, of the original's holes where these are known, else
/// of whole blocks. What is not zero is always written.
class SparseSink final : public remediate::ByteSink {
 public:
  SparseSink(host::File& file, const remediate::Metadata* original)
      : file_(file), original_(original) {}
  Result<void> write(std::string_view bytes) override {
    while (!bytes.empty()) {
      std::uint64_t end = (size_ / hole_block + 1) * hole_block;
      const bool may_be_hole = in_hole(end);
      const std::string_view part = bytes.substr(
          0, static_cast<std::size_t>(std::min<std::uint64_t>(end - size_, bytes.size())));
      if (!may_be_hole || part.find_first_not_of('\0') != std::string_view::npos)
        TRY(file_.write_at(size_, part));
      size_ += part.size();
      digest_.update(part);
      bytes.remove_prefix(part.size());
    }
    return {};
  }
  Result<std::string> finish() {
    TRY(file_.truncate(size_));
    return digest_.finish_hex();
  }

 private:
  /// Whether the original has a hole at size_; `end` moves to where that changes, if it is nearer.
  bool in_hole(std::uint64_t& end) {
    if (original_ == nullptr) return true;
    if (!original_->sparse) return false;
    const auto& extents = original_->extents;
    while (next_ < extents.size() && extents[next_].offset + extents[next_].length <= size_)
      ++next_;
    if (next_ == extents.size()) return true;
    const remediate::DataExtent& extent = extents[next_];
    const bool hole = size_ < extent.offset;
    end = std::min(end, hole ? extent.offset : extent.offset + extent.length);
    return hole;
  }

  host::File& file_;
  const remediate::Metadata* original_;
  std::size_t next_ = 0;  // the first extent that ends after size_
  std::uint64_t size_ = 0;
  crypto::Digest digest_{crypto::Algorithm::sha256};
};

/// Who owns the top of a mount can rename a hold that lies there.
Result<void> check_mount_top(const host::Directory& top, std::uint32_t user) {
  TRY_LET(const remediate::FileStat stat, top.stat());
  const bool shared = (stat.mode & 022u) != 0 && (stat.mode & 01000u) == 0;
  if (shared || (stat.owner != 0 && stat.owner != user))
    return fail(Code::refused,
                "the top of the mount, " + top.location() +
                    ", can be changed by another user, so no hold is safe there",
                "use --store with a private folder on that mount, or give its top to root");
  return {};
}

Result<void> check_private(const host::Directory& hold, std::uint32_t user) {
  TRY_LET(const remediate::FileStat stat, hold.stat());
  if ((stat.mode & 0777u) != 0700 || stat.owner != user)
    return fail(Code::refused, "the hold " + hold.location() + " is not private to this tool",
                "look who made it or changed it; nothing was done with it");
  return {};
}

std::string object_file(const std::string& digest) { return digest + ".p7m"; }

}  // namespace

Result<Vault> Vault::open(const host::Directory& store, std::string store_id) {
  Vault vault(std::move(store_id));
  TRY_LET(vault.objects_, host::ensure_directory(store, "objects", 0700));
  TRY_LET(vault.hold_, host::ensure_directory(store, "hold", 0700));
  return vault;
}

Result<Vault::HoldDirectory> Vault::make_hold(const host::Directory& target,
                                              const std::string& run) const {
  TRY_LET(const remediate::FileStat here, hold_->stat());
  TRY_LET(const remediate::FileStat there, target.stat());
  if (here.id.device == there.id.device && here.id.mount == there.id.mount) {
    TRY_LET(auto directory, host::ensure_directory(*hold_, run, 0700));
    TRY(hold_->sync());
    return HoldDirectory{HoldPlace::store, std::move(directory)};
  }
  TRY_LET(const auto top, target.mount_top());
  TRY(check_mount_top(*top, here.owner));
  const std::string name = ".remediate-hold-" + store_id_;
  auto base = host::ensure_directory(*top, name, 0700);
  if (!base)
    return std::unexpected(
        std::move(base).error().wrapped("cannot make the hold " + top->location() + "/" + name +
                                        " (use --store with a folder on the target's mount)"));
  TRY(check_private(**base, here.owner));
  TRY_LET(auto directory, host::ensure_directory(**base, run, 0700));
  TRY((*base)->sync());
  TRY(top->sync());
  return HoldDirectory{HoldPlace::mount_top, std::move(directory)};
}

Result<std::unique_ptr<host::Directory>> Vault::open_hold(HoldPlace place,
                                                          const host::Directory& target,
                                                          const std::string& run) const {
  TRY_LET(const RawPath below, RawPath::parse(run));
  if (place == HoldPlace::store) return hold_->open_directory(below, host::Mounts::stay);
  TRY_LET(const auto top, target.mount_top());
  TRY_LET(const RawPath base, RawPath::parse(".remediate-hold-" + store_id_));
  TRY_LET(const auto directory, top->open_directory(base, host::Mounts::stay));
  TRY_LET(const remediate::FileStat here, hold_->stat());
  TRY(check_private(*directory, here.owner));
  return directory->open_directory(below, host::Mounts::stay);
}

std::expected<void, NotCaptured> Vault::capture(const host::Directory& parent,
                                                std::string_view name, const FileId& expected,
                                                const host::Directory& hold,
                                                const std::string& hold_name) const {
  using Kind = NotCaptured::Kind;
  if (auto moved = parent.rename(name, hold, hold_name); !moved) {
    const Kind kind = moved.error().code == Code::not_found ? Kind::vanished : Kind::failed;
    return std::unexpected(NotCaptured{kind, std::move(moved).error()});
  }
  auto held = hold.stat_entry(hold_name);
  if (held && same_file(held->id, expected)) return {};
  Error reason = held ? Error{Code::changed,
                              "another file took the name " + remediate::display(name) +
                                  " since the plan was made",
                              "make a new plan"}
                      : std::move(held).error();
  if (auto back = hold.rename(hold_name, parent, name); !back) {
    reason.causes.push_back("it could not be put back: " + back.error().text());
    reason.remedy =
        "it is kept in the hold: `remediate rollback` puts it back when its name is free, --outbox "
        "takes it elsewhere";
    return std::unexpected(NotCaptured{Kind::other_file_held, std::move(reason)});
  }
  return std::unexpected(NotCaptured{Kind::other_file_put_back, std::move(reason)});
}

Result<PendingObject> Vault::seal(const host::File& original,
                                  const std::vector<crypto::Certificate>& recipients) const {
  host::FileSource source(original);
  return seal(source, recipients);
}

Result<PendingObject> Vault::seal(remediate::ByteSource& plain,
                                  const std::vector<crypto::Certificate>& recipients) const {
  PendingObject pending;
  TRY_LET(pending.file, objects_->create_unnamed(0600));
  host::FileSink sink(*pending.file);
  TRY_LET(pending.sealed, crypto::seal(plain, sink, recipients));
  if (sink.written() != pending.sealed.sealed_size)
    return fail(Code::io, "a sealed object has another length than was written",
                "check the store's file system");
  return pending;
}

Result<void> Vault::keep(const std::vector<PendingObject>& objects) const {
  if (objects.empty()) return {};
  TRY(objects_->sync_filesystem());
  for (const PendingObject& object : objects) {
    object.file->drop_cache();
    host::FileSource source(*object.file);
    TRY_LET(const crypto::StreamDigest back, crypto::sha256_stream(source));
    if (back.sha256 != object.sealed.sealed_sha256 || back.size != object.sealed.sealed_size)
      return fail(Code::corrupt, "a sealed object reads back differently from what was written",
                  "check the store's disk; the originals stay in the hold");
    auto linked = objects_->link_file(*object.file, object_file(object.sealed.sealed_sha256));
    if (!linked && linked.error().code != Code::already_exists) return linked;
  }
  return objects_->sync_filesystem();
}

Result<void> Vault::discard(const std::string& name) const {
  auto removed = objects_->remove_file(object_file(name));
  if (!removed && removed.error().code == Code::not_found) return {};
  return removed;
}

Result<std::uint64_t> Vault::check_object(const std::string& name) const {
  TRY_LET(const auto file, objects_->open_file(object_file(name), host::Access::read));
  host::FileSource source(*file);
  TRY_LET(const crypto::StreamDigest digest, crypto::sha256_stream(source));
  if (digest.sha256 != name)
    return fail(Code::corrupt,
                "sealed object " + name + " does not have the digest that it is named by",
                "it was damaged or changed: take it from a backup");
  return digest.size;
}

Result<void> Vault::unseal(const std::string& name, const std::string& sha256, host::File& into,
                           const crypto::Certificate& certificate, const crypto::PrivateKey& key,
                           const remediate::Metadata* original) const {
  TRY(check_object(name));
  TRY_LET(const auto file, objects_->open_file(object_file(name), host::Access::read));
  host::FileSource source(*file);
  SparseSink sink(into, original);
  TRY(crypto::unseal(source, sink, certificate, key));
  TRY_LET(const std::string digest, sink.finish());
  if (digest != sha256)
    return fail(Code::corrupt, "sealed object " + name + " holds other bytes than its entry says",
                "do not use it; compare the manifest with a witness or a backup");
  return {};
}

Result<void> Vault::open_object(const std::string& name, const std::string& sha256,
                                const crypto::Certificate& certificate,
                                const crypto::PrivateKey& key) const {
  class Nowhere final : public remediate::ByteSink {
   public:
    Result<void> write(std::string_view) override { return {}; }
  };
  TRY(check_object(name));
  TRY_LET(const auto file, objects_->open_file(object_file(name), host::Access::read));
  host::FileSource source(*file);
  Nowhere sink;
  TRY_LET(const crypto::StreamDigest plain, crypto::unseal(source, sink, certificate, key));
  if (plain.sha256 != sha256)
    return fail(Code::corrupt, "sealed object " + name + " holds other bytes than its entry says",
                "do not use it; compare the manifest with a witness or a backup");
  return {};
}

}  // namespace quarantine
