#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "remediate/base/stream.h"

namespace remediate::crypto {

enum class Algorithm : std::uint8_t { sha256, sha1, md5 };

/// A running digest. Movable, not copyable. update() cannot fail once constructed.
class Digest {
 public:
  explicit Digest(Algorithm algorithm);
  Digest(Digest&&) noexcept;
  Digest& operator=(Digest&&) noexcept;
  ~Digest();
  void update(std::string_view bytes);
  /// Lower-case hexadecimal; the digest starts over.
  [[nodiscard]] std::string finish_hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

[[nodiscard]] std::string sha256_hex(std::string_view bytes);
[[nodiscard]] std::string digest_hex(Algorithm algorithm, std::string_view bytes);

struct StreamDigest {
  std::string sha256;
  std::uint64_t size = 0;
};
[[nodiscard]] Result<StreamDigest> sha256_stream(ByteSource& source);

/// `count` bytes from the operating system's generator, as lower-case hexadecimal.
[[nodiscard]] Result<std::string> random_hex(std::size_t count);
/// RFC 4122 version 4.
[[nodiscard]] Result<std::string> random_uuid();

}  // namespace remediate::crypto
