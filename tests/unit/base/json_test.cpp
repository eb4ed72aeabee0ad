#include "remediate/base/json.h"

#include <chrono>
#include <limits>

#include <catch2/catch.hpp>

namespace remediate {
namespace {

using Kind = JsonIssue::Kind;

JsonIssue refused(std::string_view text, const JsonLimits& limits = {}) {
  auto parsed = parse_json_strict(text, limits);
  INFO(text.substr(0, 200));
  REQUIRE_FALSE(parsed);
  CHECK_FALSE(parsed.error().message.empty());
  return parsed.error();
}

Json accepted(std::string_view text) {
  auto parsed = parse_json_strict(text);
  if (!parsed) FAIL(parsed.error().message);
  return *parsed;
}

}  // namespace

TEST_CASE("a document keeps its order and its values") {
  const std::string text = R"({"z": [1, -2, true, null, "\u00e9"], "a": {"b": {}}, "c": []})";
  const Json json = accepted(text);
  CHECK(json.dump() == "{\"z\":[1,-2,true,null,\"\xc3\xa9\"],\"a\":{\"b\":{}},\"c\":[]}");
  CHECK(accepted(" 7 \n") == 7);
  CHECK(accepted("18446744073709551615") == std::numeric_limits<std::uint64_t>::max());
  CHECK(accepted("-9223372036854775808") == std::numeric_limits<std::int64_t>::min());
}

TEST_CASE("duplicate keys are refused where they are") {
  JsonIssue issue = refused(R"({"a": [0, {"x/y~": 1, "x\/y~": 2}]})");
  CHECK(issue.kind == Kind::duplicate_key);
  CHECK(issue.pointer == "/a/1/x~1y~0");
  CHECK(issue.offset == 29);
  CHECK(refused(R"({"a":1,"b":2,"a":3})").pointer == "/a");
  CHECK(refused("{\"a\":1,\"\\u0061\":3}").kind == Kind::duplicate_key);
  CHECK(refused(R"({"":1,"":3})").kind == Kind::duplicate_key);
  accepted(R"({"a":{"a":{"a":1}},"b":{"a":1}})");
}

TEST_CASE("numbers must be integers of 64 bits") {
  for (const char* bad :
       {"1.0", "1e3", "1E3", "-0.5", "18446744073709551616", "-9223372036854775809", "1e999"}) {
    const JsonIssue issue = refused(std::string(R"({"n": [0, )") + bad + "]}");
    CHECK(issue.kind == Kind::number);
    CHECK(issue.pointer == "/n/1");
  }
  CHECK(refused("99999999999999999999").message.find("64 bits") != std::string::npos);
}

TEST_CASE("syntax, trailing bytes and encodings") {
  for (const char* bad :
       {"", " ", "{", "[1,]", "{\"a\":1,}", "{'a':1}", "+1", "NaN", "nul", "\"a", "\"\n\"",
        "\"\\x\"", "// c\n1", "/* c */ 1", "\"\\ud800\"", "{\"a\" 1}", "{1:2}"}) {
    CHECK(refused(bad).kind == Kind::syntax);
  }
  for (const char* bad : {"1 2", "01", "{} x", "{}{}", "[]]", "\"a\"\"b\""}) {
    CHECK(refused(bad).kind == Kind::trailing_bytes);
  }
  CHECK(refused(std::string_view("1\0", 2)).kind == Kind::trailing_bytes);
  CHECK(refused(std::string_view("{}\0 {}", 6)).offset == 2);
  CHECK(refused(std::string_view("[1,\0 2]", 7)).kind == Kind::syntax);
  CHECK(refused(std::string_view("[\"\0\"]", 5)).kind == Kind::syntax);
  CHECK(refused("\xef\xbb\xbf{}").kind == Kind::not_utf8);
  const JsonIssue issue = refused("{\"a\": \"b\xff\"}");
  CHECK(issue.kind == Kind::not_utf8);
  CHECK(issue.offset == 8);
  CHECK(refused("[1, x]").offset == 4);
}

TEST_CASE("every limit holds exactly") {
  JsonLimits limits;
  limits.max_depth = 3;
  CHECK(parse_json_strict("[[[1]]]", limits).has_value());
  CHECK(parse_json_strict(R"([[{"a":1}], [[2]]])", limits).has_value());
  const JsonIssue deep = refused(R"({"a":[0,[[1]]]})", limits);
  CHECK(deep.kind == Kind::too_deep);
  CHECK(deep.pointer == "/a/1/0");

  limits = {};
  limits.max_values = 4;
  CHECK(parse_json_strict(R"({"a":1,"b":2})", limits).error().kind == Kind::too_many);
  CHECK(parse_json_strict("[1,2,3]", limits).has_value());
  CHECK(refused("[1,2,3,4]", limits).kind == Kind::too_many);

  limits = {};
  limits.max_bytes = 5;
  CHECK(parse_json_strict("[1,2]", limits).has_value());
  CHECK(refused("[1,2 ]", limits).kind == Kind::too_large);
}

TEST_CASE("hostile shapes end soon") {
  const auto begin = std::chrono::steady_clock::now();
  CHECK(refused(std::string(1'000'000, '[')).kind == Kind::too_deep);
  std::string wide = "{";
  for (int i = 0; i < 200'000; ++i) wide += "\"k" + std::to_string(i) + "\":0,";
  wide += "\"k0\":1}";
  CHECK(refused(wide).kind == Kind::duplicate_key);
  // A quadratic search for duplicates would take minutes.
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(20));
}

TEST_CASE("parse_json names the document, the place and the remedy") {
  const auto parsed = parse_json("{\"a\": {\"\x1b\": 1.5}}", "policy.json");
  REQUIRE_FALSE(parsed);
  CHECK(parsed.error().code == Code::bad_input);
  CHECK_FALSE(parsed.error().remedy.empty());
  const auto control = parse_json(R"({"a": {"\u001b[1m": 1.5}})", "policy.json");
  CHECK(control.error().message.find("policy.json at /a/\\x1b[1m (byte ") == 0);
  CHECK(parse_json("[1]", "x")->size() == 1);
}

TEST_CASE("the reader gives what has the right type") {
  const Json json = accepted(R"({"s":"x","i":-3,"u":9,"b":true,"a":[1],"o":{"k":1},"y":"AP8="})");
  JsonReader reader(json, "/p");
  CHECK(reader.string("s") == "x");
  CHECK(reader.integer("i") == -3);
  CHECK(reader.integer("u") == 9);
  CHECK(reader.unsigned_integer("u") == 9u);
  CHECK(reader.boolean("b") == true);
  CHECK((*reader.array("a"))->size() == 1);
  CHECK((*reader.object("o"))->size() == 1);
  CHECK(reader.bytes("y") == std::string("\0\xff", 2));
  CHECK(reader.has("s"));
  CHECK_FALSE(reader.has("t"));
  CHECK(reader.done().has_value());
}

TEST_CASE("the reader refuses with the pointer and the right type") {
  const Json json = accepted(R"({"s":1,"i":"x","big":9223372036854775808,"n":-1,"y":"A","~/":0})");
  JsonReader reader(json, "/p");
  const auto text = [](const auto& result) {
    REQUIRE_FALSE(result);
    CHECK(result.error().code == Code::bad_input);
    return result.error().text();
  };
  CHECK(text(reader.string("missing")) == "/p/missing is missing (it must be a string)");
  CHECK(text(reader.string("s")) == "/p/s is an integer (it must be a string)");
  CHECK(text(reader.integer("i")) == "/p/i is a string (it must be an integer)");
  CHECK(text(reader.integer("big")).find("/p/big is too large") == 0);
  CHECK(text(reader.unsigned_integer("n")).find("/p/n is negative") == 0);
  CHECK(text(reader.boolean("s")).find("true or false") != std::string::npos);
  CHECK(text(reader.array("s")).find("an array") != std::string::npos);
  CHECK(text(reader.object("s")).find("an object") != std::string::npos);
  CHECK(text(reader.bytes("y")).find("base64") != std::string::npos);
  CHECK(text(reader.done()).find("/p/~0~1 is not known here") == 0);

  const Json list = Json::array();
  JsonReader wrong(list, "");
  CHECK(text(wrong.string("s")).find("is an array") != std::string::npos);
  CHECK_FALSE(wrong.done());
  CHECK_FALSE(wrong.has("s"));
}

TEST_CASE("a reader of numbers made in memory, not parsed") {
  Json json = Json::object();
  json["i"] = 5;  // signed, as a caller writes it
  JsonReader reader(json, "");
  CHECK(reader.unsigned_integer("i") == 5u);
}

TEST_CASE("written JSON reads back and ends with a newline") {
  Json json = accepted(R"({"b":1,"a":["x",{"c":"\u0001\u20ac"}]})");
  const std::string text = write_json(json);
  CHECK(text.substr(0, 11) == "{\n  \"b\": 1,");
  CHECK(text.back() == '\n');
  CHECK(accepted(text) == json);
  json["bad"] = "\xff";
  CHECK(accepted(write_json(json))["bad"] == "\xef\xbf\xbd");
}

}  // namespace remediate
