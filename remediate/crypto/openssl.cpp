#include "remediate/crypto/openssl.h"

#include <climits>

#include <openssl/err.h>

#include "remediate/base/encoding.h"

namespace remediate::crypto {

Error openssl_error(Code code, std::string message, std::string remedy) {
  constexpr std::size_t kMostCauses = 4;
  Error error{code, std::move(message), std::move(remedy)};
  while (const unsigned long number = ERR_get_error()) {
    const char* reason = ERR_reason_error_string(number);
    if (reason != nullptr && error.causes.size() < kMostCauses) error.causes.emplace_back(reason);
  }
  return error;
}

BioPtr memory_bio(std::string_view bytes) {
  if (bytes.size() > static_cast<std::size_t>(INT_MAX)) return nullptr;
  // A null pointer is refused by OpenSSL, even with nothing behind it.
  const char* start = bytes.empty() ? "" : bytes.data();
  return BioPtr(BIO_new_mem_buf(start, static_cast<int>(bytes.size())));
}

std::string bio_text(BIO* memory) {
  char* start = nullptr;
  const long length = BIO_get_mem_data(memory, &start);
  return length > 0 ? std::string(start, static_cast<std::size_t>(length)) : std::string();
}

}  // namespace remediate::crypto
