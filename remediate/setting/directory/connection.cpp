#include "remediate/base/encoding.h"
#include "remediate/base/json.h"
#include "remediate/base/try.h"
#include "remediate/setting/directory/service.h"

namespace remediate::setting {
namespace {

constexpr unsigned longest_timeout_seconds = 300;

Result<void> read_bind(JsonReader& reader, DirectoryConnection& connection) {
  TRY_LET(const Json* json, reader.object("bind"));
  JsonReader bind(*json, "/bind");
  if (bind.has("password"))
    return fail(Code::bad_input, "/bind has the password itself",
                "put it into a file of mode 0600 and name that as password_file");
  if (bind.has("mechanism")) {
    TRY_LET(connection.mechanism, bind.string("mechanism"));
    if (connection.mechanism != "GSSAPI" && connection.mechanism != "GSS-SPNEGO")
      return fail(
          Code::bad_input,
          "/bind/mechanism is " + display(connection.mechanism, 80) + ", which is not supported",
          "GSSAPI or GSS-SPNEGO, or a simple bind with dn and password_file");
    return bind.done();
  }
  TRY_LET(connection.bind_dn, bind.string("dn"));
  if (connection.bind_dn.empty())
    return fail(Code::bad_input, "/bind/dn is empty", "anonymous binds are not supported");
  if (bind.has("password_file") == bind.has("password_fd"))
    return fail(Code::bad_input, "/bind needs one of password_file and password_fd",
                "name the file that has the password");
  if (bind.has("password_file")) {
    TRY_LET(connection.password_file, bind.string("password_file"));
    if (!connection.password_file.starts_with('/'))
      return fail(Code::bad_input, "/bind/password_file is not an absolute path");
  } else {
    TRY_LET(const std::uint64_t number, bind.unsigned_integer("password_fd"));
    if (number != 0)
      return fail(Code::bad_input, "/bind/password_fd is " + std::to_string(number),
                  "only 0, the standard input: the tool closes all others when it starts");
    connection.password_from_input = true;
  }
  return bind.done();
}

Result<DirectoryConnection> read(JsonReader& reader) {
  DirectoryConnection connection;
  TRY_LET(connection.url, reader.string("url"));
  const bool ldaps = connection.url.starts_with("ldaps://");
  const std::size_t host = ldaps ? 8 : 7;
  if ((!ldaps && !connection.url.starts_with("ldap://")) || connection.url.size() == host ||
      connection.url.find_first_of("/ ?,", host) != std::string::npos)
    return fail(Code::bad_input, "/url is not ldaps://SERVER or ldap://SERVER, with a port or not",
                "name one server, as its certificate does; the base is a key of its own");
  if (reader.has("ca_file")) {
    TRY_LET(connection.ca_file, reader.string("ca_file"));
    if (!connection.ca_file.starts_with('/'))
      return fail(Code::bad_input, "/ca_file is not an absolute path");
  }
  if (reader.has("start_tls")) {
    TRY_LET(connection.start_tls, reader.boolean("start_tls"));
  }
  if (reader.has("base")) {
    TRY_LET(connection.base, reader.string("base"));
  }
  if (reader.has("timeout_seconds")) {
    TRY_LET(const std::uint64_t seconds, reader.unsigned_integer("timeout_seconds"));
    if (seconds == 0 || seconds > longest_timeout_seconds)
      return fail(Code::bad_input,
                  "/timeout_seconds is not from 1 to " + std::to_string(longest_timeout_seconds));
    connection.timeout_seconds = static_cast<unsigned>(seconds);
  }
  TRY(read_bind(reader, connection));
  TRY(reader.done());
  if (ldaps && connection.start_tls)
    return fail(Code::bad_input, "/start_tls does not go with ldaps", "one of the two");
  const bool tls = ldaps || connection.start_tls;
  if (tls == connection.ca_file.empty())
    return fail(Code::bad_input,
                tls ? "/ca_file is missing: without it the server's certificate says nothing"
                    : "/ca_file is given, but the connection has no TLS",
                tls ? "name the PEM file with the certificate of the issuing authority"
                    : "use ldaps:// or start_tls");
  if (!tls && connection.mechanism.empty())
    return fail(Code::bad_input, "a simple bind without TLS would show the password to the network",
                "use ldaps:// or start_tls, or the mechanism GSSAPI");
  return connection;
}

}  // namespace

Result<DirectoryConnection> read_connection(std::string_view bytes, const std::string& name) {
  TRY_LET(const Json json, parse_json(bytes, display(name), JsonLimits{64u << 10, 8, 100}));
  JsonReader reader(json, "");
  auto connection = read(reader);
  if (!connection)
    return std::unexpected(
        std::move(connection).error().wrapped("the connection file " + display(name)));
  return connection;
}

}  // namespace remediate::setting
