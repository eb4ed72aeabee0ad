#include <algorithm>
#include <regex>

#include <catch2/catch.hpp>

#include "configurations.h"

namespace remediate::setting::test {
namespace {

Edited edited(const std::string& bytes, const std::vector<Edit>& edits) {
  auto result = provider().edit(bytes, edits);
  INFO((result ? std::string() : result.error().text()));
  REQUIRE(result);
  return std::move(*result);
}

Code refused(const std::string& bytes, const std::vector<Edit>& edits) {
  const auto result = provider().edit(bytes, edits);
  REQUIRE_FALSE(result);
  CHECK_FALSE(result.error().message.empty());
  CHECK_FALSE(result.error().remedy.empty());
  return result.error().code;
}

std::string inside(const std::string& text) {
  return "<configuration>\n  <system.web>" + text + "</system.web>\n</configuration>\n";
}

Edit reset(std::string address, std::string attribute, std::string baseline) {
  return Edit{std::move(address),
              Change{ChangeKind::reset_to_baseline, std::move(attribute), "", std::move(baseline)}};
}

Edit unset(std::string address, std::string attribute) {
  return Edit{std::move(address),
              Change{ChangeKind::remove_attribute, std::move(attribute), "", ""}};
}

const std::string rogue = "virtualDirectory[Default Web Site/:/x]";

std::string without_rogue() {
  auto out = replaced(
      small_configuration(),
      "          <virtualDirectory path=\"/x\" physicalPath=\"C:\\ProgramData\\COM1\" />\n", "");
  out = replaced(out,
                 "      <key path=\"LM/W3SVC/1/ROOT/X\">\n        <property id=\"2102\" "
                 "value=\"x\" />\n      </key>\n",
                 "");
  return replaced(
      out,
      "  <location path=\"default web site/X\">\n    <system.webServer>\n      <handlers "
      "accessPolicy=\"Read\" />\n    </system.webServer>\n  </location>\n",
      "");
}

}  // namespace

TEST_CASE("removing a virtual directory takes its location and metadata key and nothing else") {
  for (const auto ends : {Style::Ends::lf, Style::Ends::crlf}) {
    for (const bool tabs : {false, true}) {
      Style style;
      style.ends = ends;
      style.tabs = tabs;
      style.mark = tabs;
      style.final_end = !tabs;
      style.trailing_script = tabs;
      const auto result = edited(styled(small_configuration(), style, 1), {removal(rogue)});
      CHECK(result.bytes == styled(without_rogue(), style, 1));
      std::vector<std::string> gone;
      for (const auto& difference : result.differences) {
        CHECK(difference.kind == Difference::Kind::removed);
        CHECK(difference.attribute.empty());
        gone.push_back(difference.address);
      }
      CHECK(gone == std::vector<std::string>{
                        "location[default web site/X]",
                        "system.applicationHost/customMetadata/key[path=LM/W3SVC/1/ROOT/X]",
                        rogue});
      CHECK_THAT(result.diff, Catch::StartsWith("--- before\n+++ after\n@@ -"));
      CHECK_THAT(result.diff,
                 Catch::Contains("-          <virtualDirectory path=\"/x\"") ||
                     Catch::Contains("-\t\t\t\t\t\t\t\t\t\t<virtualDirectory path=\"/x\""));
    }
  }
}

TEST_CASE("an editor that works by pattern falls for the decoys that this one ignores") {
  const auto file = small_configuration();
  const std::regex pattern("[ \\t]*<virtualDirectory path=\"/x\"[^>]*/>\\r?\\n?");
  const auto naive = std::regex_replace(file, pattern, "", std::regex_constants::format_first_only);
  const auto count = [](const std::string& text) {
    const auto settings =
        provider().find(text, query("virtualDirectory", {{"path", "/x", {}, false, true}}));
    REQUIRE(settings);
    return settings->size();
  };
  CHECK(naive != file);
  CHECK(count(naive) == 1);  // it cut the comment and left the rogue directory
  const auto ours = edited(file, {removal(rogue)}).bytes;
  CHECK(count(ours) == 0);
  CHECK_THAT(ours,
             Catch::Contains("<virtualDirectory path=\"/x\" physicalPath=\"C:\\decoy\" />\n-->"));
  CHECK_THAT(ours, Catch::Contains(
                       "<!-- <virtualDirectory path=\"/x\" physicalPath=\"C:\\decoy\" /> -->"));
  CHECK_THAT(ours,
             Catch::Contains("<location path=\"Default Web Site/x\" overrideMode=\"Allow\">"));
}

TEST_CASE("an application takes what belongs to it but not what belongs to one below it") {
  const auto result = edited(small_configuration(), {removal("application[Default Web Site/owa]")});
  CHECK_THAT(result.bytes, !Catch::Contains("path=\"Default Web Site/owa\"") &&
                               !Catch::Contains("path=\"Default Web Site/owa/images\"") &&
                               !Catch::Contains("ROOT/owa\""));
  CHECK_THAT(result.bytes, Catch::Contains("path=\"Default Web Site/owa/auth\"") &&
                               Catch::Contains("ROOT/owa/auth\"") &&
                               Catch::Contains("path=\"/owa/auth\""));
  CHECK(result.differences.size() == 4);
}

TEST_CASE("a site takes all its locations and keys") {
  const auto result = edited(small_configuration(), {removal("site[Default Web Site]")});
  CHECK_THAT(result.bytes,
             !Catch::Contains("path=\"Default Web Site/owa") && !Catch::Contains("LM/W3SVC/1/"));
  CHECK_THAT(result.bytes, Catch::Contains("LM/W3SVC/10/ROOT/x") &&
                               Catch::Contains("Exchange Back End") &&
                               Catch::Contains("<location path=\"\" "));
}

TEST_CASE("what a site or an application cannot be without is not removed alone") {
  const auto file = small_configuration();
  CHECK(refused(file, {removal("virtualDirectory[Default Web Site/:/]")}) == Code::refused);
  CHECK(refused(file, {removal("application[Default Web Site/]")}) == Code::refused);
  CHECK(refused(file, {removal("/configuration")}) == Code::refused);
  CHECK(edited(file, {removal("virtualDirectory[Default Web Site/owa:/]"),
                      removal("application[Default Web Site/owa]")})
            .differences.size() == 4);
}

TEST_CASE("an element goes with its line when it has one, alone when it has not") {
  const auto after = [](const std::string& text, const std::string& address) {
    return edited(inside(text), {removal("system.web/" + address)}).bytes;
  };
  CHECK(after("\n    <a/>\n  ", "a") == inside("\n  "));
  CHECK(after("\r\n    <a>\r\n    </a>  \r\n  ", "a") == inside("\r\n  "));
  CHECK(after("<a/>", "a") == inside(""));
  CHECK(after("\n    <b/> <a/>\n  ", "a") == inside("\n    <b/> \n  "));
  CHECK(after("\n    <a/> <!-- c -->\n  ", "a") == inside("\n     <!-- c -->\n  "));
  CHECK(after("\n    text\n    <a/>\n  ", "a") == inside("\n    text\n    \n  "));
  CHECK(after("x<a/> <b/>y", "a") == inside("x <b/>y"));
  CHECK(after("\n\n    <a/>\n\n  ", "a") == inside("\n\n\n  "));
  CHECK(edited(inside("\n    <a/> <b/>\n  "), {removal("system.web/b"), removal("system.web/a")})
            .bytes == inside("\n  "));
  CHECK(
      edited(inside("\n    <a/>\n    <b/>\n  "), {removal("system.web/a"), removal("system.web/b")})
          .bytes == inside("\n  "));
}

TEST_CASE("attributes change in place and in the style of the file") {
  const auto with = [](const std::string& tag, const Edit& edit) {
    return edited(inside("<" + tag + "/>"), {edit}).bytes;
  };
  const auto expect = [](const std::string& tag) { return inside("<" + tag + "/>"); };
  const std::string a = "system.web/a";
  CHECK(with("a x='1' y=\"2\"", setting(a, "x", "it's <&> \"")) ==
        expect("a x='it&apos;s &lt;&amp;> \"' y=\"2\""));
  CHECK(with("a x='1' y=\"2\"", setting(a, "y", "\t\r\n\"'")) ==
        expect("a x='1' y=\"&#x9;&#xD;&#xA;&quot;'\""));
  CHECK(with("a", setting(a, "z", "1")) == expect("a z=\"1\""));
  CHECK(with("a\n   x = '1' ", setting(a, "z", "2")) == expect("a\n   x = '1'\n   z = '2' "));
  CHECK(with("a x=\"a&#62;b\"", setting(a, "x", "a>b")) == expect("a x=\"a&#62;b\""));
  CHECK(with("a  x='1'\n\ty='2'", unset(a, "y")) == expect("a  x='1'"));
  CHECK(with("a  x='1'\n\ty='2'", unset(a, "x")) == expect("a\n\ty='2'"));
  CHECK(edited(inside("<a x='1'/>"), {unset(a, "x"), setting(a, "y", "2"), setting(a, "z", "3")})
            .bytes == expect("a y='2' z='3'"));
  const auto changed = edited(inside("<a x='1'/>"), {setting(a, "x", "2")});
  REQUIRE(changed.differences.size() == 1);
  CHECK(changed.differences.front() == Difference{Difference::Kind::changed, a, "x", "1", "2"});
}

TEST_CASE("edits that cannot be meant are refused") {
  const auto file = small_configuration();
  CHECK(refused(file, {removal("site[Nowhere]")}) == Code::not_found);
  CHECK(refused(file, {unset(rogue, "userName")}) == Code::not_found);
  CHECK(refused(file, {setting(rogue, "a b", "1")}) == Code::bad_input);
  CHECK(refused(file, {setting(rogue, "a", "\x01")}) == Code::bad_input);
  CHECK(refused(file, {setting(rogue, "a", "\xFF")}) == Code::bad_input);
  CHECK(refused(file, {setting(rogue, "a", "1"), removal(rogue)}) == Code::bad_input);
  CHECK(refused(file, {setting(rogue, "a", "1"), setting(rogue, "a", "2")}) == Code::bad_input);
  CHECK(refused(file, {removal(rogue), setting("location[default web site/X]", "a", "1")}) ==
        Code::bad_input);
  CHECK(refused(file, {removal("location[Default Web Site/owa]"),
                       setting("location[Default Web Site/owa]/system.web", "a", "1")}) ==
        Code::bad_input);
  auto with_attribute = removal(rogue);
  with_attribute.change.attribute = "path";
  CHECK(refused(file, {with_attribute}) == Code::bad_input);
}

TEST_CASE("a duplicate is ambiguous until it is named by its number") {
  const auto file = web_configuration();
  CHECK(refused(file, {removal("appSettings/add[key=Colour]")}) == Code::ambiguous);
  CHECK(edited(file, {removal("appSettings/add[key=Colour]#2")}).bytes ==
        replaced(file, "    <add key=\"Colour\" value=\"red\" />\n", ""));
  CHECK(edited(file, {removal("appSettings/add[key=Colour]#1")}).bytes ==
        replaced(file, "    <add key=\"Colour\" value=\"blue\" />\n", ""));
}

TEST_CASE("a setting goes back to the bytes of the baseline") {
  const auto file = small_configuration();
  const std::string handlers = "location[]/system.webServer/handlers";
  auto clean = replaced(file,
                        "        <add name=\"Rogue\" path=\"*.png\" verb=\"*\" "
                        "scriptProcessor=\"C:\\a > b\\php.exe\" />\n",
                        "");
  CHECK(edited(file, {reset(handlers, "", clean)}).bytes == clean);
  CHECK(edited(file, {reset(handlers + "/add[name=Rogue]", "", clean)}).bytes == clean);
  CHECK(edited(file, {reset(handlers, "", file)}).bytes == file);

  const auto policy =
      replaced(file, "accessPolicy=\"Read, Script\"", "accessPolicy='Read&#x2C; \"S\"'");
  CHECK(edited(file, {reset(handlers, "accessPolicy", policy)}).bytes ==
        replaced(file, "accessPolicy=\"Read, Script\"", "accessPolicy=\"Read, &quot;S&quot;\""));
  const auto reference =
      replaced(file, "accessPolicy=\"Read, Script\"", "accessPolicy='Read&#x2C;'");
  CHECK(edited(file, {reset(handlers, "accessPolicy", reference)}).bytes ==
        replaced(file, "accessPolicy=\"Read, Script\"", "accessPolicy=\"Read&#x2C;\""));
  const auto none = replaced(file, " accessPolicy=\"Read, Script\"", "");
  CHECK(edited(file, {reset(handlers, "accessPolicy", none)}).bytes == none);
  CHECK(edited(none, {reset(handlers, "accessPolicy", file)}).bytes == file);
  CHECK(edited(none, {reset(handlers, "accessPolicy", none)}).bytes == none);

  CHECK(edited(file, {reset(rogue, "", without_rogue())}).bytes == without_rogue());
  CHECK(refused(file, {reset(rogue, "physicalPath", without_rogue())}) == Code::not_found);
  CHECK(refused(file, {reset(rogue, "", "<configuration>")}) == Code::bad_input);
  const auto web = web_configuration();
  const auto single = replaced(web, "    <add key=\"Colour\" value=\"red\" />\n", "");
  CHECK(refused(web, {reset("appSettings/add[key=Colour]#2", "", single)}) == Code::ambiguous);
}

}  // namespace remediate::setting::test
