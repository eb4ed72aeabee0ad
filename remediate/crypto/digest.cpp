#include "remediate/crypto/digest.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <openssl/rand.h>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/crypto/openssl.h"

namespace remediate::crypto {
namespace {

constexpr std::size_t kChunk = 64 * 1024;

const EVP_MD* evp(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::sha256:
      return EVP_sha256();
    case Algorithm::sha1:
      return EVP_sha1();
    case Algorithm::md5:
      return EVP_md5();
  }
  return nullptr;
}

/// A digest that cannot be computed must never look like one that was.
void require(bool done) {
  if (done) return;
  std::fputs("remediate: OpenSSL cannot compute this digest; stopping\n", stderr);
  std::abort();
}

}  // namespace

struct Digest::State {
  std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>> running;
  const EVP_MD* algorithm;
};

Digest::Digest(Algorithm algorithm)
    : state_(std::make_unique<State>(State{
          std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>>(EVP_MD_CTX_new()), evp(algorithm)})) {
  require(state_->running != nullptr &&
          EVP_DigestInit_ex(state_->running.get(), state_->algorithm, nullptr) == 1);
}

Digest::Digest(Digest&&) noexcept = default;
Digest& Digest::operator=(Digest&&) noexcept = default;
Digest::~Digest() = default;

void Digest::update(std::string_view bytes) {
  require(EVP_DigestUpdate(state_->running.get(), bytes.data(), bytes.size()) == 1);
}

std::string Digest::finish_hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> raw{};
  unsigned length = 0;
  require(EVP_DigestFinal_ex(state_->running.get(), raw.data(), &length) == 1);
  require(EVP_DigestInit_ex(state_->running.get(), state_->algorithm, nullptr) == 1);
  return hex_encode({reinterpret_cast<const char*>(raw.data()), length});
}

std::string sha256_hex(std::string_view bytes) { return digest_hex(Algorithm::sha256, bytes); }

std::string digest_hex(Algorithm algorithm, std::string_view bytes) {
  Digest digest(algorithm);
  digest.update(bytes);
  return digest.finish_hex();
}

Result<StreamDigest> sha256_stream(ByteSource& source) {
  Digest digest(Algorithm::sha256);
  StreamDigest result;
  std::vector<char> buffer(kChunk);
  for (;;) {
    TRY_LET(const std::size_t count, source.read(buffer));
    if (count == 0) break;
    digest.update({buffer.data(), count});
    result.size += count;
  }
  result.sha256 = digest.finish_hex();
  return result;
}

Result<std::string> random_hex(std::size_t count) {
  constexpr std::size_t kMost = 4096;
  if (count > kMost) {
    return fail(Code::limit, "more than " + std::to_string(kMost) + " random bytes were asked for");
  }
  std::string bytes(count, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(count)) != 1) {
    return std::unexpected(
        openssl_error(Code::internal, "the operating system gave no random bytes"));
  }
  return hex_encode(bytes);
}

Result<std::string> random_uuid() {
  TRY_LET(std::string hex, random_hex(16));
  hex[12] = '4';
  const auto nibble = static_cast<unsigned>(hex[16] <= '9' ? hex[16] - '0' : hex[16] - 'a' + 10);
  hex[16] = "89ab"[nibble & 3];
  for (const std::size_t at : {8u, 13u, 18u, 23u}) hex.insert(at, 1, '-');
  return hex;
}

}  // namespace remediate::crypto
