#include <algorithm>
#include <array>

#include "remediate/base/encoding.h"
#include "remediate/playbook/reader.h"
#include "remediate/playbook/trivial_digest.h"

namespace remediate::playbook {

namespace {

using Kind = Condition::Kind;

constexpr std::size_t longest_yara = 1u << 20;
constexpr std::uint64_t largest_number = INT64_MAX;
constexpr std::string_view matchers =
    "one of all, any, not, path, sha256, sha1, md5, size, magic, regex, yara, structure";

/// Of the empty file, of "\n" and of "\r\n", in MD5, SHA-1 and SHA-256: a feed that carries one
/// would remove every such file.
constexpr std::array<std::string_view, 9> trivial_digests = {
    "d41d8cd98f00b204e9800998ecf8427e",
    "68b329da9893e34099c7d8ad5cb9c940",
    "81051bcc2cf1bedf378224b0a93e2877",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "adc83b19e793491b1c6ea0fd8b46cd9f32e592fc",
    "ba8ab5a0280b953aa97435ff8946cbcbb2755a27",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b",
    "7eb70257593da06f682a3ddda54a9d260d4fc514f645237f5ca74b08f8da61a6",
};

std::optional<Kind> kind_of(std::string_view key) {
  constexpr std::array<std::pair<std::string_view, Kind>, 12> kinds = {{
      {"all", Kind::all},
      {"any", Kind::any},
      {"not", Kind::negation},
      {"path", Kind::path},
      {"sha256", Kind::sha256},
      {"sha1", Kind::sha1},
      {"md5", Kind::md5},
      {"size", Kind::size},
      {"magic", Kind::magic},
      {"regex", Kind::regex},
      {"yara", Kind::yara},
      {"structure", Kind::structure},
  }};
  for (const auto& [name, kind] : kinds) {
    if (name == key) return kind;
  }
  return std::nullopt;
}

}  // namespace

bool is_trivial_digest(std::string_view digest) {
  return std::ranges::find(trivial_digests, digest) != trivial_digests.end();
}

std::vector<std::string> Reader::read_digests(const Node& node, std::size_t length) {
  const std::string expected = std::to_string(length) + " lower-case hexadecimal digits";
  std::vector<std::string> digests;
  if (node.json->is_array()) digests_ += node.json->size();
  if (digests_ > max_digests) {
    if (!too_many_digests_) {
      findings_.error(rule::too_many_digests, node.pointer,
                      "with this list the playbook holds " + std::to_string(digests_) + " digests",
                      "at most " + std::to_string(max_digests) + "; split the playbook");
    }
    too_many_digests_ = true;
    return digests;
  }
  for (const Node& item : read_list(findings_, node, max_digests, rule::empty_list)) {
    const auto digest = read_text(findings_, item);
    if (!digest) continue;
    if (digest->size() != length ||
        digest->find_first_not_of("0123456789abcdef") != std::string::npos) {
      findings_.error(rule::bad_digest, item.pointer, quote(*digest) + " is malformed", expected);
    } else if (is_trivial_digest(*digest)) {
      findings_.error(rule::trivial_digest, item.pointer,
                      "this is the digest of an empty file or of a line break",
                      "the digest of a file with content; the feed it came from is faulty");
    }
    digests.push_back(*digest);
  }
  return digests;
}

void Reader::read_size(const Node& node, Condition& condition) {
  Fields fields(findings_, node, {"min", "max"});
  if (!fields.usable()) return;
  condition.min_size = fields.number("min", 0, largest_number).value_or(0);
  condition.max_size = fields.number("max", 0, largest_number).value_or(UINT64_MAX);
  if (!fields.has("min") && !fields.has("max")) {
    findings_.error(rule::bad_size, node.pointer, "neither min nor max is given",
                    "min, max or both, in bytes");
  } else if (condition.min_size > condition.max_size) {
    findings_.error(rule::bad_size, node.pointer, "min is greater than max",
                    "min at most " + std::to_string(condition.max_size));
  }
}

void Reader::read_magic(const Node& node, Condition& condition) {
  Fields fields(findings_, node, {"offset", "hex"});
  if (!fields.usable()) return;
  condition.offset = fields.number("offset", 0, largest_number).value_or(0);
  const std::string hex = fields.text("hex", "the bytes as hexadecimal digits");
  if (hex.empty()) return;
  if (auto bytes = hex_decode(hex)) {
    condition.bytes = std::move(*bytes);
    return;
  }
  findings_.error(rule::bad_hex, child(node.pointer, "hex"), quote(hex) + " is malformed",
                  "an even number of hexadecimal digits");
}

void Reader::read_regex(const Node& node, Condition& condition) {
  Fields fields(findings_, node, {"pattern", "ignore_case", "encodings"});
  if (!fields.usable()) return;
  condition.pattern = fields.text("pattern", "a regular expression in RE2 syntax",
                                  {.max_bytes = 1u << 20, .lines = true});
  if (!condition.pattern.empty()) {
    if (const auto refusal = check_regex(condition.pattern)) {
      report(*refusal, child(node.pointer, "pattern"));
    }
  }
  condition.ignore_case = fields.flag("ignore_case", false);
  condition.encodings = {Encoding::ascii};
  const auto encodings = fields.optional("encodings");
  if (!encodings) return;
  condition.encodings.clear();
  for (const Node& item : read_list(findings_, *encodings, 2, rule::empty_list)) {
    const auto word = read_choice(findings_, item, {"ascii", "utf16le"});
    if (!word) continue;
    const Encoding encoding = *word == "ascii" ? Encoding::ascii : Encoding::utf16le;
    if (std::ranges::find(condition.encodings, encoding) != condition.encodings.end()) {
      findings_.error(rule::repeated_reference, item.pointer, quote(*word) + " is listed twice",
                      "each encoding once");
    }
    condition.encodings.push_back(encoding);
  }
}

void Reader::read_yara(const Node& node, Condition& condition) {
  Fields fields(findings_, node, {"rules", "min_score"});
  if (!fields.usable()) return;
  condition.rules = fields.text("rules", "the source text of YARA rules",
                                {.max_bytes = longest_yara, .lines = true, .controls = true});
  condition.min_score = static_cast<std::int64_t>(fields.number("min_score", 0, 100).value_or(0));
  if (condition.rules.empty()) return;
  std::string_view rest = condition.rules;
  bool has_rule = false;
  bool includes = false;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    includes = includes || line.starts_with("include \"");
    has_rule = has_rule || line.starts_with("rule ") || line.find(" rule ") != line.npos;
  }
  if (!has_rule || includes) {
    findings_.error(rule::yara_source, child(node.pointer, "rules"),
                    includes ? "the source includes a file" : "the source has no rule",
                    "the whole text of at least one rule, without include");
  }
}

