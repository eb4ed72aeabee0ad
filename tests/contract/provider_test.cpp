// What every provider of settings promises, whatever its files look like.

#include "remediate/setting/provider.h"

#include <algorithm>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

namespace {

using namespace remediate;
using namespace remediate::setting;

/// A file of one family, and in it a setting that goes, one that stays, and a later edit.
struct Sample {
  std::string provider;
  std::string name;  // of files of the family
  std::string file;
  Query rogue;             // finds exactly one
  std::string kept;        // bytes that must stay
  std::string later_from;  // what somebody else changes afterwards
  std::string later_to;
  std::string again;  // the rogue setting, set to something else
  std::string malformed;
  std::string secret;  // a value that no person may see
};

std::vector<Sample> samples() {
  const auto where = [](const char* name, const char* value) {
    AttributeTest test;
    test.name = name;
    test.equals = value;
    return std::vector<AttributeTest>{test};
  };
  const std::string xml =
      "<?xml version=\"1.0\"?>\r\n<configuration>\r\n  <system.applicationHost><sites>"
      "<site name=\"a\" id=\"1\"><application path=\"/\">\r\n"
      "    <virtualDirectory path=\"/\" physicalPath=\"C:\\w\" />\r\n"
      "    <virtualDirectory path=\"/x\" physicalPath=\"C:\\ProgramData\\COM1\" />\r\n"
      "    <virtualDirectory path=\"/y\" physicalPath=\"C:\\y\" password=\"hunter2secret\" />\r\n"
      "  </application></site></sites></system.applicationHost>\r\n</configuration>\r\n";
  const std::string htaccess =
      "# site\r\nRewriteEngine On\r\n<FilesMatch \"\\.jpg$\">\r\n  SetHandler "
      "application/x-httpd-php\r\n</FilesMatch>\r\nphp_value auto_prepend_file "
      "\"/var/www/.x.php\"\r\nSetEnv DB_PASSWORD hunter2secret\r\nOptions -Indexes\r\n";
  const std::string user_ini =
      "; site\nmemory_limit = 128M\nauto_prepend_file = /var/www/.x.php\n"
      "mysqli.default_pw = hunter2secret\nupload_max_filesize=8M";
  return {{"iis-xml",
           "web.config",
           xml,
           {"virtualDirectory", "", where("path", "/x")},
           "path=\"/\"",
           "C:\\y",
           "C:\\z",
           "    <virtualDirectory path=\"/x\" physicalPath=\"C:\\other\" />\r\n  </application>",
           "<configuration><a></configuration>",
           "hunter2secret"},
          {"apache-htaccess",
           ".htaccess",
           htaccess,
           {"directive", "", where("argument", "auto_prepend_file")},
           "RewriteEngine On\r\n",
           "Options -Indexes",
           "Options +Indexes",
           "php_value auto_prepend_file other.php\r\nOptions -Indexes",
           "<FilesMatch x>\nOptions +Indexes\n",
           "hunter2secret"},
          {"php-user-ini",
           ".user.ini",
           user_ini,
           {"directive", "", where("name", "auto_prepend_file")},
           "memory_limit = 128M\n",
           "=8M",
           "=16M",
           "auto_prepend_file = other.php\nupload_max_filesize=8M",
           "a = \"b\n",
           "hunter2secret"}};
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

const FileProvider& provider_of(const Sample& sample) {
  const FileProvider* provider = find_provider(sample.provider);
  REQUIRE(provider != nullptr);
  return *provider;
}

Edited without_rogue(const Sample& sample) {
  const FileProvider& provider = provider_of(sample);
  auto found = provider.find(sample.file, sample.rogue);
  REQUIRE(found);
  REQUIRE(found->size() == 1);
  auto edited = provider.edit(
      sample.file, {{found->front().address, Change{ChangeKind::remove_element, "", "", ""}}});
  REQUIRE(edited);
  return std::move(*edited);
}

}  // namespace

TEST_CASE("every provider has a sample here", "[provider]") {
  std::vector<std::string> named;
  for (const Sample& sample : samples()) named.push_back(sample.provider);
  CHECK(named == provider_names());
}

TEST_CASE("only files of a family's names are its own", "[provider]") {
  for (const Sample& sample : samples()) {
    INFO(sample.provider);
    CHECK(provider_of(sample).owns(sample.name));
    for (const char* other : {"sshd_config", "shadow", "cron.service", "a.conf", "config", ""})
      CHECK_FALSE(provider_of(sample).owns(other));
  }
}

TEST_CASE("a setting is found with its place and what holds of it", "[provider]") {
  for (const Sample& sample : samples()) {
    INFO(sample.provider);
    const auto found = provider_of(sample).find(sample.file, sample.rogue);
    REQUIRE(found);
    REQUIRE(found->size() == 1);
    CHECK(found->front().line > 1);
    CHECK(found->front().offset < sample.file.size());
    CHECK_FALSE(found->front().reason.empty());
    Query none = sample.rogue;
    none.where.front().equals = "nothing has this";
    CHECK(provider_of(sample).find(sample.file, none)->empty());
    none.kind = "no such kind";
    REQUIRE_FALSE(provider_of(sample).find(sample.file, none));
    CHECK(provider_of(sample).find(sample.file, none).error().code == Code::bad_input);
  }
}

TEST_CASE("an edit changes what it names and nothing else", "[provider]") {
  for (const Sample& sample : samples()) {
    INFO(sample.provider);
    const Edited edited = without_rogue(sample);
    CHECK(edited.bytes != sample.file);
    CHECK(edited.bytes.find(sample.kept) != std::string::npos);
    CHECK(provider_of(sample).find(edited.bytes, sample.rogue)->empty());
    CHECK(edited.differences == *provider_of(sample).compare(sample.file, edited.bytes));
    REQUIRE(edited.differences.size() == 1);
    CHECK(edited.differences.front().kind == Difference::Kind::removed);
    CHECK(edited.diff.find("\n-") != std::string::npos);
    CHECK(edited.diff.find("\n+") == edited.diff.find("\n+++"));
  }
}

TEST_CASE("an address that fits nothing is not found", "[provider]") {
  for (const Sample& sample : samples()) {
    INFO(sample.provider);
    const auto edited = provider_of(sample).edit(
        sample.file,
        {{"virtualDirectory[a/:/nowhere]", Change{ChangeKind::remove_element, "", "", ""}}});
    REQUIRE_FALSE(edited);
    CHECK(edited.error().code == Code::not_found);
  }
}

TEST_CASE("an undo brings back every byte", "[provider]") {
  for (const Sample& sample : samples()) {
    INFO(sample.provider);
    const Edited edited = without_rogue(sample);
    const auto undone = provider_of(sample).undo(sample.file, edited.bytes, edited.bytes);
    REQUIRE(undone);
    CHECK(undone->bytes == sample.file);
    const auto twice = provider_of(sample).undo(sample.file, edited.bytes, sample.file);
    REQUIRE(twice);
    CHECK(twice->bytes == sample.file);
  }
}

TEST_CASE("a file means what it means, and its removal is a difference", "[provider]") {
  for (const Sample& sample : samples()) {
    INFO(sample.provider);
    const auto same = provider_of(sample).compare(sample.file, sample.file);
    REQUIRE(same);
    CHECK(same->empty());
    const Edited edited = without_rogue(sample);
    const auto differences = provider_of(sample).compare(sample.file, edited.bytes);
    REQUIRE(differences);
    CHECK_FALSE(differences->empty());
    CHECK(*differences == edited.differences);
  }
}

TEST_CASE("an undo keeps what others changed since", "[provider]") {
  for (const Sample& sample : samples()) {
    INFO(sample.provider);
    const Edited edited = without_rogue(sample);
    const std::string current = replaced(edited.bytes, sample.later_from, sample.later_to);
    const auto undone = provider_of(sample).undo(sample.file, edited.bytes, current);
    REQUIRE(undone);
    CHECK(undone->bytes == replaced(sample.file, sample.later_from, sample.later_to));
  }
}

TEST_CASE("a setting that was set again since is a conflict", "[provider]") {
  for (const Sample& sample : samples()) {
    INFO(sample.provider);
    const Edited edited = without_rogue(sample);
    const std::string end = sample.again.substr(sample.again.rfind('\n') + 1);
    const std::string current = replaced(edited.bytes, end, sample.again);
    const auto undone = provider_of(sample).undo(sample.file, edited.bytes, current);
    REQUIRE_FALSE(undone);
    CHECK(undone.error().code == Code::conflict);
  }
}

TEST_CASE("what the server would not take is refused by every call", "[provider]") {
  for (const Sample& sample : samples()) {
    INFO(sample.provider);
    const FileProvider& provider = provider_of(sample);
    for (const std::string& bad : {sample.malformed, sample.file + std::string(1, '\0')}) {
      CHECK(provider.find(bad, sample.rogue).error().code == Code::bad_input);
      CHECK(provider.edit(bad, {}).error().code == Code::bad_input);
      CHECK(provider.undo(bad, bad, bad).error().code == Code::bad_input);
      CHECK(provider.compare(bad, sample.file).error().code == Code::bad_input);
      CHECK(provider.redact(bad).error().code == Code::bad_input);
    }
  }
}

TEST_CASE("a secret is shown to nobody", "[provider]") {
  for (const Sample& sample : samples()) {
    INFO(sample.provider);
    const FileProvider& provider = provider_of(sample);
    const auto redacted = provider.redact(sample.file);
    REQUIRE(redacted);
    CHECK(redacted->find(sample.secret) == std::string::npos);
    CHECK(redacted->find("[secret]") != std::string::npos);
    const Edited edited = without_rogue(sample);
    CHECK(edited.diff.find(sample.secret) == std::string::npos);
    Query every = sample.rogue;
    every.where.clear();
    const auto found = provider.find(sample.file, every);
    REQUIRE(found);
    for (const Setting& setting : *found) {
      CHECK(setting.address.find(sample.secret) == std::string::npos);
      CHECK(setting.reason.find(sample.secret) == std::string::npos);
      for (const auto& [name, value] : setting.attributes)
        CHECK(value.find(sample.secret) == std::string::npos);
    }
  }
}
