#include <CLI/CLI.hpp>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/cli/command.h"

namespace remediate::cli {
namespace {

constexpr std::uint64_t max_connection_bytes = 64u << 10;
constexpr std::uint64_t max_password_bytes = 4u << 10;

/// The first line; refused when others than its owner may read the file.
Result<std::string> read_password(Global& global, const setting::DirectoryConnection& connection) {
  const std::string& path = connection.password_file;
  if (!connection.password_from_input) {
    const std::size_t slash = path.rfind('/');
    TRY_LET(const auto folder, global.host.open_root(slash == 0 ? "/" : path.substr(0, slash)));
    auto stat = folder->stat_entry(path.substr(slash + 1));
    if (stat && stat->kind == FileKind::regular && (stat->mode & 077) != 0)
      return fail(Code::configuration,
                  "the password file " + display(path) + " can be read by others than its owner",
                  "chmod 600 it, and change the password");
  }
  TRY_LET(std::string password,
          read_file(global, connection.password_from_input ? "-" : path, max_password_bytes));
  while (!password.empty() && (password.back() == '\n' || password.back() == '\r'))
    password.pop_back();
  return password;
}

}  // namespace

Result<std::unique_ptr<setting::DirectoryService>> open_directory(Global& global,
                                                                  const std::string& file) {
  if (file.empty()) return std::unique_ptr<setting::DirectoryService>();
  TRY_LET(const std::string bytes, read_file(global, file, max_connection_bytes));
  TRY_LET(setting::DirectoryConnection connection, setting::read_connection(bytes, file));
  if (connection.mechanism.empty()) {
    TRY_LET(connection.password, read_password(global, connection));
  }
  return setting::connect_directory(connection);
}

void add_directory_option(CLI::App& command, std::string& file) {
  command.add_option("--directory", file,
                     "how to reach Active Directory (JSON, docs/settings-directory.md), for "
                     "settings that lie there");
}

}  // namespace remediate::cli
