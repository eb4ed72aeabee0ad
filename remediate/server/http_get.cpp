#include "remediate/server/http_get.h"

#include <array>
#include <chrono>
#include <exception>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/context.hpp>
#include <cpprest/http_client.h>
#include <cpprest/rawptrstream.h>

namespace remediate::server {
namespace {

namespace http = web::http;

http::client::http_client_config configuration(const HttpQuestion& question) {
  http::client::http_client_config config;
  config.set_timeout(std::chrono::seconds(question.timeout_seconds));
  config.set_max_redirects(0);
  config.set_validate_certificates(true);
  config.set_ssl_context_callback(
      [authorities = question.authorities](boost::asio::ssl::context& context) {
        if (authorities.empty())
          context.set_default_verify_paths();
        else
          context.add_certificate_authority(boost::asio::buffer(authorities));
      });
  return config;
}

HttpAnswer ask(const HttpQuestion& question) {
  http::client::http_client client(web::uri(question.url), configuration(question));
  http::http_request request(http::methods::GET);
  request.headers().add(http::header_names::user_agent, "remediate-probe");
  const http::http_response response = client.request(request).get();
  HttpAnswer answer;
  answer.status = response.status_code();
  const concurrency::streams::istream body = response.body();
  std::array<std::uint8_t, 8192> chunk{};
  while (answer.body.size() < question.max_body) {
    concurrency::streams::rawptr_buffer<std::uint8_t> target(chunk.data(), chunk.size());
    const std::size_t got = body.read(target, chunk.size()).get();
    if (got == 0) break;
    answer.body.append(reinterpret_cast<const char*>(chunk.data()), got);
  }
  if (answer.body.size() > question.max_body) answer.body.resize(question.max_body);
  return answer;
}

}  // namespace

Result<HttpAnswer> http_get(const HttpQuestion& question) {
  try {
    return ask(question);
  } catch (const std::exception& error) {
    return fail(Code::io, error.what());
  }
}

}  // namespace remediate::server
