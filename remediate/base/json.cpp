#include "remediate/base/json.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"

namespace remediate {
namespace {

std::string escaped_key(std::string_view key) {
  std::string text;
  for (const char c : key) {
    if (c == '~') {
      text += "~0";
    } else if (c == '/') {
      text += "~1";
    } else {
      text += c;
    }
  }
  return text;
}

std::unexpected<Error> bad_value(const std::string& pointer, const std::string& why,
                                 std::string remedy) {
  const std::string place = pointer.empty() ? "the document itself" : display(pointer, 400);
  return fail(Code::bad_input, place + " " + why, std::move(remedy));
}

std::string type_in_words(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::object:
      return "an object";
    case Json::value_t::array:
      return "an array";
    case Json::value_t::string:
      return "a string";
    case Json::value_t::boolean:
      return "true or false";
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      return "an integer";
    case Json::value_t::number_float:
      return "a number with a fraction";
    case Json::value_t::binary:
    case Json::value_t::discarded:
      break;
  }
  return "not a JSON value";
}

}  // namespace

JsonReader::JsonReader(const Json& object, std::string pointer)
    : object_(object), pointer_(std::move(pointer)) {}

Result<const Json*> JsonReader::member(const char* key, const char* expected) {
  if (!object_.is_object()) {
    return bad_value(pointer_, "is " + type_in_words(object_), "it must be an object");
  }
  const auto found = object_.find(key);
  if (found == object_.end()) {
    return bad_value(pointer_ + "/" + escaped_key(key), "is missing",
                     std::string("it must be ") + expected);
  }
  seen_.emplace_back(key);
  return &*found;
}

bool JsonReader::has(const char* key) const { return object_.is_object() && object_.contains(key); }

Result<std::string> JsonReader::string(const char* key) {
  TRY_LET(const Json* value, member(key, "a string"));
  if (!value->is_string()) {
    return bad_value(pointer_ + "/" + escaped_key(key), "is " + type_in_words(*value),
                     "it must be a string");
  }
  return value->get_ref<const std::string&>();
}

Result<std::int64_t> JsonReader::integer(const char* key) {
  TRY_LET(const Json* value, member(key, "an integer"));
  if (!value->is_number_integer()) {
    return bad_value(pointer_ + "/" + escaped_key(key), "is " + type_in_words(*value),
                     "it must be an integer");
  }
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  if (value->is_number_unsigned() &&
      value->get<std::uint64_t>() > static_cast<std::uint64_t>(kMost)) {
    return bad_value(pointer_ + "/" + escaped_key(key), "is too large",
                     "it must be at most " + std::to_string(kMost));
  }
  return value->get<std::int64_t>();
}

Result<std::uint64_t> JsonReader::unsigned_integer(const char* key) {
  constexpr const char* kExpected = "an integer that is not negative";
  TRY_LET(const Json* value, member(key, kExpected));
  const std::string must = std::string("it must be ") + kExpected;
  if (!value->is_number_integer()) {
    return bad_value(pointer_ + "/" + escaped_key(key), "is " + type_in_words(*value), must);
  }
  if (!value->is_number_unsigned() && value->get<std::int64_t>() < 0) {
    return bad_value(pointer_ + "/" + escaped_key(key), "is negative", must);
  }
  return value->get<std::uint64_t>();
}

Result<bool> JsonReader::boolean(const char* key) {
  TRY_LET(const Json* value, member(key, "true or false"));
  if (!value->is_boolean()) {
    return bad_value(pointer_ + "/" + escaped_key(key), "is " + type_in_words(*value),
                     "it must be true or false");
  }
  return value->get<bool>();
}

Result<const Json*> JsonReader::array(const char* key) {
  TRY_LET(const Json* value, member(key, "an array"));
  if (value->is_array()) return value;
  return bad_value(pointer_ + "/" + escaped_key(key), "is " + type_in_words(*value),
                   "it must be an array");
}

Result<const Json*> JsonReader::object(const char* key) {
  TRY_LET(const Json* value, member(key, "an object"));
  if (value->is_object()) return value;
  return bad_value(pointer_ + "/" + escaped_key(key), "is " + type_in_words(*value),
                   "it must be an object");
}

Result<std::string> JsonReader::bytes(const char* key) {
  TRY_LET(const std::string text, string(key));
  auto decoded = base64_decode(text);
  if (decoded) return std::move(*decoded);
  return bad_value(pointer_ + "/" + escaped_key(key), "is not base64",
                   "it must be base64 with padding and without line breaks (RFC 4648)");
}

Result<void> JsonReader::done() const {
  if (!object_.is_object()) {
    return bad_value(pointer_, "is " + type_in_words(object_), "it must be an object");
  }
  for (const auto& item : object_.items()) {
    if (std::find(seen_.begin(), seen_.end(), item.key()) == seen_.end()) {
      return bad_value(pointer_ + "/" + escaped_key(item.key()), "is not known here",
                       "correct its spelling or remove it");
    }
  }
  return {};
}

std::string write_json(const Json& value) {
  return value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace remediate
