#include "remediate/plan/plan_file.h"

#include <algorithm>
#include <set>

#include "remediate/base/clock.h"
#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"
#include "remediate/plan/plan_json.h"

namespace remediate::plan {
namespace {

constexpr std::size_t id_digits = 32;
const std::string no_id(id_digits, '0');

Json to_json(const HostFacts& host) {
  return Json{{"id", host.id},
              {"name", display(host.name)},
              {"boot", host.boot},
              {"root", display(host.root)},
              {"root_raw", base64_encode(host.root)},
              {"root_id", remediate::to_json(host.root_id)}};
}

Result<HostFacts> host_from_json(const Json& json) {
  JsonReader reader(json, "/host");
  HostFacts host;
  TRY_LET(host.id, reader.string("id"));
  TRY_LET(host.name, reader.string("name"));
  TRY_LET(host.boot, reader.string("boot"));
  TRY_LET(const std::string shown, reader.string("root"));
  TRY_LET(host.root, reader.bytes("root_raw"));
  if (shown != display(host.root))
    return fail(Code::bad_input, "/host/root does not show /host/root_raw", "make a new plan");
  TRY_LET(const Json* id, reader.object("root_id"));
  TRY_LET(host.root_id, file_id_from_json(*id, "/host/root_id"));
  TRY(reader.done());
  return host;
}

Json found_to_json(const Plan& plan) {
  Json json = Json::object();
  Json reviews = Json::array();
  for (const Review& review : plan.reviews)
    reviews.push_back(Json{{"address", review.address},
                           {"playbook", review.playbook},
                           {"indicator", review.indicator},
                           {"sha256", review.sha256},
                           {"why", reasons_to_json(review.why)}});
  Json exclusions = Json::array();
  for (const Exclusion& exclusion : plan.exclusions)
    exclusions.push_back(Json{{"address", exclusion.address},
                              {"playbook", exclusion.playbook},
                              {"indicator", exclusion.indicator},
                              {"reason", exclusion.reason}});
  Json limits = Json::array();
  for (const LimitReport& limit : plan.limits)
    limits.push_back(Json{{"name", limit.name},
                          {"limit", limit.limit},
                          {"found", limit.found},
                          {"fired", limit.fired},
                          {"approvers", limit.approvers}});
  Json scopes = Json::array();
  for (const ScopeReport& scope : plan.scopes)
    scopes.push_back(Json{{"playbook", scope.playbook},
                          {"scope", scope.scope},
                          {"spelled", scope.spelled},
                          {"folder", scope.folder},
                          {"found", scope.found},
                          {"files", scope.files}});
  Json issues = Json::array();
  for (const IssueReport& issue : plan.issues)
    issues.push_back(Json{{"kind", issue.kind}, {"where", issue.where}, {"reason", issue.reason}});
  json["reviews"] = std::move(reviews);
  json["exclusions"] = std::move(exclusions);
  json["limits"] = std::move(limits);
  json["scopes"] = std::move(scopes);
  json["issues"] = std::move(issues);
  json["files_scanned"] = plan.files_scanned;
  return json;
}

Result<Review> review_from_json(const Json& json, const std::string& where) {
  JsonReader reader(json, where);
  Review review;
  TRY_LET(review.address, reader.string("address"));
  TRY_LET(review.playbook, reader.string("playbook"));
  TRY_LET(review.indicator, reader.string("indicator"));
  TRY_LET(review.sha256, reader.string("sha256"));
  TRY_LET(const Json* why, reader.array("why"));
  TRY_LET(review.why, reasons_from_json(*why, where + "/why"));
  TRY(reader.done());
  return review;
}

Result<Exclusion> exclusion_from_json(const Json& json, const std::string& where) {
  JsonReader reader(json, where);
  Exclusion exclusion;
  TRY_LET(exclusion.address, reader.string("address"));
  TRY_LET(exclusion.playbook, reader.string("playbook"));
  TRY_LET(exclusion.indicator, reader.string("indicator"));
  TRY_LET(exclusion.reason, reader.string("reason"));
  TRY(reader.done());
  return exclusion;
}

Result<LimitReport> limit_from_json(const Json& json, const std::string& where) {
  JsonReader reader(json, where);
  LimitReport limit;
  TRY_LET(limit.name, reader.string("name"));
  TRY_LET(limit.limit, reader.unsigned_integer("limit"));
  TRY_LET(limit.found, reader.unsigned_integer("found"));
  TRY_LET(limit.fired, reader.boolean("fired"));
  TRY_LET(limit.approvers, reader.unsigned_integer("approvers"));
  TRY(reader.done());
  return limit;
}

Result<ScopeReport> scope_from_json(const Json& json, const std::string& where) {
  JsonReader reader(json, where);
  ScopeReport scope;
  TRY_LET(scope.playbook, reader.string("playbook"));
  TRY_LET(scope.scope, reader.string("scope"));
  TRY_LET(scope.spelled, reader.string("spelled"));
  TRY_LET(scope.folder, reader.string("folder"));
  TRY_LET(scope.found, reader.boolean("found"));
  TRY_LET(scope.files, reader.unsigned_integer("files"));
  TRY(reader.done());
  return scope;
}

Result<IssueReport> issue_from_json(const Json& json, const std::string& where) {
  JsonReader reader(json, where);
  IssueReport issue;
  TRY_LET(issue.kind, reader.string("kind"));
  TRY_LET(issue.where, reader.string("where"));
  TRY_LET(issue.reason, reader.string("reason"));
  TRY(reader.done());
  return issue;
}

Result<void> read_found(JsonReader& reader, Plan& plan) {
  TRY_LET(plan.reviews, read_array<Review>(reader, "reviews", review_from_json));
  TRY_LET(plan.exclusions, read_array<Exclusion>(reader, "exclusions", exclusion_from_json));
  TRY_LET(plan.limits, read_array<LimitReport>(reader, "limits", limit_from_json));
  TRY_LET(plan.scopes, read_array<ScopeReport>(reader, "scopes", scope_from_json));
  TRY_LET(plan.issues, read_array<IssueReport>(reader, "issues", issue_from_json));
  TRY_LET(plan.files_scanned, reader.unsigned_integer("files_scanned"));
  return {};
}

Json to_json(const BaselineReport& baseline) {
  Json folders = Json::array();
  for (const BaselineReport::Folder& folder : baseline.folders)
    folders.push_back(
        Json{{"spelled", folder.spelled}, {"folder", folder.folder}, {"found", folder.found}});
  return Json{{"name", baseline.name},
              {"product", baseline.product},
              {"sha256", baseline.sha256},
              {"signer", baseline.signer},
              {"files", baseline.files},
              {"folders", std::move(folders)},
              {"compared", baseline.compared},
              {"known", baseline.known},
              {"other_content", baseline.other_content},
              {"not_listed", baseline.not_listed},
              {"left_off", baseline.left_off}};
}

Result<BaselineReport::Folder> folder_from_json(const Json& json, const std::string& where) {
  JsonReader reader(json, where);
  BaselineReport::Folder folder;
  TRY_LET(folder.spelled, reader.string("spelled"));
  TRY_LET(folder.folder, reader.string("folder"));
  TRY_LET(folder.found, reader.boolean("found"));
  TRY(reader.done());
  return folder;
}

Result<BaselineReport> baseline_from_json(const Json& json, const std::string& where) {
  JsonReader reader(json, where);
  BaselineReport baseline;
  TRY_LET(baseline.name, reader.string("name"));
  TRY_LET(baseline.product, reader.string("product"));
  TRY_LET(baseline.sha256, reader.string("sha256"));
  TRY_LET(baseline.signer, reader.string("signer"));
  TRY_LET(baseline.files, reader.unsigned_integer("files"));
  TRY_LET(baseline.folders,
          read_array<BaselineReport::Folder>(reader, "folders", folder_from_json));
  TRY_LET(baseline.compared, reader.unsigned_integer("compared"));
  TRY_LET(baseline.known, reader.unsigned_integer("known"));
  TRY_LET(baseline.other_content, reader.unsigned_integer("other_content"));
  TRY_LET(baseline.not_listed, reader.unsigned_integer("not_listed"));
  TRY_LET(baseline.left_off, reader.unsigned_integer("left_off"));
  TRY(reader.done());
  return baseline;
}

Result<Timestamp> read_time(JsonReader& reader, const char* key) {
  TRY_LET(const std::string text, reader.string(key));
  const auto time = parse_utc(text);
  if (!time)
    return fail(Code::bad_input, reader.pointer() + "/" + key + " is not a UTC time",
                "make a new plan");
  return *time;
}

Result<PlaybookReport> playbook_from_json(const Json& json, const std::string& where) {
  JsonReader reader(json, where);
  PlaybookReport playbook;
  TRY_LET(playbook.id, reader.string("id"));
  TRY_LET(playbook.name, reader.string("name"));
  TRY_LET(playbook.revision, reader.unsigned_integer("revision"));
  TRY_LET(playbook.sha256, reader.string("sha256"));
  TRY_LET(playbook.signer, reader.string("signer"));
  TRY(reader.done());
  return playbook;
}

Result<Plan> from_json(const Json& json) {
  JsonReader reader(json, "");
  TRY_LET(const std::int64_t version, reader.integer("format_version"));
  if (version != format_version)
    return fail(Code::bad_input, "/format_version is " + std::to_string(version),
                "make a new plan with this version of the tool");
  Plan plan;
  TRY_LET(plan.plan_id, reader.string("plan_id"));
  TRY_LET(plan.nonce, reader.string("nonce"));
  TRY_LET(plan.tool, reader.string("tool"));
  TRY_LET(plan.policy_sha256, reader.string("policy_sha256"));
  if (reader.has("policy")) {  // older plans have none
    TRY_LET(plan.policy, reader.string("policy"));
  }
  TRY_LET(plan.created, read_time(reader, "created"));
  TRY_LET(plan.expires, read_time(reader, "expires"));
  TRY_LET(const Json* host, reader.object("host"));
  TRY_LET(plan.host, host_from_json(*host));
  TRY_LET(plan.playbooks, read_array<PlaybookReport>(reader, "playbooks", playbook_from_json));
  TRY_LET(plan.baselines, read_array<BaselineReport>(reader, "baselines", baseline_from_json));
  TRY_LET(plan.operations, read_array<Operation>(reader, "operations", operation_from_json));
  for (std::size_t index = 0; index < plan.operations.size(); ++index)
    if (plan.operations[index].id != operation_id(index + 1))
      return fail(Code::bad_input,
                  "/operations/" + std::to_string(index) + "/id is not " + operation_id(index + 1),
                  "operations are numbered in the order of work: make a new plan");
  for (const Operation& operation : plan.operations)
    if (std::ranges::find(plan.playbooks, operation.playbook, &PlaybookReport::id) ==
        plan.playbooks.end())
      return fail(Code::bad_input,
                  operation.id + " is of playbook " + display(operation.playbook) +
                      ", which /playbooks does not list",
                  "make a new plan");
  std::set<RawPath> removed;
  for (const Operation& operation : plan.operations)
    if ((operation.action == Action::quarantine || operation.action == Action::replace_file) &&
        !removed.insert(operation.path).second)
      return fail(Code::bad_input, operation.path.display() + " is to be removed or replaced twice",
                  "make a new plan");
  TRY(read_found(reader, plan));
  TRY(reader.done());
  return plan;
}

/// As a reader counts: scalars, keys and containers.
std::size_t values_in(const Json& json) {
  std::size_t values = 1;
  if (json.is_object()) values += json.size();
  if (json.is_structured())
    for (const Json& below : json) values += values_in(below);
  return values;
}

std::string id_of(std::string_view bytes_without_id) {
  return crypto::sha256_hex(bytes_without_id).substr(0, id_digits);
}

}  // namespace

Json to_json(const Plan& plan) {
  Json json{{"format_version", format_version},
            {"plan_id", plan.plan_id},
            {"nonce", plan.nonce},
            {"tool", plan.tool},
            {"policy", plan.policy},
            {"policy_sha256", plan.policy_sha256},
            {"created", format_utc(plan.created)},
            {"expires", format_utc(plan.expires)},
            {"host", to_json(plan.host)}};
  Json playbooks = Json::array();
  for (const PlaybookReport& playbook : plan.playbooks)
    playbooks.push_back(Json{{"id", playbook.id},
                             {"name", playbook.name},
                             {"revision", playbook.revision},
                             {"sha256", playbook.sha256},
                             {"signer", playbook.signer}});
  json["playbooks"] = std::move(playbooks);
  Json baselines = Json::array();
  for (const BaselineReport& baseline : plan.baselines) baselines.push_back(to_json(baseline));
  json["baselines"] = std::move(baselines);
  Json operations = Json::array();
  for (const Operation& operation : plan.operations)
    operations.push_back(operation_to_json(operation));
  json["operations"] = std::move(operations);
  json.update(found_to_json(plan));
  return json;
}

Result<PlanFile> write_plan(Plan plan, const JsonLimits& limits) {
  plan.plan_id = no_id;
  const Json json = to_json(plan);
  const auto too_large = [](const std::string& what) {
    return fail(Code::limit, "the plan would have more than " + what,
                "split the work: fewer playbooks at a time or narrower scopes; and look for files "
                "with very long paths or attributes");
  };
  if (values_in(json) > limits.max_values)
    return too_large(std::to_string(limits.max_values) + " values");
  std::string bytes = write_json(json);
  if (bytes.size() > limits.max_bytes)
    return too_large(std::to_string(limits.max_bytes) + " bytes");
  const std::string id = id_of(bytes);
  const std::size_t place =
      bytes.find(no_id);  // the id is the first text of the file that can hold it
  bytes.replace(place, id_digits, id);
  plan.plan_id = id;
  return PlanFile{std::move(plan), std::move(bytes)};
}

Result<PlanFile> read_plan(std::string bytes, std::string_view what) {
  TRY_LET(const Json json, parse_json(bytes, what, plan_limits));
  auto plan = from_json(json);
  if (!plan)
    return std::unexpected(
        std::move(plan).error().wrapped(std::string(what) + " is not a plan of this format"));
  std::string without_id = bytes;
  const std::string quoted = "\"plan_id\": \"" + plan->plan_id + "\"";
  const std::size_t place = without_id.find(quoted);
  if (plan->plan_id.size() != id_digits || place == std::string::npos)
    return fail(Code::stale_plan, std::string(what) + " does not carry a plan id",
                "make a new plan");
  without_id.replace(place + quoted.size() - id_digits - 1, id_digits, no_id);
  if (id_of(without_id) != plan->plan_id)
    return fail(Code::stale_plan,
                std::string(what) +
                    " was changed after it was made: its bytes do not give plan id " +
                    plan->plan_id,
                "make a new plan; do not edit plan files");
  return PlanFile{std::move(*plan), std::move(bytes)};
}

}  // namespace remediate::plan
