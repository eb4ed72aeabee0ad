#include <algorithm>
#include <array>

#include "remediate/playbook/reader.h"

namespace remediate::playbook {

namespace {

constexpr std::string_view actions_expected = "quarantine, replace_file, reset_setting or instruct";

struct ChangeForm {
  std::string_view kind;
  bool attribute_allowed;
  bool attribute_needed;
  bool value_needed;
  bool baseline_needed;
  bool sibling_needed;
  bool of_files;
  bool of_directories;
};

constexpr std::array<ChangeForm, 5> change_forms = {{
    {"remove_element", false, false, false, false, false, true, false},
    {"remove_attribute", true, true, false, false, false, true, true},
    {"set_attribute", true, true, true, false, false, true, true},
    {"reset_to_baseline", true, false, false, true, false, true, false},
    {"set_from_sibling", true, true, false, false, true, false, true},
}};

/// Those that say what Exchange answers with; never those that say who may do what.
bool is_exchange_attribute(std::string_view name) {
  return name.size() > 6 && name.size() <= 64 && name.starts_with("msExch") &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
         });
}

}  // namespace

Change Reader::read_change(const Node& node) {
  Change change;
  Fields fields(findings_, node, {"kind", "attribute", "value", "baseline", "sibling"});
  if (!fields.usable()) return change;
  change.kind = fields.text("kind", "what to do, such as remove_element");
  if (change.kind.empty()) return change;
  const auto form = std::ranges::find(change_forms, change.kind, &ChangeForm::kind);
  if (form == change_forms.end()) {
    findings_.error(rule::unknown_change, child(node.pointer, "kind"),
                    quote(change.kind) + " is no change",
                    "remove_element, remove_attribute, set_attribute, reset_to_baseline or "
                    "set_from_sibling");
    return change;
  }
  const auto fits = [&](const char* key, bool allowed, bool needed) {
    if (fields.has(key) ? allowed : !needed) return;
    findings_.error(rule::change_fields, fields.has(key) ? child(node.pointer, key) : node.pointer,
                    change.kind + (needed ? " needs " : " has no ") + key,
                    needed ? "the key \"" + std::string(key) + "\"" : "the key left out");
  };
  fits("attribute", form->attribute_allowed, form->attribute_needed);
  fits("value", form->value_needed, form->value_needed);
  fits("baseline", form->baseline_needed, form->baseline_needed);
  fits("sibling", form->sibling_needed, form->sibling_needed);
  change.sibling = fields.optional_text("sibling");
  change.attribute = fields.optional_text("attribute");
  if (const auto value = fields.optional("value")) {
    const bool empty =
        value->json->is_string() && value->json->get_ref<const std::string&>().empty();
    if (!empty) change.value = read_text(findings_, *value).value_or("");
  }
  if (const auto baseline = fields.optional("baseline")) {
    if (!baseline->json->is_string()) {
      findings_.error(rule::wrong_type, baseline->pointer, "this is " + type_name(*baseline->json),
                      "the path of one file");
    } else {
      auto paths = read_paths(*baseline, true, rule::empty_text);
      if (!paths.empty()) change.baseline = std::move(paths.front());
    }
  }
  return change;
}

void Reader::read_step_indicators(const Node& node, Step& step) {
  const bool acts = step.action != Action::instruct;
  for (const Node& item : read_list(findings_, node, max_listed, rule::empty_list)) {
    const auto id = read_text(findings_, item);
    if (!id) continue;
    if (std::ranges::find(step.indicators, *id) != step.indicators.end()) {
      findings_.error(rule::repeated_reference, item.pointer,
                      "the indicator " + quote(*id) + " is named twice", "each indicator once");
      continue;
    }
    step.indicators.push_back(*id);
    const auto known = indicator_ids_.find(*id);
    if (known == indicator_ids_.end()) {
      findings_.error(rule::dangling_indicator, item.pointer, "there is no indicator " + quote(*id),
                      "the id of one of the indicators");
      continue;
    }
    if (acts) known->second.use = Use::used;
    const auto indicator = std::ranges::find(playbook_.indicators, *id, &Indicator::id);
    if (!acts || indicator == playbook_.indicators.end()) continue;
    if (step.action != Action::reset_setting && indicator->setting) {
      findings_.error(rule::needs_file, item.pointer, quote(*id) + " finds settings, not files",
                      "an indicator with match, or the action reset_setting");
    } else if (step.action == Action::reset_setting && indicator->match) {
      findings_.error(rule::needs_setting, item.pointer, quote(*id) + " finds files, not settings",
                      "an indicator with setting, or the action quarantine");
    } else if (indicator->authorises == Authorises::review) {
      findings_.error(rule::review_acted, item.pointer, quote(*id) + " only authorises review",
                      "an indicator with \"authorises\": \"remove\"; what is for review is "
                      "reported without a step");
    }
  }
}

