#include "remediate/plan/guards.h"

#include <algorithm>

#include "remediate/base/encoding.h"
#include "remediate/setting/provider.h"

namespace remediate::plan {

/// Nothing for what a web user could spell by the names of folders: only the policy's own words.
static std::optional<RawPath> literal_folder(const std::string& pattern) {
  if (pattern.find_first_of("*?[{\\") != std::string::npos) return std::nullopt;
  auto path = RawPath::parse(pattern);
  return path ? std::optional(std::move(*path)) : std::nullopt;
}

bool Guards::Protected::covers(const RawPath& path) const {
  if (glob.matches(path.bytes())) return true;
  if (!folder) return false;
  for (RawPath above = path.parent(); !above.is_root(); above = above.parent())
    if (ascii_iequals(above.bytes(), folder->bytes())) return true;
  return false;
}

Guards::Guards(const Policy& policy, const Survey& survey) : policy_(policy), survey_(survey) {
  const auto add = [&](const std::string& pattern, bool by_policy) {
    if (auto glob = match::Glob::parse(pattern, true))
      protected_.push_back({pattern, std::move(*glob), by_policy,
                            by_policy ? literal_folder(pattern) : std::nullopt});
    else
      bad_globs_.push_back(pattern);
  };
  for (const std::string& pattern : built_in_protected()) add(pattern, false);
  for (const std::string& pattern : policy.protected_globs) add(pattern, true);
  for (const std::string& pattern : policy.allow_package_files) {
    if (auto glob = match::Glob::parse(pattern, false))
      allowed_package_files_.push_back(std::move(*glob));
    else
      bad_globs_.push_back(pattern);
  }
}

std::optional<std::string> Guards::against_place(const RawPath& path,
                                                 const std::string& filesystem) const {
  if (!bad_globs_.empty())
    return "the policy's pattern " + display(bad_globs_.front()) +
           " cannot be read, so nothing may be changed";
  const observe::Claims& claims = survey_.claims;
  if (const auto own = claims.tool.find(path); own != claims.tool.end())
    return own->second + ": never touched";
  if (survey_.store && path.within(*survey_.store)) return "it belongs to the tool's own store";
  if (const auto process = claims.processes.find(path); process != claims.processes.end())
    return process->second +
           " runs it or has loaded it: stop that process first (find out who started it), then "
           "plan again";
  if (!filesystem_supported(filesystem, policy_))
    return "file system " + filesystem +
           ": a removal that can be undone is not proven there (the policy can allow it)";
  return std::nullopt;
}

std::optional<std::string> Guards::against_removal(const RawPath& path,
                                                   const observe::TargetFacts& facts) const {
  if (auto reason = against_place(path, facts.filesystem)) return reason;
  for (const Protected& entry : protected_)
    if (entry.covers(path)) return "protected path (" + display(entry.pattern) + "): never removed";
  if (facts.metadata.stat.kind != FileKind::regular)
    return "it is a " + std::string(kind_name(facts.metadata.stat.kind)) + ", not a regular file";
  return against_package(path);
}

std::optional<std::string> Guards::against_replacement(const RawPath& path,
                                                       const observe::TargetFacts& facts) const {
  if (auto reason = against_removal(path, facts)) return reason;
  return against_links(facts.metadata);
}

std::optional<std::string> Guards::against_links(const Metadata& metadata) {
  if (metadata.stat.links <= 1) return std::nullopt;
  return "the file has " + std::to_string(metadata.stat.links) +
         " names (hard links): replacing it would part them";
}

std::optional<std::string> Guards::against_package(const RawPath& path) const {
  const observe::Claims& claims = survey_.claims;
  const auto allowed = [&] {
    return std::ranges::any_of(allowed_package_files_,
                               [&](const match::Glob& glob) { return glob.matches(path.bytes()); });
  };
  const auto owned = claims.packages.find(path);
  if (owned == claims.packages.end() && claims.packages_unread.empty()) return std::nullopt;
  if (allowed()) return std::nullopt;
  if (owned == claims.packages.end())
    return "whether it belongs to a package cannot be told (" + claims.packages_unread +
           "): repair the database, or let the policy's allow_package_files name the file";
  const std::string whose = "it belongs to package " + display(owned->second.package) + " (" +
                            owned->second.manager + ")";
  if (owned->second.content == observe::PackageFile::Content::different)
    return whose +
           " and its content is not what the package delivered: reinstall the package, "
           "which replaces the file and keeps the server working";
  if (owned->second.content == observe::PackageFile::Content::as_delivered)
    return whose + " and is what the package delivered: look at the indicator, it may be too broad";
  return whose + ": never removed; reinstall the package if its content is not right";
}

std::string Guards::package_allowance(const RawPath& path) const {
  const auto owned = survey_.claims.packages.find(path);
  if (owned == survey_.claims.packages.end()) return {};
  return "the file belongs to package " + display(owned->second.package) + " (" +
         owned->second.manager + "); the policy's allow_package_files lets it be removed";
}

std::optional<std::string> Guards::against_edit(const RawPath& path,
                                                const Precondition& precondition) const {
  if (auto reason = against_place(path, precondition.filesystem)) return reason;
  for (const Protected& entry : protected_)
    if (entry.by_policy && entry.covers(path))
      return "protected by the host's policy (" + display(entry.pattern) + "): never changed";
  return against_links(precondition.metadata);
}

std::optional<std::string> Guards::against_edit(const Operation& operation) const {
  const setting::FileProvider* provider = setting::find_provider(operation.setting.provider);
  if (provider == nullptr || !provider->owns(operation.path.name()))
    return display(operation.setting.provider) + " edits no file of this name";
  if (!provider->in_system_folders())
    for (const Protected& entry : protected_)
      if (!entry.by_policy && entry.glob.matches(operation.path.bytes()))
        return "protected (" + display(entry.pattern) + "): never changed";
  return against_edit(operation.path, operation.precondition);
}

std::vector<std::string> Guards::not_restorable(const observe::TargetFacts& facts) const {
  std::vector<std::string> lost = {"change time (ctime)",
                                   "after finalize: inode number and birth time"};
  const Metadata& metadata = facts.metadata;
  if (metadata.stat.links > 1)
    lost.emplace_back("after finalize: the link to names that the plan does not remove");
  if (metadata.privileged())
    lost.emplace_back(
        "setuid, setgid and file capabilities, unless rollback is told --with-privileges");
  if (!survey_.superuser) {
    if (metadata.stat.owner != survey_.user)
      lost.push_back("after finalize: owner " + std::to_string(metadata.stat.owner) +
                     " (run as root to keep it)");
    // Where the owner cannot be given, nor is the group with it.
    const std::vector<std::uint32_t>& groups = survey_.groups;
    const std::uint32_t group = metadata.stat.group;
    const bool kept = metadata.stat.owner == survey_.user
                          ? std::ranges::find(groups, group) != groups.end()
                          : !groups.empty() && groups.front() == group;
    if (!kept)
      lost.push_back("after finalize: group " + std::to_string(group) +
                     " (run as root to keep it)");
    const bool system_attributes =
        std::ranges::any_of(metadata.attributes, [](const ExtendedAttribute& attribute) {
          return attribute.name.starts_with("security.") || attribute.name.starts_with("trusted.");
        });
    if (system_attributes)
      lost.emplace_back(
          "after finalize: security and trusted attributes (run as root to keep them)");
  }
  return lost;
}

}  // namespace remediate::plan
