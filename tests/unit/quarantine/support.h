#pragma once

#include <catch2/catch.hpp>

#include "quarantine/entry.h"
#include "remediate/crypto/certificate.h"

namespace quarantine::test {

template <class T>
T must(remediate::Result<T> result) {
  if (!result) FAIL(result.error().text());
  return std::move(*result);
}
inline void must(const remediate::Result<void>& result) {
  if (!result) FAIL(result.error().text());
}

struct Identity {
  remediate::crypto::Certificate certificate;
  remediate::crypto::PrivateKey key;
};

inline Identity make() {
  using namespace remediate::crypto;
  const auto made = must(make_identity("recovery", Use::recover, {1'767'225'600, 0}, 3650));
  return {must(Certificate::from_pem(made.certificate_pem, "recovery")),
          must(PrivateKey::from_pem(made.key_pem, "recovery"))};
}

inline const Identity& identity() {
  static const Identity made = make();
  return made;
}

}  // namespace quarantine::test
