#pragma once

#include <cstdint>
#include <string>

#include "remediate/base/error.h"

namespace remediate::server {

struct HttpQuestion {
  std::string url;
  std::uint64_t timeout_seconds = 10;  // for each read; who calls bounds the whole
  std::uint64_t max_body = 1u << 20;
  std::string authorities;  // PEM; empty: the system's
};

struct HttpAnswer {
  unsigned status = 0;
  std::string body;  // its first max_body bytes
};

/// GET, once. Redirects are an answer like any other, certificates are verified with the name.
[[nodiscard]] Result<HttpAnswer> http_get(const HttpQuestion& question);

}  // namespace remediate::server
