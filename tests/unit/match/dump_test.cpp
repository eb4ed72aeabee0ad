#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "remediate/match/engine.h"

using remediate::match::Dump;
using remediate::match::parse_dump;

namespace {

struct Line {
  std::string key;
  std::vector<std::string> values;
};

/// Built from parts, so that no scanner takes this source for what it describes.
std::string script() {
  return std::string("http://f/") + "<scr" + "ipt language=\"JScript\" run" + "at=\"ser" +
         "ver\">function x(){}</scr" + "ipt>";
}

std::vector<Line> oab_lines(const std::string& external) {
  return {
      {"Name", {"OAB (Default Web Site)"}},
      {"PollInterval", {"480"}},
      {"OfflineAddressBooks", {}},
      {"RequireSSL", {"True"}},
      {"BasicAuthentication", {"False"}},
      {"MetabasePath", {"IIS://mail.example.test/W3SVC/1/ROOT/OAB"}},
      {"Path", {"C:\\Program Files\\Microsoft\\Exchange Server\\V15\\FrontEnd\\HttpProxy\\OAB"}},
      {"Server", {"MAIL"}},
      {"InternalUrl", {"https://mail.example.test/OAB"}},
      {"InternalAuthenticationMethods", {"WindowsIntegrated"}},
      {"ExternalUrl", {external}},
      {"AdminDisplayName", {}},
      {"DistinguishedName", {"CN=OAB (Default Web Site),CN=HTTP,DC=example,DC=test"}},
      {"Guid", {"00000000-1111-2222-3333-444444444444"}},
      {"ObjectClass", {"top", "msExchVirtualDirectory", "msExchOABVirtualDirectory"}},
      {"WhenChangedUTC", {"3/4/2021 8:07:21 AM"}},
      {"IsValid", {"True"}}};
}

struct Shape {
  std::string line_end = "\r\n";
  std::size_t column = 32;
  bool trailing_blank = true;
};

std::string written(const std::vector<Line>& lines, const Shape& shape) {
  std::string text;
  for (const Line& line : lines) {
    text += line.key;
    text.append(std::max(shape.column, line.key.size()) - line.key.size(), ' ');
    text += ':';
    if (line.values.empty() && shape.trailing_blank) text += ' ';
    for (std::size_t i = 0; i < line.values.size(); ++i) {
      if (i > 0) text += shape.line_end + std::string(shape.column + 1, ' ');
      text += " " + line.values[i];
    }
    text += shape.line_end;
  }
  return text;
}

std::string value(const Dump& dump, const std::string& name) {
  for (const auto& field : dump.fields) {
    if (field.name == name) return field.value;
  }
  return "(missing)";
}

}  // namespace

TEST_CASE("a dump with a script in its URL is known, with the place of the script") {
  const std::string text = written(oab_lines(script()), {});
  const auto dump = parse_dump(text);
  REQUIRE(dump.has_value());
  CHECK(dump->fields.size() == 17);
  CHECK(dump->script_in_url);
  CHECK(dump->script_offset == text.find('<'));
  CHECK(value(*dump, "Guid") == "00000000-1111-2222-3333-444444444444");
  CHECK(value(*dump, "ObjectClass") == "top\nmsExchVirtualDirectory\nmsExchOABVirtualDirectory");
  CHECK(value(*dump, "AdminDisplayName").empty());
}

TEST_CASE("an administrator's dump without a script is a dump without a script") {
  const auto dump =
      parse_dump("\r\n\r\n" + written(oab_lines("https://mail.example.test/OAB"), {}));
  REQUIRE(dump.has_value());
  CHECK_FALSE(dump->script_in_url);
}

TEST_CASE("a script in another field does not count") {
  auto lines = oab_lines("https://mail.example.test/OAB");
  lines[11].values = {script()};
  const auto dump = parse_dump(written(lines, {}));
  REQUIRE(dump.has_value());
  CHECK_FALSE(dump->script_in_url);
}

TEST_CASE("the ways a script can be written in a URL") {
  const std::vector<std::string> scripts = {std::string("http://x/<") + "SCR" + "IPT>",
                                            std::string("http://x/<% ") + "x %>",
                                            std::string("http://x/<  \t") + "scr" + "ipt",
                                            std::string("http://x/<a run") + "at = 'ser" + "ver'>",
                                            std::string("http://x/<a RUN") + "AT=SER" + "VER>"};
  for (const std::string& text : scripts) {
    INFO(text);
    for (const std::string field : {"ExternalUrl", "InternalUrl"}) {
      auto lines = oab_lines("https://mail.example.test/OAB");
      for (Line& line : lines) {
        if (line.key == field) line.values = {text};
      }
      const auto dump = parse_dump(written(lines, {}));
      REQUIRE(dump.has_value());
      CHECK(dump->script_in_url);
    }
  }
  for (const std::string text : {"http://x/?run=at", "http://x/a<b", "http://x/runat/server", ""}) {
    INFO(text);
    const auto dump = parse_dump(written(oab_lines(text), {}));
    REQUIRE(dump.has_value());
    CHECK_FALSE(dump->script_in_url);
  }
}

