#include <catch2/catch.hpp>

#include "configurations.h"

namespace remediate::setting::test {
namespace {

std::vector<Setting> found(const std::string& bytes, const Query& wanted) {
  auto settings = provider().find(bytes, wanted);
  INFO((settings ? std::string() : settings.error().text()));
  REQUIRE(settings);
  return std::move(*settings);
}

std::vector<std::string> addresses(const std::string& bytes, const Query& wanted) {
  std::vector<std::string> out;
  for (const auto& setting : found(bytes, wanted)) out.push_back(setting.address);
  return out;
}

std::string value(const Setting& setting, const std::string& name) {
  for (const auto& [key, value_] : setting.attributes)
    if (key == name) return value_;
  return "(none)";
}

using Strings = std::vector<std::string>;

}  // namespace

TEST_CASE("each kind of setting is found at its place and nowhere else") {
  const auto file = small_configuration();
  CHECK(addresses(file, query("site")) ==
        Strings{"site[Default Web Site]", "site[Exchange Back End]"});
  CHECK(addresses(file, query("application")) ==
        Strings{"application[Default Web Site/]", "application[Default Web Site/owa]",
                "application[Default Web Site/owa/auth]", "application[Exchange Back End/]"});
  CHECK(addresses(file, query("virtualDirectory", {{"path", "/X", {}, false, true}})) ==
        Strings{"virtualDirectory[Default Web Site/:/x]"});
  CHECK(addresses(file, query("location")).size() == 6);
  CHECK(addresses(file, query("handler")) ==
        Strings{"location[]/system.webServer/handlers/add[name=Static]",
                "location[]/system.webServer/handlers/add[name=Rogue]",
                "location[]/system.webServer/handlers/add[name=Last]"});
  CHECK(addresses(file, query("module")) ==
        Strings{"location[]/system.webServer/modules/add[name=HttpCacheModule]"});
  CHECK(addresses(file, query("globalModule")).size() == 2);
  CHECK(addresses(file, query("isapiFilter")) ==
        Strings{"system.webServer/isapiFilters/filter[name=Good]"});
  CHECK(addresses(file, query("metadataKey")).size() == 4);
  CHECK(addresses(web_configuration(), query("handler")) ==
        Strings{"location/system.webServer/handlers/add[name=HttpProxy]"});
  CHECK(addresses(web_configuration(), query("element", {}, "system.web/httpRuntime")) ==
        Strings{"system.web/httpRuntime"});
  CHECK(addresses(file, query("element", {}, "system.webServer/handlers")) ==
        Strings{"location[]/system.webServer/handlers",
                "location[default web site/X]/system.webServer/handlers"});
}

TEST_CASE("a setting says where it is and in what it lies") {
  for (const auto ends : {Style::Ends::lf, Style::Ends::crlf}) {
    Style style;
    style.ends = ends;
    style.mark = true;
    const auto file = styled(small_configuration(), style, 1);
    const auto settings = found(
        file,
        query("virtualDirectory", {{"physicalPath", {}, "(?i)^C:.ProgramData", false, true}}));
    REQUIRE(settings.size() == 1);
    const auto& rogue = settings.front();
    CHECK(rogue.line == 31);
    CHECK(file.substr(rogue.offset).starts_with("<virtualDirectory path=\"/x\""));
    CHECK(value(rogue, "@site") == "Default Web Site");
    CHECK(value(rogue, "@application") == "/");
    CHECK(value(rogue, "@vpath") == "Default Web Site/x");
    CHECK_THAT(rogue.reason, Catch::Contains("physicalPath") && Catch::Contains("COM1"));
  }
  const auto application = found(
      small_configuration(), query("application", {{"@physicalPath", {}, "auth$", false, true}}));
  REQUIRE(application.size() == 1);
  CHECK(application.front().address == "application[Default Web Site/owa/auth]");
  const auto handler =
      found(small_configuration(), query("handler", {{"@location", "", {}, false, true}}));
  CHECK(handler.size() == 3);
  CHECK(value(handler[2], "verb") == "GET\nPOST");
}

TEST_CASE("tests of attributes hold together") {
  const auto file = small_configuration();
  const auto count = [&](std::vector<AttributeTest> where) {
    return found(file, query("virtualDirectory", std::move(where))).size();
  };
  CHECK(count({}) == 6);
  CHECK(count({{"path", "/X", {}, false, false}}) == 0);
  CHECK(count({{"path", "/", {}, false, true}, {"physicalPath", {}, "Exchange", false, true}}) ==
        3);
  CHECK(count({{"Path", {}, {}, false, true}}) == 0);
  CHECK(count({{"userName", {}, {}, true, true}}) == 6);
  CHECK(count({{"path", {}, {}, true, true}}) == 0);
  CHECK(count({{"path", "/x", "y", false, true}}) == 0);
}

TEST_CASE("queries that make no sense are refused") {
  const auto code = [](const Query& wanted) {
    const auto settings = provider().find(small_configuration(), wanted);
    REQUIRE_FALSE(settings);
    return settings.error().code;
  };
  CHECK(code(query("vdir")) == Code::bad_input);
  CHECK(code(query("element")) == Code::bad_input);
  CHECK(code(query("site", {}, "a/b")) == Code::bad_input);
  CHECK(code(query("element", {}, "configuration/system.web")) == Code::bad_input);
  CHECK(code(query("element", {}, "a//b")) == Code::bad_input);
  CHECK(code(query("site", {{"name", {}, "(", false, true}})) == Code::bad_input);
  CHECK(code(query("site", {{"name", {}, "a(?=b)", false, true}})) == Code::bad_input);
  CHECK(code(query("site", {{"name", "x", {}, true, true}})) == Code::bad_input);
  CHECK(code(query("site", {{"", "x", {}, false, true}})) == Code::bad_input);
}

TEST_CASE("addresses are unique whatever the names are") {
  const std::string file =
      "<configuration><system.applicationHost><sites>"
      "<site name=\"a/b\"><application path=\"/c\"><virtualDirectory "
      "path=\"/d\"/></application></site>"
      "<site name=\"a\"><application path=\"/b/c\"><virtualDirectory path=\"/d\"/></application>"
      "<application path=\"/b/c:/d]\"><virtualDirectory path=\"/d\"/></application></site>"
      "<site name=\"a\"/><site name=\"x]#2\"/>"
      "</sites></system.applicationHost><site name=\"a\"/></configuration>";
  const auto sites = addresses(file, query("site"));
  CHECK(sites == Strings{"site[a\\/b]", "site[a]#1", "site[a]#2", "site[x\\]#2]"});
  auto all = addresses(file, query("virtualDirectory"));
  REQUIRE(all.size() == 3);
  std::ranges::sort(all);
  CHECK(std::ranges::adjacent_find(all) == all.end());
  for (const auto& address : all) {
    INFO(address);
    const auto edited = provider().edit(file, {removal(address)});
    REQUIRE(edited);
    REQUIRE(edited->differences.size() == 1);
    CHECK(edited->differences.front().address == address);
  }
}

TEST_CASE("secrets do not leave through find") {
  const auto pools =
      found(small_configuration(),
            query("element", {}, "system.applicationHost/applicationPools/add/processModel"));
  REQUIRE(pools.size() == 1);
  CHECK(value(pools.front(), "userName") == "svc");
  CHECK(value(pools.front(), "password") == "[secret]");
  const auto tested = found(
      web_configuration(),
      query("element", {{"connectionString", {}, "hunter", false, true}}, "connectionStrings/add"));
  REQUIRE(tested.size() == 1);
  CHECK_THAT(tested.front().reason, !Catch::Contains("Server=db"));
  CHECK(value(tested.front(), "connectionString") == "[secret]");
}

TEST_CASE("the provider is found by its name") {
  CHECK(find_provider("iis-xml") != nullptr);
  CHECK(find_provider("iis") == nullptr);
  CHECK(provider_names() == Strings{"iis-xml", "apache-htaccess", "php-user-ini"});
  CHECK(make_iis_xml_provider()->name() == "iis-xml");
}

TEST_CASE("a provider says what is special about its family") {
  const FileProvider& iis = *find_provider("iis-xml");
  const FileProvider& php = *find_provider("php-user-ini");
  CHECK(provider_of("APPLICATIONHOST.config") == &iis);
  CHECK(provider_of(".user.ini") == &php);
  CHECK(provider_of("index.php") == nullptr);

  CHECK((iis.in_system_folders() && !php.in_system_folders()));
  const auto versions = iis.old_versions("applicationhost.CONFIG");
  REQUIRE(versions);
  CHECK(*versions == OldVersions{"configuration history of IIS", "C:\\inetpub\\history",
                                 "CFGHISTORY_", "applicationHost.config"});
  CHECK_FALSE(iis.old_versions("web.config"));
  CHECK_FALSE(php.old_versions(".user.ini"));

  CHECK(iis.loads("module") == Loads::by_name);
  CHECK(iis.loads("globalModule") == Loads::from_file);
  CHECK(iis.loads("isapiFilter") == Loads::from_file);
  CHECK(iis.loads("virtualDirectory") == Loads::nothing);
  CHECK(php.loads("module") == Loads::nothing);

  CHECK(iis.redirector("Administration.config")->file == "redirection.config");
  CHECK_FALSE(iis.redirector("web.config"));
  CHECK_FALSE(php.redirector("applicationHost.config"));
  const auto moved = iis.redirected_to(
      "<configuration><configurationRedirection enabled=\"true\" path=\"\\\\farm\\iis\" />"
      "</configuration>");
  REQUIRE(moved);
  CHECK(moved->value_or("").find("farm") != std::string::npos);
}

}  // namespace remediate::setting::test
