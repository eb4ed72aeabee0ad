#include <algorithm>
#include <iostream>
#include <iterator>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/cli/output_file.h"
#include "remediate/cli/sandbox.h"
#include "remediate/host/durable.h"
#include "remediate/host/process.h"

namespace remediate::cli {
namespace {

struct Place {
  std::string folder;
  std::string name;
};
Place place_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

constexpr std::uint64_t max_key_bytes = 64u << 10;

/// Whole and durable under a name that is free; already_exists when it was taken meanwhile.
Result<void> write_new(const host::Directory& directory, const std::string& name,
                       const std::string& bytes) {
  constexpr std::uint32_t mode = 0600;
  auto file = directory.create_unnamed(mode);
  const bool named = !file && file.error().code == Code::unsupported;
  if (named) file = directory.create_file(name, mode);
  if (!file) return std::unexpected(std::move(file).error());
  const auto fill = [&]() -> Result<void> {
    TRY((*file)->write_at(0, bytes));
    return (*file)->sync();
  };
  if (auto filled = fill(); !filled) {
    // Nothing can be done about a failure here; the caller has an error already.
    if (named) (void)directory.remove_file(name);
    return filled;
  }
  if (!named) TRY(directory.link_file(**file, name));
  return directory.sync();
}

/// Its directory, in which `name` must be free: already_exists, or refused for what is no file.
Result<std::unique_ptr<host::Directory>> open_free(Global& global, const Place& place) {
  TRY_LET(auto directory, global.host.open_root(place.folder));
  const auto present = directory->stat_entry(place.name);
  if (present && present->kind != FileKind::regular)
    return fail(Code::refused,
                "it is a " + std::string(kind_name(present->kind)) + ", not a regular file",
                "name a file, or - for the standard output");
  if (present)
    return fail(Code::already_exists, "it exists and is not overwritten",
                "give another name, or move the file away");
  if (present.error().code != Code::not_found) return std::unexpected(present.error());
  return directory;
}

std::unexpected<Error> cannot_write(const std::string& path, Error error) {
  return std::unexpected(std::move(error).wrapped("cannot write " + display(path)));
}

}  // namespace

Result<std::string> read_file(Global& global, const std::string& path, std::uint64_t max_bytes) {
  if (path == "-") {
    std::string bytes;
    char buffer[65536];
    while (bytes.size() <= max_bytes &&
           (std::cin.read(buffer, sizeof buffer), std::cin.gcount() > 0))
      bytes.append(buffer, static_cast<std::size_t>(std::cin.gcount()));
    if (bytes.size() > max_bytes)
      return fail(Code::limit,
                  "the standard input is larger than " + std::to_string(max_bytes) + " bytes",
                  "give a smaller file");
    return bytes;
  }
  const Place place = place_of(path);
  const auto wrap = [&](Error error) {
    return std::unexpected(std::move(error).wrapped("cannot read " + display(path)));
  };
  auto directory = global.host.open_root(place.folder);
  if (!directory) return wrap(std::move(directory).error());
  auto bytes = host::read_whole(**directory, place.name, max_bytes);
  if (!bytes) return wrap(std::move(bytes).error());
  return bytes;
}

Result<void> write_file(Global& global, const std::string& path, const std::string& bytes) {
  if (path == "-") return print(bytes);
  if (Outbox* box = outbox()) {
    const auto known = std::ranges::find(box->paths, path);
    if (known == box->paths.end())
      return fail(Code::internal, display(path) + " was not named as a file to write");
    box->files[static_cast<std::size_t>(known - box->paths.begin())] = bytes;
    return {};
  }
  const Place place = place_of(path);
  const auto directory = open_free(global, place);
  if (!directory) return cannot_write(path, directory.error());
  auto written = write_new(**directory, place.name, bytes);
  if (!written) return cannot_write(path, std::move(written).error());
  return {};
}

Result<void> expect_free(Global& global, const std::string& path) {
  if (path.empty() || path == "-") return {};
  const auto directory = open_free(global, place_of(path));
  if (!directory) return cannot_write(path, directory.error());
  return {};
}

Result<void> replace_file(Global& global, const std::string& path, const std::string& bytes) {
  const Place place = place_of(path);
  const auto directory = open_free(global, place);
  if (!directory && directory.error().code != Code::already_exists)
    return cannot_write(path, directory.error());
  TRY_LET(const auto folder, global.host.open_root(place.folder));
  auto written = host::write_durable(*folder, place.name, bytes);
  if (!written) return cannot_write(path, std::move(written).error());
  return {};
}

Result<LockedStore> lock_store(Global& global, bool create) {
  host::stop_on_signal(global.stop);
  LockedStore locked;
  TRY_LET(locked.store, create ? run::Store::open_or_create(global.host, global.store)
                               : run::Store::open(global.host, global.store));
  if (locked.store->created())
    message(global, "there was no store at " + display(global.store) +
                        " (every command needs the same --store): made one" +
                        " with a signer and a recovery key of its own (keys/): copy "
                        "keys/recovery.key off this host");
  if (!locked.store->aside().empty())
    message(global, "keys of an init that was cut short were put aside in " +
                        locked.store->aside() + ": nothing was sealed to them");
  // Every record ends in a signature: without the key nothing is begun.
  if (auto key = locked.store->signer_key(); !key) {
    Error error = std::move(key).error().wrapped("the store " + display(global.store) +
                                                 " cannot sign, so nothing was done");
    error.code = Code::configuration;
    error.remedy = "bring back keys/signer.key (owner root, mode 0600)";
    return std::unexpected(std::move(error));
  }
  TRY_LET(locked.lock, locked.store->lock());
  return locked;
}

run::ApplyOptions apply_options(const run::HostPolicy& policy, const run::Store& store,
                                run::HealthProbe* probe) {
  run::ApplyOptions options;
  options.recipients = policy.recovery;
  if (options.recipients.empty()) options.recipients.push_back(store.recovery());
  options.max_sealed_bytes = policy.policy.max_sealed_bytes;
  options.tool = tool_name();
  if (policy.policy.stages) options.stages = {&*policy.policy.stages, probe};
  options.older_revisions_allowed = policy.policy.older_revisions_allowed;
  return options;
}

Result<SignerPair> read_signer(Global& global, const std::string& certificate_file,
                               const std::string& key_file) {
  TRY_LET(const std::string certificate_pem, read_file(global, certificate_file, max_key_bytes));
  TRY_LET(auto certificate, crypto::Certificate::from_pem(certificate_pem, certificate_file));
  TRY_LET(const std::string key_pem, read_file(global, key_file, max_key_bytes));
  TRY_LET(auto key, crypto::PrivateKey::from_pem(key_pem, key_file));
  if (!key.matches(certificate))
    return fail(Code::usage, display(key_file) + " is not the key of " + display(certificate_file),
                "give a pair that belongs together");
  return SignerPair{std::move(certificate), std::move(key)};
}

Result<run::Recovery> load_recovery(Global& global, const std::string& file,
                                    const run::HostPolicy& policy, const run::Store& store) {
  TRY_LET(const std::string pem, read_file(global, file, max_key_bytes));
  TRY_LET(crypto::PrivateKey key, crypto::PrivateKey::from_pem(pem, file));
  std::vector<crypto::Certificate> candidates = policy.recovery;
  candidates.push_back(store.recovery());
  for (const crypto::Certificate& candidate : candidates)
    if (key.matches(candidate)) return run::Recovery{candidate, std::move(key)};
  return fail(Code::configuration,
              display(file) + " belongs to no recovery certificate of this store or policy",
              "give the key of the certificate that the run was sealed to");
}

Result<std::unique_ptr<host::Directory>> open_run_root(Global& global, const run::Run& run) {
  const plan::HostFacts& recorded = run.plan.plan.host;
  TRY_LET(auto root, global.host.open_root(recorded.root));
  TRY_LET(const FileStat stat, root->stat());
  if (!run::same_file(stat.id, recorded.root_id, false))
    return fail(Code::stale_plan,
                display(recorded.root) + " is not the directory that the run worked on",
                "mount or name the same tree again");
  return root;
}

}  // namespace remediate::cli
