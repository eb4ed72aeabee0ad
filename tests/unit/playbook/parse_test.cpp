#include "remediate/playbook/parse.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>

#include "remediate/playbook/diagnostics.h"

namespace remediate::playbook {
namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  REQUIRE(in);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string texts(const std::vector<Diagnostic>& list) {
  std::string all;
  for (const Diagnostic& diagnostic : list) all += diagnostic.text() + "\n";
  return all;
}

TEST_CASE("every shipped playbook is valid and free of warnings") {
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(REMEDIATE_SOURCE_DIR) / "playbooks")) {
    if (entry.path().extension() != ".json") continue;
    ++count;
    const auto parsed = parse_playbook(read_file(entry.path()), entry.path().filename().string());
    INFO((parsed ? std::string() : texts(parsed.error())));
    REQUIRE(parsed);
    INFO(texts(parsed->warnings));
    CHECK(parsed->warnings.empty());
    CHECK(parsed->playbook.sha256.size() == 64);
  }
  CHECK(count >= 7);
}

TEST_CASE("the example of the reference is valid, and the reference names every shipped playbook") {
  const fs::path root(REMEDIATE_SOURCE_DIR);
  const std::string reference = read_file(root / "docs" / "playbook-reference.md");
  const auto begin = reference.find("```json\n");
  REQUIRE(begin != std::string::npos);
  const auto end = reference.find("```", begin + 8);
  const auto parsed = parse_playbook(reference.substr(begin + 8, end - begin - 8), "reference");
  INFO((parsed ? std::string() : texts(parsed.error())));
  REQUIRE(parsed);
  CHECK(parsed->warnings.empty());
  for (const auto& entry : fs::directory_iterator(root / "playbooks")) {
    if (entry.path().extension() != ".json") continue;
    INFO(entry.path());
    CHECK(reference.find("`" + entry.path().filename().string() + "`") != std::string::npos);
  }
}

}  // namespace
}  // namespace remediate::playbook
