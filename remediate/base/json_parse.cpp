#include <exception>
#include <iterator>
#include <optional>
#include <unordered_set>
#include <utility>
#include <vector>

#include "remediate/base/encoding.h"
#include "remediate/base/foreign_json.h"
#include "remediate/base/json.h"

namespace remediate {
namespace {

using Kind = JsonIssue::Kind;

/// Reads bytes for the lexer and tells how many were read. Copies share the count.
class CountedBytes {
 public:
  using iterator_category = std::forward_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountedBytes(const char* at, std::size_t* read) : at_(at), read_(read) {}
  reference operator*() const { return *at_; }
  CountedBytes& operator++() {
    ++at_;
    ++*read_;
    return *this;
  }
  CountedBytes operator++(int) {
    CountedBytes before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountedBytes& other) const { return at_ == other.at_; }

 private:
  const char* at_;
  std::size_t* read_;
};

void append_pointer(std::string& pointer, std::string_view key) {
  pointer += '/';
  for (const char c : key) {
    if (c == '~') {
      pointer += "~0";
    } else if (c == '/') {
      pointer += "~1";
    } else {
      pointer += c;
    }
  }
}

/// Builds the document with a stack of its own, and stops at the first thing refused.
class Builder final : public nlohmann::json_sax<Json> {
 public:
  Builder(const JsonLimits& limits, bool fractions, const std::size_t& offset)
      : limits_(limits), fractions_(fractions), offset_(offset) {}

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t& text) override {
    const bool integer = text.find_first_of(".eE") == std::string::npos;
    if (fractions_ && !integer) return add(value);
    return refuse(Kind::number,
                  integer ? "the integer " + display(text, 60) + " does not fit into 64 bits"
                          : "the number " + display(text, 60) +
                                " has a fraction or an exponent; write an integer");
  }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return refuse(Kind::syntax, "binary data is not JSON"); }

  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    Frame& frame = stack_.back();
    frame.key = name;
    if (!frame.keys.insert(name).second) {
      return refuse(Kind::duplicate_key, "the key \"" + display(name, 200) +
                                             "\" occurs twice in one object; keep one of them");
    }
    return count();
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    std::string_view why = error.what();  // "[json.exception...] parse error at ...: reason"
    if (const auto end = why.find("] "); end != std::string_view::npos) why.remove_prefix(end + 2);
    constexpr int kNumberOutOfRange = 406;
    if (error.id == kNumberOutOfRange) {
      return refuse(Kind::number, "a number is far too large; write an integer of 64 bits");
    }
    offset_at_error_ = position > 0 ? position - 1 : 0;
    refuse(complete_ ? Kind::trailing_bytes : Kind::syntax,
           complete_ ? "there is more after the end of the document; remove it"
                     : "not JSON: " + display(why, 300));
    return false;
  }

  [[nodiscard]] Json take_document() { return std::move(root_); }
  [[nodiscard]] JsonIssue take_issue() { return std::move(issue_); }

 private:
  struct Frame {
    Json* container;
    std::string key;
    std::unordered_set<std::string> keys;
  };

  bool refuse(Kind kind, std::string message) {
    issue_.kind = kind;
    issue_.message = std::move(message);
    issue_.offset = offset_at_error_.value_or(offset_);
    for (const Frame& frame : stack_) {
      if (frame.container->is_array()) {
        // An open container is the last element of its parent; the innermost awaits one more.
        const std::size_t next = frame.container->size();
        append_pointer(issue_.pointer, std::to_string(&frame == &stack_.back() ? next : next - 1));
      } else if (!frame.keys.empty()) {
        append_pointer(issue_.pointer, frame.key);
      }
    }
    return false;
  }

  bool count() {
    if (++values_ <= limits_.max_values) return true;
    return refuse(Kind::too_many,
                  "there are more than " + std::to_string(limits_.max_values) + " values and keys");
  }

  Json* place(Json&& value) {
    if (stack_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Frame& frame = stack_.back();
    if (frame.container->is_array()) {
      auto& items = frame.container->get_ref<Json::array_t&>();
      return &items.emplace_back(std::move(value));
    }
    // Past the map's own look-up, which is linear: `keys` has refused duplicates.
    auto& members = frame.container->get_ref<Json::object_t&>();
    return &members.emplace_back(frame.key, std::move(value)).second;
  }

  bool add(Json&& value) {
    if (!count()) return false;
    place(std::move(value));
    complete_ = stack_.empty();
    return true;
  }

  bool open(Json&& container) {
    if (!count()) return false;
    if (stack_.size() >= limits_.max_depth) {
      return refuse(Kind::too_deep, "objects and arrays are nested more than " +
                                        std::to_string(limits_.max_depth) + " deep");
    }
    Json* placed = place(std::move(container));
    stack_.push_back(Frame{placed, {}, {}});
    return true;
  }

  bool close() {
    stack_.pop_back();
    complete_ = stack_.empty();
    return true;
  }

  const JsonLimits& limits_;
  const bool fractions_;
  const std::size_t& offset_;
  std::optional<std::size_t> offset_at_error_;
  std::size_t values_ = 0;
  bool complete_ = false;
  std::vector<Frame> stack_;
  Json root_;
  JsonIssue issue_{Kind::syntax, {}, 0, {}};
};

