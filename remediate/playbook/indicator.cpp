#include <algorithm>
#include <set>

#include "remediate/playbook/evidence.h"
#include "remediate/playbook/reader.h"

namespace remediate::playbook {

namespace {

struct Provider {
  std::string_view name;
  std::vector<std::string_view> kinds;
};
constexpr std::string_view directory_provider = "exchange-directory";
const std::vector<Provider> providers = {
    {"iis-xml",
     {"site", "application", "virtualDirectory", "location", "handler", "module", "globalModule",
      "isapiFilter", "metadataKey", "element"}},
    {"apache-htaccess", {"directive", "section"}},
    {"php-user-ini", {"directive"}},
    {directory_provider,
     {"msExchVirtualDirectory", "msExchOABVirtualDirectory", "msExchOWAVirtualDirectory",
      "msExchEcpVirtualDirectory", "msExchWebServicesVirtualDirectory",
      "msExchMobileVirtualDirectory", "msExchPowerShellVirtualDirectory",
      "msExchMapiVirtualDirectory", "msExchAutodiscoverVirtualDirectory"}}};

}  // namespace

void collect_sha256(const Condition& condition, bool positive, std::set<std::string>& digests) {
  if (condition.kind == Condition::Kind::sha256 && positive) {
    digests.insert(condition.values.begin(), condition.values.end());
  }
  const bool inside = positive != (condition.kind == Condition::Kind::negation);
  for (const Condition& part : condition.children) collect_sha256(part, inside, digests);
}

Reader::Cover Reader::read_indicator_scopes(const Node& node, Indicator& indicator) {
  bool all_windows = true;
  std::size_t found = 0;
  for (const Node& item : read_list(findings_, node, max_listed, rule::empty_list)) {
    const auto id = read_text(findings_, item);
    if (!id) continue;
    if (std::ranges::find(indicator.scopes, *id) != indicator.scopes.end()) {
      findings_.error(rule::repeated_reference, item.pointer,
                      "the scope " + quote(*id) + " is named twice", "each scope once");
      continue;
    }
    indicator.scopes.push_back(*id);
    const auto known = scope_ids_.find(*id);
    if (known == scope_ids_.end()) {
      findings_.error(rule::dangling_scope, item.pointer, "there is no scope " + quote(*id),
                      "the id of one of the scopes");
      continue;
    }
    known->second.use = Use::used;
    const auto scope = std::ranges::find(playbook_.scopes, *id, &Scope::id);
    if (scope == playbook_.scopes.end() || scope->folders.empty()) continue;
    ++found;
    all_windows = all_windows && scope->folders.front().spelling == Spelling::windows;
  }
  return {found == 0 || all_windows ? Spelling::windows : Spelling::posix};
}

void Reader::read_exclude(const Node& node, Indicator& indicator) {
  Fields fields(findings_, node, {"sha256"});
  if (!fields.usable()) return;
  const auto list = fields.required("sha256", "a list of SHA-256 digests of known good files");
  if (!list) return;
  indicator.exclude_sha256 = read_digests(*list, 64);
  if (!indicator.match) return;
  std::set<std::string> matched;
  collect_sha256(*indicator.match, true, matched);
  for (std::size_t i = 0; i < indicator.exclude_sha256.size(); ++i) {
    if (!matched.contains(indicator.exclude_sha256[i])) continue;
    findings_.error(rule::excluded_digest, child(list->pointer, i),
                    quote(indicator.exclude_sha256[i]) + " is also matched",
                    "a digest is either known bad or known good");
  }
}

AttributeTest Reader::read_test(const Node& node) {
  AttributeTest test;
  Fields fields(findings_, node, {"name", "equals", "matches", "absent", "case"});
  if (!fields.usable()) return test;
  test.name = fields.text("name", "the name of an attribute");
  if (const auto equals = fields.optional("equals")) {
    if (equals->json->is_string() && equals->json->get_ref<const std::string&>().empty()) {
      test.equals = "";
    } else {
      test.equals = read_text(findings_, *equals);
    }
  }
  if (const auto matches = fields.optional("matches")) {
    test.matches = read_text(findings_, *matches);
    if (test.matches) {
      if (const auto refusal = check_regex(*test.matches)) report(*refusal, matches->pointer);
    }
  }
  test.absent = fields.flag("absent", false);
  if (const auto letters = fields.optional("case")) {
    const auto word = read_choice(findings_, *letters, {"sensitive", "insensitive"});
    test.ignore_case = word.value_or("insensitive") == "insensitive";
  }
  const bool compares = fields.has("equals") || fields.has("matches");
  if (compares == test.absent) {
    findings_.error(rule::attribute_test, node.pointer,
                    compares ? "the attribute can not be absent and have a value"
                             : "the test says nothing about the attribute",
                    "equals, matches or both, or \"absent\": true alone");
  } else if (test.ignore_case != AttributeTest{}.ignore_case && !fields.has("equals")) {
    findings_.error(rule::attribute_test, node.pointer, "case is given without equals",
                    "case beside equals only; a pattern says (?i) itself");
  }
  return test;
}

SettingCondition Reader::read_setting(const Node& node, const Indicator& indicator) {
  SettingCondition setting;
  Fields fields(findings_, node, {"provider", "files", "servers", "kind", "path", "where"});
  if (!fields.usable()) return setting;
  const std::string expected_provider =
      "iis-xml, apache-htaccess, php-user-ini or exchange-directory";
  setting.provider = fields.text("provider", expected_provider);
  const bool directory = setting.provider == directory_provider;
  const auto provider = std::ranges::find(providers, setting.provider, &Provider::name);
  if (!setting.provider.empty() && provider == providers.end()) {
    findings_.error(rule::unknown_provider, child(node.pointer, "provider"),
                    quote(setting.provider) + " is not a provider", expected_provider);
  }
  for (const char* key : {"files", "path"}) {
    if (!directory || !fields.has(key)) continue;
    findings_.error(rule::unknown_key, child(node.pointer, key),
                    quote(key) + " does not belong to a directory", "servers, or neither");
  }
  if (!directory && fields.has("servers")) {
    findings_.error(rule::unknown_key, child(node.pointer, "servers"),
                    "\"servers\" belongs to a directory", "files");
  }
  if (directory) {
    if (!indicator.scopes.empty()) {
      findings_.error(rule::unknown_key, node.pointer,
                      "the indicator has scopes, and a directory has none", "servers, or neither");
    }
    if (const auto servers = fields.optional("servers")) {
      for (const Node& item : read_list(findings_, *servers, max_listed, rule::empty_list)) {
        if (auto server = read_text(findings_, item)) setting.servers.push_back(std::move(*server));
      }
    }
  } else if (indicator.scopes.empty()) {
    // Either some named files, or every file of the indicator's scopes.
    if (const auto files = fields.required("files", "the configuration file or a list of them")) {
      setting.files = read_paths(*files, true, rule::empty_list);
    }
  } else if (fields.has("files")) {
    findings_.error(rule::unknown_key, child(node.pointer, "files"),
                    "\"files\" beside the indicator's scopes", "one of the two");
  }
  setting.kind = fields.text("kind", "which kind of setting, such as virtualDirectory");
  if (!setting.kind.empty() && provider != providers.end() &&
      std::ranges::find(provider->kinds, setting.kind) == provider->kinds.end()) {
    std::string expected = "one of";
    for (const std::string_view kind : provider->kinds) expected += " " + std::string(kind);
    findings_.error(rule::unknown_setting, child(node.pointer, "kind"),
                    quote(setting.kind) + " is no setting of " + setting.provider,
                    std::move(expected));
  }
  setting.path = fields.optional_text("path");
  if (!directory && (setting.kind == "element") != fields.has("path")) {
    findings_.error(rule::setting_path,
                    fields.has("path") ? child(node.pointer, "path") : node.pointer,
                    fields.has("path") ? "path does not fit the kind " + quote(setting.kind)
                                       : "the kind \"element\" needs a path",
                    "path for the kind element only, such as system.web/httpRuntime");
  }
  if (const auto where = fields.optional("where")) {
    for (const Node& item : read_list(findings_, *where, max_listed, rule::empty_list)) {
      setting.where.push_back(read_test(item));
    }
  } else if (indicator.authorises == Authorises::remove) {
    findings_.error(rule::setting_without_test, node.pointer,
                    "every setting of this kind would be changed",
                    "where with at least one attribute test");
  }
  return setting;
}

Source Reader::read_source(const Node& node) {
  Source source;
  Fields fields(findings_, node,
                {"format", "id", "object", "created", "valid_until", "tlp", "licence"});
  if (!fields.usable()) return source;
  source.format = fields.text("format", "where the indicator comes from: stix, misp, loki ...");
  source.id = fields.optional_text("id");
  source.object = fields.optional_text("object");
  // For people who read the file: no decision asks for the rest.
  read_date(fields, "created", false);
  read_date(fields, "valid_until", false);
  if (const auto label = fields.optional("tlp")) {
    static_cast<void>(read_choice(findings_, *label, tlp_labels));
  }
  static_cast<void>(fields.optional_text("licence"));
  return source;
}

/// One source or a list of them; the model keeps the first.
std::optional<Source> Reader::read_sources(const Node& node) {
  if (!node.json->is_array()) return read_source(node);
  std::optional<Source> first;
  for (const Node& item : read_list(findings_, node, max_listed, rule::empty_list)) {
    Source source = read_source(item);
    if (!first) first = std::move(source);
  }
  return first;
}

void Reader::read_indicator(const Node& node) {
  Fields fields(findings_, node,
                {"id", "name", "scopes", "match", "exclude", "setting", "confidence", "authorises",
                 "source"});
  if (!fields.usable()) return;
  const std::size_t errors_before = findings_.count();
  Indicator indicator;
  indicator.id = read_id(fields, indicator_ids_, "indicator");
  indicator.name = fields.text("name", "what it finds, in a few words");
  if (const auto word = fields.required("authorises", "\"review\" or \"remove\"")) {
    indicator.authorises =
        read_choice(findings_, *word, {"review", "remove"}).value_or("") == "remove"
            ? Authorises::remove
            : Authorises::review;
  }
  if (const auto word = fields.required("confidence", "\"low\", \"medium\" or \"high\"")) {
    indicator.confidence = read_choice(findings_, *word, {"low", "medium", "high"}).value_or("");
  }
  const auto match = fields.optional("match");
  const auto setting = fields.optional("setting");
  if (match.has_value() == setting.has_value()) {
    findings_.error(rule::match_or_setting, node.pointer,
                    match ? "the indicator has both match and setting"
                          : "the indicator has neither match nor setting",
                    "match for files or setting for settings");
  }
  if (match) {
    Cover cover{Spelling::windows};
    if (const auto scopes = fields.required("scopes", "a list of ids of scopes")) {
      cover = read_indicator_scopes(*scopes, indicator);
    }
    indicator.match = read_condition(*match, cover, 1);
    if (const auto exclude = fields.optional("exclude")) read_exclude(*exclude, indicator);
    const bool removes =
        indicator.authorises == Authorises::remove && findings_.count() == errors_before;
    if (removes && !has_evidence(*indicator.match)) {
      findings_.error(rule::no_evidence, match->pointer,
                      "the indicator could remove a file for its name, place or size alone",
                      "a digest, regex, magic of 2 bytes or more, yara or structure in every way "
                      "to match; or \"authorises\": \"review\"");
    } else if (removes && may_rest_on_generic_content(*indicator.match)) {
      findings_.warn(rule::generic_content, match->pointer,
                     "the match may rest on generic content alone; a host lists it for review "
                     "unless its policy has \"generic_content\": \"remove\"",
                     "beside it a path that names a file or a folder, in every way to match; or "
                     "\"review\"");
    }
  } else if (setting) {
    if (fields.has("exclude")) {
      findings_.error(rule::unknown_key, child(node.pointer, "exclude"),
                      "\"exclude\" belongs to indicators of files", "setting alone");
    }
    if (const auto scopes = fields.optional("scopes")) read_indicator_scopes(*scopes, indicator);
    indicator.setting = read_setting(*setting, indicator);
  }
  if (const auto source = fields.optional("source")) indicator.source = read_sources(*source);
  playbook_.indicators.push_back(std::move(indicator));
}

void Reader::read_indicators(const Node& node) {
  for (const Node& item : read_list(findings_, node, max_listed, rule::empty_list)) {
    read_indicator(item);
  }
}

}  // namespace remediate::playbook
