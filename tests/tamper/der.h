#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace remediate::run::test {

/// A DER text taken apart, to be changed and put together again.
struct Node {
  unsigned char tag = 0;
  std::string bytes;           // of a primitive element
  std::vector<Node> children;  // of a constructed one
  [[nodiscard]] bool constructed() const { return (tag & 0x20) != 0; }
};
[[nodiscard]] Node read_der(std::string_view der);
[[nodiscard]] std::string write_der(const Node& node);

/// Every change of a signature file that keeps its meaning for a lenient reader or that a reader
/// might overlook, with its name. `stranger` is the DER of a certificate of the same name.
struct Forgery {
  std::string name, bytes;
  bool approval_too = true;  // false: an approval in this form says the same and is accepted
};
[[nodiscard]] std::vector<Forgery> forgeries(std::string_view der, std::string_view stranger);

}  // namespace remediate::run::test
