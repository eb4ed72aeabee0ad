#include <cstdlib>
#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>

#include "remediate/base/directory_value.h"
#include "remediate/setting/directory/memory_directory.h"
#include "remediate/setting/directory/query.h"

// What every directory has to do, on the one in memory and, where DIRECTORY_CONNECTION names a
// connection file, on a real server: there DIRECTORY_GUID is a virtual directory without an
// external URL.

namespace remediate::setting {
namespace {

constexpr const char* guid = "457e0398-cafe-43fb-b128-23c9e9f47c20";
constexpr const char* attribute = "msExchExternalHostName";
constexpr const char* dn =
    "CN=OAB (Default Web Site),CN=HTTP,CN=Protocols,CN=EX3,CN=Servers,CN=Org,DC=lab,DC=test";

template <class T>
T must(Result<T> result) {
  if (!result) FAIL(result.error().text());
  return std::move(*result);
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

struct Subject {
  std::unique_ptr<DirectoryService> service;
  std::string object;
};

Subject in_memory() {
  auto memory = std::make_unique<MemoryDirectory>();
  DirectoryObject object;
  object.dn = dn;
  object.guid = guid;
  object.when_changed = "20260101000000.0Z";
  object.classes = {"top", "msExchVirtualDirectory", "msExchOABVirtualDirectory"};
  object.attributes["msExchInternalHostName"] = {"https://ex3.lab.test/OAB"};
  memory->objects.push_back(object);
  object.guid = "00000000-0000-0000-0000-000000000001";
  object.classes = {"top", "container"};
  memory->objects.push_back(object);
  return {std::move(memory), guid};
}

std::vector<Subject> subjects() {
  std::vector<Subject> made;
  made.push_back(in_memory());
  if (const std::string file = environment("DIRECTORY_CONNECTION"); !file.empty()) {
    std::ifstream stream(file);
    const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
    DirectoryConnection connection = must(read_connection(bytes, file));
    connection.password = environment("DIRECTORY_PASSWORD");
    auto service = connect_directory(connection);
    made.push_back({must(std::move(service)), environment("DIRECTORY_GUID")});
  }
  return made;
}

std::optional<std::string> value_of(DirectoryService& service, const std::string& object) {
  const DirectoryObject read = must(service.read(object));
  const auto* values = read.values(attribute);
  if (values == nullptr || values->empty()) return std::nullopt;
  return values->front();
}

}  // namespace

TEST_CASE("a directory shows its virtual directories, and one of them by its GUID", "[directory]") {
  for (const Subject& subject : subjects()) {
    const auto found = must(subject.service->virtual_directories());
    REQUIRE_FALSE(found.empty());
    for (std::size_t i = 0; i < found.size(); ++i) {
      INFO(found[i].dn);
      CHECK(is_of_class(found[i], "msExchVirtualDirectory"));
      CHECK_FALSE(is_of_class(found[i], "container"));
      CHECK(guid_bytes(found[i].guid).has_value());
      CHECK_FALSE(found[i].when_changed.empty());
      CHECK_FALSE(server_of(found[i].dn).empty());
      if (i > 0) CHECK(found[i - 1].dn <= found[i].dn);
      CHECK(must(subject.service->read(found[i].guid)).dn == found[i].dn);
    }
    const DirectoryObject one = must(subject.service->read(subject.object));
    CHECK(name_of(one.dn) == "OAB (Default Web Site)");
    CHECK(server_of(one.dn) == "EX3");
  }
}

TEST_CASE("compare and swap changes what it expects and nothing else", "[directory]") {
  for (const Subject& subject : subjects()) {
    DirectoryService& service = *subject.service;
    const auto swap = [&](std::optional<std::string> from, std::optional<std::string> to) {
      return service.compare_and_swap(subject.object, attribute, from, to);
    };
    REQUIRE(value_of(service, subject.object) == std::nullopt);
    const std::uint64_t usn = must(service.read(subject.object)).usn_changed;

    // From absent, to another value, to absent.
    const std::string odd = "https://one/(a)*\\,=#< \xC3\xA4";
    CHECK(swap(std::nullopt, odd));
    CHECK(value_of(service, subject.object) == odd);
    CHECK(must(service.read(subject.object)).usn_changed > usn);
    CHECK(swap(odd, "https://two"));
    CHECK(value_of(service, subject.object) == "https://two");

    // What is expected is not there.
    for (const auto& expected :
         {std::optional<std::string>("https://one"), std::optional<std::string>()}) {
      const auto refused = swap(expected, "https://three");
      REQUIRE_FALSE(refused);
      CHECK(refused.error().code == Code::changed);
      CHECK(value_of(service, subject.object) == "https://two");
    }
    const auto refused = swap("https://other", std::nullopt);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::changed);
    CHECK(swap("https://two", std::nullopt));
    CHECK(value_of(service, subject.object) == std::nullopt);
    const auto absent = swap("https://two", std::nullopt);
    REQUIRE_FALSE(absent);
    CHECK(absent.error().code == Code::changed);
  }
}

TEST_CASE("an object that is not there is told", "[directory]") {
  const std::string nobody = "11111111-2222-3333-4444-555555555555";
  for (const Subject& subject : subjects()) {
    const auto read = subject.service->read(nobody);
    REQUIRE_FALSE(read);
    CHECK(read.error().code == Code::not_found);
    const auto swapped = subject.service->compare_and_swap(nobody, attribute, std::nullopt, "x");
    REQUIRE_FALSE(swapped);
    CHECK(swapped.error().code == Code::not_found);
  }
}

}  // namespace remediate::setting