std::unexpected<JsonIssue> issue(Kind kind, std::size_t offset, std::string message) {
  return std::unexpected(JsonIssue{kind, {}, offset, std::move(message)});
}

std::expected<Json, JsonIssue> parse(std::string_view bytes, const JsonLimits& limits,
                                     bool fractions) {
  if (bytes.size() > limits.max_bytes) {
    return issue(Kind::too_large, limits.max_bytes,
                 "it is " + std::to_string(bytes.size()) + " bytes long; at most " +
                     std::to_string(limits.max_bytes) + " are read");
  }
  if (bytes.starts_with("\xef\xbb\xbf")) {
    return issue(Kind::not_utf8, 0, "it begins with a byte order mark; save it without one");
  }
  if (const std::size_t valid = utf8_prefix(bytes); valid != bytes.size()) {
    return issue(Kind::not_utf8, valid, "it is not valid UTF-8; save it as UTF-8");
  }
  std::size_t offset = 0;
  try {
    Builder builder(limits, fractions, offset);
    const CountedBytes first(bytes.data(), &offset);
    const CountedBytes last(bytes.data() + bytes.size(), &offset);
    if (!Json::sax_parse(first, last, &builder, Json::input_format_t::json, true)) {
      return std::unexpected(builder.take_issue());
    }
    // The lexer takes a NUL for the end of its input.
    if (const std::size_t nul = bytes.find('\0'); nul != std::string_view::npos) {
      return issue(Kind::trailing_bytes, nul, "there is a NUL byte after the document; remove it");
    }
    return builder.take_document();
  } catch (const std::exception& error) {
    return issue(Kind::too_large, offset, std::string("it could not be read: ") + error.what());
  }
}

}  // namespace

std::expected<Json, JsonIssue> parse_json_strict(std::string_view bytes, const JsonLimits& limits) {
  return parse(bytes, limits, false);
}

std::expected<Json, JsonIssue> parse_foreign_json(std::string_view bytes,
                                                  const JsonLimits& limits) {
  return parse(bytes, limits, true);
}

Result<Json> parse_json(std::string_view bytes, std::string_view what, const JsonLimits& limits) {
  auto document = parse_json_strict(bytes, limits);
  if (document) return std::move(*document);
  const JsonIssue& why = document.error();
  const std::string where = why.pointer.empty() ? "" : " at " + display(why.pointer, 400);
  return fail(
      Code::bad_input,
      std::string(what) + where + " (byte " + std::to_string(why.offset) + "): " + why.message,
      "correct the file or get an unharmed copy of it");
}

}  // namespace remediate