TEST_CASE("a script is found in continuation lines, and broken across them") {
  auto lines = oab_lines("");
  lines[10].values = {"http://x/", std::string("<scr") + "ipt>"};
  std::string text = written(lines, {});
  auto dump = parse_dump(text);
  REQUIRE(dump.has_value());
  CHECK(dump->script_in_url);
  CHECK(dump->script_offset == text.find('<'));
  lines[10].values = {"http://x/<sc", "ript>"};
  text = written(lines, {});
  dump = parse_dump(text);
  REQUIRE(dump.has_value());
  CHECK(dump->script_in_url);
  CHECK(dump->script_offset == text.find('<'));
  lines[10].values = {"http://x/\r\n" + script()};  // at the start of a line of its own
  dump = parse_dump(written(lines, {}));
  REQUIRE(dump.has_value());
  CHECK(dump->script_in_url);
}

TEST_CASE("UTF-16LE and UTF-8 byte order marks") {
  const std::string text = written(oab_lines(script()), {});
  std::string wide = "\xFF\xFE";
  for (const char c : text) {
    wide += c;
    wide += '\0';
  }
  const auto dump = parse_dump(wide);
  REQUIRE(dump.has_value());
  CHECK(dump->script_in_url);
  CHECK(dump->script_offset == 2 + 2 * text.find('<'));
  const auto marked = parse_dump("\xEF\xBB\xBF" + text);
  REQUIRE(marked.has_value());
  CHECK(marked->script_offset == 3 + text.find('<'));
}

TEST_CASE("pages and other texts are no dumps") {
  const std::string page = std::string("<%@ Page Language=\"C#\" %>\r\n<html><body>\r\n<scr") +
                           "ipt run" + "at=\"ser" + "ver\">\r\n" +
                           "// ExternalUrl, InternalUrl, MetabasePath, Guid, Name\r\n" +
                           "</body></html>\r\n";
  CHECK_FALSE(parse_dump(page).has_value());
  CHECK_FALSE(parse_dump("").has_value());
  CHECK_FALSE(parse_dump("\r\n\r\n").has_value());
  const std::string dump = written(oab_lines(script()), {});
  CHECK_FALSE(parse_dump("<html><pre>\r\n" + dump + "</pre>").has_value());
  CHECK_FALSE(parse_dump("How to reset a folder:\r\n\r\n" + dump).has_value());
  CHECK_FALSE(parse_dump(dump + std::string(1 << 20, ' ')).has_value());
  // An HTTP header block and a YAML file have the colons, but not the fields.
  std::string other;
  for (int i = 0; i < 20; ++i) other += "Key" + std::to_string(i) + " : " + script() + "\n";
  CHECK_FALSE(parse_dump(other).has_value());
  CHECK_FALSE(parse_dump("Name : x\n" + other).has_value());
}

TEST_CASE("a dump needs enough fields and the telling ones") {
  auto lines = oab_lines(script());
  std::vector<Line> nine(lines.begin(), lines.begin() + 9);
  CHECK_FALSE(parse_dump(written(nine, {})).has_value());
  auto nameless = lines;
  nameless.erase(nameless.begin());
  CHECK_FALSE(parse_dump(written(nameless, {})).has_value());
}

TEST_CASE("generated dumps of every shape are read back") {
  std::mt19937 random(65);
  const auto below = [&](std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random);
  };
  for (int round = 0; round < 2000; ++round) {
    const bool with_script = below(2) == 0;
    auto lines = oab_lines(with_script ? script() : "https://mail.example.test/OAB");
    std::string name = "OAB (";
    for (std::size_t i = 0; i < 1 + below(20); ++i) {
      const auto byte = static_cast<unsigned char>(0x80 + below(0x80));
      name += static_cast<char>(byte);
    }
    name += ")";
    lines[0].values = {name};
    if (below(2) == 0) std::shuffle(lines.begin(), lines.end(), random);
    Shape shape;
    shape.line_end = below(2) == 0 ? "\n" : "\r\n";
    shape.column = below(3) == 0 ? 1 + below(60) : 32;
    shape.trailing_blank = below(2) == 0;
    const std::string text = written(lines, shape);
    INFO(text);
    const auto dump = parse_dump(text);
    REQUIRE(dump.has_value());
    REQUIRE(dump->fields.size() == lines.size());
    REQUIRE(dump->script_in_url == with_script);
    REQUIRE(value(*dump, "Name") == name);
    REQUIRE(value(*dump, "WhenChangedUTC") == "3/4/2021 8:07:21 AM");
    if (with_script) REQUIRE(dump->script_offset == text.find('<'));
    for (std::size_t i = 0; i < lines.size(); ++i) REQUIRE(dump->fields[i].name == lines[i].key);
  }
}
