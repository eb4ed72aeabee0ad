#include "remediate/run/copies.h"

#include <algorithm>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/observe/scan.h"
#include "remediate/run/session.h"
#include "remediate/setting/provider.h"

namespace remediate::run {
namespace {

constexpr std::size_t max_old_versions = 32;                // of one folder
constexpr std::uint64_t max_old_version_bytes = 32u << 20;  // of one

class TextSource final : public ByteSource {
 public:
  explicit TextSource(std::string_view text) : left_(text) {}
  [[nodiscard]] Result<std::size_t> read(std::span<char> into) override {
    const std::size_t count = left_.copy(into.data(), into.size());
    left_.remove_prefix(count);
    return count;
  }

 private:
  std::string_view left_;
};

/// Of all files that the plan edits, each once.
std::vector<setting::OldVersions> pushed_out(const plan::Plan& plan) {
  std::vector<setting::OldVersions> all;
  for (const plan::Operation& operation : plan.operations) {
    if (operation.action != plan::Action::reset_setting || operation.setting.directory) continue;
    const setting::FileProvider* provider = setting::find_provider(operation.setting.provider);
    if (provider == nullptr) continue;
    const auto versions = provider->old_versions(operation.path.name());
    if (versions && std::ranges::find(all, *versions) == all.end()) all.push_back(*versions);
  }
  return all;
}

bool is_version(std::string_view name, std::string_view prefix) {
  if (name.size() <= prefix.size() || name.size() > prefix.size() + 20 ||
      !ascii_iequals(name.substr(0, prefix.size()), prefix))
    return false;
  return std::ranges::all_of(name.substr(prefix.size()),
                             [](char c) { return c >= '0' && c <= '9'; });
}

Result<std::vector<RawPath>> files_of(const setting::OldVersions& versions,
                                      const host::Directory& root,
                                      std::vector<std::string>& notices) {
  std::vector<observe::Issue> issues;
  TRY_LET(const std::vector<RawPath> folders,
          observe::locate(root, {versions.folder, true}, {}, &issues));
  for (const observe::Issue& issue : issues)
    notices.push_back("the " + versions.what + " was not kept: " + issue.where + ": " +
                      issue.reason);
  std::vector<RawPath> found;
  for (const RawPath& folder : folders) {
    auto opened = root.open_directory(folder, host::Mounts::cross);
    std::vector<std::string> names;
    auto listed = opened ? (*opened)->each_entry([&](std::string_view name, FileKind) {
      if (is_version(name, versions.prefix)) names.emplace_back(name);
      return true;
    })
                         : Result<void>(std::unexpected(opened.error()));
    if (!listed) {
      notices.push_back("the " + versions.what + " in " + folder.display() +
                        " was not kept: " + listed.error().text());
      continue;
    }
    std::ranges::sort(names);
    if (names.size() > max_old_versions) {
      notices.push_back(std::to_string(names.size() - max_old_versions) +
                        " of the oldest versions in " + folder.display() + " were not kept");
      names.erase(names.begin(), names.end() - max_old_versions);
    }
    for (const std::string& name : names) {
      TRY_LET(const RawPath version, folder.child(name));
      TRY_LET(RawPath file, version.child(versions.file));
      found.push_back(std::move(file));
    }
  }
  return found;
}

/// What cannot be looked at counts as nothing: it will not be kept either.
Result<void> check_space(const host::Directory& root, const std::vector<RawPath>& files,
                         const quarantine::Vault& vault, const std::string& what) {
  std::uint64_t wanted = space_margin;
  for (const RawPath& file : files)
    if (const auto folder = root.open_directory(file.parent(), host::Mounts::cross))
      if (const auto stat = (*folder)->stat_entry(file.name());
          stat && stat->size <= max_old_version_bytes)
        wanted += sealed_at_most(stat->size);
  TRY_LET(const host::Space space, vault.objects().space());
  if (files.empty() || (space.free_bytes >= wanted && space.free_files >= files.size() + 64))
    return {};
  return fail(Code::no_space,
              "the store has room for " + std::to_string(space.free_bytes) + " bytes and " +
                  std::to_string(space.free_files) + " files, and to keep the " + what + " " +
                  std::to_string(wanted) + " bytes and " + std::to_string(files.size() + 64) +
                  " files are needed; nothing was done",
              "free some space in the store's file system, then apply again");
}

}  // namespace

Result<Copies> copy_old_versions(const host::Directory& root, const plan::Plan& plan,
                                 const quarantine::Vault& vault,
                                 const std::vector<crypto::Certificate>& recipients,
                                 std::vector<std::string>& notices) {
  Copies copies;
  for (const setting::OldVersions& versions : pushed_out(plan)) {
    TRY_LET(const std::vector<RawPath> files, files_of(versions, root, notices));
    TRY(check_space(root, files, vault, versions.what));
    const std::size_t before = copies.files.size();
    for (const RawPath& file : files) {
      const auto read = observe::read_setting_file(root, file, max_old_version_bytes);
      if (!read) {
        notices.push_back("the version " + file.display() + " of the " + versions.what +
                          " was not kept: " + read.error().text());
        continue;
      }
      TextSource source(read->bytes);
      TRY_LET(quarantine::PendingObject object, vault.seal(source, recipients));
      copies.files.push_back({file, read->facts.metadata.stat.modified, read->sha256,
                              read->bytes.size(), object.sealed.sealed_sha256,
                              object.sealed.sealed_size});
      copies.objects.push_back(std::move(object));
    }
    if (const std::size_t kept = copies.files.size() - before; kept != 0)
      notices.push_back(std::to_string(kept) + " version(s) of the " + versions.what +
                        " are kept as sealed objects, before edits push them out");
  }
  return copies;
}

}  // namespace remediate::run
