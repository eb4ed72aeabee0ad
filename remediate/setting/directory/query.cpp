#include "remediate/setting/directory/query.h"

#include <algorithm>

#include <re2/re2.h>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"

namespace remediate::setting {
namespace {

struct Test {
  const AttributeTest* test;
  std::unique_ptr<RE2> pattern;
};

Result<std::vector<Test>> compile(const Query& query) {
  std::vector<Test> tests;
  for (const AttributeTest& test : query.where) {
    Test made{&test, nullptr};
    if (test.matches) {
      RE2::Options options;
      options.set_log_errors(false);
      made.pattern = std::make_unique<RE2>(*test.matches, options);
      if (!made.pattern->ok())
        return fail(Code::bad_input,
                    "the pattern for " + display(test.name, 80) +
                        " is not a regular expression: " + display(made.pattern->error(), 200),
                    "write it in RE2 syntax (no look-around, no back references)");
    }
    tests.push_back(std::move(made));
  }
  return tests;
}

bool fits(const Test& test, const std::string& value) {
  if (test.test->equals) {
    const bool same = test.test->ignore_case ? ascii_iequals(value, *test.test->equals)
                                             : value == *test.test->equals;
    if (!same) return false;
  }
  return !test.pattern || RE2::PartialMatch(value, *test.pattern);
}

std::vector<std::string> values_of(const DirectoryObject& object, const std::string& name) {
  if (name == "@server") return {server_of(object.dn)};
  if (name == "@name") return {name_of(object.dn)};
  const auto* values = object.values(name);
  return values == nullptr ? std::vector<std::string>() : *values;
}

/// Why all tests hold; nothing when one does not.
std::optional<std::string> reason_of(const DirectoryObject& object,
                                     const std::vector<Test>& tests) {
  std::string reason;
  for (const Test& test : tests) {
    const std::vector<std::string> values = values_of(object, test.test->name);
    if (!reason.empty()) reason += ", ";
    if (test.test->absent) {
      if (!values.empty()) return std::nullopt;
      reason += test.test->name + " is absent";
      continue;
    }
    const auto value =
        std::ranges::find_if(values, [&](const std::string& one) { return fits(test, one); });
    if (value == values.end()) return std::nullopt;
    reason += test.test->name + " is \"" + *value + "\"";
    if (test.test->matches) reason += " and matches /" + *test.test->matches + "/";
  }
  return reason;
}

}  // namespace

bool is_exchange_attribute(std::string_view attribute) {
  constexpr std::string_view prefix = "msExch";
  return attribute.starts_with(prefix) && attribute.size() > prefix.size() &&
         attribute.size() <= 64 && std::ranges::all_of(attribute, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
         });
}

bool is_of_class(const DirectoryObject& object, std::string_view kind) {
  return std::ranges::any_of(object.classes,
                             [&](const std::string& one) { return ascii_iequals(one, kind); });
}

Result<std::vector<DirectoryMatch>> find_objects(const std::vector<DirectoryObject>& objects,
                                                 const Query& query,
                                                 const std::vector<std::string>& servers) {
  TRY_LET(const std::vector<Test> tests, compile(query));
  std::vector<DirectoryMatch> found;
  for (const DirectoryObject& object : objects) {
    if (!is_of_class(object, query.kind)) continue;
    const std::string server = server_of(object.dn);
    if (!servers.empty() && std::ranges::none_of(servers, [&](const std::string& one) {
          return ascii_iequals(one, server);
        }))
      continue;
    if (auto reason = reason_of(object, tests))
      found.push_back({&object, reason->empty() ? "every " + query.kind : std::move(*reason)});
  }
  return found;
}

}  // namespace remediate::setting
