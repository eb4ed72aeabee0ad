#include <catch2/catch.hpp>

#include "configurations.h"
#include "remediate/setting/xml_scan.h"

namespace remediate::setting::test {
namespace {

struct Malformed {
  std::string bytes;
  std::string place;
  std::string why;
};

std::string wrap(const std::string& inside) {
  return "<configuration>\r\n  " + inside + "\r\n</configuration>";
}

}  // namespace

TEST_CASE("malformed configurations are refused with line and column") {
  const std::vector<Malformed> table{
      {"", "line 1, column 1", "no root element"},
      {"  \n<!-- only -->", "line 2, column 14", "no root element"},
      {wrap("<a>\r\n  <b></a>"), "line 3, column 6", "</a> where </b> is expected"},
      {"<configuration>\n<a>", "line 2, column 1", "<a> is never closed"},
      {"<configuration>\n<a", "line 2, column 1", "never ends"},
      {"<configuration/>\n<configuration/>", "line 2, column 1", "second root"},
      {"<configuration/>\ntext", "line 2, column 1", "text after the root"},
      {"text<configuration/>", "line 1, column 1", "text before the root"},
      {"<configuration/></configuration>", "line 1, column 17", "closes nothing"},
      {wrap("<a x=\"1\" y='2' x=\"3\"/>"), "line 2, column 18", "stands twice"},
      {wrap("<a x=\"1<2\"/>"), "line 2, column 10", "'<' in the value"},
      {wrap("<a x=\"1\"y=\"2\"/>"), "line 2, column 11", "white space"},
      {wrap("<a x=1/>"), "line 2, column 8", "not quoted"},
      {wrap("<a x/>"), "line 2, column 7", "'=' is expected"},
      {"<configuration x=\"1", "line 1, column 18", "never ends"},
      {wrap("<a x=\"&nbsp;\"/>"), "line 2, column 9", "'&'"},
      {wrap("<a x=\"&#0;\"/>"), "line 2, column 9", "'&'"},
      {wrap("<a x=\"&#xD800;\"/>"), "line 2, column 9", "'&'"},
      {wrap("<a>a & b</a>"), "line 2, column 8", "'&'"},
      {wrap("<a>]]></a>"), "line 2, column 6", "']]>'"},
      {wrap("<!-- a -- b -->"), "line 2, column 10", "'--' inside"},
      {wrap("<!-- open"), "line 2, column 3", "comment is never closed"},
      {wrap("<![CDATA[open"), "line 2, column 3", "CDATA section is never closed"},
      {wrap("<?php open"), "line 2, column 3", "never closed"},
      {wrap("<!ELEMENT a>"), "line 2, column 3", "'<!'"},
      {wrap("< a/>"), "line 2, column 4", "name of an element"},
      {wrap("<1a/>"), "line 2, column 4", "name of an element"},
      {"<!DOCTYPE configuration>\n<configuration/>", "line 1, column 1", "document type"},
      {" <?xml version=\"1.0\"?><configuration/>", "line 1, column 2", "very start"},
      {"<?xml version=\"1.1\"?><configuration/>", "line 1, column 7", "1.0"},
      {"<?xml encoding=\"UTF-8\"?><configuration/>", "line 1, column 7", "does not belong"},
      {"<?xml version=\"1.0\" encoding=\"utf-16\"?><configuration/>", "line 1, column 21", "UTF-8"},
      {"<?xml version=\"1.0\" standalone=\"maybe\"?><configuration/>", "line 1, column 21",
       "yes or no"},
      {std::string("<\0c\0", 4), "line 1, column 1", "UTF-16"},
      {"\xFF\xFE<", "line 1, column 1", "UTF-16"},
      {wrap("<a x=\"\xC3\x28\"/>"), "line 2, column 9", "0xc3 is not valid UTF-8"},
      {wrap("<a x=\"\xC3\xB6\x01\"/>"), "line 2, column 10", "control character"},
      {wrap(std::string("<a>\0</a>", 8)), "line 2, column 6", "control character"},
      {"\xEF\xBB\xBF<configuration x/>", "line 1, column 17", "'=' is expected"},
      {"<configuration>\r<a>\r</b></configuration>", "line 3, column 1", "</b> where"},
      {"<web/>", "line 1", "not <configuration>"},
  };
  for (const auto& [bytes, place, why] : table) {
    INFO(bytes);
    const auto found = provider().find(bytes, query("site"));
    REQUIRE_FALSE(found);
    CHECK(found.error().code == Code::bad_input);
    CHECK_THAT(found.error().message, Catch::Contains(place));
    CHECK_THAT(found.error().message, Catch::Contains(why));
    CHECK_FALSE(provider().edit(bytes, {}));
    CHECK_FALSE(provider().compare(small_configuration(), bytes));
    CHECK_FALSE(provider().redact(bytes));
    const auto undone = provider().undo(small_configuration(), small_configuration(), bytes);
    REQUIRE_FALSE(undone);
    CHECK(undone.error().code == Code::bad_input);
  }
}

TEST_CASE("what configuration files are written like is accepted") {
  for (const auto& bytes : std::vector<std::string>{
           "<configuration/>",
           "\xEF\xBB\xBF<?xml version='1.0'?>\r\n<configuration />",
           "<?xml version = \"1.0\" encoding = 'utf-8' standalone=\"yes\" "
           "?><configuration></configuration >",
           wrap("<a x = 'b > \"c\"' \n\ty=\"&#xA;&#10;&lt;\"/>"),
           wrap("<x:a xmlns:x=\"urn:y\" x:b=\"1\">t<![CDATA[ <raw> ]]>u</x:a>"),
           wrap("<!----><?pi?><?pi two > three?>"),
           wrap("<n\xC3\xA4me \xC3\xA4=\"1\"/>"),
           "<configuration/>\n<!-- a --><?b c?>\n\n",
       }) {
    INFO(bytes);
    CHECK(provider().find(bytes, query("site")));
    const auto edited = provider().edit(bytes, {});
    REQUIRE(edited);
    CHECK(edited->bytes == bytes);
    CHECK(edited->differences.empty());
    CHECK(edited->diff.empty());
  }
}

TEST_CASE("every bound of the scanner stops it with the code limit") {
  const auto refused = [](const std::string& bytes, const ScanLimits& limits) {
    const auto tree = scan_xml(bytes, limits);
    return !tree && tree.error().code == Code::limit;
  };
  const std::string bytes = "<c><a x='1' y='2'/><!-- a --><bb><c/></bb></c>";
  REQUIRE(scan_xml(bytes));
  ScanLimits limits;
  limits.max_bytes = bytes.size() - 1;
  CHECK(refused(bytes, limits));
  limits = {};
  limits.max_depth = 2;
  CHECK(refused(bytes, limits));
  limits.max_depth = 3;
  CHECK_FALSE(refused(bytes, limits));
  limits = {};
  limits.max_elements = 3;
  CHECK(refused(bytes, limits));
  limits = {};
  limits.max_attributes = 1;
  CHECK(refused(bytes, limits));
  limits = {};
  limits.max_others = 0;
  CHECK(refused(bytes, limits));
  limits = {};
  limits.max_name_bytes = 1;
  CHECK(refused(bytes, limits));
  std::string deep;
  for (int i = 0; i < 257; ++i) deep += "<configuration>";
  CHECK(refused(deep, {}));
}

TEST_CASE("ranges of a scanned tree give back its pieces") {
  const std::string bytes = "<c>\n  <a  x = 'v' y=\"w\" >t</a><b/>\n</c>";
  const auto tree = scan_xml(bytes);
  REQUIRE(tree);
  REQUIRE(tree->elements.size() == 3);
  const auto& a = tree->elements[1];
  CHECK(tree->text(a.range) == "<a  x = 'v' y=\"w\" >t</a>");
  CHECK(tree->text(a.start_tag) == "<a  x = 'v' y=\"w\" >");
  CHECK(tree->text(a.end_tag) == "</a>");
  REQUIRE(a.attribute_count == 2);
  CHECK(tree->text(tree->attributes[0].whole) == "  x = 'v'");
  CHECK(tree->text(tree->attributes[0].value) == "v");
  CHECK(tree->attributes[1].quote == '"');
  CHECK(text_of(*tree, 1) == "t");
  CHECK(tree->elements[2].self_closing());
  CHECK(tree->children(0) == std::vector<std::uint32_t>{1, 2});
}

TEST_CASE("encoding a value for an attribute is undone by decoding") {
  const std::string value = "a<b>&\"'\t\r\n\xC3\xB6";
  for (const char quote : {'"', '\''}) {
    const auto raw = encode_attribute(value, quote);
    CHECK(raw.find(quote) == std::string::npos);
    CHECK(raw.find('<') == std::string::npos);
    CHECK(decode_attribute(raw) == value);
  }
  CHECK(encode_attribute("a > 'b'", '"') == "a > 'b'");
  CHECK(decode_attribute("a\r\nb\tc\rd") == "a b c d");
}

}  // namespace remediate::setting::test
