#include "remediate/playbook/fields.h"

#include <algorithm>

#include "remediate/base/encoding.h"

namespace remediate::playbook {

namespace {

constexpr std::size_t max_errors = 100;

std::string unescape(std::string_view token) {
  std::string key;
  for (std::size_t i = 0; i < token.size(); ++i) {
    if (token[i] == '~' && i + 1 < token.size()) {
      key += token[++i] == '1' ? '/' : '~';
    } else {
      key += token[i];
    }
  }
  return key;
}

/// Where a pointer leads, as the position at each level: what document order compares.
std::vector<std::size_t> position(const Json& document, std::string_view pointer) {
  std::vector<std::size_t> path;
  const Json* at = &document;
  while (!pointer.empty()) {
    pointer.remove_prefix(1);
    const std::size_t end = std::min(pointer.find('/'), pointer.size());
    const std::string key = unescape(pointer.substr(0, end));
    pointer.remove_prefix(end);
    if (!at->is_structured()) break;
    std::size_t index = 0;
    const Json* next = nullptr;
    for (auto item = at->begin(); item != at->end() && next == nullptr; ++item, ++index) {
      if (at->is_object() ? item.key() == key : std::to_string(index) == key) next = &*item;
    }
    if (next == nullptr) break;
    path.push_back(index);
    at = next;
  }
  return path;
}

std::vector<Diagnostic> in_document_order(const Json& document, std::vector<Diagnostic> list) {
  std::vector<std::pair<std::vector<std::size_t>, Diagnostic>> keyed;
  keyed.reserve(list.size());
  for (Diagnostic& diagnostic : list) {
    auto key = position(document, diagnostic.pointer);
    keyed.emplace_back(std::move(key), std::move(diagnostic));
  }
  std::ranges::stable_sort(keyed, {}, [](const auto& item) { return item.first; });
  std::vector<Diagnostic> sorted;
  sorted.reserve(keyed.size());
  for (auto& item : keyed) sorted.push_back(std::move(item.second));
  return sorted;
}

}  // namespace

std::string Diagnostic::text() const {
  std::string line = display(file);
  if (!pointer.empty()) line += ":" + display(pointer);
  line += ": " + code + ": " + message;
  if (!expected.empty()) line += "; expected " + expected;
  return line;
}

bool Findings::dropped() {
  if (errors_.size() < max_errors) return false;
  ++dropped_;
  return true;
}

void Findings::error(const Rule& rule, const std::string& pointer, std::string message,
                     std::string expected) {
  if (dropped()) return;
  errors_.push_back(
      {std::string(rule.code), file_, pointer, std::move(message), std::move(expected)});
}

void Findings::warn(const Rule& rule, const std::string& pointer, std::string message,
                    std::string expected) {
  warnings_.push_back(
      {std::string(rule.code), file_, pointer, std::move(message), std::move(expected)});
}

std::vector<Diagnostic> Findings::take_errors(const Json& document) {
  auto sorted = in_document_order(document, std::move(errors_));
  if (dropped_ > 0) {
    const std::size_t hidden = dropped_ + 1;
    sorted.back() = {std::string(rule::more_errors.code), file_, "",
                     std::to_string(hidden) + " more errors are not shown",
                     "the errors above to be repaired first"};
  }
  return sorted;
}

std::vector<Diagnostic> Findings::take_warnings(const Json& document) {
  return in_document_order(document, std::move(warnings_));
}

std::string child(const std::string& pointer, std::string_view key) {
  std::string result = pointer + '/';
  for (const char c : key) {
    if (c == '~') {
      result += "~0";
    } else if (c == '/') {
      result += "~1";
    } else {
      result += c;
    }
  }
  return result;
}

std::string child(const std::string& pointer, std::size_t index) {
  return pointer + '/' + std::to_string(index);
}

std::string quote(std::string_view text) { return "\"" + display(text, 120) + "\""; }

std::string type_name(const Json& json) {
  switch (json.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::object:
      return "an object";
    case Json::value_t::array:
      return "a list";
    case Json::value_t::string:
      return "a string";
    case Json::value_t::boolean:
      return "a boolean";
    default:
      return "a number";
  }
}

std::optional<std::string> read_text(Findings& findings, const Node& node, const TextRule& rule) {
  if (!node.json->is_string()) {
    findings.error(rule::wrong_type, node.pointer, "this is " + type_name(*node.json), "a string");
    return std::nullopt;
  }
  const auto& text = node.json->get_ref<const std::string&>();
  if (text.empty()) {
    findings.error(rule::empty_text, node.pointer, "the text is empty",
                   "at least one character, or the key left out where it is optional");
    return std::nullopt;
  }
  if (text.size() > rule.max_bytes) {
    findings.error(rule::text_too_long, node.pointer,
                   "the text is " + std::to_string(text.size()) + " bytes long",
                   "at most " + std::to_string(rule.max_bytes) + " bytes");
    return std::nullopt;
  }
  for (const char c : text) {
    const bool line_control = c == '\n' || c == '\r' || c == '\t';
    const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    if (!control || (line_control && rule.lines) || (rule.controls && c != '\0')) continue;
    findings.error(
        rule::control_character, node.pointer,
        "the text holds the control character " + display(std::string_view(&c, 1)),
        rule.lines ? "printable text, line breaks and tabs" : "one line of printable text");
    return std::nullopt;
  }
  return text;
}

std::vector<Node> read_list(Findings& findings, const Node& node, std::size_t max_items,
                            const Rule& when_empty) {
  std::vector<Node> items;
  if (!node.json->is_array()) {
    findings.error(rule::wrong_type, node.pointer, "this is " + type_name(*node.json), "a list");
  } else if (node.json->empty()) {
    findings.error(when_empty, node.pointer, "the list is empty", "at least one item");
  } else if (node.json->size() > max_items) {
    findings.error(rule::too_many_items, node.pointer,
                   "the list holds " + std::to_string(node.json->size()) + " items",
                   "at most " + std::to_string(max_items));
  } else {
    items.reserve(node.json->size());
    for (std::size_t i = 0; i < node.json->size(); ++i) {
      items.push_back({&(*node.json)[i], child(node.pointer, i)});
    }
  }
  return items;
}

std::optional<std::string> read_choice(Findings& findings, const Node& node,
                                       const std::vector<std::string_view>& words) {
  auto text = read_text(findings, node);
  if (!text) return std::nullopt;
  if (std::ranges::find(words, *text) != words.end()) return text;
  std::string expected = "one of";
  for (const std::string_view word : words) expected += " \"" + std::string(word) + '"';
  findings.error(rule::bad_choice, node.pointer, quote(*text) + " is not a word of this key",
                 std::move(expected));
  return std::nullopt;
}

Fields::Fields(Findings& findings, Node node, std::initializer_list<std::string_view> known)
    : findings_(findings), node_(std::move(node)) {
  if (!node_.json->is_object()) {
    findings_.error(rule::wrong_type, node_.pointer, "this is " + type_name(*node_.json),
                    "an object");
    return;
  }
  usable_ = true;
  for (auto item = node_.json->begin(); item != node_.json->end(); ++item) {
    if (std::ranges::find(known, item.key()) != known.end()) continue;
    if (findings_.dropped()) continue;
    std::string expected = "one of";
    for (const std::string_view word : known) expected += " \"" + std::string(word) + '"';
    findings_.error(rule::unknown_key, child(node_.pointer, item.key()),
                    "the key " + quote(item.key()) + " is not known here", std::move(expected));
  }
}

bool Fields::has(std::string_view key) const { return optional(key).has_value(); }

std::optional<Node> Fields::optional(std::string_view key) const {
  if (!usable_) return std::nullopt;
  for (auto item = node_.json->begin(); item != node_.json->end(); ++item) {
    if (item.key() == key) return Node{&*item, child(node_.pointer, key)};
  }
  return std::nullopt;
}

std::optional<Node> Fields::required(std::string_view key, std::string_view expected) {
  auto node = optional(key);
  if (!node && usable_) {
    findings_.error(rule::missing_key, node_.pointer,
                    "the key \"" + std::string(key) + "\" is missing", std::string(expected));
  }
  return node;
}

std::string Fields::text(std::string_view key, std::string_view expected, const TextRule& rule) {
  const auto node = required(key, expected);
  return node ? read_text(findings_, *node, rule).value_or("") : "";
}

std::string Fields::optional_text(std::string_view key, const TextRule& rule) {
  const auto node = optional(key);
  return node ? read_text(findings_, *node, rule).value_or("") : "";
}

bool Fields::flag(std::string_view key, bool otherwise) {
  const auto node = optional(key);
  if (!node) return otherwise;
  if (node->json->is_boolean()) return node->json->get<bool>();
  findings_.error(rule::wrong_type, node->pointer, "this is " + type_name(*node->json),
                  "true or false");
  return otherwise;
}

std::optional<std::uint64_t> Fields::number(std::string_view key, std::uint64_t least,
                                            std::uint64_t most) {
  const auto node = optional(key);
  if (!node) return std::nullopt;
  const std::string expected =
      "a whole number from " + std::to_string(least) + " to " + std::to_string(most);
  if (!node->json->is_number_integer()) {
    findings_.error(rule::wrong_type, node->pointer, "this is " + type_name(*node->json), expected);
    return std::nullopt;
  }
  const bool negative = !node->json->is_number_unsigned() && node->json->get<std::int64_t>() < 0;
  const auto value = negative ? 0 : node->json->get<std::uint64_t>();
  if (negative || value < least || value > most) {
    findings_.error(rule::out_of_range, node->pointer, node->json->dump() + " is out of bounds",
                    expected);
    return std::nullopt;
  }
  return value;
}

}  // namespace remediate::playbook
