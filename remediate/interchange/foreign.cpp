#include "remediate/interchange/foreign.h"

#include <algorithm>
#include <array>

#include "remediate/base/encoding.h"
#include "remediate/base/foreign_json.h"

namespace remediate::interchange {

namespace {

constexpr std::size_t max_document = 64u << 20;
constexpr std::size_t max_nesting = 64;
constexpr std::size_t most_values = 4'000'000;
constexpr std::array<std::string_view, 5> labels = {"clear", "green", "amber", "amber+strict",
                                                    "red"};

}  // namespace

Result<Json> read_document(const ImportFile& file) {
  auto document = parse_foreign_json(
      file.bytes, {.max_bytes = max_document, .max_depth = max_nesting, .max_values = most_values});
  if (document) return std::move(*document);
  const JsonIssue& issue = document.error();
  return fail(Code::bad_input,
              display(file.name) + ":" + display(issue.pointer, 400) + " (byte " +
                  std::to_string(issue.offset) + "): " + issue.message,
              "correct the file or get an unharmed copy of it");
}

const Json* member(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

std::string text_of(const Json& object, const char* key) {
  const Json* value = member(object, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

bool flag_of(const Json& object, const char* key) {
  const Json* value = member(object, key);
  if (value == nullptr) return false;
  return *value == true || *value == 1 || *value == "1" || *value == "true";
}

std::string tlp_label(std::string_view text) {
  std::string label = ascii_lower(text);
  if (label.starts_with("tlp:")) label.erase(0, 4);
  if (label == "white" || label == "unclear") label = label == "white" ? "clear" : "";
  return std::ranges::find(labels, label) == labels.end() ? std::string() : label;
}

std::string stricter_tlp(const std::string& a, const std::string& b) {
  if (a.empty() || b.empty()) return a.empty() ? b : a;
  return std::ranges::find(labels, a) < std::ranges::find(labels, b) ? b : a;
}

}  // namespace remediate::interchange