void Reader::read_structure(const Node& node, Condition& condition) {
  Fields fields(findings_, node, {"kind", "script_in_url"});
  if (!fields.usable()) return;
  condition.structure = fields.text("kind", "\"exchange-vdir-dump\"");
  condition.script_in_url = fields.flag("script_in_url", false);
  if (!condition.structure.empty() && condition.structure != "exchange-vdir-dump") {
    findings_.error(rule::unknown_structure, child(node.pointer, "kind"),
                    quote(condition.structure) + " is not a known structure",
                    "\"exchange-vdir-dump\"");
  }
}

Condition Reader::read_condition(const Node& node, const Cover& cover, std::size_t depth) {
  Condition condition;
  if (!node.json->is_object()) {
    findings_.error(rule::wrong_type, node.pointer, "this is " + type_name(*node.json),
                    "an object with one matcher");
    return condition;
  }
  if (node.json->size() != 1) {
    findings_.error(rule::one_key, node.pointer,
                    "the node has " + std::to_string(node.json->size()) + " keys",
                    "exactly one; put several matchers into all or any");
    return condition;
  }
  if (depth > max_match_depth) {
    findings_.error(rule::match_too_deep, node.pointer, "the node is nested too deeply",
                    "at most " + std::to_string(max_match_depth) + " levels of match nodes");
    return condition;
  }
  const std::string& key = node.json->begin().key();
  const auto kind = kind_of(key);
  const Node value{&*node.json->begin(), child(node.pointer, key)};
  if (!kind) {
    findings_.error(rule::unknown_matcher, value.pointer, quote(key) + " is no matcher",
                    std::string(matchers));
    return condition;
  }
  condition.kind = *kind;
  switch (*kind) {
    case Kind::all:
    case Kind::any:
      for (const Node& item : read_list(findings_, value, max_listed, rule::empty_list)) {
        condition.children.push_back(read_condition(item, cover, depth + 1));
      }
      break;
    case Kind::negation:
      condition.children.push_back(read_condition(value, cover, depth + 1));
      break;
    case Kind::path:
      condition.values = read_globs(value, rule::empty_list, cover.spelling);
      break;
    case Kind::sha256:
      condition.values = read_digests(value, 64);
      break;
    case Kind::sha1:
      condition.values = read_digests(value, 40);
      break;
    case Kind::md5:
      condition.values = read_digests(value, 32);
      break;
    case Kind::size:
      read_size(value, condition);
      break;
    case Kind::magic:
      read_magic(value, condition);
      break;
    case Kind::regex:
      read_regex(value, condition);
      break;
    case Kind::yara:
      read_yara(value, condition);
      break;
    case Kind::structure:
      read_structure(value, condition);
      break;
  }
  return condition;
}

}  // namespace remediate::playbook
