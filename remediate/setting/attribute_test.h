#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "remediate/setting/provider.h"

namespace re2 {
class RE2;
}

namespace remediate::setting {

/// The tests of a query, their patterns compiled.
class AttributeTests {
 public:
  /// bad_input for a test without a name, one that contradicts itself, or a bad pattern. `where`
  /// must outlive this. `latin1`: patterns see bytes, for files that need not be UTF-8.
  [[nodiscard]] static Result<AttributeTests> compile(const std::vector<AttributeTest>& where,
                                                      bool latin1);
  ~AttributeTests();
  AttributeTests(AttributeTests&&) noexcept;
  AttributeTests& operator=(AttributeTests&&) noexcept;

  /// The attributes of one candidate.
  class Values {
   public:
    virtual ~Values() = default;
    /// Null when the attribute is absent.
    [[nodiscard]] virtual const std::string* value(std::string_view name) const = 0;
    /// The value for a person: secrets replaced.
    [[nodiscard]] virtual std::string shown(std::string_view name,
                                            const std::string& value) const = 0;
  };
  /// What held, when every test holds; "every KIND" without tests.
  [[nodiscard]] std::optional<std::string> reason(const Values& values,
                                                  std::string_view kind) const;

 private:
  AttributeTests() = default;
  struct Compiled {
    const AttributeTest* test;
    std::unique_ptr<re2::RE2> pattern;  // none without `matches`
  };
  std::vector<Compiled> tests_;
};

}  // namespace remediate::setting
