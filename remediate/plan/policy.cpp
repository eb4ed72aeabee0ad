#include "remediate/plan/policy.h"

#include <algorithm>
#include <array>

#include "remediate/base/json.h"
#include "remediate/base/try.h"
#include "remediate/match/engine.h"

namespace remediate::plan {
namespace {

constexpr std::uint64_t max_hours = 24 * 31;

Result<std::uint64_t> bounded(JsonReader& reader, const char* key, std::uint64_t lowest,
                              std::uint64_t highest, std::uint64_t otherwise) {
  if (!reader.has(key)) return otherwise;
  TRY_LET(const std::uint64_t value, reader.unsigned_integer(key));
  if (value < lowest || value > highest)
    return fail(Code::bad_input,
                "policy: " + reader.pointer() + "/" + key + " is " + std::to_string(value),
                "use a number from " + std::to_string(lowest) + " to " + std::to_string(highest));
  return value;
}

Result<std::vector<std::string>> strings(JsonReader& reader, const char* key) {
  std::vector<std::string> result;
  if (!reader.has(key)) return result;
  TRY_LET(const Json* array, reader.array(key));
  for (const Json& value : *array) {
    if (!value.is_string() || value.get_ref<const std::string&>().empty())
      return fail(Code::bad_input,
                  "policy: " + reader.pointer() + "/" + key + " holds something else than text",
                  "list non-empty strings");
    result.push_back(value.get<std::string>());
  }
  return result;
}

Result<void> read_approval(const Json& json, Policy& policy) {
  JsonReader reader(json, "/approval");
  TRY_LET(policy.approver_files, strings(reader, "approvers"));
  TRY_LET(policy.threshold, bounded(reader, "threshold", 1, 16, 1));
  TRY_LET(policy.plan_lifetime_hours,
          bounded(reader, "plan_lifetime_hours", 1, max_hours, policy.plan_lifetime_hours));
  TRY(reader.done());
  if (policy.approver_files.size() < policy.threshold)
    return fail(Code::bad_input,
                "policy: /approval/threshold asks for " + std::to_string(policy.threshold) +
                    " approvers and " + std::to_string(policy.approver_files.size()) +
                    " are listed",
                "list at least as many certificates in /approval/approvers");
  return {};
}

Result<void> read_limits(const Json& json, Policy& policy) {
  JsonReader reader(json, "/limits");
  TRY_LET(policy.max_files, bounded(reader, "max_files", 0, 1'000'000, policy.max_files));
  TRY_LET(policy.max_files_per_indicator,
          bounded(reader, "max_files_per_indicator", 0, 1'000'000, policy.max_files_per_indicator));
  TRY_LET(policy.max_settings, bounded(reader, "max_settings", 0, 10'000, policy.max_settings));
  TRY_LET(policy.max_percent, bounded(reader, "max_percent", 0, 100, policy.max_percent));
  TRY_LET(policy.small_scope_files,
          bounded(reader, "small_scope_files", 0, 1'000, policy.small_scope_files));
  return reader.done();
}

Result<void> read_vault(const Json& json, Policy& policy) {
  JsonReader reader(json, "/vault");
  TRY_LET(policy.recovery_files, strings(reader, "recovery"));
  TRY_LET(policy.max_sealed_bytes,
          bounded(reader, "max_sealed_bytes", 1u << 16, 1ull << 31, policy.max_sealed_bytes));
  return reader.done();
}

}  // namespace

Result<Policy> parse_policy(std::string_view bytes, std::string_view what) {
  JsonLimits limits;
  limits.max_bytes = 1u << 20;
  TRY_LET(const Json json, parse_json(bytes, what, limits));
  Policy policy;
  JsonReader reader(json, "");
  TRY_LET(const std::int64_t version, reader.integer("format_version"));
  if (version != 1)
    return fail(Code::bad_input, "policy: /format_version is " + std::to_string(version), "use 1");
  if (reader.has("approval")) {
    TRY_LET(const Json* approval, reader.object("approval"));
    TRY(read_approval(*approval, policy));
  }
  if (reader.has("limits")) {
    TRY_LET(const Json* section, reader.object("limits"));
    TRY(read_limits(*section, policy));
  }
  if (reader.has("vault")) {
    TRY_LET(const Json* section, reader.object("vault"));
    TRY(read_vault(*section, policy));
  }
  TRY_LET(policy.allowed_roots, strings(reader, "allowed_roots"));
  for (const std::string& root : policy.allowed_roots)
    if (!root.starts_with('/'))
      return fail(Code::bad_input, "policy: /allowed_roots holds a path that is not absolute",
                  "write absolute paths");
  TRY_LET(policy.protected_globs, strings(reader, "protected"));
  for (const std::string& pattern : policy.protected_globs)
    if (auto glob = match::Glob::parse(pattern, true); !glob)
      return fail(Code::bad_input, "policy: /protected: " + glob.error().message,
                  "correct the pattern; docs/policy-reference.md tells the syntax");
  TRY_LET(policy.allowed_filesystems, strings(reader, "allowed_filesystems"));
  if (reader.has("allow_hard_links")) {
    TRY_LET(policy.allow_hard_links, reader.boolean("allow_hard_links"));
  }
  TRY_LET(policy.allow_package_files, strings(reader, "allow_package_files"));
  for (const std::string& pattern : policy.allow_package_files)
    if (auto glob = match::Glob::parse(pattern, false); !glob)
      return fail(Code::bad_input, "policy: /allow_package_files: " + glob.error().message,
                  "correct the pattern; docs/policy-reference.md tells the syntax");
  TRY(reader.done());
  return policy;
}

const std::vector<std::string>& built_in_protected() {
  static const std::vector<std::string> globs = {
      // Exchange: databases, their logs and checkpoints, queues, and the logs that tell of a
      // break-in.
      "**/*.edb", "**/*.stm", "**/*.jrs", "**/E[0-9][0-9].{log,chk}", "**/E[0-9][0-9]tmp.log",
      "**/E[0-9][0-9][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f].log",
      "**/E[0-9][0-9][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f].log",
      "**/Mailbox/**/*.{log,chk}", "**/TransportRoles/**/*.{que,log,chk}",
      "**/Microsoft/Exchange Server/*/Logging/**",
      // Windows.
      "Windows/System32/{config,drivers,DriverStore,catroot,catroot2}/**",
      "Windows/System32/inetsrv/config/**", "Windows/SysWOW64/{config,drivers}/**",
      "Windows/{WinSxS,Boot,NTDS,SYSVOL,servicing}/**", "System Volume Information/**", "EFI/**",
      "{bootmgr,pagefile.sys,hiberfil.sys,swapfile.sys}",
      // Linux.
      "{boot,dev,proc,sys}/**", "etc/**", "{bin,sbin,lib,lib32,lib64,libx32,libo32}/**",
      "usr/{bin,sbin,lib32,lib64,libx32,libo32,libexec}/**",
      "usr/lib/{systemd,modules,firmware,sysimage,x86_64-linux-gnu,aarch64-linux-gnu}/**",
      "var/lib/{dpkg,rpm}/**"};
  return globs;
}

bool filesystem_supported(std::string_view type, const Policy& policy) {
  static constexpr std::array supported = {"ext4",  "ext2/ext3/ext4", "ext2", "ext3",  "xfs",
                                           "btrfs", "tmpfs",          "f2fs", "memory"};
  return std::ranges::find(supported, type) != supported.end() ||
         std::ranges::find(policy.allowed_filesystems, type) != policy.allowed_filesystems.end();
}

}  // namespace remediate::plan
