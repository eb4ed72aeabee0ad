// tests/golden/policies/good and bad, as the parser judges them; policy_schema_check.py holds the
// published schema against the same files.
#include <filesystem>
#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>

#include "remediate/plan/policy.h"

namespace remediate::plan {
namespace {

std::vector<std::filesystem::path> cases(const char* kind) {
  std::vector<std::filesystem::path> files;
  const std::string folder = std::string(REMEDIATE_SOURCE_DIR) + "/tests/golden/policies/" + kind;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  return files;
}

std::string read(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace

TEST_CASE("good policies are read", "[golden]") {
  const auto files = cases("good");
  CHECK(files.size() >= 8);
  for (const auto& path : files) {
    INFO(path.filename());
    const auto policy = parse_policy(read(path), path.filename().string());
    if (!policy) FAIL_CHECK(policy.error().text());
  }
}

TEST_CASE("bad policies are refused as input, with a place or a reason", "[golden]") {
  const auto files = cases("bad");
  CHECK(files.size() >= 50);
  for (const auto& path : files) {
    INFO(path.filename());
    const auto policy = parse_policy(read(path), path.filename().string());
    CHECK_FALSE(policy);
    if (policy) continue;
    CHECK(policy.error().code == Code::bad_input);
    CHECK_FALSE(policy.error().message.empty());
    CHECK_FALSE(policy.error().remedy.empty());
  }
}

}  // namespace remediate::plan
