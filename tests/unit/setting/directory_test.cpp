#include <catch2/catch.hpp>

#include "remediate/base/directory_value.h"
#include "remediate/setting/directory/query.h"

namespace remediate::setting {
namespace {

const std::string good_bind = R"("bind":{"dn":"CN=a","password_file":"/p"})";

std::string refusal(const std::string& json) {
  const auto read = read_connection(json, "file");
  return read ? "" : read.error().text();
}

bool refused(const std::string& json, const std::string& word) {
  const std::string text = refusal(json);
  INFO(json << ": " << text);
  CHECK(text.find(word) != std::string::npos);
  return !text.empty();
}

}  // namespace

TEST_CASE("a connection file says how, and nothing unsafe", "[directory]") {
  const std::string ca = R"("ca_file":"/ca",)";
  CHECK(refusal(R"({"url":"ldaps://dc1:636",)" + ca + good_bind + "}").empty());
  CHECK(refusal(R"({"url":"ldap://dc1","start_tls":true,)" + ca + good_bind + "}").empty());
  CHECK(refusal(R"({"url":"ldap://dc1","bind":{"mechanism":"GSSAPI"}})").empty());
  CHECK(refused(R"({"url":"ldap://dc1",)" + good_bind + "}", "without TLS"));
  CHECK(refused(R"({"url":"ldaps://dc1",)" + good_bind + "}", "ca_file is missing"));
  CHECK(refused(R"({"url":"ldap://dc1",)" + ca + R"("bind":{"mechanism":"GSSAPI"}})", "no TLS"));
  CHECK(refused(R"({"url":"ldaps://dc1","start_tls":true,)" + ca + good_bind + "}", "start_tls"));
  CHECK(refused(R"({"url":"ldaps://dc1",)" + ca + R"("bind":{"dn":"a","password":"x"}})",
                "the password itself"));
  CHECK(refused(R"({"url":"ldaps://dc1",)" + ca + R"("bind":{"dn":"a"}})", "password_file"));
  CHECK(refused(R"({"url":"ldaps://dc1",)" + ca + R"("bind":{"dn":"a","password_fd":3}})",
                "password_fd"));
  CHECK(refused(R"({"url":"ldaps://dc1",)" + ca + R"("bind":{"dn":"","password_fd":0}})",
                "anonymous"));
  CHECK(refused(R"({"url":"ldaps://dc1",)" + ca + R"("bind":{"mechanism":"PLAIN"}})", "PLAIN"));
  for (const char* url :
       {"http://dc1", "ldaps://", "ldaps://a/b", "ldaps://a ldap://b", "ldapi://x"})
    CHECK(refused(R"({"url":")" + std::string(url) + "\"," + ca + good_bind + "}", "/url"));
  for (const char* seconds : {"0", "301"})
    CHECK(refused(R"({"url":"ldaps://dc1","timeout_seconds":)" + std::string(seconds) + "," + ca +
                      good_bind + "}",
                  "timeout_seconds"));
  CHECK(refused(R"({"url":"ldaps://dc1","x":1,)" + ca + good_bind + "}", "/x"));
}

TEST_CASE("names of servers and virtual directories come from the DN", "[directory]") {
  const std::string below = ",CN=HTTP,CN=Protocols,CN=EX\\,1,CN=Servers,CN=Org,DC=x";
  CHECK(server_of("CN=OAB (Default Web Site)" + below) == "EX,1");
  CHECK(name_of("CN=OAB (Default Web Site)" + below) == "OAB (Default Web Site)");
  CHECK(name_of("CN=a\\2C\\=b\\\\,DC=x") == "a,=b\\");
  CHECK(server_of("DC=lab,DC=test").empty());
  CHECK(server_of("").empty());
  CHECK(name_of("").empty());
}

TEST_CASE("a GUID in bytes and as text", "[directory]") {
  const std::string bytes = "\x98\x03\x7e\x45\xfe\xca\xfb\x43\xb1\x28\x23\xc9\xe9\xf4\x7c\x20";
  CHECK(guid_text(bytes) == "457e0398-cafe-43fb-b128-23c9e9f47c20");
  CHECK(guid_bytes("457e0398-cafe-43fb-b128-23c9e9f47c20") == bytes);
  CHECK(guid_text("short").empty());
  for (const char* text :
       {"", "457e0398-cafe-43fb-b128-23c9e9f47c2", "457e0398xcafe-43fb-b128-23c9e9f47c20",
        "457e0398-cafe-43fb-b128-23c9e9f47c2g"})
    CHECK_FALSE(guid_bytes(text));
}

TEST_CASE("a directory value in JSON is read strictly", "[directory]") {
  const DirectoryValue value{
      "CN=\xff", "457e0398-cafe-43fb-b128-23c9e9f47c20", "msExchX", std::nullopt, "y", "w", 3};
  const Json json = to_json(value);
  const auto read = directory_value_from_json(json, "");
  REQUIRE(read);
  CHECK(*read == value);
  const auto broken = [&](const char* key, const Json& with) {
    Json changed = json;
    changed[key] = with;
    return !directory_value_from_json(changed, "");
  };
  CHECK(broken("guid", "457E0398-CAFE-43FB-B128-23C9E9F47C20"));
  CHECK(broken("guid", "x"));
  CHECK(broken("after", Json::array()));
  CHECK(broken("before", json["after"]));
  CHECK(broken("after", Json::array({json["after"][0], json["after"][0]})));
  CHECK(broken("attribute", ""));
  CHECK(broken("more", 1));
  Json shown = json;
  shown["dn"]["display"] = "CN=other";
  CHECK_FALSE(directory_value_from_json(shown, ""));
}

TEST_CASE("tests of objects in a directory", "[directory]") {
  DirectoryObject object;
  object.dn = "CN=owa (Default Web Site),CN=HTTP,CN=Protocols,CN=EX1,CN=Servers,DC=x";
  object.classes = {"top", "msExchVirtualDirectory", "msExchOWAVirtualDirectory"};
  object.attributes["msExchExternalHostName"] = {"https://a", "https://B"};
  const std::vector<DirectoryObject> objects{object};
  const auto fits = [&](const std::string& kind, std::vector<AttributeTest> where,
                        const std::vector<std::string>& servers = {}) {
    auto found = find_objects(objects, {kind, "", std::move(where)}, servers);
    REQUIRE(found);
    return found->size() == 1;
  };
  const std::string url = "msExchExternalHostName";
  CHECK(fits("msExchVirtualDirectory", {}));
  CHECK(fits("MSEXCHOWAVIRTUALDIRECTORY", {}));
  CHECK_FALSE(fits("msExchOABVirtualDirectory", {}));
  CHECK(fits("msExchVirtualDirectory", {}, {"ex1"}));
  CHECK_FALSE(fits("msExchVirtualDirectory", {}, {"EX2"}));
  CHECK(fits("msExchVirtualDirectory", {{url, "HTTPS://b", std::nullopt, false, true}}));
  CHECK_FALSE(fits("msExchVirtualDirectory", {{url, "HTTPS://b", std::nullopt, false, false}}));
  CHECK(fits("msExchVirtualDirectory",
             {{"msexchexternalhostname", std::nullopt, "B$", false, true}}));
  CHECK(fits("msExchVirtualDirectory",
             {{"msExchInternalHostName", std::nullopt, std::nullopt, true, true}}));
  CHECK_FALSE(fits("msExchVirtualDirectory", {{url, std::nullopt, std::nullopt, true, true}}));
  CHECK(fits("msExchVirtualDirectory", {{"@server", "EX1", std::nullopt, false, true},
                                        {"@name", std::nullopt, "^owa", false, true}}));
  CHECK_FALSE(find_objects(
      objects, {"msExchVirtualDirectory", "", {{url, std::nullopt, "(", false, true}}}, {}));
  CHECK(is_exchange_attribute("msExchPollInterval"));
  for (const char* name : {"", "msExch", "member", "nTSecurityDescriptor", "msExch-x", "msExch x"})
    CHECK_FALSE(is_exchange_attribute(name));
}

}  // namespace remediate::setting
