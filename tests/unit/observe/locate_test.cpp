#include <filesystem>

#include "places.h"

using remediate::Code;
using remediate::RawPath;
using remediate::observe::Issue;
using remediate::observe::lies_elsewhere;
using remediate::observe::locate;
using remediate::observe::Spelled;
using remediate::observe::Variables;

namespace {

std::vector<std::string> found(const Place& place, const std::string& text, bool windows,
                               const Variables& variables = {}) {
  INFO(text);
  const auto places = locate(place.root(), Spelled{.text = text, .windows = windows}, variables);
  REQUIRE(places.has_value());
  std::vector<std::string> paths;
  for (const RawPath& path : *places) paths.push_back(path.bytes());
  return paths;
}

using Paths = std::vector<std::string>;

}  // namespace

TEST_CASE("Windows spellings are found without case, the exact name first") {
  const Place place;
  place.file("inetpub/WWWroot/a.txt");
  place.file("Inetpub/wwwroot/b.txt");
  CHECK(found(place, "C:\\inetpub\\wwwroot", true) == Paths{"inetpub/WWWroot", "Inetpub/wwwroot"});
  CHECK(found(place, "c:/INETPUB/wwwroot/A.TXT", true) == Paths{"inetpub/WWWroot/a.txt"});
  CHECK(found(place, "\\\\?\\C:\\inetpub\\wwwroot\\b.txt", true) == Paths{"Inetpub/wwwroot/b.txt"});
  CHECK(found(place, "\\Inetpub\\", true) == Paths{"Inetpub", "inetpub"});
  CHECK(found(place, "C:\\", true) == Paths{""});
  CHECK(found(place, "C:", true) == Paths{""});
}

TEST_CASE("other drives and machines have no place below a root") {
  const Place place;
  place.folder("inetpub");
  CHECK(found(place, "D:\\inetpub", true).empty());
  CHECK(found(place, "\\\\server\\share\\inetpub", true).empty());
  CHECK(found(place, "\\\\?\\UNC\\server\\inetpub", true).empty());
}

TEST_CASE("what lies elsewhere is told from what is not there") {
  const auto elsewhere = [](const std::string& text, bool windows = true) {
    return lies_elsewhere({.text = text, .windows = windows}, {});
  };
  for (const std::string text : {"D:\\inetpub", "d:/x", "\\\\server\\share", "//server/share",
                                 "\\\\?\\UNC\\server\\x", "\\\\?\\Volume{1}\\x", "\\\\.\\E:\\x"})
    CHECK(elsewhere(text));
  for (const std::string text :
       {"C:\\not-there", "c:", "\\x", "%windir%\\x", "\\\\?\\C:\\x", "x", "%Odd%\\x", "D:x", ""})
    CHECK_FALSE(elsewhere(text));
  CHECK_FALSE(elsewhere("/x", false));
}

TEST_CASE("POSIX spellings mind the case and have no variables") {
  const Place place;
  place.file("var/www/x.php");
  place.folder("%SystemDrive%");
  CHECK(found(place, "/var/www/", false) == Paths{"var/www"});
  CHECK(found(place, "/VAR/www", false).empty());
  CHECK(found(place, "/", false) == Paths{""});
  CHECK(found(place, "/%SystemDrive%", false) == Paths{"%SystemDrive%"});
}

TEST_CASE("variables are filled in: known ones, and every candidate of the playbook's") {
  const Place place;
  place.folder("Windows/System32");
  place.folder("Program Files/Common Files/x");
  place.folder("ProgramData/p");
  place.folder("A/V15/FrontEnd");
  place.folder("B/V15/frontend");
  CHECK(found(place, "%windir%\\System32", true) == Paths{"Windows/System32"});
  CHECK(found(place, "%SYSTEMROOT%\\system32", true) == Paths{"Windows/System32"});
  CHECK(found(place, "%CommonProgramFiles%\\x", true) == Paths{"Program Files/Common Files/x"});
  CHECK(found(place, "%ProgramData%\\p", true) == Paths{"ProgramData/p"});
  CHECK(found(place, "%SystemDrive%\\A", true) == Paths{"A"});
  const Variables variables{
      .candidates = {{"ExchangeInstallPath", {"C:\\A\\V15\\", "C:\\B\\V15\\", "F:\\V15\\"}}}};
  CHECK(found(place, "%exchangeinstallpath%FrontEnd", true, variables) ==
        Paths{"A/V15/FrontEnd", "B/V15/frontend"});
}

TEST_CASE("what is not an absolute path or uses an unknown variable is refused") {
  const Place place;
  for (const std::string text :
       {"inetpub", "C:inetpub", "%Nowhere%\\x", "C:\\a\\..\\b", "C:\\a\\.", "C:\\a\\b:stream"}) {
    const auto places = locate(place.root(), Spelled{.text = text, .windows = true}, {});
    INFO(text);
    REQUIRE_FALSE(places.has_value());
    CHECK(places.error().code == Code::bad_input);
  }
  CHECK_FALSE(locate(place.root(), Spelled{.text = "var", .windows = false}, {}).has_value());
  CHECK_FALSE(locate(place.root(), Spelled{.text = "/var/../etc", .windows = false}, {}));
}

TEST_CASE("a link on the way is not followed and is told") {
  const Place place;
  place.file("real/www/a");
  place.file("plain");
  std::filesystem::create_symlink(place.path() / "real", place.path() / "link");
  std::vector<Issue> issues;
  const Spelled spelled{.text = "/link/www", .windows = false};
  const auto places = locate(place.root(), spelled, {}, &issues);
  REQUIRE(places.has_value());
  CHECK(places->empty());
  REQUIRE(issues.size() == 1);
  CHECK(issues[0].where == "link");
  CHECK(issues[0].reason.find("symbolic link") != std::string::npos);
  REQUIRE_FALSE(locate(place.root(), spelled, {}).has_value());
  CHECK(found(place, "/plain/x", false).empty());
  CHECK(found(place, "/missing/x", false).empty());
}
