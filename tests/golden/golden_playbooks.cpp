// Each malformed playbook gives exactly the diagnostics in the file beside it.
// REMEDIATE_UPDATE_GOLDEN=1 writes those files instead: read the difference before committing.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include <catch2/catch.hpp>

#include "remediate/playbook/diagnostics.h"
#include "remediate/playbook/parse.h"

namespace remediate::playbook {
namespace {

namespace fs = std::filesystem;

const fs::path golden = fs::path(REMEDIATE_SOURCE_DIR) / "tests" / "golden";
const fs::path cases = golden / "playbooks";

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return {};
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string repeated(std::string_view item, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += (i == 0 ? "" : ",") + std::string(item);
  return text;
}

/// A valid playbook with one indicator, whose match node is given.
std::string playbook_matching(const std::string& match) {
  std::string text = read_file(golden / "base.json");
  const std::string mark = R"("match": {"sha256": ["aaaaaaaa)";
  const auto at = text.find(mark);
  REQUIRE(at != std::string::npos);
  const auto end = text.find("]}", at);
  text.replace(at, end + 2 - at, R"("match": )" + match);
  return text;
}

/// Cases too large to keep as files.
std::map<std::string, std::string> generated() {
  const std::string digest = '"' + std::string(64, 'a') + '"';
  std::map<std::string, std::string> inputs;
  inputs["generated-file-too-large"] = "\"" + std::string(16u << 20, ' ') + "\"";
  inputs["generated-too-many-values"] = "[" + repeated("1", 1'000'001) + "]";
  inputs["generated-too-deep"] = std::string(65, '[') + std::string(65, ']');
  inputs["generated-too-many-digests"] =
      playbook_matching(R"({"any":[{"sha256":[)" + repeated(digest, 60'000) + R"(]},{"sha256":[)" +
                        repeated(digest, 40'001) + "]}]}");
  inputs["generated-too-many-globs"] =
      playbook_matching(R"({"path":[)" + repeated("\"*\"", 1001) + "]}");
  inputs["generated-regex-too-long"] =
      playbook_matching(R"({"regex":{"pattern":")" + std::string(4097, 'a') + "\"}}");
  inputs["generated-yara-too-long"] =
      playbook_matching(R"({"yara":{"rules":"rule )" + std::string(1u << 20, 'a') + "\"}}");
  std::string keys = R"({"format_version": 2)";
  for (int i = 0; i < 150; ++i) keys += ",\"key" + std::to_string(i) + "\": 0";
  inputs["generated-many-errors"] = keys + "}";
  return inputs;
}

std::vector<Diagnostic> diagnostics_of(const std::string& bytes, const std::string& name) {
  auto parsed = parse_playbook(bytes, name);
  return parsed ? std::move(parsed->warnings) : std::move(parsed.error());
}

std::string text_of(const std::vector<Diagnostic>& list) {
  std::string text;
  for (const Diagnostic& diagnostic : list) text += diagnostic.text() + "\n";
  return text;
}

TEST_CASE("malformed playbooks give exactly the recorded diagnostics, and all codes occur") {
  const char* mode = std::getenv("REMEDIATE_UPDATE_GOLDEN");
  const bool update = mode != nullptr && std::string_view(mode) == "1";
  auto inputs = generated();
  for (const auto& entry : fs::directory_iterator(cases)) {
    if (entry.path().extension() != ".json") continue;
    inputs[entry.path().stem().string()] = read_file(entry.path());
  }
  std::set<std::string> seen;
  for (const auto& [name, bytes] : inputs) {
    INFO(name);
    const auto list = diagnostics_of(bytes, name + ".json");
    const std::string text = text_of(list);
    if (update) std::ofstream(cases / (name + ".txt"), std::ios::binary) << text;
    CHECK(text == read_file(cases / (name + ".txt")));
    if (name == "generated-many-errors") {
      CHECK(list.size() == 100);
    } else {
      CHECK(list.size() == 1);
    }
    for (const Diagnostic& diagnostic : list) seen.insert(diagnostic.code);
  }
  CHECK(inputs.size() >= 40);
  for (const Rule& rule : rules()) {
    INFO(rule.code << " " << rule.summary);
    CHECK(seen.contains(std::string(rule.code)));
    seen.erase(std::string(rule.code));
  }
  CHECK(seen == std::set<std::string>());  // reported, but not in the list of rules

  for (const auto& entry : fs::directory_iterator(cases)) {
    if (entry.path().extension() != ".txt") continue;
    INFO(entry.path());
    CHECK(inputs.contains(entry.path().stem().string()));
  }
}

TEST_CASE("the playbook that the cases are made from is valid") {
  CHECK(text_of(diagnostics_of(read_file(golden / "base.json"), "base.json")) == "");
}

}  // namespace
}  // namespace remediate::playbook
