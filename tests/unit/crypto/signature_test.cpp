#include "remediate/crypto/signature.h"

#include <random>

#include <catch2/catch.hpp>

#include "tests/unit/crypto/support.h"

namespace remediate::crypto::test {
namespace {

// Carriage returns, NUL and no final newline: what a text-mode signature would change.
const std::string kContent("{\"a\": 1}\r\n\0\n\xff tail", 18);

constexpr const char* kVerify =
    "cms -verify -binary -inform DER -in x.p7s -content x -certfile signer.crt "
    "-nointern -noverify -out /dev/null";

std::string refusal(std::string_view der, std::string_view content,
                    const std::vector<Certificate>& trusted) {
  const auto verified = verify_detached(der, content, trusted);
  REQUIRE_FALSE(verified);
  CHECK(verified.error().code == Code::signature);
  CHECK_FALSE(verified.error().remedy.empty());
  return verified.error().text();
}

}  // namespace

TEST_CASE("a signature verifies here and with stock OpenSSL") {
  const Workbench bench;
  const Identity ops = new_identity("ops", Use::sign);
  const std::string der = must(sign_detached(kContent, ops.certificate, ops.key));

  const Verified verified = must(verify_detached(der, kContent, {ops.certificate}));
  REQUIRE(verified.signers.size() == 1);
  CHECK(verified.signers[0].certificate.fingerprint() == ops.certificate.fingerprint());
  CHECK(verified.unknown.empty());
  CHECK(verified.signers[0].signed_at.seconds > 1'700'000'000);

  bench.put("x", kContent);
  bench.put("x.p7s", der);
  bench.put("signer.crt", ops.certificate_pem);
  bench.must_run(kVerify);
  bench.must_run(
      "cms -verify -binary -cades -inform DER -in x.p7s -content x -CAfile signer.crt -purpose any "
      "-attime 1795000100 -out /dev/null");
  bench.put("x", kContent + " ");
  CHECK(bench.openssl(kVerify) != 0);
}

TEST_CASE("empty content can be signed") {
  const Identity ops = new_identity("ops", Use::sign);
  const std::string der = must(sign_detached("", ops.certificate, ops.key));
  CHECK(must(verify_detached(der, "", {ops.certificate})).signers.size() == 1);
  refusal(der, "x", {ops.certificate});
}

TEST_CASE("RSA and P-384 identities sign too") {
  const Workbench bench;
  for (const std::string kind : {"rsa:3072", "ec -pkeyopt ec_paramgen_curve:P-384"}) {
    const Identity signer = openssl_identity(bench, kind, "signer");
    const std::string der = must(sign_detached(kContent, signer.certificate, signer.key));
    CHECK(must(verify_detached(der, kContent, {signer.certificate})).signers.size() == 1);
    bench.put("x", kContent);
    bench.put("x.p7s", der);
    bench.must_run(kVerify);
  }
}

TEST_CASE("a signature made by stock OpenSSL is accepted, weaker forms of it are not") {
  const Workbench bench;
  const Identity ops = new_identity("ops", Use::sign);
  bench.put("x", kContent);
  bench.put("k", ops.key_pem);
  bench.put("c", ops.certificate_pem);
  const std::string base = "cms -sign -binary -outform DER -in x -signer c -inkey k -out x.p7s ";

  bench.must_run(base + "-cades");
  CHECK(must(verify_detached(bench.get("x.p7s"), kContent, {ops.certificate})).signers.size() == 1);
  bench.must_run(base + "-cades -keyid");
  CHECK(must(verify_detached(bench.get("x.p7s"), kContent, {ops.certificate})).signers.size() == 1);
  bench.must_run(base + "-cades -nocerts");
  CHECK(must(verify_detached(bench.get("x.p7s"), kContent, {ops.certificate})).signers.size() == 1);

  bench.must_run(base);
  CHECK(refusal(bench.get("x.p7s"), kContent, {ops.certificate}).find("CAdES") !=
        std::string::npos);
  bench.must_run(base + "-noattr");
  CHECK(refusal(bench.get("x.p7s"), kContent, {ops.certificate}).find("attributes") !=
        std::string::npos);
  bench.must_run(base + "-cades -md sha1");
  CHECK(refusal(bench.get("x.p7s"), kContent, {ops.certificate}).find("SHA-256") !=
        std::string::npos);
  bench.must_run(base + "-cades -nodetach");
  CHECK(refusal(bench.get("x.p7s"), kContent, {ops.certificate}).find("content of its own") !=
        std::string::npos);
  bench.must_run("cms -encrypt -binary -outform DER -aes256 -in x -out x.p7s c");
  CHECK(refusal(bench.get("x.p7s"), kContent, {ops.certificate}).find("signed data") !=
        std::string::npos);
}

TEST_CASE("changed content, changed signatures and foreign keys are refused") {
  const Identity ops = new_identity("ops", Use::sign);
  const std::string der = must(sign_detached(kContent, ops.certificate, ops.key));
  std::string other = kContent;
  other[3] ^= 1;
  CHECK(refusal(der, other, {ops.certificate}).find("not what was signed") != std::string::npos);
  refusal(der, "", {ops.certificate});
  refusal("", kContent, {ops.certificate});
  refusal("junk", kContent, {ops.certificate});
  CHECK(refusal(der + "x", kContent, {ops.certificate}).find("stray") != std::string::npos);
  refusal(std::string_view(der).substr(0, der.size() - 1), kContent, {ops.certificate});
  CHECK(refusal(std::string((1u << 20) + 1, '0'), kContent, {ops.certificate}).find("1 MiB") !=
        std::string::npos);
}

TEST_CASE("no flipped bit makes a signature say something else") {
  const Identity ops = new_identity("ops", Use::sign);
  const std::string der = must(sign_detached(kContent, ops.certificate, ops.key));
  const Verified before = must(verify_detached(der, kContent, {ops.certificate}));
  std::size_t refused = 0;
  for (std::size_t at = 0; at < der.size(); ++at) {
    std::string flipped = der;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << (at % 8)));
    const auto verified = verify_detached(flipped, kContent, {ops.certificate});
    if (!verified) {
      ++refused;
      CHECK(verified.error().code == Code::signature);
      continue;
    }
    // The embedded certificate and the signer's identifier are not covered: then the signer is
    // either unknown or the same, never another one and never at another time.
    for (const Signer& signer : verified->signers) {
      CHECK(signer.certificate.fingerprint() == ops.certificate.fingerprint());
      CHECK(signer.signed_at == before.signers[0].signed_at);
    }
    CHECK(verified->signers.size() + verified->unknown.size() == 1);
  }
  CHECK(refused > der.size() / 4);
}

