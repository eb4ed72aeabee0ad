#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "remediate/base/error.h"

namespace remediate {

/// Bytes read in order, once.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Fills up to into.size() bytes; 0 means the end.
  [[nodiscard]] virtual Result<std::size_t> read(std::span<char> into) = 0;
};

/// Bytes written in order. Nothing is durable until the owner of the sink syncs.
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  [[nodiscard]] virtual Result<void> write(std::string_view bytes) = 0;
};

}  // namespace remediate
