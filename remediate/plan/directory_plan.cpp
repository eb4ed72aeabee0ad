#include "remediate/plan/directory_plan.h"

#include <algorithm>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/plan/wording.h"

namespace remediate::plan {
namespace {

constexpr std::size_t max_found = 500;

std::string field_of(const match::FileMatch& match, std::string_view name) {
  const auto found = std::ranges::find_if(
      match.dump, [&](const match::DumpField& field) { return ascii_iequals(field.name, name); });
  return found == match.dump.end() ? std::string() : found->value;
}

bool is_origin(const match::FileMatch& match, const setting::DirectoryObject& object) {
  std::string dn = field_of(match, "DistinguishedName");
  std::erase(dn, '\n');  // long names take several lines in a dump
  return ascii_iequals(field_of(match, "Guid"), object.guid) || ascii_iequals(dn, object.dn);
}

}  // namespace

bool in_directory(const playbook::Indicator& indicator) {
  return indicator.setting && indicator.setting->provider == setting::directory_provider;
}

Result<std::vector<setting::DirectoryMatch>> DirectoryPlanner::find(
    const playbook::Indicator& indicator, std::vector<IssueReport>& issues) const {
  if (!survey_.directory) {
    issues.push_back({"not_evaluated", "the directory",
                      "indicator " + indicator.id +
                          " looks at virtual directories in Active "
                          "Directory, and no connection was given: name one with --directory"});
    return std::vector<setting::DirectoryMatch>();
  }
  const playbook::SettingCondition& condition = *indicator.setting;
  setting::Query query{condition.kind, "", {}};
  for (const playbook::AttributeTest& test : condition.where)
    query.where.push_back({test.name, test.equals, test.matches, test.absent, test.ignore_case});
  for (const std::string& server : condition.servers) {
    const bool seen =
        std::ranges::any_of(*survey_.directory, [&](const setting::DirectoryObject& object) {
          return ascii_iequals(setting::server_of(object.dn), server);
        });
    if (!seen)
      issues.push_back({"not_evaluated", "server " + display(server),
                        "the directory shows no virtual directory of this server: it is another "
                        "forest, or the account may not read them"});
  }
  return setting::find_objects(*survey_.directory, query, condition.servers);
}

Result<std::optional<std::string>> DirectoryPlanner::wanted(
    const playbook::Change& change, const setting::DirectoryObject& object,
    const std::vector<setting::DirectoryMatch>& found) const {
  if (change.kind == "remove_attribute") return std::optional<std::string>();
  if (change.kind == "set_attribute") return std::optional(change.value);
  if (change.kind != "set_from_sibling")
    return fail(Code::bad_input, change.kind + " is no change of a directory",
                "run `remediate check`");
  const setting::DirectoryObject* sibling = nullptr;
  for (const setting::DirectoryObject& other : *survey_.directory)
    if (other.guid != object.guid && !object.classes.empty() &&
        setting::is_of_class(other, object.classes.back()) &&
        ascii_iequals(setting::server_of(other.dn), change.sibling) &&
        ascii_iequals(setting::name_of(other.dn), setting::name_of(object.dn)))
      sibling = &other;
  if (sibling == nullptr)
    return fail(Code::not_found,
                "the server " + display(change.sibling) + " has no other virtual directory " +
                    display(setting::name_of(object.dn)) + " that this account sees",
                "name a server that has it, or give a value");
  if (std::ranges::any_of(found, [&](const setting::DirectoryMatch& match) {
        return match.object->guid == sibling->guid;
      }))
    return fail(Code::refused,
                "the virtual directory on " + display(change.sibling) + " fits the indicator too",
                "name a clean server, or give a value");
  const auto* values = sibling->values(change.attribute);
  if (values == nullptr || values->empty()) return std::optional<std::string>();
  if (values->size() > 1)
    return fail(Code::ambiguous,
                "the virtual directory on " + display(change.sibling) + " has several values",
                "give a value");
  return std::optional(values->front());
}

/// Ties the object to the files on the disk that were made of it.
void DirectoryPlanner::add_dumps(const setting::DirectoryObject& object,
                                 Operation& operation) const {
  std::set<RawPath> told;
  for (const match::FileMatch& match : survey_.matches) {
    if (match.dump.empty() || !is_origin(match, object) || !told.insert(match.path).second)
      continue;
    operation.why.push_back({"dump",
                             "the settings dump " + match.path.display() + " was made of " +
                                 (ascii_iequals(field_of(match, "Guid"), object.guid)
                                      ? "this very object"
                                      : "an object of this name with another Guid: this one was "
                                        "made anew since"),
                             0, ""});
    operation.details.emplace_back("Dump", match.path.bytes());
    for (const char* name : {"Guid", "WhenChangedUTC"})
      if (const std::string value = field_of(match, name); !value.empty())
        operation.details.emplace_back(std::string("Dump ") + name, value);
  }
}

std::optional<Reason> DirectoryPlanner::origin_of(const match::FileMatch& match) const {
  if (!survey_.directory || match.dump.empty()) return std::nullopt;
  for (const setting::DirectoryObject& object : *survey_.directory) {
    if (!is_origin(match, object)) continue;
    const bool same = ascii_iequals(field_of(match, "Guid"), object.guid);
    return Reason{"object",
                  display(object.dn) + " in the directory is the object of this dump" +
                      (same ? "" : ", made anew since with another Guid") + "; changed there " +
                      display(object.when_changed),
                  0, ""};
  }
  return Reason{"object", "the directory shows no object that this dump was made of", 0, ""};
}

Result<SettingPlan> DirectoryPlanner::plan(const playbook::Playbook& playbook,
                                           const playbook::Step& step,
                                           const playbook::Indicator& indicator) {
  SettingPlan result;
  const playbook::Change& change = *step.change;
  TRY_LET(const std::vector<setting::DirectoryMatch> found, find(indicator, result.issues));
  const auto exclude = [&](const std::string& where, const Error& error) {
    result.exclusions.push_back({where, playbook.id, indicator.id, error.text()});
  };
  if (found.size() > max_found) {
    exclude("the directory", {Code::limit,
                              std::to_string(found.size()) + " objects fit, more than one step may "
                                                             "change",
                              "narrow the indicator"});
    return result;
  }
  for (const setting::DirectoryMatch& match : found) {
    const setting::DirectoryObject& object = *match.object;
    const std::string where = display(object.dn) + " " + change.attribute;
    if (object.guid.empty() || !setting::is_exchange_attribute(change.attribute)) {
      exclude(where, {Code::refused, "it has no objectGUID, or this is no attribute of Exchange",
                      "set it by hand"});
      continue;
    }
    const auto* values = object.values(change.attribute);
    if (values != nullptr && values->size() > 1) {
      exclude(where, {Code::unsupported, "the attribute has several values", "set it by hand"});
      continue;
    }
    auto after = wanted(change, object, found);
    if (!after) {
      exclude(where, after.error());
      continue;
    }
    std::optional<std::string> before;
    if (values != nullptr && !values->empty()) before = values->front();
    if (before == *after) continue;
    if (!changed_.insert({object.guid, ascii_lower(change.attribute)}).second) {
      exclude(where, {Code::refused, "an earlier step of this plan changes it", ""});
      continue;
    }
    Operation operation;
    operation.action = Action::reset_setting;
    operation.playbook = playbook.id;
    operation.indicator = indicator.id;
    operation.step = step.id;
    operation.setting =
        directory_change({object.dn, object.guid, change.attribute, before, std::move(*after),
                          object.when_changed, object.usn_changed});
    operation.why.push_back({"setting", display(match.reason), 0, ""});
    if (!change.sibling.empty())
      operation.why.push_back(
          {"sibling", "the new value is that of the server " + display(change.sibling), 0, ""});
    operation.details = {{"ObjectGUID", object.guid},
                         {"WhenChanged", object.when_changed},
                         {"Server", setting::server_of(object.dn)}};
    add_dumps(object, operation);
    operation.address = address_of(operation);
    operation.before = before_of(operation);
    operation.after = after_of(operation, true);
    operation.inverse = inverse_of(operation);
    operation.not_restorable = {"whenChanged, uSNChanged and replication metadata of the object"};
    result.operations.push_back(std::move(operation));
  }
  return result;
}

Result<std::vector<Review>> DirectoryPlanner::review(const playbook::Playbook& playbook,
                                                     const playbook::Indicator& indicator,
                                                     std::vector<IssueReport>& issues) const {
  TRY_LET(const std::vector<setting::DirectoryMatch> found, find(indicator, issues));
  std::vector<Review> reviews;
  for (const setting::DirectoryMatch& match : found)
    reviews.push_back({display(match.object->dn),
                       playbook.id,
                       indicator.id,
                       "",
                       {{"setting", display(match.reason), 0, ""}}});
  return reviews;
}

}  // namespace remediate::plan
