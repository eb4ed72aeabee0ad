#include <catch2/catch.hpp>

#include "configurations.h"

namespace remediate::setting::test {
namespace {

const std::string rogue = "virtualDirectory[Default Web Site/:/x]";
const std::string rogue_line =
    "          <virtualDirectory path=\"/x\" physicalPath=\"C:\\ProgramData\\COM1\" />\n";
const std::string next_line =
    "          <virtualDirectory path=\"/x/y\" physicalPath=\"D:\\good\" />\n";

std::string after(const std::string& before, const std::vector<Edit>& edits) {
  auto result = provider().edit(before, edits);
  INFO((result ? std::string() : result.error().text()));
  REQUIRE(result);
  return std::move(result->bytes);
}

std::string undone(const std::string& before, const std::string& changed,
                   const std::string& current) {
  auto result = provider().undo(before, changed, current);
  INFO((result ? std::string() : result.error().text()));
  REQUIRE(result);
  return std::move(result->bytes);
}

Error conflict(const std::string& before, const std::string& changed, const std::string& current) {
  const auto result = provider().undo(before, changed, current);
  REQUIRE_FALSE(result);
  CHECK(result.error().code == Code::conflict);
  return result.error();
}

}  // namespace

TEST_CASE("undo of an untouched change is the file from before") {
  for (const bool mark : {false, true}) {
    Style style;
    style.mark = mark;
    const auto before = styled(small_configuration(), style, 1);
    const auto changed =
        after(before, {removal(rogue), setting("site[Exchange Back End]", "id", "3")});
    const auto result = provider().undo(before, changed, changed);
    REQUIRE(result);
    CHECK(result->bytes == before);
    CHECK(result->differences.size() == 4);
    CHECK_THAT(result->diff, Catch::Contains("+          <virtualDirectory path=\"/x\""));
    CHECK(undone(before, changed, before) == before);
    CHECK(undone(before, before, changed) == changed);
  }
}

TEST_CASE("undo keeps what others changed since, byte for byte") {
  const auto before = small_configuration();
  const auto changed = after(before, {removal(rogue)});
  const auto others = [&](const std::string& what, const std::string& with) {
    INFO(what << " -> " << with);
    CHECK(undone(before, changed, replaced(changed, what, with)) == replaced(before, what, with));
  };
  others("D:\\good", "E:\\moved");
  others("<!--\n  To change", "<!-- new -->\n<!--\n  To change");
  others("</configuration>\n", "</configuration>\n<!-- later -->");
  others(next_line, next_line + "          <virtualDirectory path=\"/z\" physicalPath=\"Z\" />\n");
  others(next_line, "");
  others("      <site name=\"Exchange Back End\" id=\"2\">",
         "      <site id='2'\n name='Exchange Back End'>");
  others("      <key path=\"LM/W3SVC/10/ROOT/x\" />\n", "      <key path=\"LM/W3SVC/11\" />\n");
  others("  <location path=\"Default Web Site/x/y\" />\n", "");
  others(
      "<application path=\"/\" applicationPool=\"Pool\">\n          <virtualDirectory path=\"/\" "
      "physicalPath=\"%System",
      "<application path=\"/\" applicationPool=\"Other\">\n          <virtualDirectory path=\"/\" "
      "physicalPath=\"%system");
}

TEST_CASE("a removed element comes back after its nearest remaining neighbour") {
  const auto before = small_configuration();
  const auto changed = after(before, {removal(rogue)});
  const std::string root_line =
      "          <virtualDirectory path=\"/\" physicalPath=\"%SystemDrive%\\inetpub\\wwwroot\" "
      "/>\n";
  const std::string comment =
      "          <!-- <virtualDirectory path=\"/x\" physicalPath=\"C:\\decoy\" /> -->\n";
  const std::string added = "          <virtualDirectory path=\"/new\" physicalPath=\"N\" />\n";
  CHECK(undone(before, changed, replaced(changed, comment, added)) ==
        replaced(before, comment + rogue_line, rogue_line + added));
  CHECK(undone(before, changed, replaced(changed, root_line + comment + next_line, "")) ==
        replaced(before, root_line + comment + rogue_line + next_line, rogue_line));
}

TEST_CASE("a parent that was closed since is opened again") {
  const std::string before =
      "<configuration>\r\n  <a>\r\n    <b x=\"1\">\r\n    </b>\r\n  </a>\r\n  "
      "<c/>\r\n</configuration>\r\n";
  const auto changed = after(before, {removal("a/b")});
  CHECK(changed == "<configuration>\r\n  <a>\r\n  </a>\r\n  <c/>\r\n</configuration>\r\n");
  CHECK(undone(before, changed, replaced(changed, "<a>\r\n  </a>", "<a />")) == before);
  CHECK(undone(before, changed, replaced(changed, "<a>\r\n  </a>", "<a></a>")) ==
        replaced(before, "<a>\r\n    <b x=\"1\">\r\n    </b>\r\n  </a>",
                 "<a><b x=\"1\">\r\n    </b></a>"));
}

TEST_CASE("what is already undone is a success") {
  const auto before = small_configuration();
  const auto changed =
      after(before, {removal(rogue), setting("site[Exchange Back End]", "id", "3")});
  const auto current = replaced(changed, next_line, rogue_line + next_line);
  CHECK(undone(before, changed, current) == before);
  const auto respelled =
      replaced(changed, next_line,
               "          <virtualDirectory physicalPath='C:\\ProgramData\\COM1'  path='/x'/>\n" +
                   next_line);
  CHECK(
      undone(before, changed, respelled) ==
      replaced(before, rogue_line,
               "          <virtualDirectory physicalPath='C:\\ProgramData\\COM1'  path='/x'/>\n"));
}

TEST_CASE("a twin that came back does not pass for the one that stayed") {
  const std::string first = "  <location path=\"s\" note=\"1\"/>\n";
  const std::string second = "  <location path=\"s\" note=\"2\"/>\n";
  const std::string before = "<configuration>\n" + first + second + "</configuration>\n";
  const auto changed = after(before, {removal("location[s]#1")});
  CHECK(changed == replaced(before, first, ""));
  const auto current = replaced(before, "note=\"2\"", "note=\"2\" late=\"1\"");
  CHECK(undone(before, changed, current) == current);
  CHECK(undone(before, changed, replaced(current, first, "")) == current);
}

TEST_CASE("a change of what we changed is a conflict that names it") {
  const auto before = small_configuration();
  const auto changed =
      after(before, {removal(rogue), setting("site[Exchange Back End]", "id", "3")});
  const auto third =
      conflict(before, changed, replaced(changed, "End\" id=\"3\"", "End\" id=\"4\""));
  CHECK_THAT(third.message, Catch::Contains("site[Exchange Back End]") && Catch::Contains("'2'") &&
                                Catch::Contains("'3'") && Catch::Contains("'4'"));
  const auto again = conflict(
      before, changed,
      replaced(
          changed, next_line,
          next_line + "          <virtualDirectory path=\"/x\" physicalPath=\"C:\\other\" />\n"));
  CHECK_THAT(again.message,
             Catch::Contains(rogue) && Catch::Contains("COM1") && Catch::Contains("C:\\\\other"));
  const auto site = after(changed, {removal("site[Exchange Back End]")});
  CHECK_THAT(conflict(before, changed, site).message, Catch::Contains("is gone since"));
}

TEST_CASE("attributes come back with the bytes they had, at their place") {
  const std::string before =
      "<configuration>\n  <a  one='1'\n      two = \"2&#xA;\" three='3'/>\n  "
      "<b/>\n</configuration>\n";
  const Edit unset_two{"a", Change{ChangeKind::remove_attribute, "two", "", ""}};
  const auto changed =
      after(before, {unset_two, setting("a", "three", "x"), setting("a", "four", "4")});
  CHECK(undone(before, changed, replaced(changed, "<b/>", "<b z='1'/>")) ==
        replaced(before, "<b/>", "<b z='1'/>"));
  CHECK(undone(before, changed, replaced(changed, "one='1'", "one='other'")) ==
        replaced(before, "one='1'", "one='other'"));
  CHECK(undone(before, changed, replaced(changed, "  one='1'", "")) ==
        replaced(before, "  one='1'", ""));
  CHECK(undone(before, changed, replaced(changed, "three='x'", "three=\"x\"")) ==
        replaced(before, "three='3'", "three=\"3\""));
  CHECK(undone(before, changed, replaced(changed, " four='4'", "")) == before);
}

TEST_CASE("a reset is undone like any other change") {
  const auto before = small_configuration();
  const auto clean = replaced(replaced(before,
                                       "        <add name=\"Rogue\" path=\"*.png\" verb=\"*\" "
                                       "scriptProcessor=\"C:\\a > b\\php.exe\" />\n",
                                       ""),
                              "        <add name=\"Last\" path=\"*.x\" verb=\"GET&#xA;POST\" />\n",
                              "        <add name=\"Last\" path=\"*.x\" verb=\"GET\" />\n        "
                              "<add name=\"New\" path=\"*\" />\n");
  const auto changed = after(before, {Edit{"location[]/system.webServer/handlers",
                                           Change{ChangeKind::reset_to_baseline, "", "", clean}}});
  CHECK(changed == clean);
  CHECK(undone(before, changed, changed) == before);
  CHECK(undone(before, changed, replaced(changed, "D:\\good", "E:\\g")) ==
        replaced(before, "D:\\good", "E:\\g"));
  const std::string policy = "accessPolicy=\"Read, Script\"";
  CHECK(undone(before, changed, replaced(changed, policy, "accessPolicy=\"Read\"")) ==
        replaced(before, policy, "accessPolicy=\"Read\""));
  const auto error =
      conflict(before, changed,
               replaced(changed, "verb=\"GET\" />\n        <add name=\"New\" path=\"*\"",
                        "verb=\"GET\" />\n        <add name=\"New\" path=\"*.q\""));
  CHECK_THAT(error.message, Catch::Contains("add[name=New]"));
}

TEST_CASE("a conflict over a secret does not tell it") {
  const auto before = web_configuration();
  const auto changed = after(
      before, {setting("connectionStrings/add[name=Main]", "connectionString", "Password=second")});
  const auto error =
      conflict(before, changed, replaced(changed, "Password=second", "Password=third"));
  CHECK_THAT(error.text(), !Catch::Contains("hunter2") && !Catch::Contains("second") &&
                               !Catch::Contains("third") && Catch::Contains("[secret"));
}

}  // namespace remediate::setting::test
