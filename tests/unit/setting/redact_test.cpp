#include <random>
#include <sstream>

#include <catch2/catch.hpp>

#include "configurations.h"
#include "remediate/setting/diff.h"

namespace remediate::setting::test {
namespace {

std::string redacted(const std::string& bytes) {
  auto result = provider().redact(bytes);
  REQUIRE(result);
  return std::move(*result);
}

/// `before` after a unified diff: an applier that trusts the hunk headers and checks every line.
std::string patched(const std::string& before, const std::string& diff) {
  const auto split = [](const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  };
  const auto old_lines = split(before);
  std::vector<std::string> out;
  std::size_t at = 0;
  for (const auto& line : split(diff)) {
    if (line.starts_with("---") || line.starts_with("+++")) continue;
    if (line.starts_with("@@")) {
      const auto comma = line.find_first_of(", ", 4);
      auto first = static_cast<std::size_t>(std::stoul(line.substr(4, comma - 4)));
      const bool none = line.substr(comma, 3) == ",0 ";
      if (!none) --first;
      REQUIRE(first >= at);
      while (at < first) out.push_back(old_lines.at(at++));
    } else if (line.front() == '+') {
      out.push_back(line.substr(1));
    } else if (line.front() != '\\') {
      REQUIRE(old_lines.at(at) == line.substr(1));
      if (line.front() == ' ') out.push_back(line.substr(1));
      ++at;
    }
  }
  while (at < old_lines.size()) out.push_back(old_lines[at++]);
  std::string text;
  for (const auto& line : out) text += line + "\n";
  return text;
}

}  // namespace

TEST_CASE("secrets do not leave through redact") {
  const auto server = redacted(small_configuration());
  for (const auto secret : {"AAECAwQFBgc=", "c2VjcmV0", "0123456789ABCDEF", "AesProvider"})
    CHECK_THAT(server, !Catch::Contains(secret));
  CHECK_THAT(server, Catch::Contains("userName=\"svc\" password=\"[secret]\""));
  CHECK_THAT(server, Catch::Contains("physicalPath=\"C:\\ProgramData\\COM1\""));
  CHECK_THAT(server, Catch::Contains("validationKey=\"[secret]\""));
  const auto web = redacted(web_configuration());
  CHECK_THAT(web,
             !Catch::Contains("hunter2") && !Catch::Contains("k-123") && Catch::Contains("blue"));
}

TEST_CASE("secrets in comments, text and unusual places are masked too") {
  const auto file = [](const std::string& inside) {
    return "<configuration>" + inside + "</configuration>";
  };
  for (const auto& inside : std::vector<std::string>{
           "<!-- <add connectionString=\"Server=x;S3CR3T\" /> -->",
           "<!-- <machineKey validationKey='S3CR3T' /> -->", "<!-- password = S3CR3T -->",
           "<!-- [enc:A:S3CR3T:enc] -->", "<!-- <add key=\"MyApiKey\" value=\"S3CR3T\" /> -->",
           "<!-- <configProtectedData><x y=\"S3CR3T\" /></configProtectedData> -->",
           "<!-- <configProtectedData><x y=\"S3CR3T\" /> -->",
           "<!-- <Password>S3CR3T</Password> -->", "<a><password>S3CR3T</password></a>",
           "<a><Password><![CDATA[S3CR3T]]></Password></a>", "<a>[enc:A:S3CR3T:enc]</a>",
           "<EncryptedData><CipherData><CipherValue>S3CR3T</CipherValue></CipherData></"
           "EncryptedData>",
           "<configProtectedData><!-- S3CR3T --><p>S3CR3T</p></configProtectedData>",
           "<a dbPassword='S3CR3T'/>", "<a url='https://u:S3CR3T@host/'/>",
           "<setting name='ApiKey'><value>S3CR3T</value></setting>",
           "<environmentVariable name='CLIENT_SECRET' value='S3CR3T'/>",
           "<a x='DefaultEndpointsProtocol=https;AccountKey=S3CR3T'/>"}) {
    INFO(inside);
    CHECK_THAT(redacted(file(inside)), !Catch::Contains("S3CR3T") && Catch::Contains("[secret]"));
    const auto other = provider().compare(file(inside), file("<other/>"));
    REQUIRE(other);
    for (const auto& difference : *other)
      CHECK_THAT(difference.before + difference.address, !Catch::Contains("S3CR3T"));
  }
  CHECK(redacted(file("<a tokenChecking='Require' publicKeyToken='b77'/>")) ==
        file("<a tokenChecking='Require' publicKeyToken='b77'/>"));
}

TEST_CASE("a changed secret is told as changed and not as what it is") {
  const auto before = web_configuration();
  const auto result = provider().edit(
      before, {setting("connectionStrings/add[name=Main]", "connectionString", "Password=new9")});
  REQUIRE(result);
  REQUIRE(result->differences.size() == 1);
  CHECK(result->differences.front().before == "[secret]");
  CHECK(result->differences.front().after == "[secret, changed]");
  CHECK_THAT(
      result->diff,
      Catch::Contains("-    <add name=\"Main\" connectionString=\"[secret]\" />\n"
                      "+    <add name=\"Main\" connectionString=\"[secret, changed]\" />\n"));
  CHECK_THAT(result->diff, !Catch::Contains("hunter2") && !Catch::Contains("new9"));
}

TEST_CASE("what could move a terminal is shown escaped") {
  const auto shown = redacted(
      "\xEF\xBB\xBF<configuration>\r\n\t<a x=\"\xE2\x80\xAE C:\\x\xC2\x9B\"/>\r\n</configuration>");
  CHECK_THAT(shown, Catch::StartsWith("<configuration>\n\t<a x=\"") && Catch::Contains("C:\\x") &&
                        !Catch::Contains("\xE2\x80\xAE") && !Catch::Contains("\xC2\x9B") &&
                        !Catch::Contains("\r"));
}

TEST_CASE("compare tells meaning and not spelling") {
  const auto same = [](const std::string& a, const std::string& b) {
    const auto differences = provider().compare(a, b);
    REQUIRE(differences);
    return differences->empty();
  };
  CHECK(same(
      "<configuration><a x='1' y='2'/></configuration>",
      "\xEF\xBB\xBF<configuration >\r\n<!-- c --><a y=\"&#50;\" x=\"1\"></a></configuration>"));
  CHECK_FALSE(same("<configuration><a x='1'/></configuration>",
                   "<configuration><a X='1'/></configuration>"));
  CHECK_FALSE(
      same("<configuration><a>t</a></configuration>", "<configuration><a>T</a></configuration>"));
  CHECK_FALSE(same("<configuration><a><b/><c/></a></configuration>",
                   "<configuration><a><c/><b/></a></configuration>"));
  CHECK_FALSE(
      same("<configuration><a/><a/></configuration>", "<configuration><a/></configuration>"));
  const auto differences =
      provider().compare("<configuration><a x='1' y='2'><b/></a><d>t</d></configuration>",
                         "<configuration><a y='3' z='4'/><c/><d>u</d></configuration>");
  REQUIRE(differences);
  using Kind = Difference::Kind;
  CHECK(*differences == std::vector<Difference>{{Kind::removed, "a", "x", "1", ""},
                                                {Kind::changed, "a", "y", "2", "3"},
                                                {Kind::added, "a", "z", "", "4"},
                                                {Kind::removed, "a/b", "", "<b />", ""},
                                                {Kind::added, "c", "", "", "<c />"},
                                                {Kind::changed, "d", "@text", "t", "u"}});
}

TEST_CASE("a unified diff turns one text into the other") {
  CHECK(unified_diff("a\nb\n", "a\nb\n").empty());
  CHECK(unified_diff("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nX\n6\n7\n8\n9\n") ==
        "--- before\n+++ after\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+X\n 6\n 7\n 8\n");
  CHECK(unified_diff("a", "a\n") ==
        "--- before\n+++ after\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n");
  CHECK(unified_diff("", "a\n") == "--- before\n+++ after\n@@ -0,0 +1 @@\n+a\n");
  std::mt19937 random(7);
  for (int round = 0; round < 400; ++round) {
    std::string before;
    std::string after;
    const auto kept = 1 + random() % 12;
    for (int i = 0; i < 60; ++i) {
      const auto line = std::to_string(random() % 9) + "\n";
      const auto fate = random() % kept;
      if (fate != 0) before += line;
      if (fate != 1) after += line;
    }
    const auto diff = unified_diff(before, after);
    INFO(before << "---\n" << after << "---\n" << diff);
    CHECK(patched(before, diff) == after);
  }
}

TEST_CASE("texts with nothing in common are shown as replaced") {
  std::string before;
  std::string after;
  for (int i = 0; i < 3000; ++i) {
    before += "a" + std::to_string(i) + "\n";
    after += "b" + std::to_string(i) + "\n";
  }
  CHECK(patched(before, unified_diff(before, after)) == after);
}

}  // namespace remediate::setting::test
