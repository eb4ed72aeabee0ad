#include "remediate/setting/needed.h"

#include <catch2/catch.hpp>

namespace remediate::setting::test {
namespace {

RawPath below(const std::string& path) {
  auto parsed = RawPath::parse(path);
  REQUIRE(parsed);
  return std::move(*parsed);
}

std::string names(std::string_view file_name, std::string_view bytes) {
  std::string all;
  for (const NeededFile& needed : needed_files(file_name, bytes))
    all += std::to_string(needed.line) + " " + needed.name + "\n";
  return all;
}

}  // namespace

TEST_CASE("files that PHP runs with every page are found in both families", "[needed]") {
  const std::string ini =
      "; auto_prepend_file = /commented\r\nmemory_limit = 64M\r\n"
      "auto_prepend_file = \"/var/www/a b.php\"\r\nauto_append_file=up/z.php ; why\r\n";
  CHECK(names(".user.ini", ini) == "3 /var/www/a b.php\n4 up/z.php\n");
  const std::string htaccess =
      "# php_value auto_prepend_file /commented\nphp_value memory_limit 64M\n"
      "<Files x.php>\n PHP_Value auto_append_file \\\n  '/srv/b c.php'\n</Files>\n"
      "AddType text/x-site auto_prepend_file\n";
  CHECK(names(".htaccess", htaccess) == "4 /srv/b c.php\n");
  CHECK(names(".user.ini", "auto_prepend_file = none\nauto_append_file =\n").empty());
  CHECK(names("php.ini", ini).empty());
  CHECK(names("web.config", ini).empty());
  CHECK(names(".htaccess", "<Files x>\nphp_value auto_prepend_file /a\n").empty());  // not closed
}

TEST_CASE("a name is compared with a path by its components", "[needed]") {
  const auto fits = [](const std::string& name, const std::string& path) {
    return may_be({name, "", 1}, below(path));
  };
  CHECK(fits("/var/www/x.php", "var/www/x.php"));
  CHECK(fits("//var/./www/y/../x.php", "var/www/x.php"));
  CHECK(fits("x.php", "var/www/x.php"));
  CHECK(fits("www/x.php", "var/www/x.php"));
  CHECK(fits("../www/x.php", "var/www/x.php"));
  CHECK_FALSE(fits("/www/x.php", "var/www/x.php"));
  CHECK_FALSE(fits("/srv/var/www/x.php", "var/www/x.php"));
  CHECK_FALSE(fits("ww/x.php", "var/www/x.php"));
  CHECK_FALSE(fits("prefix-x.php", "var/www/x.php"));
  CHECK_FALSE(fits("/", "var/www/x.php"));
  CHECK_FALSE(fits("", "var/www/x.php"));
}

}  // namespace remediate::setting::test
