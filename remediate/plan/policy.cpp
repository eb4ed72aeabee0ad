#include "remediate/plan/policy.h"

#include <algorithm>
#include <array>

#include "remediate/base/encoding.h"
#include "remediate/base/json.h"
#include "remediate/base/try.h"
#include "remediate/match/engine.h"
#include "remediate/playbook/parse.h"

namespace remediate::plan {
namespace {

constexpr std::uint64_t max_hours = 24 * 31;
constexpr std::uint64_t max_approvers = 16;
constexpr std::uint64_t max_revision = 1'000'000'000;
constexpr std::uint64_t max_operations = 1'000'000;
constexpr std::size_t max_stages = 8;
constexpr std::size_t max_url = 2048;
constexpr std::size_t max_expected_body = 1024;

/// The place that is wrong, and what would be right.
std::unexpected<Error> wrong(const std::string& pointer, const std::string& what,
                             const std::string& right) {
  return fail(Code::bad_input, "policy: " + pointer + " " + what, right);
}

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
  TRY_LET(policy.threshold, bounded(reader, "threshold", 1, max_approvers, 1));
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

/// "refuse", or how many approvers may go above a limit.
Result<void> read_above_limit(const Json& json, JsonReader& reader, Policy& policy) {
  if (!reader.has("above_limit")) return {};
  if (json["above_limit"].is_string()) {
    TRY_LET(const std::string word, reader.string("above_limit"));
    if (word == "refuse") return {};
    return wrong("/above_limit", "is " + display(word),
                 R"(write "refuse" or {"approvers": NUMBER})");
  }
  TRY_LET(const Json* object, reader.object("above_limit"));
  JsonReader above(*object, "/above_limit");
  TRY(above.unsigned_integer("approvers"));
  TRY_LET(policy.approvers_above_limit, bounded(above, "approvers", 2, max_approvers, 2));
  TRY(above.done());
  if (policy.approvers_above_limit > policy.approver_files.size())
    return wrong("/above_limit/approvers",
                 "asks for " + std::to_string(policy.approvers_above_limit) + " and " +
                     std::to_string(policy.approver_files.size()) + " are listed",
                 "list at least as many certificates in /approval/approvers");
  return {};
}

Result<void> check_playbook_id(const std::string& pointer, const std::string& id) {
  if (playbook::is_playbook_id(id)) return {};
  return wrong(pointer, "names " + display(id) + ", which is no playbook's id",
               "write playbook-- and a UUID, as the playbook has it");
}

Result<void> read_playbooks(JsonReader& reader, Policy& policy) {
  TRY_LET(policy.playbook_signer_files, strings(reader, "playbook_signers"));
  if (reader.has("playbook_signers") && policy.playbook_signer_files.empty())
    return wrong("/playbook_signers", "is empty", "list a certificate, or leave it out");
  TRY_LET(policy.baseline_signer_files, strings(reader, "baseline_signers"));
  if (reader.has("baseline_signers") && policy.baseline_signer_files.empty())
    return wrong("/baseline_signers", "is empty", "list a certificate, or leave it out");
  if (reader.has("minimum_revisions")) {
    TRY_LET(const Json* revisions, reader.object("minimum_revisions"));
    JsonReader each(*revisions, "/minimum_revisions");
    for (const auto& item : revisions->items()) {
      TRY(check_playbook_id(each.pointer(), item.key()));
      TRY_LET(policy.minimum_revisions[item.key()],
              bounded(each, item.key().c_str(), 1, max_revision, 1));
    }
  }
  TRY_LET(policy.older_revisions_allowed, strings(reader, "allow_older_revisions"));
  for (const std::string& id : policy.older_revisions_allowed)
    TRY(check_playbook_id("/allow_older_revisions", id));
  if (reader.has("generic_content")) {
    TRY_LET(const std::string word, reader.string("generic_content"));
    if (word != "review" && word != "remove")
      return wrong("/generic_content", "is " + display(word), R"(write "review" or "remove")");
    policy.generic_content_removes = word == "remove";
  }
  return {};
}

bool is_web_address(const std::string& url) {
  std::size_t at = 0;
  if (url.starts_with("https://"))
    at = 8;
  else if (url.starts_with("http://"))
    at = 7;
  else
    return false;
  const std::string host = url.substr(at, url.find_first_of("/?", at) - at);
  return !host.empty() && host.find('@') == std::string::npos && url.size() <= max_url &&
         std::ranges::all_of(url,
                             [](char c) { return c > ' ' && c <= '~' && c != '#' && c != '\\'; });
}

Result<Probe> read_probe(const Json& json) {
  JsonReader reader(json, "/stages/probe");
  Probe probe;
  TRY_LET(probe.url, reader.string("url"));
  if (!is_web_address(probe.url))
    return wrong("/stages/probe/url", "is not an address that can be asked",
                 "write http:// or https://, a host, and a path; no user, no fragment, no blank");
  TRY_LET(probe.expect_status, bounded(reader, "expect_status", 200, 599, probe.expect_status));
  TRY_LET(probe.timeout_seconds, bounded(reader, "timeout_seconds", 1, 300, probe.timeout_seconds));
  if (reader.has("body_contains")) {
    TRY_LET(probe.body_contains, reader.string("body_contains"));
    if (probe.body_contains.empty() || probe.body_contains.size() > max_expected_body)
      return wrong("/stages/probe/body_contains", "is empty or too long",
                   "write 1 to 1024 bytes, or leave it out");
  }
  if (reader.has("ca")) {
    TRY_LET(probe.ca_file, reader.string("ca"));
    if (probe.ca_file.empty() || !probe.url.starts_with("https://"))
      return wrong("/stages/probe/ca", "is empty, or the address is not https",
                   "name a PEM certificate for an https address, or leave it out");
  }
  TRY(reader.done());
  return probe;
}

Result<void> read_stages(const Json& json, Policy& policy) {
  JsonReader reader(json, "/stages");
  Stages stages;
  if (reader.has("sizes")) {
    TRY_LET(const Json* sizes, reader.array("sizes"));
    stages.sizes.clear();
    for (const Json& size : *sizes) {
      if (!size.is_number_integer() || size < 1 || size > max_operations)
        return wrong("/stages/sizes", "holds something else than numbers of operations",
                     "list numbers from 1 to " + std::to_string(max_operations));
      stages.sizes.push_back(size.get<std::uint64_t>());
    }
    if (stages.sizes.empty() || stages.sizes.size() > max_stages)
      return wrong("/stages/sizes", "has " + std::to_string(stages.sizes.size()) + " numbers",
                   "list 1 to " + std::to_string(max_stages) + "; the rest is a stage by itself");
  }
  if (reader.has("probe")) {
    TRY_LET(const Json* probe, reader.object("probe"));
    TRY_LET(stages.probe, read_probe(*probe));
  }
  TRY(reader.done());
  policy.stages = std::move(stages);
  return {};
}

/// What can match no path would protect nothing, silently.
Result<void> check_pattern(const char* key, const std::string& pattern, bool ignore_case) {
  constexpr const char* remedy =
      "write it from the root, as in var/www/**; docs/policy-reference.md tells the syntax";
  const auto wrong = [&](const std::string& why) {
    return fail(Code::bad_input, "policy: " + std::string(key) + ": " + why, remedy);
  };
  if (auto glob = match::Glob::parse(pattern, ignore_case); !glob)
    return wrong(glob.error().message);
  for (std::string_view rest = pattern;;) {
    const std::size_t end = std::min(rest.find('/'), rest.size());
    const std::string_view component = rest.substr(0, end);
    if (component.empty() || component == "." || component == "..")
      return wrong("the pattern " + display(pattern, 200) +
                   " matches no path: it has an empty component, '.' or '..'");
    if (end == rest.size()) return {};
    rest.remove_prefix(end + 1);
  }
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
  TRY(read_above_limit(json, reader, policy));
  TRY(read_playbooks(reader, policy));
  if (reader.has("stages")) {
    TRY_LET(const Json* section, reader.object("stages"));
    TRY(read_stages(*section, policy));
  }
  TRY_LET(policy.allowed_roots, strings(reader, "allowed_roots"));
  if (reader.has("allowed_roots") && policy.allowed_roots.empty())
    return fail(Code::bad_input, "policy: /allowed_roots is empty: no root would be allowed",
                "name the roots, or leave the key out to allow all");
  for (const std::string& root : policy.allowed_roots)
    if (!root.starts_with('/'))
      return fail(Code::bad_input, "policy: /allowed_roots holds a path that is not absolute",
                  "write absolute paths");
  TRY_LET(policy.protected_globs, strings(reader, "protected"));
  for (const std::string& pattern : policy.protected_globs)
    TRY(check_pattern("/protected", pattern, true));
  TRY_LET(policy.allowed_filesystems, strings(reader, "allowed_filesystems"));
  if (reader.has("allow_hard_links")) {
    TRY_LET(policy.allow_hard_links, reader.boolean("allow_hard_links"));
  }
  TRY_LET(policy.allow_package_files, strings(reader, "allow_package_files"));
  for (const std::string& pattern : policy.allow_package_files)
    TRY(check_pattern("/allow_package_files", pattern, false));
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
