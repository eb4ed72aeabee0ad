#include "remediate/interchange/cacao.h"

#include <algorithm>
#include <array>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"

namespace remediate::interchange {

namespace {

/// What CACAO 2.0 names for UUIDs of version 5.
constexpr std::string_view cacao_namespace = "aa7caf3a-d55a-4e9a-b34e-056215fba56a";
constexpr std::string_view tlp_creator = "identity--5abe695c-7bd5-4c31-8824-2528696cdbf1";

struct Marking {
  std::string_view label;
  std::string_view uuid;
  std::string_view level;
};
/// The markings that CACAO 2.0 fixes for TLP 2.0.
constexpr std::array<Marking, 5> tlp_markings = {{
    {"clear", "94868c89-83c2-464b-929b-a1a8aa3c8487", "TLP:CLEAR"},
    {"green", "bab4a63c-aed9-4cf5-a766-dfca5abac2bb", "TLP:GREEN"},
    {"amber", "55d920b0-5e8b-4f79-9ee9-91f868d9b421", "TLP:AMBER"},
    {"amber+strict", "939a9414-2ddd-4d32-a0cd-375ea402b003", "TLP:AMBER+STRICT"},
    {"red", "e828b379-4e03-4974-9ac4-e53a884c97c1", "TLP:RED"},
}};

/// Times of CACAO have milliseconds.
std::string with_milliseconds(const std::string& time) {
  return time.substr(0, time.size() - 1) + ".000Z";
}

/// "https://attack.mitre.org/techniques/T1505/003/"
std::string technique_url(std::string technique) {
  std::ranges::replace(technique, '.', '/');
  return "https://attack.mitre.org/techniques/" + technique + "/";
}

bool acts(playbook::Action action) { return action != playbook::Action::instruct; }

std::string_view action_words(playbook::Action action) {
  switch (action) {
    case playbook::Action::quarantine:
      return "quarantines the files that matched";
    case playbook::Action::reset_setting:
      return "resets the settings that matched";
    case playbook::Action::replace_file:
      return "puts known good bytes in the place of files";
    case playbook::Action::instruct:
      break;
  }
  return "instructs";
}

class Document {
 public:
  Document(const playbook::Playbook& playbook, std::string_view bytes)
      : playbook_(playbook),
        own_(playbook.id.substr(playbook.id.find("--") + 2)),
        digest_(crypto::sha256_hex(bytes)) {}

  Result<std::string> write(const Json& source) {
    add_references();
    const std::string person = id("individual", "responder");
    const std::string server = id("linux", "server");
    server_ = server;
    person_ = person;
    add_steps(source);
    Json document{
        {"type", "playbook"},
        {"spec_version", "cacao-2.0"},
        {"id", own_id()},
        {"name", playbook_.name},
        {"description", playbook_.description},
        {"playbook_types", Json::array({"remediation"})},
        {"playbook_activities", activities()},
        {"created_by", "identity--" + uuid5(cacao_namespace, "author " + playbook_.author)},
        {"created", with_milliseconds(playbook_.created)},
        {"modified", with_milliseconds(playbook_.modified)},
        {"revoked", playbook_.revoked}};
    if (!playbook_.valid_until.empty())
      document["valid_until"] = with_milliseconds(playbook_.valid_until);
    document["labels"] = Json::array({"web-shell", "remediate", "author: " + playbook_.author});
    document["external_references"] = references_;
    if (const Marking* const marking = tlp_marking(); marking != nullptr)
      document["markings"] = Json::array({marking_id(*marking)});
    document["playbook_variables"] = variables();
    document["workflow_start"] = id("start", "start");
    document["workflow"] = workflow_;
    document["agent_definitions"] = Json{
        {person, Json{{"type", "individual"}, {"name", "The person who answers for the removal"}}},
        {server, Json{{"type", "linux"},
                      {"name", "The server, or the machine where its disk is mounted"},
                      {"address", Json{{"dname", Json::array({"__server__:value"})}}}}}};
    if (const Marking* const marking = tlp_marking(); marking != nullptr)
      document["data_marking_definitions"] =
          Json{{marking_id(*marking), Json{{"type", "marking-tlp"},
                                           {"id", marking_id(*marking)},
                                           {"created_by", tlp_creator},
                                           {"created", "2022-10-01T00:00:00.000Z"},
                                           {"tlpv2_level", marking->level}}}};
    return write_json(document);
  }

 private:
  struct Step {
    std::string name;  // unique; its id is made of it
    Json body;
    std::string on_failure;  // empty: the next step in any case
  };

