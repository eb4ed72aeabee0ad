#include "remediate/setting/attribute_test.h"

#include <re2/re2.h>

#include "remediate/base/encoding.h"

namespace remediate::setting {

AttributeTests::~AttributeTests() = default;
AttributeTests::AttributeTests(AttributeTests&&) noexcept = default;
AttributeTests& AttributeTests::operator=(AttributeTests&&) noexcept = default;

Result<AttributeTests> AttributeTests::compile(const std::vector<AttributeTest>& where,
                                               bool latin1) {
  AttributeTests out;
  for (const auto& test : where) {
    if (test.name.empty())
      return fail(Code::bad_input, "a test of an attribute names no attribute", "give its name");
    if (test.absent && (test.equals || test.matches))
      return fail(Code::bad_input,
                  "the test of " + display(test.name, 80) +
                      " wants the attribute absent and its value tested",
                  "use one of the two");
    Compiled compiled{&test, nullptr};
    if (test.matches) {
      RE2::Options options;
      options.set_log_errors(false);
      if (latin1) options.set_encoding(RE2::Options::EncodingLatin1);
      compiled.pattern = std::make_unique<RE2>(*test.matches, options);
      if (!compiled.pattern->ok())
        return fail(Code::bad_input,
                    "the pattern for " + display(test.name, 80) +
                        " is not a regular expression: " + display(compiled.pattern->error(), 200),
                    "write it in RE2 syntax (no look-around, no back references)");
    }
    out.tests_.push_back(std::move(compiled));
  }
  return out;
}

std::optional<std::string> AttributeTests::reason(const Values& values,
                                                  std::string_view kind) const {
  std::string out;
  for (const auto& [test, pattern] : tests_) {
    const auto* value = values.value(test->name);
    if (test->absent) {
      if (value) return std::nullopt;
      out += (out.empty() ? "" : "; ") + test->name + " is absent";
      continue;
    }
    if (!value) return std::nullopt;
    out +=
        (out.empty() ? "" : "; ") + test->name + " is '" + values.shown(test->name, *value) + "'";
    if (test->equals) {
      if (test->ignore_case ? !ascii_iequals(*test->equals, *value) : *test->equals != *value)
        return std::nullopt;
      out += " as wanted";
    }
    if (pattern) {
      if (!RE2::PartialMatch(*value, *pattern)) return std::nullopt;
      out += " and matches /" + *test->matches + "/";
    }
  }
  return out.empty() ? "every " + std::string(kind) : out;
}

}  // namespace remediate::setting
