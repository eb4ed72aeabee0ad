#include "remediate/crypto/seal.h"

#include <random>

#include <catch2/catch.hpp>

#include "remediate/base/encoding.h"
#include "tests/unit/crypto/support.h"

namespace remediate::crypto::test {
namespace {

std::string random_bytes(std::size_t size) {
  std::mt19937 random(static_cast<unsigned>(size) + 7);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random() & 0xff);
  return bytes;
}

std::string sealed_bytes(std::string_view plain, const std::vector<Certificate>& recipients) {
  StringSource source(plain);
  StringSink sink;
  const Sealed sealed = must(seal(source, sink, recipients));
  CHECK(sealed.plain_size == plain.size());
  CHECK(sealed.plain_sha256 == sha256_hex(plain));
  CHECK(sealed.sealed_size == sink.bytes.size());
  CHECK(sealed.sealed_sha256 == sha256_hex(sink.bytes));
  return sink.bytes;
}

struct Opening {
  Result<StreamDigest> result;
  std::string plain;
};

Opening opened(std::string_view sealed, const Identity& identity) {
  StringSource source(sealed);
  StringSink sink;
  auto result = unseal(source, sink, identity.certificate, identity.key);
  return {std::move(result), std::move(sink.bytes)};
}

void must_open(std::string_view sealed, const Identity& identity, std::string_view plain) {
  const Opening opening = opened(sealed, identity);
  if (!opening.result) FAIL(opening.result.error().text());
  CHECK(opening.result->size == plain.size());
  CHECK(opening.result->sha256 == sha256_hex(plain));
  CHECK(opening.plain == plain);
}

constexpr const char* kDecrypt =
    "cms -decrypt -binary -inform DER -in o.p7m -recip c.crt -inkey c.key -out plain";

}  // namespace

TEST_CASE("what was sealed opens again, at every size around the chunks") {
  const Identity recovery = new_identity("recovery", Use::recover);
  for (const std::size_t size :
       {0u, 1u, 15u, 16u, 17u, 4'095u, 4'096u, 4'097u, 65'535u, 65'536u, 65'537u, 1'000'003u}) {
    INFO("size " << size);
    const std::string plain = random_bytes(size);
    const std::string sealed = sealed_bytes(plain, {recovery.certificate});
    must_open(sealed, recovery, plain);
    if (size >= 16) CHECK(sealed.find(plain.substr(0, 16)) == std::string::npos);
  }
}

