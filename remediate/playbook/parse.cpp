#include "remediate/playbook/parse.h"

#include <algorithm>

#include "remediate/base/clock.h"
#include "remediate/base/encoding.h"
#include "remediate/crypto/digest.h"
#include "remediate/playbook/reader.h"

namespace remediate::playbook {

namespace {

constexpr std::uint64_t largest_file = 256u << 20;
constexpr std::string_view id_form =
    "up to 64 of a-z, 0-9, '-', '_' and '.', a letter or digit first";

bool among(std::string_view text, std::string_view allowed) {
  return text.find_first_not_of(allowed) == std::string_view::npos;
}

bool is_element_id(std::string_view id) {
  return !id.empty() && id.size() <= 64 && among(id, "abcdefghijklmnopqrstuvwxyz0123456789-_.") &&
         among(id.substr(0, 1), "abcdefghijklmnopqrstuvwxyz0123456789");
}

bool is_technique(std::string_view id) {
  constexpr std::string_view digits = "0123456789";
  if (!id.starts_with('T') || id.size() < 5 || !among(id.substr(1, 4), digits)) return false;
  return id.size() == 5 || (id.size() == 9 && id[5] == '.' && among(id.substr(6), digits));
}

const Rule& rule_of(JsonIssue::Kind kind) {
  switch (kind) {
    case JsonIssue::Kind::too_large:
      return rule::file_too_large;
    case JsonIssue::Kind::too_deep:
      return rule::too_deep;
    case JsonIssue::Kind::too_many:
      return rule::too_many_values;
    case JsonIssue::Kind::duplicate_key:
      return rule::duplicate_key;
    case JsonIssue::Kind::trailing_bytes:
      return rule::trailing_bytes;
    case JsonIssue::Kind::not_utf8:
      return rule::not_utf8;
    case JsonIssue::Kind::number:
      return rule::bad_number;
    case JsonIssue::Kind::syntax:
      break;
  }
  return rule::syntax;
}

std::string_view expectation(JsonIssue::Kind kind) {
  switch (kind) {
    case JsonIssue::Kind::too_large:
      return "at most 16 MiB; split the playbook";
    case JsonIssue::Kind::too_deep:
      return "at most 64 levels";
    case JsonIssue::Kind::too_many:
      return "at most 1,000,000 values; split the playbook";
    case JsonIssue::Kind::duplicate_key:
      return "each key once in an object";
    case JsonIssue::Kind::trailing_bytes:
      return "one JSON object and nothing after it but white space";
    case JsonIssue::Kind::not_utf8:
      return "UTF-8 without a byte order mark";
    case JsonIssue::Kind::number:
      return "whole numbers of at most 64 bits";
    case JsonIssue::Kind::syntax:
      break;
  }
  return "one JSON object as RFC 8259 defines it";
}

}  // namespace

void Reader::report(const Refusal& refusal, const std::string& pointer) {
  findings_.error(*refusal.rule, pointer, refusal.message, refusal.expected);
}

std::string Reader::read_id(Fields& fields, std::map<std::string, Known>& ids, const char* what) {
  const auto node = fields.required("id", std::string("an id: ") + std::string(id_form));
  if (!node) return {};
  const auto id = read_text(findings_, *node);
  if (!id) return {};
  if (!is_element_id(*id)) {
    findings_.error(rule::bad_id, node->pointer, quote(*id) + " is malformed",
                    std::string(id_form));
  }
  const auto [place, fresh] = ids.try_emplace(*id, Known{fields.pointer()});
  if (!fresh) {
    findings_.error(rule::duplicate_id, node->pointer,
                    "the id " + quote(*id) + " is taken by " + place->second.pointer,
                    std::string("an id that no other ") + what + " has");
  }
  return *id;
}

std::string Reader::read_date(Fields& fields, const char* key, bool needed) {
  const auto node = needed ? fields.required(key, "a UTC time such as 2026-01-31T00:00:00Z")
                           : fields.optional(key);
  if (!node) return {};
  const auto text = read_text(findings_, *node);
  if (!text) return {};
  if (parse_utc(*text)) return *text;
  findings_.error(rule::bad_date, node->pointer, quote(*text) + " is not a real UTC time",
                  "YYYY-MM-DDTHH:MM:SSZ, such as 2026-01-31T00:00:00Z");
  return {};
}

void Reader::read_dates(Fields& fields) {
  playbook_.created = read_date(fields, "created", true);
  playbook_.modified = read_date(fields, "modified", true);
  playbook_.valid_until = read_date(fields, "valid_until", false);
  // The one format sorts as time does.
  if (!playbook_.created.empty() && !playbook_.modified.empty() &&
      playbook_.modified < playbook_.created) {
    findings_.error(rule::dates_out_of_order, child(fields.pointer(), "modified"),
                    "modified is before created", playbook_.created + " or later");
  }
  if (!playbook_.created.empty() && !playbook_.valid_until.empty() &&
      playbook_.valid_until <= playbook_.created) {
    findings_.error(rule::dates_out_of_order, child(fields.pointer(), "valid_until"),
                    "valid_until is not after created", "a time after " + playbook_.created);
  }
}

void Reader::read_references(const Node& node) {
  for (const Node& item : read_list(findings_, node, max_listed, rule::empty_list)) {
    Fields fields(findings_, item, {"source", "url"});
    if (!fields.usable()) continue;
    Reference reference;
    reference.source = fields.text("source", "who published what this is based on");
    reference.url = fields.optional_text("url");
    if (!reference.url.empty() && !reference.url.starts_with("https://") &&
        !reference.url.starts_with("http://")) {
      findings_.error(rule::bad_url, child(item.pointer, "url"),
                      quote(reference.url) + " is not a web address", "https://... or http://...");
    }
    playbook_.references.push_back(std::move(reference));
  }
}

void Reader::read_head(Fields& fields) {
  if (const auto node = fields.required("format_version", "1")) {
    if (!node->json->is_number_integer()) {
      findings_.error(rule::wrong_type, node->pointer, "this is " + type_name(*node->json),
                      "the number 1");
    } else if (*node->json != 1) {
      findings_.error(rule::format_version, node->pointer,
                      "format version " + node->json->dump() + " is not supported",
                      "1, or a newer version of this tool");
    }
  }
  if (const auto node = fields.required("id", "playbook--UUID")) {
    playbook_.id = read_text(findings_, *node).value_or("");
    if (!playbook_.id.empty() && !is_playbook_id(playbook_.id)) {
      findings_.error(rule::playbook_id, node->pointer, quote(playbook_.id) + " is malformed",
                      "playbook-- and a lower-case RFC 4122 UUID");
    }
  }
  playbook_.name = fields.text("name", "a short title");
  playbook_.description =
      fields.text("description", "what the playbook removes and what it leaves", {.lines = true});
  if (fields.required("revision", "a whole number, 1 at first and raised by every change")) {
    playbook_.revision = fields.number("revision", 1, 1'000'000'000).value_or(0);
  }
  read_dates(fields);
  playbook_.revoked = fields.flag("revoked", false);
  playbook_.author = fields.text("author", "who answers for the playbook");
  if (const auto node = fields.required("tlp", "a Traffic Light Protocol label")) {
    playbook_.tlp = read_choice(findings_, *node, tlp_labels).value_or("");
  }
  if (const auto node = fields.required("references", "a list of at least one source")) {
    read_references(*node);
  }
  if (const auto node = fields.required("attack", "a list of ATT&CK techniques, e.g. T1505.003")) {
    for (const Node& item : read_list(findings_, *node, max_listed, rule::empty_list)) {
      const auto id = read_text(findings_, item);
      if (!id) continue;
      if (!is_technique(*id)) {
        findings_.error(rule::bad_technique, item.pointer, quote(*id) + " is malformed",
                        "T and four digits, a sub-technique after a dot: T1505.003");
      }
      playbook_.attack.push_back(*id);
    }
  }
  if (const auto bytes = fields.number("max_file_size", 1, largest_file)) {
    playbook_.max_file_size = *bytes;
  }
}

void Reader::warn_unused() {
  for (const auto& [id, known] : scope_ids_) {
    if (known.use == Use::used) continue;
    findings_.warn(rule::unused_scope, known.pointer, "no indicator uses the scope " + quote(id),
                   "an indicator that names it, or the scope left out");
  }
  for (const Indicator& indicator : playbook_.indicators) {
    const auto known = indicator_ids_.find(indicator.id);
    if (indicator.authorises != Authorises::remove || known == indicator_ids_.end() ||
        known->second.use == Use::used) {
      continue;
    }
    findings_.warn(rule::unused_indicator, known->second.pointer,
                   quote(indicator.id) + " authorises removal, but no step acts on it",
                   "a quarantine, replace_file or reset_setting step that names it, or "
                   "\"review\"");
  }
  for (std::size_t i = 0; i < variables_.size(); ++i) {
    if (variables_[i].use == Use::used) continue;
    findings_.warn(rule::unused_variable, variables_[i].pointer,
                   "nothing uses the variable " + quote(playbook_.variables[i].name),
                   "a path that begins with it, or the variable left out");
  }
}

void Reader::read(const Json& document) {
  Fields fields(findings_, {&document, ""},
                {"format_version", "id", "name", "description", "revision", "created", "modified",
                 "valid_until", "revoked", "author", "tlp", "references", "attack", "max_file_size",
                 "variables", "scopes", "indicators", "steps"});
  if (!fields.usable()) return;
  read_head(fields);
  if (const auto node = fields.optional("variables")) read_variables(*node);
  if (const auto node = fields.optional("scopes")) read_scopes(*node);
  if (const auto node = fields.required("indicators", "a list of at least one indicator")) {
    read_indicators(*node);
  }
  if (const auto node = fields.required("steps", "a list of at least one step")) read_steps(*node);
  warn_unused();
}

bool is_playbook_id(std::string_view id) {
  constexpr std::string_view prefix = "playbook--";
  if (!id.starts_with(prefix) || id.size() != prefix.size() + 36) return false;
  const std::string_view uuid = id.substr(prefix.size());
  for (std::size_t i = 0; i < uuid.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? uuid[i] != '-' : !among(uuid.substr(i, 1), "0123456789abcdef")) return false;
  }
  return among(uuid.substr(14, 1), "12345678") && among(uuid.substr(19, 1), "89ab");
}

std::expected<Parsed, std::vector<Diagnostic>> parse_playbook(std::string_view bytes,
                                                              std::string_view file) {
  Findings findings(file);
  const auto document = parse_json_strict(bytes, {.max_bytes = 16u << 20, .max_depth = 64});
  if (!document) {
    const JsonIssue& issue = document.error();
    findings.error(rule_of(issue.kind), issue.pointer, issue.message,
                   std::string(expectation(issue.kind)));
    return std::unexpected(findings.take_errors(Json()));
  }
  Parsed parsed;
  Reader(findings, parsed.playbook).read(*document);
  if (findings.failed()) return std::unexpected(findings.take_errors(*document));
  parsed.playbook.file = std::string(file);
  parsed.playbook.sha256 = crypto::sha256_hex(bytes);
  parsed.warnings = findings.take_warnings(*document);
  return parsed;
}

}  // namespace remediate::playbook
