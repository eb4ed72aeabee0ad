#pragma once

#include <string>
#include <utility>

#include "remediate/observe/observation.h"

namespace remediate::run::test {

class NoTarget final : public observe::TargetSource {
 public:
  [[nodiscard]] Result<observe::TargetFacts> facts() const override { return fail(Code::io, ""); }
};

/// The bytes of a file as a scan hands out those of a large one.
class LargeBytes final : public observe::LargeContent {
 public:
  explicit LargeBytes(std::string bytes) : bytes_(std::move(bytes)) {}
  [[nodiscard]] std::uint64_t size() const override { return bytes_.size(); }
  [[nodiscard]] Result<void> read(std::uint64_t offset, std::span<char> into) const override {
    if (broken) return fail(Code::io, "the disk is broken");
    bytes_.copy(into.data(), into.size(), offset);
    return {};
  }
  [[nodiscard]] Result<void> unchanged() const override {
    if (written_to) return fail(Code::changed, "it was written to");
    return {};
  }
  bool broken = false;
  bool written_to = false;

 private:
  std::string bytes_;
};

}  // namespace remediate::run::test