TEST_CASE("two approvers, one of them trusted") {
  const Workbench bench;
  const Identity a = new_identity("a", Use::sign);
  const Identity b = new_identity("b", Use::sign);
  const Identity c = new_identity("c", Use::sign);
  const std::string one = must(sign_detached(kContent, a.certificate, a.key));
  const std::string two = must(add_signer(one, kContent, b.certificate, b.key));

  const Verified both = must(verify_detached(two, kContent, {a.certificate, b.certificate}));
  CHECK(both.signers.size() == 2);
  CHECK(both.unknown.empty());
  const Verified only_a = must(verify_detached(two, kContent, {a.certificate, c.certificate}));
  REQUIRE(only_a.signers.size() == 1);
  CHECK(only_a.signers[0].certificate.fingerprint() == a.certificate.fingerprint());
  CHECK(only_a.unknown == std::vector<std::string>{b.certificate.fingerprint()});
  const Verified nobody = must(verify_detached(two, kContent, {}));
  CHECK(nobody.signers.empty());
  CHECK(nobody.unknown.size() == 2);

  bench.put("x", kContent);
  bench.put("x.p7s", two);
  bench.put("signer.crt", a.certificate_pem + b.certificate_pem);
  bench.must_run(kVerify);
  bench.put("signer.crt", a.certificate_pem);
  CHECK(bench.openssl(kVerify) != 0);  // stock OpenSSL wants every signer known
}