  [[nodiscard]] std::string id(std::string_view type, std::string_view name) const {
    return std::string(type) + "--" + uuid5(own_, std::string(type) + " " + std::string(name));
  }
  /// CACAO knows UUIDs of version 1 to 5; an imported playbook has one of version 8.
  [[nodiscard]] std::string own_id() const {
    constexpr std::size_t version = 14;
    if (own_[version] >= '1' && own_[version] <= '5') return playbook_.id;
    return "playbook--" + uuid5(cacao_namespace, playbook_.id);
  }
  [[nodiscard]] const Marking* tlp_marking() const {
    const auto* const found = std::ranges::find(tlp_markings, playbook_.tlp, &Marking::label);
    return found == tlp_markings.end() ? nullptr : found;
  }
  static std::string marking_id(const Marking& marking) {
    return "marking-tlp--" + std::string(marking.uuid);
  }

  /// Every reference of a step has to stand in the document's own list too.
  Json reference(Json one) {
    if (std::ranges::find(references_, one) == references_.end()) references_.push_back(one);
    return one;
  }

  void add_references() {
    reference(Json{
        {"name", "remediate playbook"},
        {"description", "revision " + std::to_string(playbook_.revision) + ", sha256 " + digest_},
        {"external_id", playbook_.id}});
    for (const playbook::Reference& one : playbook_.references) {
      Json json{{"name", one.source}};
      if (!one.url.empty()) json["url"] = one.url;
      reference(std::move(json));
    }
    for (const std::string& technique : playbook_.attack)
      reference(Json{
          {"name", "mitre-attack"}, {"url", technique_url(technique)}, {"external_id", technique}});
  }

  /// Where an indicator comes from: one source or a list of them.
  Json provenance(const Json& indicator) {
    Json list = Json::array();
    const auto found = indicator.find("source");
    if (found == indicator.end()) return list;
    const auto add = [&](const Json& source) {
      Json one{{"name", source.value("format", "playbook")}};
      std::string more;
      for (const char* key : {"created", "valid_until", "tlp", "licence"})
        if (source.contains(key))
          more += (more.empty() ? "" : ", ") + std::string(key) + " " + source.value(key, "");
      if (!more.empty()) one["description"] = more;
      if (source.contains("id")) one["source"] = source.value("id", "");
      if (source.contains("object")) one["external_id"] = source.value("object", "");
      list.push_back(reference(std::move(one)));
    };
    if (found->is_array())
      for (const Json& source : *found) add(source);
    else
      add(*found);
    return list;
  }

  /// Each has to be that of a step: without one that acts, nothing is applied or rolled back.
  [[nodiscard]] Json activities() const {
    Json list = Json::array({"match-indicator"});
    if (applies()) {
      list.push_back("eliminate-risk");
      list.push_back("revert-system");
    }
    return list;
  }
  [[nodiscard]] bool applies() const {
    return std::ranges::any_of(playbook_.steps, [](const auto& step) { return acts(step.action); });
  }

  static Json variables() {
    const auto variable = [](const char* description, const char* value) {
      return Json{{"type", "string"},
                  {"description", description},
                  {"value", value},
                  {"constant", false},
                  {"external", true}};
    };
    return Json{
        {"__playbook_file__", variable("the playbook of remediate on the server; its SHA-256 "
                                       "stands in external_references",
                                       "playbook.json")},
        {"__plan_file__", variable("where the plan is written; it must not exist", "plan.json")},
        {"__store__", variable("the store of remediate on the server", "/var/lib/remediate")},
        {"__root__", variable("the tree: / or where another machine's disk is mounted", "/")},
        {"__plan_id__", variable("the plan that was read and approved, as `plan` names it", "")},
        {"__run__", variable("the run, as `apply` names it", "")},
        {"__server__", variable("the name of the server", "localhost")}};
  }

  Json manual(std::string command, const char* activity = nullptr) const {
    return one_command("manual", person_, std::move(command), activity);
  }
  Json bash(std::string command, const char* activity = nullptr) const {
    return one_command("bash", server_, std::move(command), activity);
  }
  static Json one_command(const char* type, const std::string& agent, std::string command,
                          const char* activity) {
    Json one{{"type", type}, {"command", std::move(command)}};
    if (activity != nullptr) one["playbook_activity"] = activity;
    return Json{{"commands", Json::array({std::move(one)})}, {"agent", agent}};
  }

  void add(std::string name, std::string title, std::string description, const Json& body,
           Json sources = Json::array()) {
    Json step{{"type", "action"}, {"name", std::move(title)}};
    if (!description.empty()) step["description"] = std::move(description);
    if (!sources.empty()) step["external_references"] = std::move(sources);
    step.update(body);
    steps_.push_back({std::move(name), std::move(step), {}});
  }

  void add_steps(const Json& source) {
    add("check", "Check the playbook", "Nothing is read but the playbook.",
        bash("remediate check \"__playbook_file__:value\""));
    add("plan", "Plan: the dry run", "It changes nothing, and says what would be done.",
        bash("remediate plan -p \"__playbook_file__:value\" --root \"__root__:value\" "
             "-o \"__plan_file__:value\" --store \"__store__:value\"",
             "match-indicator"));
    for (std::size_t i = 0; i < playbook_.indicators.size(); ++i)
      add_indicator(playbook_.indicators[i], source.at("indicators").at(i));
    if (applies()) add_apply();
    for (const playbook::Step& step : playbook_.steps) add_step(step);
    add("verify", "Verify the evidence", "Signatures, the chain of records, every object.",
        bash("remediate verify --store \"__store__:value\""));
    link();
  }

