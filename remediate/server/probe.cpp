// One question as JSON on the standard input: url, expect_status, timeout_seconds, body_contains,
// max_body, ca. The answer on the standard output: passed, said.
#include <cstdio>
#include <iostream>
#include <iterator>

#include "remediate/base/json.h"
#include "remediate/base/try.h"
#include "remediate/server/http_get.h"

namespace remediate::server {
namespace {

struct Expected {
  HttpQuestion question;
  std::uint64_t status = 0;
  std::string body;
};

Result<Expected> read_question(const std::string& bytes) {
  TRY_LET(const Json json, parse_json(bytes, "the question"));
  JsonReader reader(json, "");
  Expected expected;
  TRY_LET(expected.question.url, reader.string("url"));
  TRY_LET(expected.question.timeout_seconds, reader.unsigned_integer("timeout_seconds"));
  TRY_LET(expected.question.max_body, reader.unsigned_integer("max_body"));
  TRY_LET(expected.question.authorities, reader.string("ca"));
  TRY_LET(expected.status, reader.unsigned_integer("expect_status"));
  TRY_LET(expected.body, reader.string("body_contains"));
  TRY(reader.done());
  return expected;
}

Json judge(const Expected& expected, const Result<HttpAnswer>& answer) {
  if (!answer) return Json{{"passed", false}, {"said", answer.error().message}};
  std::string said = "status " + std::to_string(answer->status);
  const bool status = answer->status == expected.status;
  if (!status) said += ", expected " + std::to_string(expected.status);
  if (!status && answer->status >= 300 && answer->status < 400)
    said += " (redirects are not followed)";
  const bool body = expected.body.empty() || answer->body.find(expected.body) != std::string::npos;
  if (!body) said += ", the body does not contain " + expected.body;
  return Json{{"passed", status && body}, {"said", said}};
}

}  // namespace
}  // namespace remediate::server

int main() {
  const std::string bytes{std::istreambuf_iterator<char>(std::cin), {}};
  const auto expected = remediate::server::read_question(bytes);
  if (!expected) {
    std::fprintf(stderr, "remediate-probe: %s\n", expected.error().text().c_str());
    return remediate::exit_code(expected.error().code);
  }
  const std::string text = remediate::write_json(
      remediate::server::judge(*expected, remediate::server::http_get(expected->question)));
  const bool written =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  // The library's threads may still wait for a server: they end with the process.
  std::_Exit(written ? 0 : 1);
}