TEST_CASE("the same certificate counts once, however often it signs") {
  const Workbench bench;
  const Identity a = new_identity("a", Use::sign);
  const std::string one = must(sign_detached(kContent, a.certificate, a.key));
  CHECK(add_signer(one, kContent, a.certificate, a.key).error().code == Code::already_exists);
  bench.put("x.p7s", one);
  bench.put("c", a.certificate_pem);
  bench.put("k", a.key_pem);
  bench.must_run(
      "cms -resign -nocerts -binary -cades -inform DER -outform DER -in x.p7s -signer c -inkey k "
      "-out "
      "y.p7s");
  CHECK(must(verify_detached(bench.get("y.p7s"), kContent, {a.certificate})).signers.size() == 1);
}

TEST_CASE("a signer is never added to a signature that does not hold") {
  const Identity a = new_identity("a", Use::sign);
  const Identity b = new_identity("b", Use::sign);
  const std::string one = must(sign_detached(kContent, a.certificate, a.key));
  CHECK(add_signer(one, "other", b.certificate, b.key).error().code == Code::signature);
  CHECK(add_signer("junk", kContent, b.certificate, b.key).error().code == Code::signature);
  CHECK(add_signer(one, kContent, b.certificate, a.key).error().code == Code::bad_input);
  CHECK(sign_detached(kContent, b.certificate, a.key).error().code == Code::bad_input);
}

TEST_CASE("a trusted signer whose signature is wrong is an error beside a right one") {
  // The last signature value in the file belongs to one of the two signers.
  const Identity a = new_identity("a", Use::sign);
  const Identity b = new_identity("b", Use::sign);
  std::string two = must(add_signer(must(sign_detached(kContent, a.certificate, a.key)), kContent,
                                    b.certificate, b.key));
  two.back() = static_cast<char>(two.back() ^ 1);
  CHECK(refusal(two, kContent, {a.certificate, b.certificate}).find("does not hold") !=
        std::string::npos);
}

TEST_CASE("another certificate for the same key is not the certificate that signed") {
  const Workbench bench;
  const Identity a = openssl_identity(bench, "ec -pkeyopt ec_paramgen_curve:P-256", "a");
  // Same key, name and serial number; only the dates differ.
  bench.must_run("x509 -in a.crt -noout -serial");
  std::string serial = bench.get("log");
  serial = serial.substr(serial.find('=') + 1);
  serial.erase(serial.find_last_not_of("\r\n") + 1);
  bench.must_run("req -x509 -key a.key -days 400 -subj /CN=a -set_serial 0x" + serial +
                 " -out twin.crt");
  const Certificate twin = must(Certificate::from_pem(bench.get("twin.crt"), "twin"));
  REQUIRE(twin.fingerprint() != a.certificate.fingerprint());
  const std::string der = must(sign_detached(kContent, a.certificate, a.key));
  CHECK(refusal(der, kContent, {twin}).find("another certificate") != std::string::npos);
  const Verified verified = must(verify_detached(der, kContent, {twin, a.certificate}));
  REQUIRE(verified.signers.size() == 1);
  CHECK(verified.signers[0].certificate.fingerprint() == a.certificate.fingerprint());
}

TEST_CASE("random bytes are refused as a signature and harm nothing") {
  const Identity a = new_identity("a", Use::sign);
  const std::string der = must(sign_detached(kContent, a.certificate, a.key));
  std::mt19937 random(20261121);
  for (int round = 0; round < 500; ++round) {
    std::string bytes = der.substr(0, random() % der.size());
    for (int i = 0; i < 20; ++i) bytes += static_cast<char>(random() & 0xff);
    refusal(bytes, kContent, {a.certificate});
  }
}

}  // namespace remediate::crypto::test
