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
  const auto needed_or_not = needed_files(file_name, bytes);
  if (!needed_or_not) return "unknown: " + needed_or_not.error().message;
  for (const NeededFile& needed : *needed_or_not)
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
}

TEST_CASE("what cannot be parsed is not known, unless it does not speak of such files",
          "[needed]") {
  const std::string open = "<Files x>\nphp_value AUTO_PREPEND_FILE /a\n";
  CHECK(names(".htaccess", open) == "unknown: line 1: <Files> is not closed");
  CHECK(names(".htaccess", "<Files x>\nphp_value auto_\\\npre\\\r\npend_file /a\n")
            .starts_with("unknown: "));
  CHECK(names(".htaccess", "<Files x>\nAddType text/plain .php\n").empty());
  CHECK(names("web.config", open).empty());
  const std::string large = "auto_append_file = /x.php\n" + std::string(4u << 20, ';');
  CHECK(names(".user.ini", large) == "unknown: the file has more than 4 MiB");
  CHECK(names(".user.ini", std::string("auto_prepend_file = x\0.php", 25)).starts_with("unknown"));
  CHECK(names(".user.ini", std::string(5u << 20, ';')).empty());
  CHECK(may_need_files(".USER.ini"));
  CHECK_FALSE(may_need_files("x.ini"));
}

TEST_CASE("a name is looked for without quotes and continued lines", "[needed]") {
  CHECK(unquoted("a\"b'c\\d\\\ne\\\r\nf\ng\\") == "abcdef\ng");
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

TEST_CASE("a name that the server computes is not known", "[needed]") {
  for (const std::string value :
       {"/www/x/\"shell\".php", "\"/www/x/\" \"shell.php\"", "${PWD}/shell.php",
        "\"file:///www/x/shell.php\"", "\"php://filter/resource=/www/x/shell.php\""}) {
    CAPTURE(value);
    CHECK_FALSE(needed_files(".user.ini", "auto_prepend_file=" + value + "\n"));
  }
  CHECK_FALSE(needed_files(".htaccess", "php_value auto_prepend_file ${S}\n"));
  CHECK_FALSE(needed_files(".htaccess", "php_value auto_prepend_file \"/www/x/sh\\ell.php\"\n"));
  const auto plain = needed_files(".user.ini", "auto_prepend_file=\"/www/x/shell.php\"\n");
  REQUIRE(plain);
  REQUIRE(plain->size() == 1);
  CHECK(plain->front().name == "/www/x/shell.php");
}

}  // namespace remediate::setting::test