  void add_indicator(const playbook::Indicator& indicator, const Json& source) {
    const bool removes = indicator.authorises == playbook::Authorises::remove;
    add("indicator " + indicator.id, "Look at: " + indicator.name,
        "Indicator " + indicator.id + ", confidence " + indicator.confidence +
            (removes ? ": authorises removal." : ": for review, nothing is removed for it."),
        manual("Read what the plan found by the indicator " + indicator.id +
               ": remediate show __plan_file__:value. " +
               (removes ? "Each file or setting that is not the attacker's is a reason not to "
                          "apply the plan."
                        : "Decide on each file or setting yourself.")),
        provenance(source));
  }

  void add_apply() {
    add("apply", "Apply the plan",
        "A person confirms the plan by its id. Every file goes to the quarantine and can be given "
        "back.",
        manual("remediate apply __plan_file__:value --confirm __plan_id__:value "
               "--store __store__:value",
               "eliminate-risk"));
    steps_.back().on_failure = id("action", "rollback");
  }

  void add_step(const playbook::Step& step) {
    const std::string of = step.indicators.empty() ? "" : indicators_text(step);
    if (acts(step.action)) {
      add("step " + step.id, "Compare: " + step.id,
          "The step " + step.id + " " + std::string(action_words(step.action)) + of + ".",
          manual("Compare what the step " + step.id +
                 " did with the plan: remediate show __run__:value --store __store__:value"));
      return;
    }
    std::string command = step.text;
    if (step.wait)
      command += "\nThen go on: remediate resume __run__:value --store __store__:value";
    add("step " + step.id, "Do: " + step.id,
        (step.wait ? "The removal waits for this" : "Not done by the tool") + of + ".",
        manual(std::move(command)));
  }

  static std::string indicators_text(const playbook::Step& step) {
    std::string text = ", for ";
    for (const std::string& indicator : step.indicators)
      text += (indicator == step.indicators.front() ? "" : ", ") + indicator;
    return text;
  }

  /// One after the other, from start to end; the rollback stands beside them.
  void link() {
    const std::string end = id("end", "end");
    workflow_[id("start", "start")] = Json{
        {"type", "start"}, {"name", "Start"}, {"on_completion", id("action", steps_.front().name)}};
    bool fails = false;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      const std::string next = i + 1 < steps_.size() ? id("action", steps_[i + 1].name) : end;
      Json& body = steps_[i].body;
      if (steps_[i].on_failure.empty()) {
        body["on_completion"] = next;
      } else {
        body["on_success"] = next;
        body["on_failure"] = steps_[i].on_failure;
        fails = true;
      }
      workflow_[id("action", steps_[i].name)] = std::move(body);
    }
    if (fails) {
      Json rollback{{"type", "action"},
                    {"name", "Resume or roll back"},
                    {"description",
                     "Also for later: a file that turns out to be good is given back this way, and "
                     "`export --as misp-sightings` says so to others."}};
      rollback.update(manual(
          "Read what was done: remediate show __run__:value --store __store__:value. Then either "
          "go on: remediate resume __run__:value --store __store__:value, or give everything back: "
          "remediate rollback __run__:value --store __store__:value",
          "revert-system"));
      rollback["on_completion"] = end;
      workflow_[id("action", "rollback")] = std::move(rollback);
    }
    workflow_[end] = Json{{"type", "end"}, {"name", "End"}};
  }

  const playbook::Playbook& playbook_;
  const std::string own_;  // the UUID
  const std::string digest_;
  std::string server_;
  std::string person_;
  std::vector<Step> steps_;
  Json references_ = Json::array();
  Json workflow_ = Json::object();
};

}  // namespace

std::string uuid5(std::string_view namespace_uuid, std::string_view name) {
  std::string digits(namespace_uuid);
  std::erase(digits, '-');
  const std::string bytes = hex_decode(digits).value_or("") + std::string(name);
  std::string uuid = crypto::digest_hex(crypto::Algorithm::sha1, bytes).substr(0, 32);
  uuid[12] = '5';
  constexpr std::string_view hex = "0123456789abcdef";
  uuid[16] = "89ab"[hex.find(uuid[16]) % 4];
  for (const std::size_t at : {20U, 16U, 12U, 8U}) uuid.insert(at, "-");
  return uuid;
}

Result<std::string> cacao_playbook(const playbook::Playbook& playbook, std::string_view bytes) {
  TRY_LET(const Json source,
          parse_json(bytes, "the playbook", {.max_bytes = 16u << 20, .max_depth = 64}));
  return Document(playbook, bytes).write(source);
}

}  // namespace remediate::interchange