void Reader::read_known_good(const Node& node, Step& step) {
  std::set<std::string> matched;
  for (const Indicator& indicator : playbook_.indicators)
    if (indicator.match &&
        std::ranges::find(step.indicators, indicator.id) != step.indicators.end())
      collect_sha256(*indicator.match, true, matched);
  std::set<std::string> names;
  for (const Node& item : read_list(findings_, node, max_listed, rule::empty_list)) {
    Fields fields(findings_, item, {"name", "sha256"});
    if (!fields.usable()) continue;
    KnownGood good;
    good.name = fields.text("name", "the name of a file, without a folder");
    const std::string at = child(item.pointer, "name");
    if (good.name == "." || good.name == ".." || good.name.size() > 255 ||
        good.name.find_first_of("/\\:*?\"<>|") != std::string::npos)
      findings_.error(rule::known_good_name, at, quote(good.name) + " is no plain name",
                      "the name of one file, without a folder or a wildcard: logon.aspx");
    else if (!good.name.empty() && !names.insert(good.name).second)
      findings_.error(rule::repeated_reference, at,
                      "the file " + quote(good.name) + " is named twice",
                      "each name once, with all its digests");
    if (const auto list = fields.required("sha256", "the SHA-256 digests of its good versions")) {
      good.sha256 = read_digests(*list, 64);
      for (std::size_t i = 0; i < good.sha256.size(); ++i)
        if (matched.contains(good.sha256[i]))
          findings_.error(rule::excluded_digest, child(list->pointer, i),
                          quote(good.sha256[i]) + " is also matched",
                          "a digest is either known bad or known good");
    }
    step.known_good.push_back(std::move(good));
  }
}

void Reader::read_step(const Node& node) {
  Fields fields(findings_, node,
                {"id", "action", "indicators", "change", "known_good", "compiled", "text", "wait"});
  if (!fields.usable()) return;
  Step step;
  step.id = read_id(fields, step_ids_, "step");
  const std::string action = fields.text("action", std::string(actions_expected));
  if (action.empty()) return;
  if (action == "quarantine") {
    step.action = Action::quarantine;
  } else if (action == "reset_setting") {
    step.action = Action::reset_setting;
  } else if (action == "replace_file") {
    step.action = Action::replace_file;
  } else if (action != "instruct") {
    findings_.error(rule::unknown_action, child(node.pointer, "action"),
                    quote(action) + " is no action", std::string(actions_expected));
    return;
  }
  const auto belongs = [&](const char* key, Action to) {
    if (!fields.has(key) || step.action == to) return;
    findings_.error(rule::unknown_key, child(node.pointer, key),
                    quote(key) + " does not belong to " + action, "the key left out");
  };
  belongs("change", Action::reset_setting);
  belongs("known_good", Action::replace_file);
  belongs("compiled", Action::quarantine);
  belongs("text", Action::instruct);
  belongs("wait", Action::instruct);

  const auto indicators = step.action == Action::instruct
                              ? fields.optional("indicators")
                              : fields.required("indicators", "a list of ids of indicators");
  if (indicators) read_step_indicators(*indicators, step);
  if (step.action == Action::reset_setting) {
    if (const auto change = fields.required("change", "what to do with the settings")) {
      step.change = read_change(*change);
      check_change(*change, step);
    }
    if (quarantined_) {
      findings_.warn(rule::file_before_setting, node.pointer,
                     "settings are reset after files were quarantined",
                     "settings first, so that none refers to a file that is gone");
    }
  } else if (step.action == Action::replace_file) {
    if (const auto list = fields.required("known_good", "names of files, with good digests"))
      read_known_good(*list, step);
  } else if (step.action == Action::instruct) {
    step.text = fields.text("text", "what a person has to do", {.lines = true});
    step.wait = fields.flag("wait", false);
  } else {
    quarantined_ = true;
    if (const auto folders = fields.optional("compiled"))
      step.compiled = read_paths(*folders, false, rule::empty_list);
  }
  playbook_.steps.push_back(std::move(step));
}

void Reader::check_change(const Node& node, const Step& step) {
  const auto form = std::ranges::find(change_forms, step.change->kind, &ChangeForm::kind);
  if (form == change_forms.end()) return;
  for (const std::string& id : step.indicators) {
    const auto indicator = std::ranges::find(playbook_.indicators, id, &Indicator::id);
    if (indicator == playbook_.indicators.end() || !indicator->setting) continue;
    const bool directory = indicator->setting->provider == "exchange-directory";
    if (directory ? !form->of_directories : !form->of_files) {
      findings_.error(rule::change_provider, child(node.pointer, "kind"),
                      step.change->kind + " is no change of " + indicator->setting->provider +
                          ", which the indicator " + quote(id) + " asks",
                      directory ? "set_attribute, remove_attribute or set_from_sibling"
                                : "remove_element, remove_attribute, set_attribute or "
                                  "reset_to_baseline");
    } else if (directory && !step.change->attribute.empty() &&
               !is_exchange_attribute(step.change->attribute)) {
      findings_.error(rule::change_provider, child(node.pointer, "attribute"),
                      quote(step.change->attribute) + " is no attribute of Exchange",
                      "one whose name begins with msExch, such as msExchExternalHostName");
    } else if (directory && form->value_needed && step.change->value.empty()) {
      findings_.error(rule::change_provider, child(node.pointer, "value"),
                      "a directory has no empty values", "remove_attribute");
    } else {
      continue;
    }
    return;
  }
}

void Reader::read_steps(const Node& node) {
  for (const Node& item : read_list(findings_, node, max_listed, rule::empty_list)) {
    read_step(item);
  }
}

}  // namespace remediate::playbook
