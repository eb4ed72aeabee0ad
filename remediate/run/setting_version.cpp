#include "remediate/run/setting_version.h"

#include <set>

#include "remediate/base/dos_attributes.h"
#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"
#include "remediate/host/durable.h"
#include "remediate/setting/provider.h"

namespace remediate::run {
namespace {

Result<const setting::FileProvider*> provider_of(const plan::Operation& operation) {
  const setting::FileProvider* provider = setting::find_provider(operation.setting.provider);
  if (provider == nullptr)
    return fail(Code::bad_input, "no provider is named " + display(operation.setting.provider),
                "use the version of the tool that made the plan");
  return provider;
}

Result<setting::ChangeKind> kind_of(const std::string& name) {
  if (name == "remove_element") return setting::ChangeKind::remove_element;
  if (name == "remove_attribute") return setting::ChangeKind::remove_attribute;
  if (name == "set_attribute") return setting::ChangeKind::set_attribute;
  if (name == "reset_to_baseline") return setting::ChangeKind::reset_to_baseline;
  return fail(Code::bad_input, display(name) + " is not a change of this version",
              "use the version of the tool that made the plan");
}

Result<std::string> read_baseline(const host::Directory& root, const plan::SettingEdit& edit) {
  TRY_LET(const auto directory, root.open_directory(edit.baseline.parent(), host::Mounts::cross));
  TRY_LET(const auto file, directory->open_file(edit.baseline.name(), host::Access::read));
  TRY_LET(Version version, read_version(*file));
  if (version.sha256 != edit.baseline_sha256)
    return fail(Code::changed,
                "the baseline " + edit.baseline.display() + " is no longer what was approved",
                "make a new plan");
  return std::move(version.bytes);
}

plan::SettingDifference as_planned(const setting::Difference& difference) {
  const char* kind = difference.kind == setting::Difference::Kind::removed ? "removed"
                     : difference.kind == setting::Difference::Kind::added ? "added"
                                                                           : "changed";
  return {kind, difference.address, difference.attribute, difference.before, difference.after};
}

bool equal(const plan::SettingDifference& a, const plan::SettingDifference& b) {
  return a.kind == b.kind && a.address == b.address && a.attribute == b.attribute &&
         a.before == b.before && a.after == b.after;
}

}  // namespace

Result<Version> read_version(const host::File& file) {
  TRY_LET(std::string bytes, host::read_whole(file, max_setting_bytes));
  std::string digest = crypto::sha256_hex(bytes);
  return Version{std::move(bytes), std::move(digest)};
}

Result<void> check_baselines(const host::Directory& root, const plan::Operation& operation) {
  std::set<RawPath> checked;
  for (const plan::SettingEdit& edit : operation.setting.edits) {
    if (edit.baseline.is_root() || !checked.insert(edit.baseline).second) continue;
    if (const auto read = read_baseline(root, edit); !read) return std::unexpected(read.error());
  }
  return {};
}

Result<std::string> edit_version(const host::Directory& root, const plan::Operation& operation,
                                 const std::string& before) {
  if (operation.action == plan::Action::replace_file) {
    TRY(check_difference(operation, before, operation.replacement.bytes));
    return operation.replacement.bytes;
  }
  TRY_LET(const setting::FileProvider* provider, provider_of(operation));
  std::vector<setting::Edit> edits;
  for (const plan::SettingEdit& planned : operation.setting.edits) {
    TRY_LET(const setting::ChangeKind kind, kind_of(planned.kind));
    setting::Change change{kind, planned.attribute, planned.value, ""};
    if (kind == setting::ChangeKind::reset_to_baseline) {
      TRY_LET(change.baseline, read_baseline(root, planned));
    }
    edits.push_back({planned.address, std::move(change)});
  }
  TRY_LET(setting::Edited edited, provider->edit(before, edits));
  if (crypto::sha256_hex(edited.bytes) != operation.setting.after_sha256)
    return fail(Code::changed, "the change does not give the bytes that were approved",
                "make a new plan with this version of the tool");
  if (edited.diff != operation.setting.diff)
    return fail(Code::changed, "the diff that was approved is not the one of this change",
                "make a new plan");
  TRY(check_difference(operation, before, edited.bytes));
  return std::move(edited.bytes);
}

Result<void> check_difference(const plan::Operation& operation, const std::string& before,
                              const std::string& after) {
  if (operation.action == plan::Action::replace_file) {
    if (crypto::sha256_hex(after) != operation.replacement.sha256)
      return fail(Code::changed, "what is at its place is not the known good version",
                  "look what wrote it there");
    return {};
  }
  TRY_LET(const setting::FileProvider* provider, provider_of(operation));
  TRY_LET(const std::vector<setting::Difference> found, provider->compare(before, after));
  bool same = found.size() == operation.setting.differences.size();
  for (std::size_t index = 0; same && index < found.size(); ++index)
    same = equal(as_planned(found[index]), operation.setting.differences[index]);
  if (!same)
    return fail(Code::changed, "the difference in meaning is not the one that was approved",
                "make a new plan");
  return {};
}

Result<std::string> undo_version(const plan::Operation& operation, const std::string& before,
                                 const std::string& after, const std::string& current) {
  if (operation.action == plan::Action::replace_file) {
    if (current == after || current == before) return before;
    return fail(Code::conflict,
                "others changed the file since the known good version was put there",
                "look who did; nothing was overwritten");
  }
  TRY_LET(const setting::FileProvider* provider, provider_of(operation));
  TRY_LET(setting::Edited undone, provider->undo(before, after, current));
  return std::move(undone.bytes);
}

Metadata metadata_of_version(const plan::Operation& operation, Metadata original) {
  if (operation.action != plan::Action::replace_file) return original;
  original = without_hiding(std::move(original));
  original.stat.mode &= 01777u;
  std::erase_if(original.attributes, [](const ExtendedAttribute& attribute) {
    return attribute.name == "security.capability";
  });
  return original;
}

Result<std::unique_ptr<host::File>> build_version(host::Host& host,
                                                  const host::Directory& directory,
                                                  const std::string& bytes,
                                                  const Metadata& metadata) {
  TRY_LET(auto file, directory.create_unnamed(0600));
  TRY(file->write_at(0, bytes));
  Metadata wanted = metadata;
  wanted.stat.modified = host.now();
  TRY_LET(const std::vector<std::string> failed,
          file->restore_metadata(wanted, host::Privileges::keep));
  if (!failed.empty())
    return fail(Code::permission,
                "the new version cannot be given the file's metadata: " + failed.front(),
                "run as root, or as the file's owner");
  TRY(file->sync());
  return file;
}

}  // namespace remediate::run
