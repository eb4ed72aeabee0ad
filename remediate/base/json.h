#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "remediate/base/error.h"

namespace remediate {

/// Insertion order is kept: what people read is what was written.
using Json = nlohmann::ordered_json;

struct JsonLimits {
  std::size_t max_bytes = 16u << 20;
  std::size_t max_depth = 32;
  std::size_t max_values = 1'000'000;  // scalars, keys and containers together
};

/// Why a document was refused, and where.
struct JsonIssue {
  enum class Kind {
    too_large,
    too_deep,
    too_many,
    syntax,
    duplicate_key,
    trailing_bytes,
    not_utf8,
    number
  };
  Kind kind;
  std::string pointer;     // RFC 6901, of the value or duplicated key
  std::size_t offset = 0;  // bytes read when it was noticed: at or just after the place
  std::string message;     // what is wrong and what would be right
};

/// Strict RFC 8259 reading: UTF-8 without BOM, no duplicate keys, nothing after the
/// document but white space, integers within 64 bits, bounded. Floating-point numbers are
/// refused (Kind::number): no format of this project has one.
[[nodiscard]] std::expected<Json, JsonIssue> parse_json_strict(std::string_view bytes,
                                                               const JsonLimits& limits = {});
/// The same as an Error of code bad_input; `what` names the document.
[[nodiscard]] Result<Json> parse_json(std::string_view bytes, std::string_view what,
                                      const JsonLimits& limits = {});

/// Checked reading of one JSON object: each getter names the pointer and what would be
/// right when the member is missing or of another type; done() refuses unknown members.
/// Holds references: `object` must outlive it.
class JsonReader {
 public:
  /// `object` must be a JSON object, else every getter fails saying so.
  JsonReader(const Json& object, std::string pointer);
  [[nodiscard]] Result<std::string> string(const char* key);
  [[nodiscard]] Result<std::int64_t> integer(const char* key);
  [[nodiscard]] Result<std::uint64_t> unsigned_integer(const char* key);
  [[nodiscard]] Result<bool> boolean(const char* key);
  [[nodiscard]] Result<const Json*> array(const char* key);
  [[nodiscard]] Result<const Json*> object(const char* key);
  /// Base64 text decoded to raw bytes.
  [[nodiscard]] Result<std::string> bytes(const char* key);
  [[nodiscard]] bool has(const char* key) const;
  /// Fails when a member was never asked for.
  [[nodiscard]] Result<void> done() const;
  [[nodiscard]] const std::string& pointer() const { return pointer_; }

 private:
  [[nodiscard]] Result<const Json*> member(const char* key, const char* expected);
  const Json& object_;
  std::string pointer_;
  std::vector<std::string> seen_;
};

/// Pretty text with two spaces and a final newline: the form of every file the tool
/// writes. Strings must be UTF-8 (raw names go in as base64 beside display()): a byte that
/// is not becomes U+FFFD and is lost.
[[nodiscard]] std::string write_json(const Json& value);

}  // namespace remediate
