#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"
#include "remediate/plan/plan_file.h"
#include "remediate/plan/plan_json.h"
#include "remediate/plan/replacement_plan.h"
#include "remediate/plan/wording.h"
#include "remediate/setting/directory/query.h"

namespace remediate::plan {
namespace {

Json raw_to_json(const std::string& raw) {
  return Json{{"display", display(raw)}, {"raw", base64_encode(raw)}};
}

Result<std::string> raw_from_json(const Json& json, const std::string& pointer) {
  JsonReader reader(json, pointer);
  TRY_LET(const std::string shown, reader.string("display"));
  TRY_LET(std::string raw, reader.bytes("raw"));
  TRY(reader.done());
  if (shown != display(raw))
    return fail(Code::bad_input, pointer + "/display does not show /raw",
                "the file was not made by this tool or was changed: make a new plan");
  return raw;
}

Json to_json(const Precondition& condition) {
  return Json{{"sha256", condition.sha256},
              {"size", condition.metadata.stat.size},
              {"parent", remediate::to_json(condition.parent)},
              {"parent_modified", remediate::to_json(condition.parent_modified)},
              {"filesystem", condition.filesystem},
              {"metadata", remediate::to_json(condition.metadata)}};
}

Result<Precondition> precondition_from_json(const Json& json, const std::string& pointer) {
  JsonReader reader(json, pointer);
  Precondition condition;
  TRY_LET(condition.sha256, reader.string("sha256"));
  TRY_LET(const std::uint64_t size, reader.unsigned_integer("size"));
  TRY_LET(const Json* parent, reader.object("parent"));
  TRY_LET(condition.parent, file_id_from_json(*parent, pointer + "/parent"));
  TRY_LET(const Json* modified, reader.object("parent_modified"));
  TRY_LET(condition.parent_modified, timestamp_from_json(*modified, pointer + "/parent_modified"));
  TRY_LET(condition.filesystem, reader.string("filesystem"));
  TRY_LET(const Json* metadata, reader.object("metadata"));
  TRY_LET(condition.metadata, metadata_from_json(*metadata, pointer + "/metadata"));
  if (size != condition.metadata.stat.size)
    return fail(Code::bad_input, pointer + ": size and metadata disagree", "make a new plan");
  TRY(reader.done());
  return condition;
}

Json to_json(const SettingChange& change) {
  Json edits = Json::array();
  for (const SettingEdit& edit : change.edits) {
    Json json{{"address", raw_to_json(edit.address)},
              {"kind", edit.kind},
              {"attribute", edit.attribute},
              {"value", raw_to_json(edit.value)}};
    if (!edit.baseline.is_root()) {
      json["baseline"] = path_to_json(edit.baseline);
      json["baseline_sha256"] = edit.baseline_sha256;
    }
    edits.push_back(std::move(json));
  }
  Json differences = Json::array();
  for (const SettingDifference& difference : change.differences)
    differences.push_back(Json{{"kind", difference.kind},
                               {"address", raw_to_json(difference.address)},
                               {"attribute", raw_to_json(difference.attribute)},
                               {"before", raw_to_json(difference.before)},
                               {"after", raw_to_json(difference.after)}});
  Json json{{"provider", change.provider},
            {"edits", edits},
            {"differences", differences},
            {"after_sha256", change.after_sha256},
            {"diff", change.diff}};
  if (change.directory) json["directory"] = remediate::to_json(*change.directory);
  return json;
}

Result<SettingEdit> edit_from_json(const Json& json, const std::string& pointer) {
  JsonReader reader(json, pointer);
  SettingEdit edit;
  TRY_LET(const Json* address, reader.object("address"));
  TRY_LET(edit.address, raw_from_json(*address, pointer + "/address"));
  TRY_LET(edit.kind, reader.string("kind"));
  TRY_LET(edit.attribute, reader.string("attribute"));
  TRY_LET(const Json* value, reader.object("value"));
  TRY_LET(edit.value, raw_from_json(*value, pointer + "/value"));
  if (reader.has("baseline")) {
    TRY_LET(const Json* baseline, reader.object("baseline"));
    TRY_LET(edit.baseline, path_from_json(*baseline, pointer + "/baseline"));
    TRY_LET(edit.baseline_sha256, reader.string("baseline_sha256"));
  }
  TRY(reader.done());
  return edit;
}

Result<SettingDifference> difference_from_json(const Json& json, const std::string& pointer) {
  JsonReader reader(json, pointer);
  SettingDifference difference;
  TRY_LET(difference.kind, reader.string("kind"));
  const auto raw = [&](const char* key) -> Result<std::string> {
    TRY_LET(const Json* object, reader.object(key));
    return raw_from_json(*object, pointer + "/" + key);
  };
  TRY_LET(difference.address, raw("address"));
  TRY_LET(difference.attribute, raw("attribute"));
  TRY_LET(difference.before, raw("before"));
  TRY_LET(difference.after, raw("after"));
  TRY(reader.done());
  return difference;
}

Result<SettingChange> setting_from_json(const Json& json, const std::string& pointer) {
  JsonReader reader(json, pointer);
  SettingChange change;
  TRY_LET(change.provider, reader.string("provider"));
  TRY_LET(change.edits, read_array<SettingEdit>(reader, "edits", edit_from_json));
  TRY_LET(change.differences,
          read_array<SettingDifference>(reader, "differences", difference_from_json));
  TRY_LET(change.after_sha256, reader.string("after_sha256"));
  TRY_LET(change.diff, reader.string("diff"));
  const bool directory = change.provider == setting::directory_provider;
  if (directory != reader.has("directory"))
    return fail(Code::bad_input, pointer + ": the provider and /directory do not fit",
                "make a new plan");
  if (directory) {
    TRY_LET(const Json* value, reader.object("directory"));
    TRY_LET(DirectoryValue read, directory_value_from_json(*value, pointer + "/directory"));
    if (!setting::is_exchange_attribute(read.attribute))
      return fail(Code::bad_input, pointer + "/directory/attribute is no attribute of Exchange",
                  "make a new plan");
    change.directory = std::move(read);
    if (to_json(directory_change(*change.directory)) != json)
      return fail(Code::bad_input,
                  pointer + ": edits and differences do not say what /directory does",
                  "the plan was not made by this tool or was changed: make a new plan");
  }
  TRY(reader.done());
  return change;
}

Json to_json(const Replacement& replacement) {
  return Json{{"source", raw_to_json(replacement.source)},
              {"sha256", replacement.sha256},
              {"size", replacement.bytes.size()},
              {"content", base64_encode(replacement.bytes)}};
}

Result<Replacement> replacement_from_json(const Json& json, const std::string& pointer) {
  JsonReader reader(json, pointer);
  Replacement replacement;
  TRY_LET(const Json* source, reader.object("source"));
  TRY_LET(replacement.source, raw_from_json(*source, pointer + "/source"));
  TRY_LET(replacement.sha256, reader.string("sha256"));
  TRY_LET(const std::uint64_t size, reader.unsigned_integer("size"));
  TRY_LET(replacement.bytes, reader.bytes("content"));
  TRY(reader.done());
  if (size != replacement.bytes.size() || size > max_known_good_bytes ||
      replacement.sha256 != crypto::sha256_hex(replacement.bytes))
    return fail(Code::bad_input, pointer + ": size and sha256 are not those of the content",
                "the plan was not made by this tool or was changed: make a new plan");
  return replacement;
}

Result<Reason> reason_from_json(const Json& json, const std::string& pointer) {
  JsonReader reader(json, pointer);
  Reason reason;
  TRY_LET(reason.kind, reader.string("kind"));
  TRY_LET(reason.text, reader.string("text"));
  TRY_LET(reason.offset, reader.unsigned_integer("offset"));
  TRY_LET(const Json* excerpt, reader.object("excerpt"));
  TRY_LET(reason.excerpt, raw_from_json(*excerpt, pointer + "/excerpt"));
  TRY(reader.done());
  return reason;
}

Result<std::vector<std::string>> strings_from_json(JsonReader& reader, const char* key) {
  return read_array<std::string>(
      reader, key, [](const Json& json, const std::string& pointer) -> Result<std::string> {
        if (!json.is_string())
          return fail(Code::bad_input, pointer + " is not text", "make a new plan");
        return json.get<std::string>();
      });
}

Result<Action> action_from_name(const std::string& name, const std::string& pointer) {
  for (const Action action :
       {Action::quarantine, Action::reset_setting, Action::replace_file, Action::instruct})
    if (name == action_name(action)) return action;
  return fail(Code::bad_input,
              pointer + "/action: " + display(name) + " is not an action of this version",
              "make a new plan with this version of the tool");
}

}  // namespace

Json path_to_json(const RawPath& path) {
  return Json{{"display", path.display()}, {"raw", base64_encode(path.bytes())}};
}

Result<RawPath> path_from_json(const Json& json, const std::string& pointer) {
  TRY_LET(const std::string raw, raw_from_json(json, pointer));
  return RawPath::parse(raw);
}

Json to_json(const Reason& reason) {
  return Json{{"kind", reason.kind},
              {"text", reason.text},
              {"offset", reason.offset},
              {"excerpt", raw_to_json(reason.excerpt)}};
}

Json reasons_to_json(const std::vector<Reason>& reasons) {
  Json array = Json::array();
  for (const Reason& reason : reasons) array.push_back(to_json(reason));
  return array;
}

Result<std::vector<Reason>> reasons_from_json(const Json& array, const std::string& pointer) {
  std::vector<Reason> reasons;
  for (const Json& element : array) {
    TRY_LET(Reason reason,
            reason_from_json(element, pointer + "/" + std::to_string(reasons.size())));
    reasons.push_back(std::move(reason));
  }
  return reasons;
}

Json operation_to_json(const Operation& operation) {
  Json json{{"id", operation.id},
            {"action", action_name(operation.action)},
            {"address", operation.address},
            {"playbook", operation.playbook},
            {"indicator", operation.indicator},
            {"scope", operation.scope},
            {"step", operation.step},
            {"why", reasons_to_json(operation.why)}};
  Json details = Json::array();
  for (const auto& [name, value] : operation.details)
    details.push_back(Json{{"name", raw_to_json(name)}, {"value", raw_to_json(value)}});
  json["details"] = std::move(details);
  if (operation.action == Action::instruct) {
    json["instruction"] = operation.instruction;
    if (operation.waits) json["waits"] = true;
    json["precondition"] = nullptr;
  } else {
    if (operation.setting.directory) {
      json["precondition"] = nullptr;  // it is in setting/directory
    } else {
      json["path"] = path_to_json(operation.path);
      json["precondition"] = to_json(operation.precondition);
    }
  }
  if (operation.action == Action::reset_setting) json["setting"] = to_json(operation.setting);
  if (operation.action == Action::replace_file)
    json["replacement"] = to_json(operation.replacement);
  json["before"] = operation.before;
  json["after"] = operation.after;
  json["inverse"] = operation.inverse;
  json["not_restorable"] = operation.not_restorable;
  return json;
}

Result<Operation> operation_from_json(const Json& json, const std::string& pointer) {
  JsonReader reader(json, pointer);
  Operation operation;
  TRY_LET(operation.id, reader.string("id"));
  TRY_LET(const std::string action, reader.string("action"));
  TRY_LET(operation.action, action_from_name(action, pointer));
  TRY_LET(operation.address, reader.string("address"));
  TRY_LET(operation.playbook, reader.string("playbook"));
  TRY_LET(operation.indicator, reader.string("indicator"));
  TRY_LET(operation.scope, reader.string("scope"));
  TRY_LET(operation.step, reader.string("step"));
  TRY_LET(operation.why, read_array<Reason>(reader, "why", reason_from_json));
  using Detail = std::pair<std::string, std::string>;
  TRY_LET(operation.details,
          read_array<Detail>(reader, "details",
                             [](const Json& element, const std::string& where) -> Result<Detail> {
                               JsonReader detail(element, where);
                               TRY_LET(const Json* name, detail.object("name"));
                               TRY_LET(const Json* value, detail.object("value"));
                               Detail result;
                               TRY_LET(result.first, raw_from_json(*name, where + "/name"));
                               TRY_LET(result.second, raw_from_json(*value, where + "/value"));
                               TRY(detail.done());
                               return result;
                             }));
  const bool no_file = json.contains("precondition") && json["precondition"].is_null();
  if (operation.action == Action::instruct) {
    TRY_LET(operation.instruction, reader.string("instruction"));
    if (json.contains("waits")) {
      TRY_LET(operation.waits, reader.boolean("waits"));
      if (!operation.waits)
        return fail(Code::bad_input, pointer + "/waits is left out where it is false",
                    "make a new plan");
    }
    if (!no_file)
      return fail(Code::bad_input, pointer + "/precondition must be null for an instruction",
                  "make a new plan");
  } else if (!(no_file && operation.action == Action::reset_setting)) {
    TRY_LET(const Json* path, reader.object("path"));
    TRY_LET(operation.path, path_from_json(*path, pointer + "/path"));
    if (operation.path.is_root())
      return fail(Code::bad_input, pointer + "/path is the root itself", "make a new plan");
    TRY_LET(const Json* condition, reader.object("precondition"));
    TRY_LET(operation.precondition, precondition_from_json(*condition, pointer + "/precondition"));
  }
  if (operation.action == Action::reset_setting) {
    TRY_LET(const Json* setting, reader.object("setting"));
    TRY_LET(operation.setting, setting_from_json(*setting, pointer + "/setting"));
    if (operation.setting.directory.has_value() != no_file)
      return fail(Code::bad_input, pointer + "/precondition does not fit the provider",
                  "make a new plan");
  }
  if (operation.action == Action::replace_file) {
    TRY_LET(const Json* replacement, reader.object("replacement"));
    TRY_LET(operation.replacement, replacement_from_json(*replacement, pointer + "/replacement"));
    if (operation.replacement.sha256 == operation.precondition.sha256)
      return fail(Code::bad_input, pointer + "/replacement is what is there already",
                  "make a new plan");
  }
  TRY_LET(operation.before, reader.string("before"));
  TRY_LET(operation.after, reader.string("after"));
  TRY_LET(operation.inverse, reader.string("inverse"));
  TRY_LET(operation.not_restorable, strings_from_json(reader, "not_restorable"));
  if (!no_file) TRY(reader.done());
  TRY(check_words(operation, pointer));
  return operation;
}

}  // namespace remediate::plan