TEST_CASE("stock OpenSSL opens objects for EC, RSA and several recipients") {
  const Workbench bench;
  const Identity ec = new_identity("recovery", Use::recover);
  const Identity rsa = openssl_identity(bench, "rsa:3072", "rsa");
  const std::string plain = random_bytes(300'000);
  bench.put("o.p7m", sealed_bytes(plain, {ec.certificate, rsa.certificate}));
  for (const Identity* identity : {&ec, &rsa}) {
    must_open(bench.get("o.p7m"), *identity, plain);
    bench.put("c.crt", identity->certificate_pem);
    bench.put("c.key", identity->key_pem);
    bench.put("plain", "");
    bench.must_run(kDecrypt);
    CHECK(bench.get("plain") == plain);
  }
  bench.must_run("cms -cmsout -print -noout -inform DER -in o.p7m");
  const std::string text = bench.get("log");
  CHECK(text.find("aes-256-gcm") != std::string::npos);
  CHECK(text.find("rsaesOaep") != std::string::npos);
  CHECK(text.find("dhSinglePass-stdDH-sha256kdf-scheme") != std::string::npos);
}

TEST_CASE("an object made by stock OpenSSL opens") {
  const Workbench bench;
  const Identity ec = new_identity("recovery", Use::recover);
  const std::string plain = random_bytes(50'000);
  bench.put("plain", plain);
  bench.put("c.crt", ec.certificate_pem);
  bench.must_run(
      "cms -encrypt -binary -outform DER -aes-256-gcm -in plain -out o.p7m -recip c.crt");
  must_open(bench.get("o.p7m"), ec, plain);
}

TEST_CASE("weaker envelopes are refused") {
  const Workbench bench;
  const Identity ec = new_identity("recovery", Use::recover);
  bench.put("plain", "text");
  bench.put("c.crt", ec.certificate_pem);
  for (const std::string cipher : {"-aes-256-cbc", "-aes-128-gcm"}) {
    bench.must_run("cms -encrypt -binary -outform DER " + cipher +
                   " -in plain -out o.p7m -recip c.crt");
    const Opening opening = opened(bench.get("o.p7m"), ec);
    REQUIRE_FALSE(opening.result);
    CHECK(opening.result.error().code == Code::corrupt);
    CHECK(opening.plain.empty());
  }
}

TEST_CASE("a shortened tag is refused although OpenSSL would take it") {
  const Identity ec = new_identity("recovery", Use::recover);
  const Workbench bench;
  bench.put("plain", "text");
  bench.put("c.crt", ec.certificate_pem);
  // Definite lengths, so that the lengths of the few enclosing elements can be corrected.
  bench.must_run(
      "cms -encrypt -binary -outform DER -nosmimecap -aes-256-gcm -in plain -out s.p7m "
      "-recip c.crt");
  const std::string sealed = bench.get("s.p7m");
  const std::size_t tag = sealed.rfind(std::string("\x04\x10", 2));
  REQUIRE(tag != std::string::npos);
  REQUIRE(tag + 18 + 6 >= sealed.size());
  std::string shortened = sealed.substr(0, tag) + std::string("\x04\x04", 2) +
                          sealed.substr(tag + 2, 4) + sealed.substr(tag + 18);
  if (sealed[1] != '\x80') {
    // 30 82 len, object identifier, a0 82 len, 30 82 len
    std::size_t at = 0;
    for (int level = 0; level < 3; ++level) {
      REQUIRE(static_cast<unsigned char>(shortened[at + 1]) == 0x82);
      unsigned length = static_cast<unsigned char>(shortened[at + 2]) * 256u +
                        static_cast<unsigned char>(shortened[at + 3]);
      length -= 12;
      shortened[at + 2] = static_cast<char>(length >> 8);
      shortened[at + 3] = static_cast<char>(length & 0xff);
      at += level == 0 ? 4 + 13 : 4;
    }
  }
  bench.put("o.p7m", shortened);
  bench.put("c.key", ec.key_pem);
  bench.must_run(kDecrypt);  // the danger is real: this accepts four bytes of the tag
  const Opening opening = opened(shortened, ec);
  REQUIRE_FALSE(opening.result);
  CHECK(opening.result.error().code == Code::corrupt);
  CHECK(opening.result.error().text().find("16 bytes") != std::string::npos);
}

TEST_CASE("no flipped bit of an object goes unnoticed") {
  const Identity ec = new_identity("recovery", Use::recover);
  const std::string plain = random_bytes(3'000);
  const std::string sealed = sealed_bytes(plain, {ec.certificate});
  // The ciphertext and the tag are the last 3000 + 16 bytes and a few bytes of framing.
  const std::size_t protected_from = sealed.size() - 3'000 - 16 - 24;
  std::size_t refused = 0;
  for (std::size_t at = 0; at < sealed.size(); ++at) {
    std::string flipped = sealed;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << (at % 8)));
    const Opening opening = opened(flipped, ec);
    if (opening.result) {
      // Only a field that protects nothing, as a version number, may differ.
      INFO("byte " << at << " of " << sealed.size() << ": "
                   << hex_encode(sealed.substr(at - 8, 20)));
      CHECK(at < protected_from);
      CHECK(opening.plain == plain);
      continue;
    }
    ++refused;
    const Code code = opening.result.error().code;
    CHECK((code == Code::signature || code == Code::corrupt || code == Code::not_found));
  }
  CHECK(refused + 40 > sealed.size());
}

TEST_CASE("every bit of the tag counts") {
  const Identity ec = new_identity("recovery", Use::recover);
  const std::string sealed = sealed_bytes("the quick brown fox", {ec.certificate});
  const std::size_t tag = sealed.rfind(std::string("\x04\x10", 2)) + 2;
  for (std::size_t bit = 0; bit < 128; ++bit) {
    std::string flipped = sealed;
    flipped[tag + bit / 8] = static_cast<char>(flipped[tag + bit / 8] ^ (1 << bit % 8));
    const Opening opening = opened(flipped, ec);
    REQUIRE_FALSE(opening.result);
    CHECK(opening.result.error().code == Code::signature);
  }
}

TEST_CASE("a truncated or lengthened object is refused") {
  const Identity ec = new_identity("recovery", Use::recover);
  const std::string sealed = sealed_bytes(random_bytes(9'000), {ec.certificate});
  for (std::size_t length = 0; length < sealed.size(); length += 13) {
    const Opening opening = opened(std::string_view(sealed).substr(0, length), ec);
    REQUIRE_FALSE(opening.result);
    CHECK(opening.result.error().code == Code::corrupt);
  }
  CHECK(opened(sealed + "x", ec).result.error().code == Code::corrupt);
}

TEST_CASE("a key opens only what was sealed to it") {
  const Workbench bench;
  const Identity ec = new_identity("recovery", Use::recover);
  const Identity other = new_identity("other", Use::recover);
  const Identity rsa = openssl_identity(bench, "rsa:2048", "rsa");
  const std::string sealed = sealed_bytes("secret", {ec.certificate});
  for (const Identity* identity : {&other, &rsa}) {
    const Opening opening = opened(sealed, *identity);
    REQUIRE_FALSE(opening.result);
    CHECK(opening.result.error().code == Code::not_found);
    CHECK(opening.plain.empty());
  }
  const Identity mixed{ec.certificate, other.key, {}, {}};
  CHECK(opened(sealed, mixed).result.error().code == Code::not_found);
}

TEST_CASE("errors of the source and the sink come back as they are") {
  const Identity ec = new_identity("recovery", Use::recover);
  const std::string plain = random_bytes(500'000);
  {
    StringSource source(plain);
    source.fails_at_end = true;
    StringSink sink;
    const auto sealed = seal(source, sink, {ec.certificate});
    REQUIRE_FALSE(sealed);
    CHECK(sealed.error().message == "the source broke");
  }
  for (const std::size_t capacity : {0u, 100u, 70'000u, 500'100u}) {
    StringSource source(plain);
    StringSink sink;
    sink.capacity = capacity;
    const auto sealed = seal(source, sink, {ec.certificate});
    REQUIRE_FALSE(sealed);
    CHECK(sealed.error().code == Code::no_space);
    CHECK(sealed.error().message == "the sink is full");
  }
  const std::string sealed = sealed_bytes(plain, {ec.certificate});
  StringSource source(sealed);
  StringSink sink;
  sink.capacity = 1'000;
  CHECK(unseal(source, sink, ec.certificate, ec.key).error().code == Code::no_space);
  StringSource broken(sealed);
  broken.fails_at_end = true;
  StringSink unused;
  CHECK(unseal(broken, unused, ec.certificate, ec.key).error().message == "the source broke");
}

TEST_CASE("sealing to nobody is refused") {
  StringSource source("x");
  StringSink sink;
  CHECK(seal(source, sink, {}).error().code == Code::configuration);
  CHECK(sink.bytes.empty());
}

}  // namespace remediate::crypto::test
