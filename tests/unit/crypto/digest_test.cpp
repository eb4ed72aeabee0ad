#include "remediate/crypto/digest.h"

#include <set>

#include <catch2/catch.hpp>

#include "tests/unit/crypto/support.h"

namespace remediate::crypto::test {

TEST_CASE("digests agree with the published test vectors") {
  CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(digest_hex(Algorithm::sha1, "abc") == "a9993e364706816aba3e25717850c26c9cd0d89d");
  CHECK(digest_hex(Algorithm::md5, "abc") == "900150983cd24fb0d6963f7d28e17f72");
}

TEST_CASE("a running digest starts over when it was finished and can be moved") {
  Digest digest(Algorithm::sha256);
  digest.update("a");
  Digest moved = std::move(digest);
  moved.update("bc");
  CHECK(moved.finish_hex() == sha256_hex("abc"));
  CHECK(moved.finish_hex() == sha256_hex(""));
}

TEST_CASE("a stream's digest and size do not depend on how it is cut") {
  const std::string bytes(200'000, 'x');
  for (const std::size_t step : {1'000u, 65'536u, 1'000'000u}) {
    StringSource source(bytes);
    source.step = step;
    const StreamDigest result = must(sha256_stream(source));
    CHECK(result.size == bytes.size());
    CHECK(result.sha256 == sha256_hex(bytes));
  }
  StringSource broken(bytes);
  broken.fails_at_end = true;
  const auto failed = sha256_stream(broken);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == Code::io);
}

TEST_CASE("random identifiers have their form and do not repeat") {
  std::set<std::string> seen;
  for (int i = 0; i < 200; ++i) {
    const std::string uuid = must(random_uuid());
    CHECK(uuid.size() == 36);
    CHECK(uuid[8] == '-');
    CHECK(uuid[13] == '-');
    CHECK(uuid[14] == '4');
    CHECK(uuid[18] == '-');
    CHECK(std::string_view("89ab").find(uuid[19]) != std::string_view::npos);
    CHECK(uuid[23] == '-');
    CHECK(uuid.find_first_not_of("0123456789abcdef-") == std::string::npos);
    CHECK(seen.insert(uuid).second);
  }
  CHECK(must(random_hex(20)).size() == 40);
  CHECK(must(random_hex(0)).empty());
  CHECK(random_hex(1'000'000).error().code == Code::limit);
}

}  // namespace remediate::crypto::test
