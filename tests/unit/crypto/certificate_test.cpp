#include "remediate/crypto/certificate.h"

#include <catch2/catch.hpp>

#include "tests/unit/crypto/support.h"

namespace remediate::crypto::test {

TEST_CASE("a new identity is what stock OpenSSL says it is") {
  const Workbench bench;
  const NewIdentity made = must(make_identity("J\u00fcrgen, Ops", Use::sign, kNow, 10));
  bench.put("c.crt", made.certificate_pem);
  const Certificate certificate = must(Certificate::from_pem(made.certificate_pem, "certificate"));

  bench.must_run("x509 -in c.crt -noout -fingerprint -sha256");
  std::string fingerprint;
  const std::string log = bench.get("log");
  for (const char c : log.substr(log.find('=') + 1)) {
    if (std::isxdigit(static_cast<unsigned char>(c)) != 0) {
      fingerprint += static_cast<char>(std::tolower(c));
    }
  }
  CHECK(certificate.fingerprint() == fingerprint);
  CHECK(certificate.subject() == "CN=J\\C3\\BCrgen\\, Ops");
  CHECK(certificate.pem() == made.certificate_pem);

  bench.must_run("x509 -in c.crt -noout -text");
  const std::string text = bench.get("log");
  for (const char* part : {"Version: 3", "ASN1 OID: prime256v1", "Digital Signature",
                           "E-mail Protection", "Code Signing", "CA:FALSE"}) {
    INFO(part);
    CHECK(text.find(part) != std::string::npos);
  }
}

TEST_CASE("a recovery identity is for key agreement only") {
  const Workbench bench;
  bench.put("c.crt", must(make_identity("recovery", Use::recover, kNow, 10)).certificate_pem);
  bench.must_run("x509 -in c.crt -noout -text");
  const std::string text = bench.get("log");
  CHECK(text.find("Key Agreement") != std::string::npos);
  CHECK(text.find("Digital Signature") == std::string::npos);
}

TEST_CASE("validity includes both ends") {
  const Certificate certificate = must(
      Certificate::from_pem(must(make_identity("a", Use::sign, kNow, 1)).certificate_pem, "c"));
  CHECK_FALSE(certificate.valid_at({kNow.seconds - 1, 0}));
  CHECK(certificate.valid_at(kNow));
  CHECK(certificate.valid_at({kNow.seconds + 86'400, 0}));
  CHECK_FALSE(certificate.valid_at({kNow.seconds + 86'401, 0}));
}

TEST_CASE("impossible identities are refused") {
  CHECK(make_identity("", Use::sign, kNow, 1).error().code == Code::bad_input);
  CHECK(make_identity(std::string(65, 'x'), Use::sign, kNow, 1).error().code == Code::bad_input);
  CHECK(make_identity("\xff", Use::sign, kNow, 1).error().code == Code::bad_input);
  CHECK(make_identity("a", Use::sign, kNow, 0).error().code == Code::bad_input);
  CHECK(make_identity("a", Use::sign, kNow, 40'000).error().code == Code::bad_input);
}

TEST_CASE("a file that is not exactly one usable certificate is refused with the reason") {
  const Identity a = new_identity("a", Use::sign);
  const auto why = [](const std::string& pem) {
    const auto refused = Certificate::from_pem(pem, "approver.crt");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::bad_input);
    CHECK_FALSE(refused.error().remedy.empty());
    CHECK(refused.error().message.find("approver.crt") == 0);
    return refused.error().text();
  };
  CHECK(why("").find("nothing in PEM form") != std::string::npos);
  CHECK(why("hello").find("nothing in PEM form") != std::string::npos);
  CHECK(why(a.key_pem).find("PRIVATE KEY") != std::string::npos);
  CHECK(why(a.certificate_pem + a.certificate_pem).find("after") != std::string::npos);
  CHECK(why(a.certificate_pem + a.key_pem).find("PRIVATE KEY") != std::string::npos);
  CHECK(why(std::string(70'000, '-')).find("64 KiB") != std::string::npos);
  std::string damaged = a.certificate_pem;
  damaged[damaged.size() / 2] = '!';
  CHECK(why(damaged).find("damaged") != std::string::npos);
}

TEST_CASE("keys that CMS cannot use are refused early and the usable ones are named") {
  const Workbench bench;
  for (const std::string kind : {"ed25519", "ed448"}) {
    bench.must_run("req -x509 -nodes -days 30 -newkey " + kind +
                   " -subj /CN=x -keyout x.key -out x.crt");
    const auto certificate = Certificate::from_pem(bench.get("x.crt"), "x.crt");
    REQUIRE_FALSE(certificate);
    CHECK(certificate.error().code == Code::bad_input);
    CHECK(certificate.error().text().find("Ed25519") != std::string::npos);
    CHECK(certificate.error().text().find("P-256") != std::string::npos);
    CHECK(PrivateKey::from_pem(bench.get("x.key"), "x.key").error().code == Code::bad_input);
  }
  bench.must_run("req -x509 -nodes -days 30 -newkey rsa:1024 -subj /CN=x -keyout x.key -out x.crt");
  CHECK(Certificate::from_pem(bench.get("x.crt"), "x.crt").error().text().find("weak") !=
        std::string::npos);
}

TEST_CASE("private keys: matching, encrypted, not a key, two keys") {
  const Identity a = new_identity("a", Use::sign);
  const Identity b = new_identity("b", Use::sign);
  CHECK(a.key.matches(a.certificate));
  CHECK_FALSE(a.key.matches(b.certificate));
  CHECK(PrivateKey::from_pem(a.certificate_pem, "k").error().code == Code::bad_input);
  CHECK(PrivateKey::from_pem(a.key_pem + b.key_pem, "k").error().text().find("more than one") !=
        std::string::npos);
  const Workbench bench;
  bench.put("k", a.key_pem);
  bench.must_run("pkey -in k -aes256 -passout pass:x -out locked");
  CHECK(PrivateKey::from_pem(bench.get("locked"), "k").error().text().find("pass phrase") !=
        std::string::npos);
}

}  // namespace remediate::crypto::test
