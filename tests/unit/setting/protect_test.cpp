#include <catch2/catch.hpp>

#include "configurations.h"
#include "remediate/setting/iis_protect.h"

namespace remediate::setting::test {
namespace {

/// A site with an application, its location with Extended Protection, and rewrite rules.
std::string hardened() {
  return "<configuration>\n"
         "  <system.applicationHost><sites><site name=\"W\" id=\"1\">\n"
         "    <application path=\"/\"><virtualDirectory path=\"/\" physicalPath=\"C:\\w\" />\n"
         "      <virtualDirectory path=\"/x\" physicalPath=\"C:\\x\" /></application>\n"
         "  </site></sites></system.applicationHost>\n"
         "  <location path=\"W/x\">\n"
         "    <system.webServer><security><authentication><windowsAuthentication "
         "enabled=\"true\">\n"
         "      <extendedProtection tokenChecking=\"Require\" flags=\"None\" />\n"
         "    </windowsAuthentication></authentication></security></system.webServer>\n"
         "  </location>\n"
         "  <location path=\"W/owa\">\n"
         "    <system.webServer><security><authentication><windowsAuthentication "
         "enabled=\"true\">\n"
         "      <extendedProtection tokenChecking=\"Allow\" flags=\"None\" />\n"
         "    </windowsAuthentication></authentication></security></system.webServer>\n"
         "  </location>\n"
         "  <system.webServer><rewrite><rules>\n"
         "    <rule name=\"X-AnonResource-Backend Abort - inbound\"><match url=\".*\" />\n"
         "      <action type=\"AbortRequest\" /></rule>\n"
         "    <rule name=\"EEMS M1.1 PowerShell - inbound\"><action type=\"AbortRequest\" "
         "/></rule>\n"
         "    <rule name=\"PowerShell - inbound\" enabled=\"false\"><action type=\"None\" "
         "/></rule>\n"
         "    <rule name=\"mine\"><action type=\"Redirect\" url=\"/shop\" /></rule>\n"
         "  </rules></rewrite></system.webServer>\n"
         "</configuration>\n";
}

std::string address_of(const std::string& file, const std::string& path, std::size_t number = 0) {
  const auto found = provider().find(file, query("element", {}, path));
  INFO((found ? std::string() : found.error().text()));
  REQUIRE(found);
  REQUIRE(found->size() > number);
  return (*found)[number].address;
}

const std::string protection =
    "system.webServer/security/authentication/windowsAuthentication/extendedProtection";
const std::string rule = "system.webServer/rewrite/rules/rule";

void keeps(const std::string& file, const Edit& edit, const std::string& named) {
  const auto result = provider().edit(file, {edit});
  INFO(edit.address);
  REQUIRE_FALSE(result);
  CHECK(result.error().code == Code::refused);
  CHECK(result.error().message.find(named) != std::string::npos);
  CHECK(result.error().message.find("no edit may take away or weaken") != std::string::npos);
}

void takes(const std::string& file, const Edit& edit) {
  const auto result = provider().edit(file, {edit});
  INFO(edit.address << (result ? "" : result.error().text()));
  REQUIRE(result);
  CHECK(result->bytes != file);
}

Edit to_value(std::string address, std::string attribute, std::string value) {
  return {std::move(address),
          Change{ChangeKind::set_attribute, std::move(attribute), std::move(value), ""}};
}

Edit to_baseline(std::string address, std::string attribute, std::string clean) {
  return {std::move(address),
          Change{ChangeKind::reset_to_baseline, std::move(attribute), "", std::move(clean)}};
}

}  // namespace

TEST_CASE("Extended Protection is neither removed nor weakened, by no kind of edit") {
  const std::string file = hardened();
  const std::string strong = address_of(file, protection, 0);
  const std::string medium = address_of(file, protection, 1);
  const std::string owa = "location[W/owa]";
  keeps(file, removal(strong), "Extended Protection");
  keeps(file, {strong, Change{ChangeKind::remove_attribute, "tokenChecking", "", ""}}, "Require");
  keeps(file, setting(strong, "tokenChecking", "None"), "Require");
  keeps(file, setting(strong, "tokenChecking", "Allow"), "Require");
  keeps(file, removal("location[W/x]"), "Extended Protection");
  keeps(file, removal(owa), "Allow");
  const std::string weaker = replaced(file, "tokenChecking=\"Allow\"", "tokenChecking=\"None\"");
  keeps(file, to_baseline(medium, "", weaker), "Allow");
  keeps(file, to_baseline(medium, "tokenChecking", weaker), "Allow");
  keeps(file, to_baseline(owa, "", weaker), "Allow");
  takes(file, setting(medium, "tokenChecking", "Require"));
  takes(file, setting(medium, "flags", "Proxy"));
  takes(file, to_baseline(medium, "", replaced(file, "\"Allow\"", "\"Require\"")));
  takes(weaker, removal(owa));
}

TEST_CASE("what was protected goes with the virtual directory that it was for, and comes back") {
  const std::string file = hardened();
  const auto edited = provider().edit(file, {removal("virtualDirectory[W/:/x]")});
  REQUIRE(edited);
  CHECK(edited->bytes.find("Require") == std::string::npos);
  CHECK(edited->bytes.find("Allow") != std::string::npos);
  const auto undone = provider().undo(file, edited->bytes, edited->bytes);
  REQUIRE(undone);
  CHECK(undone->bytes == file);
}

TEST_CASE("rules that hold off known attacks are not touched; others and switched-off ones are") {
  const std::string file = hardened();
  const std::string anonymous = address_of(file, rule, 0);
  const std::string emergency = address_of(file, rule, 1);
  keeps(file, removal(anonymous), "X-AnonResource-Backend Abort - inbound");
  keeps(file, removal(emergency), "EEMS M1.1");
  keeps(file, setting(anonymous, "enabled", "false"), "mitigation rule");
  keeps(file, setting(anonymous, "name", "other"), "mitigation rule");
  keeps(file, setting(address_of(file, rule + "/action", 0), "type", "None"), "mitigation rule");
  keeps(file, removal(address_of(file, rule + "/match", 0)), "mitigation rule");
  keeps(file, removal(address_of(file, "system.webServer/rewrite/rules")), "mitigation rule");
  keeps(file, removal(address_of(file, "system.webServer/rewrite")), "mitigation rule");
  takes(file, removal(address_of(file, rule, 2)));
  takes(file, removal(address_of(file, rule, 3)));
  takes(file, setting(address_of(file, rule, 3), "stopProcessing", "true"));
}

TEST_CASE("redirection.config: on, off, and what cannot be understood") {
  const auto said = [](const std::string& inside) {
    return redirection_of(
        "<configuration>\n  <configSections><section name=\"configuration"
        "Redirection\" />"
        "</configSections>\n  " +
        inside + "\n</configuration>\n");
  };
  for (const auto* off : {"", "<configurationRedirection />",
                          "<configurationRedirection enabled=\"False\" path=\"\\\\s\\c\" />",
                          "<!-- <configurationRedirection enabled=\"true\" path=\"x\" /> -->"}) {
    INFO(off);
    const auto result = said(off);
    REQUIRE(result);
    CHECK_FALSE(*result);
  }
  const auto on = said(
      "<configurationRedirection enabled=\"true\" path=\"\\\\farm\\iis\" userName=\"u\" "
      "password=\"secret\" />");
  REQUIRE(on);
  REQUIRE(*on);
  CHECK((*on)->find("farm") != std::string::npos);
  CHECK((*on)->find("secret") == std::string::npos);
  const auto nameless = said("<configurationRedirection enabled=\"TRUE\" />");
  REQUIRE(nameless);
  CHECK(*nameless);
  CHECK_FALSE(redirection_of("<configuration><a></configuration>"));
  CHECK_FALSE(redirection_of(""));
}

TEST_CASE("a hardened location is not moved away, nor what it is for", "[protect]") {
  const std::string file = hardened();
  const auto found = [&](const std::string& kind, const std::string& path) {
    const auto all = provider().find(file, query(kind, {}, ""));
    REQUIRE(all);
    for (const Setting& one : *all)
      if (one.address.find(path) != std::string::npos) return one.address;
    FAIL(kind << " " << path);
    return std::string();
  };
  keeps(file, to_value(found("location", "W/owa"), "path", "W/other"), "Extended Protection");
  keeps(file, to_value(found("virtualDirectory", "/x"), "path", "/y"), "Extended Protection");
  keeps(file, to_value(found("site", "W"), "name", "V"), "Extended Protection");
  keeps(file, {found("location", "W/owa"), Change{ChangeKind::remove_attribute, "path", "", ""}},
        "Extended Protection");
  // Where it lies on the disk is not where it is served.
  takes(file, to_value(found("virtualDirectory", "/x"), "physicalPath", "C:\\y"));
}

TEST_CASE("the module of URL Rewrite stays", "[protect]") {
  const auto with = [](const std::string& image) {
    return "<configuration><system.webServer><globalModules>"
           "<add name=\"RewriteModule\" image=\"" +
           image +
           "\" /><add name=\"Other\" image=\"C:\\o.dll\" /></globalModules>"
           "<modules><add name=\"RewriteModule\" /><add name=\"Other\" /></modules>"
           "</system.webServer></configuration>";
  };
  const std::string file = with("%SystemRoot%\\system32\\inetsrv\\rewrite.dll");
  const auto entry = [&](const std::string& kind, const std::string& in, std::size_t at) {
    const auto all = provider().find(in, query(kind, {}, ""));
    REQUIRE(all);
    REQUIRE(all->size() == 2);
    return (*all)[at].address;
  };
  const std::string words = "the module of URL Rewrite";
  for (const char* kind : {"globalModule", "module"}) {
    INFO(kind);
    const std::string address = entry(kind, file, 0);
    keeps(file, {address, Change{ChangeKind::remove_element, "", "", ""}}, words);
    keeps(file, to_value(address, "name", "Another"), words);
    keeps(file, to_value(address, "preCondition", "bitness32"), words);
    takes(file, {entry(kind, file, 1), Change{ChangeKind::remove_element, "", "", ""}});
  }
  // Under its name another file is what an attacker put there.
  const std::string bad = with("C:\\ProgramData\\evil.dll");
  for (const char* kind : {"globalModule", "module"})
    takes(bad, {entry(kind, bad, 0), Change{ChangeKind::remove_element, "", "", ""}});
}

}  // namespace remediate::setting::test
