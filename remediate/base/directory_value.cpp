#include "remediate/base/directory_value.h"

#include <algorithm>
#include <array>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"

namespace remediate {
namespace {

Json raw(const std::string& bytes) {
  return Json{{"display", display(bytes)}, {"raw", base64_encode(bytes)}};
}

/// A list of no or one value.
Json values(const std::optional<std::string>& bytes) {
  return bytes ? Json::array({raw(*bytes)}) : Json::array();
}

Result<std::string> raw_from_json(const Json& json, const std::string& pointer) {
  JsonReader reader(json, pointer);
  TRY_LET(const std::string shown, reader.string("display"));
  TRY_LET(std::string bytes, reader.bytes("raw"));
  TRY(reader.done());
  if (shown != display(bytes))
    return fail(Code::bad_input, pointer + "/display does not show /raw",
                "the file was not made by this tool or was changed");
  return bytes;
}

Result<std::optional<std::string>> read_values(JsonReader& reader, const char* key) {
  TRY_LET(const Json* list, reader.array(key));
  if (list->empty()) return std::optional<std::string>();
  const std::string pointer = reader.pointer() + "/" + key;
  if (list->size() > 1) return fail(Code::bad_input, pointer + " has more than one value");
  TRY_LET(std::string value, raw_from_json(list->front(), pointer + "/0"));
  return std::optional(std::move(value));
}

/// Where byte i of the text form lies among the sixteen: the first three groups are little-endian.
constexpr std::array<std::size_t, 16> order = {3, 2, 1,  0,  5,  4,  7,  6,
                                               8, 9, 10, 11, 12, 13, 14, 15};

}  // namespace

std::string guid_text(std::string_view bytes) {
  if (bytes.size() != order.size()) return {};
  std::string swapped;
  for (const std::size_t at : order) swapped.push_back(bytes[at]);
  std::string text = hex_encode(swapped);
  for (const std::size_t at : {20u, 16u, 12u, 8u}) text.insert(at, 1, '-');
  return text;
}

std::optional<std::string> guid_bytes(std::string_view text) {
  if (text.size() != 36) return std::nullopt;
  for (const std::size_t at : {8u, 13u, 18u, 23u})
    if (text[at] != '-') return std::nullopt;
  std::string digits(text);
  std::erase(digits, '-');
  const auto swapped = hex_decode(digits);
  if (!swapped || swapped->size() != order.size()) return std::nullopt;
  std::string bytes(order.size(), '\0');
  for (std::size_t i = 0; i < order.size(); ++i) bytes[order[i]] = (*swapped)[i];
  return bytes;
}

Json to_json(const DirectoryValue& value) {
  return Json{{"dn", raw(value.dn)},
              {"guid", value.guid},
              {"attribute", value.attribute},
              {"before", values(value.before)},
              {"after", values(value.after)},
              {"when_changed", value.when_changed},
              {"usn_changed", value.usn_changed}};
}

Result<DirectoryValue> directory_value_from_json(const Json& json, const std::string& pointer) {
  JsonReader reader(json, pointer);
  DirectoryValue value;
  TRY_LET(const Json* dn, reader.object("dn"));
  TRY_LET(value.dn, raw_from_json(*dn, pointer + "/dn"));
  TRY_LET(value.guid, reader.string("guid"));
  TRY_LET(value.attribute, reader.string("attribute"));
  TRY_LET(value.before, read_values(reader, "before"));
  TRY_LET(value.after, read_values(reader, "after"));
  TRY_LET(value.when_changed, reader.string("when_changed"));
  TRY_LET(value.usn_changed, reader.unsigned_integer("usn_changed"));
  TRY(reader.done());
  if (!guid_bytes(value.guid) || value.guid != ascii_lower(value.guid))
    return fail(Code::bad_input, pointer + "/guid is no GUID in lower case");
  if (value.dn.empty() || value.attribute.empty())
    return fail(Code::bad_input, pointer + " names no object or no attribute");
  if (value.before == value.after)
    return fail(Code::bad_input, pointer + " changes nothing: before and after are the same");
  return value;
}

}  // namespace remediate
