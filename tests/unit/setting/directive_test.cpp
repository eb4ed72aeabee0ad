#include <array>
#include <random>

#include <catch2/catch.hpp>

#include "remediate/setting/provider.h"

namespace remediate::setting {
namespace {

const FileProvider& htaccess() { return *find_provider("apache-htaccess"); }
const FileProvider& user_ini() { return *find_provider("php-user-ini"); }

Query directive(const std::string& attribute, const std::string& value) {
  AttributeTest test;
  test.name = attribute;
  test.equals = value;
  return {"directive", "", {test}};
}

std::vector<Setting> found(const FileProvider& provider, const std::string& file,
                           const Query& query) {
  auto settings = provider.find(file, query);
  REQUIRE(settings);
  return std::move(*settings);
}

/// The file without every setting that the query finds.
std::string without(const FileProvider& provider, const std::string& file, const Query& query) {
  std::vector<Edit> edits;
  for (const Setting& one : found(provider, file, query))
    edits.push_back({one.address, Change{ChangeKind::remove_element, "", "", ""}});
  REQUIRE_FALSE(edits.empty());
  auto edited = provider.edit(file, edits);
  REQUIRE(edited);
  return edited->bytes;
}

std::string value_of(const Setting& setting, const std::string& name) {
  for (const auto& [key, value] : setting.attributes)
    if (key == name) return value;
  return "(absent)";
}

}  // namespace

TEST_CASE("a line that goes on is one directive and goes as one", "[directive]") {
  const std::string file = "AddType application/x-httpd-php \\\r\n  .jpg\\\n .png\nOptions None\n";
  const auto settings = found(htaccess(), file, directive("name", "addtype"));
  REQUIRE(settings.size() == 1);
  CHECK(value_of(settings.front(), "value") == ".jpg .png");
  CHECK(without(htaccess(), file, directive("name", "addtype")) == "Options None\n");
}

TEST_CASE("a comment that goes on hides what follows, as for Apache", "[directive]") {
  const std::string file = "# note \\\nSetHandler none\nSetHandler other\n";
  const auto settings = found(htaccess(), file, directive("name", "sethandler"));
  REQUIRE(settings.size() == 1);
  CHECK(value_of(settings.front(), "argument") == "other");
}

TEST_CASE("names do not differ by case for Apache and do for PHP", "[directive]") {
  CHECK(found(htaccess(), "SETHANDLER x\n", directive("name", "sethandler")).size() == 1);
  Query exact = directive("name", "auto_prepend_file");
  exact.where.front().ignore_case = false;
  CHECK(found(user_ini(), "Auto_Prepend_File=x\n", exact).empty());
  CHECK(found(user_ini(), "auto_prepend_file=x\n", exact).size() == 1);
}

TEST_CASE("a lone carriage return ends a line for PHP and not for Apache", "[directive]") {
  CHECK(found(user_ini(), "; note\rauto_prepend_file=/tmp/x\r", directive("value", "/tmp/x"))
            .size() == 1);
  CHECK(found(htaccess(), "# note\rSetHandler x\n", directive("name", "sethandler")).empty());
}

TEST_CASE("quotes are read as the servers read them", "[directive]") {
  CHECK(value_of(found(htaccess(), "php_value auto_prepend_file \"/a \\\"b\\\\c\"\n",
                       directive("argument", "auto_prepend_file"))
                     .front(),
                 "value") == "/a \"b\\\\c");  // shown escaped
  CHECK(found(user_ini(), "auto_prepend_file = \"/a;b\" ; note\n", directive("value", "/a;b"))
            .size() == 1);
  CHECK(found(user_ini(), "auto_prepend_file = \"/a\nb\"\nx=1\n", {"directive", "", {}}).size() ==
        2);
}

TEST_CASE("a directive in a section is told apart from one outside", "[directive]") {
  const std::string file =
      "SetHandler a\n<FilesMatch \"\\.(jpg|png)$\">\n\tsethandler a\n</FILESMATCH>\n";
  const auto settings = found(htaccess(), file, directive("name", "sethandler"));
  REQUIRE(settings.size() == 2);
  CHECK(settings[0].address != settings[1].address);
  CHECK(value_of(settings[0], "inside") == "(absent)");
  CHECK(without(htaccess(), file, directive("inside", "filesmatch \\.(jpg|png)$")) ==
        "SetHandler a\n<FilesMatch \"\\.(jpg|png)$\">\n</FILESMATCH>\n");
}

TEST_CASE("a section goes with all that is in it", "[directive]") {
  const std::string file =
      "Options None\n<IfModule mod_php.c>\n<Files a.jpg>\nSetHandler x\n</Files>\n</IfModule>\nA "
      "b\n";
  Query query{"section", "", {}};
  AttributeTest test;
  test.name = "name";
  test.equals = "ifmodule";
  query.where = {test};
  CHECK(without(htaccess(), file, query) == "Options None\nA b\n");
}

TEST_CASE("one of two equal directives goes, the other stays", "[directive]") {
  const std::string file = "A x\nB y\nA x\n";
  const auto settings = found(htaccess(), file, directive("name", "a"));
  REQUIRE(settings.size() == 2);
  const auto edited = htaccess().edit(
      file, {{settings[1].address, Change{ChangeKind::remove_element, "", "", ""}}});
  REQUIRE(edited);
  CHECK(edited->bytes == "A x\nB y\n");
  CHECK(htaccess().undo(file, edited->bytes, edited->bytes)->bytes == file);
}

TEST_CASE("the value of a directive is set, quoted where it must be", "[directive]") {
  const auto set = [](const FileProvider& provider, const std::string& file, const Query& query,
                      const std::string& value) {
    return provider.edit(file, {{found(provider, file, query).front().address,
                                 Change{ChangeKind::set_attribute, "value", value, ""}}});
  };
  CHECK(set(user_ini(), "display_errors = 1 ; note\nx=2", directive("name", "display_errors"), "0")
            ->bytes == "display_errors = \"0\" ; note\nx=2");
  CHECK(set(htaccess(), "php_value a b\n", directive("argument", "a"), "c d")->bytes ==
        "php_value a \"c d\"\n");
  CHECK(set(htaccess(), "php_value a b\n", directive("argument", "a"), "c\nSetHandler x")
            .error()
            .code == Code::bad_input);
  CHECK(set(user_ini(), "a = b\n", directive("name", "a"), "${x}").error().code == Code::bad_input);
}

TEST_CASE("a directive is reset to a clean copy of the file", "[directive]") {
  const auto reset = [](const std::string& file, const std::string& clean) {
    const std::string address =
        found(htaccess(), file, directive("argument", "auto_prepend_file")).front().address;
    return htaccess().edit(file, {{address, Change{ChangeKind::reset_to_baseline, "", "", clean}}});
  };
  const std::string file = "A b\nphp_value auto_prepend_file /tmp/x\nC d\n";
  CHECK(reset(file, "A b\n")->bytes == "A b\nC d\n");
  CHECK(reset(file, "php_value auto_prepend_file /srv/waf.php\n")->bytes ==
        "A b\nphp_value auto_prepend_file /srv/waf.php\nC d\n");
  CHECK(
      reset(file, "php_value auto_prepend_file a\nphp_value auto_prepend_file b\n").error().code ==
      Code::ambiguous);
}

TEST_CASE("a conflict over a directive tells all three values and no secret", "[directive]") {
  const auto conflict = [](const std::string& before, const std::string& after,
                           const std::string& now) {
    const auto undone = htaccess().undo(before, after, now);
    REQUIRE_FALSE(undone);
    CHECK(undone.error().code == Code::conflict);
    return undone.error().message;
  };
  CHECK(conflict("php_value a one\n", "", "php_value a \"t\033wo\"\n") ==
        "a setting that was changed was changed again since: php_value a was 'a one', was changed "
        "to absent and is now 'a t\\x1bwo'");
  const std::string secret =
      conflict("SetEnv DB_PASSWORD one\n", "SetEnv DB_PASSWORD two\n", "SetEnv DB_PASSWORD six\n");
  CHECK(secret.find("six") == std::string::npos);
  CHECK(secret.find("one") == std::string::npos);
  CHECK(secret.find("is now [secret, changed]") != std::string::npos);
  CHECK(
      conflict("<Files x>\nA b\n</Files>\n", "<Files x>\n</Files>\n", "<Files x>\nA c\n</Files>\n")
          .find(" / a was 'b', was changed to absent and is now 'c'") != std::string::npos);
}

TEST_CASE("an undo puts a directive back into its section, or says that it is gone",
          "[directive]") {
  const std::string before = "<Files a>\nSetHandler x\nOptions None\n</Files>\nB c\n";
  const std::string after = without(htaccess(), before, directive("name", "sethandler"));
  CHECK(htaccess().undo(before, after, after + "D e\n")->bytes == before + "D e\n");
  CHECK(htaccess().undo(before, after, "# head\n" + after)->bytes == "# head\n" + before);
  const auto gone = htaccess().undo(before, after, "B c\n");
  REQUIRE_FALSE(gone);
  CHECK(gone.error().code == Code::conflict);
}

TEST_CASE("a line is not taken away when Apache would skip the next one's first bytes",
          "[directive]") {
  const std::string file = "SetHandler evil\n\xEF\xBB\xBFOptions None\n";
  const auto settings = found(htaccess(), file, directive("name", "sethandler"));
  REQUIRE(settings.size() == 1);
  const auto edited = htaccess().edit(
      file, {{settings.front().address, Change{ChangeKind::remove_element, "", "", ""}}});
  REQUIRE_FALSE(edited);
  CHECK(edited.error().code == Code::bad_input);
  CHECK(without(htaccess(), "\xEF\xBB\xBF" + file, directive("name", "sethandler")) ==
        "\xEF\xBB\xBF\xEF\xBB\xBFOptions None\n");
}

TEST_CASE("a last line without its end stays apart from what follows", "[directive]") {
  const std::string before = "A b\nauto_prepend_file=x";
  const std::string after = without(user_ini(), before, directive("name", "auto_prepend_file"));
  CHECK(after == "A b\n");
  CHECK(user_ini().undo(before, after, "A b\nC=d")->bytes == "A b\nauto_prepend_file=x\nC=d");
}

// Many shapes of files: edit and undo give every byte back, and an edit never touches another
// directive. The judge is a list of the directives' lines, made by the generator itself.
TEST_CASE("generated files come back byte for byte", "[directive][property]") {
  std::size_t edited_files = 0;
  for (std::uint32_t seed = 1; seed <= 600; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&](std::size_t n) {
      return std::uniform_int_distribution<std::size_t>(0, n - 1)(random);
    };
    const bool apache = below(2) == 0;
    const FileProvider& provider = apache ? htaccess() : user_ini();
    const std::array<std::string, 3> ends{"\n", "\r\n", apache ? "\n" : "\r"};
    const std::size_t style = below(4);
    const auto end = [&] { return ends[style < 3 ? style : below(3)]; };
    std::vector<std::string> lines;  // each with its end
    std::vector<std::size_t> rogue;
    std::size_t open = 0;
    const std::size_t count = 1 + below(30);
    for (std::size_t i = 0; i < count; ++i) {
      const std::string indent(below(3), below(2) == 0 ? ' ' : '\t');
      const std::string name = "Name" + std::to_string(below(6));
      switch (below(apache ? 7 : 5)) {
        case 0:
          lines.push_back(indent + (apache ? "# SetHandler x" : "; auto_prepend_file = x") + end());
          break;
        case 1:
          lines.push_back(" " + end());  // never LF alone: after CR it would be no line
          break;
        case 2: {
          rogue.push_back(lines.size());
          const std::string e = end();
          lines.push_back(apache
                              ? (below(2) == 0 ? indent + "SetHandler  \"rogue one\" " + e
                                               : indent + "sethandler \\" + e + "  rogue" + e)
                              : (below(2) == 0 ? indent + "sethandler = rogue ; note" + e
                                               : indent + "sethandler=\"rogue" + e + "two\"" + e));
          break;
        }
        case 5:
          lines.push_back("<Files " + name + ">" + end());
          ++open;
          break;
        case 6:
          if (open > 0) {
            lines.push_back("</Files>" + end());
            --open;
          }
          break;
        default:
          lines.push_back(indent + name + (apache ? " " : " = ") + "v\xE4" +
                          std::to_string(below(9)) + end());
      }
    }
    for (; open > 0; --open) lines.push_back("</Files>" + end());
    std::string file = apache && below(4) == 0 ? "\xEF\xBB\xBF" : "";
    std::string expected = file;
    for (std::size_t i = 0; i < lines.size(); ++i) {
      file += lines[i];
      if (std::ranges::find(rogue, i) == rogue.end()) expected += lines[i];
    }
    INFO("seed " << seed << ":\n" << file);
    if (rogue.empty()) continue;
    ++edited_files;
    const std::string after = without(provider, file, directive("name", "sethandler"));
    CHECK(after == expected);
    CHECK(provider.undo(file, after, after)->bytes == file);
    const std::string note = (apache ? "# later" : "; later") + ends[style % 3];
    const auto with_later = provider.undo(file, after, after + note);
    REQUIRE(with_later);
    CHECK(with_later->bytes == file + note);
  }
  CHECK(edited_files > 300);
}

}  // namespace remediate::setting
