#pragma once

#include <compare>
#include <string>
#include <string_view>
#include <vector>

#include "remediate/base/error.h"

namespace remediate {

/// A path below some root as raw bytes. It is a list of validated components: none is
/// empty, ".", "..", longer than 255 bytes, or contains '/' or NUL. It is never handed to
/// the operating system as one string; host::Directory opens it component by component.
class RawPath {
 public:
  RawPath() = default;  // the root itself
  /// Components separated by '/'; refuses what is not a valid component, a leading or a
  /// trailing '/'. The empty string is the root itself.
  [[nodiscard]] static Result<RawPath> parse(std::string_view joined);
  [[nodiscard]] static Result<void> check_component(std::string_view name);
  [[nodiscard]] Result<RawPath> child(std::string_view name) const;

  [[nodiscard]] bool is_root() const { return joined_.empty(); }
  [[nodiscard]] std::string_view name() const;  // last component, empty for the root
  [[nodiscard]] RawPath parent() const;         // the root's parent is the root
  [[nodiscard]] std::vector<std::string_view> components() const;
  /// Components joined with '/': for records and comparison only.
  [[nodiscard]] const std::string& bytes() const { return joined_; }
  [[nodiscard]] std::string display() const;
  /// True when this is `folder` or lies below it.
  [[nodiscard]] bool within(const RawPath& folder) const;

  auto operator<=>(const RawPath&) const = default;

 private:
  std::string joined_;
};

}  // namespace remediate
