#include "remediate/setting/compiled_page.h"

#include <array>
#include <vector>

#include <catch2/catch.hpp>

namespace remediate::setting {
namespace {

std::string record(const std::string& virtual_path, const std::string& assembly) {
  return "<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<preserve resultType=\"3\" virtualPath=\"" +
         virtual_path + "\" hash=\"75d0f5f16\" filehash=\"ffffa1b2\" flags=\"110000\" assembly=\"" +
         assembly + "\" type=\"ASP.x_aspx\">\r\n    <filedeps>\r\n        <filedep name=\"" +
         virtual_path + "\" />\r\n    </filedeps>\r\n</preserve>";
}

}  // namespace

TEST_CASE("a record tells its page and its assembly", "[compiled]") {
  for (const std::string mark : {"", "\xef\xbb\xbf"}) {
    const auto page =
        parse_compiled_page(mark + record("/owa/auth/x&amp;y.aspx", "App_Web_ab12cd"));
    REQUIRE(page);
    CHECK(page->virtual_path == "/owa/auth/x&y.aspx");
    CHECK(page->assembly == "App_Web_ab12cd");
  }
  const auto none = parse_compiled_page("<preserve virtualPath=\"/global.asax\"/>");
  REQUIRE(none);
  CHECK(none->assembly.empty());
}

TEST_CASE("a record of shared code is of no page", "[compiled]") {
  const auto of = [](const std::string& type, const std::string& path,
                     const std::string& assembly) {
    std::string bytes = record(path, assembly);
    return parse_compiled_page(bytes.replace(bytes.find("\"3\""), 3, "\"" + type + "\""));
  };
  for (const auto& [type, path, assembly] :
       std::vector<std::array<const char*, 3>>{{"8", "/owa/global.asax", "App_global.asax.ab12"},
                                               {"6", "/owa/App_Code/", "App_Code.ab12"},
                                               {"9", "", "App_GlobalResources.ab12"},
                                               {"1", "/", ""}}) {
    INFO(path);
    const auto page = of(type, path, assembly);
    REQUIRE(page);
    CHECK(page->shared);
    CHECK(page->assembly == assembly);
  }
  CHECK_FALSE(of("3", "/x.aspx", "App_Web_a")->shared);
  CHECK_FALSE(of("3", "/App_Code/", "App_Code.ab12"));
  for (const char* assembly : {"../x", "..\\x", "..", "a/b", "a b"}) {
    INFO(assembly);
    CHECK_FALSE(of("6", "/App_Code/", assembly));
  }
  CHECK_FALSE(of("6", "/../App_Code/", "App_Code.a"));
}

TEST_CASE("a record that leads elsewhere is refused", "[compiled]") {
  for (const char* assembly :
       {"../../x", "..\\..\\x", "App_Web_/../x", "App_Web_..\\x", "System.Web", "App_Web_",
        "C:\\App_Web_x", "App_Web_x, Version=1", "App_Code", "app_web_x y"}) {
    INFO(assembly);
    CHECK(parse_compiled_page(record("/x.aspx", assembly)).error().code == Code::bad_input);
  }
  for (const char* path : {"", "/", "x.aspx", "/../x.aspx", "/a/../x.aspx", "/a//x.aspx", "/a/",
                           "/a\\..\\x.aspx", "//host/x.aspx", "/./x.aspx"}) {
    INFO(path);
    CHECK(parse_compiled_page(record(path, "App_Web_a")).error().code == Code::bad_input);
  }
}

TEST_CASE("what is no record is refused", "[compiled]") {
  for (const std::string& bytes :
       {std::string(), std::string("x"), std::string("<configuration/>"),
        std::string("<preserve/>"), std::string("<preserve virtualPath=\"/x.aspx\">"),
        "<!DOCTYPE a [<!ENTITY e \"x\">]>" + record("/x.aspx", "App_Web_a"),
        record("/x.aspx", "App_Web_a") + std::string(max_compiled_bytes, ' ')}) {
    INFO(bytes.substr(0, 60));
    CHECK_FALSE(parse_compiled_page(bytes));
  }
}

}  // namespace remediate::setting
