#include "remediate/base/error.h"

#include <set>

#include <catch2/catch.hpp>

#include "remediate/base/try.h"

namespace remediate {
namespace {

Result<int> half(int number) {
  if (number % 2 != 0) return fail(Code::bad_input, "odd", "give an even number");
  return number / 2;
}

Result<int> quarter(int number) {
  TRY(half(number));
  TRY_LET(const int once, half(number));
  TRY_LET(const int twice, half(once));
  return twice;
}

}  // namespace

TEST_CASE("each code has a name of its own and the agreed exit code") {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(Code::internal); ++i) {
    const Code code = static_cast<Code>(i);
    CHECK(names.insert(code_name(code)).second);
    CHECK(exit_code(code) != 0);
  }
  CHECK(code_name(Code::stale_plan) == "stale_plan");
  CHECK(exit_code(Code::usage) == 64);
  CHECK(exit_code(Code::bad_input) == 65);
  CHECK(exit_code(Code::permission) == 77);
  CHECK(exit_code(Code::configuration) == 78);
  CHECK(exit_code(Code::stale_plan) == 4);
  CHECK(exit_code(Code::signature) == 5);
  CHECK(exit_code(Code::approval) == 5);
  CHECK(exit_code(Code::io) == 1);
  CHECK(exit_code(Code::refused) == 1);
}

TEST_CASE("causes run from the nearest to the root, in one line") {
  Error error{Code::io, "disk on fire", "buy another", {}, 5};
  error = std::move(error).wrapped("cannot write the manifest").wrapped("cannot\napply");
  CHECK(error.text() == "cannot apply: cannot write the manifest: disk on fire (buy another)");
  CHECK(error.code == Code::io);
  CHECK(error.os_error == 5);
  CHECK(Error{Code::io, "alone"}.text() == "alone");
}

TEST_CASE("TRY and TRY_LET carry errors upwards") {
  CHECK(quarter(8) == 2);
  REQUIRE_FALSE(quarter(6));
  CHECK(quarter(6).error().remedy == "give an even number");
  CHECK_FALSE(quarter(3));
}

}  // namespace remediate
