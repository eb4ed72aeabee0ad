#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "remediate/base/error.h"

namespace remediate::setting {

/// An object of a directory as one reading saw it. Names of attributes are spelled as the
/// directory spells them; values are raw bytes in the order in which they came.
struct DirectoryObject {
  std::string dn;
  std::string guid;  // objectGUID as text
  std::string when_changed;
  std::uint64_t usn_changed = 0;
  std::vector<std::string> classes;  // objectClass, the most special one last
  std::map<std::string, std::vector<std::string>> attributes;

  /// The values of an attribute, whatever the case of its name; null when it is absent.
  [[nodiscard]] const std::vector<std::string>* values(std::string_view attribute) const;
};

/// What the settings in a directory need of it. Every call is bounded in time; none follows a
/// referral. Errors: permission (name, password or rights), not_found, configuration (TLS,
/// mechanism, referral), limit, refused (the server would not), io (no answer, or none that is
/// understood).
class DirectoryService {
 public:
  virtual ~DirectoryService() = default;
  /// Every Exchange virtual directory that this account sees below the base, all attributes;
  /// sorted by name. Empty when it sees none, which is no proof that there is none.
  [[nodiscard]] virtual Result<std::vector<DirectoryObject>> virtual_directories() = 0;
  /// One object by its objectGUID, wherever it is now. not_found also when the account may not
  /// see it.
  [[nodiscard]] virtual Result<DirectoryObject> read(const std::string& guid) = 0;
  /// One modification that takes `expected` away and puts `wanted` in its place; nothing stands for
  /// an absent attribute. changed when the attribute did not have the expected value: nothing was
  /// done then. After io it is not known whether it was done: read the object.
  [[nodiscard]] virtual Result<void> compare_and_swap(const std::string& guid,
                                                      const std::string& attribute,
                                                      const std::optional<std::string>& expected,
                                                      const std::optional<std::string>& wanted) = 0;
};

/// How to reach a directory; the host's matter, never a playbook's.
struct DirectoryConnection {
  std::string url;      // "ldaps://dc1.example.com", or ldap:// with start_tls or GSSAPI
  std::string ca_file;  // who may have signed the server's certificate; needed for TLS
  bool start_tls = false;
  std::string bind_dn;        // simple bind: needs TLS
  std::string password_file;  // of the simple bind; with neither: the standard input
  std::string password;       // filled in by who reads the file
  std::string mechanism;      // SASL: GSSAPI or GSS-SPNEGO, with the ticket of this process
  std::string base;           // empty: CN=Services of the forest's configuration
  unsigned timeout_seconds = 10;
  bool password_from_input = false;
};

/// Reads the JSON of a connection file; bad_input naming the pointer. A simple bind without TLS,
/// TLS without ca_file, or a password in the file is refused.
[[nodiscard]] Result<DirectoryConnection> read_connection(std::string_view bytes,
                                                          const std::string& name);

/// Connects and binds through libldap, which is loaded now; unsupported when it is not installed.
[[nodiscard]] Result<std::unique_ptr<DirectoryService>> connect_directory(
    const DirectoryConnection& connection);

/// The name of the server a virtual directory belongs to, from its DN; empty for other DNs.
[[nodiscard]] std::string server_of(std::string_view dn);
/// The value of the first component of a DN: "OAB (Default Web Site)".
[[nodiscard]] std::string name_of(std::string_view dn);

}  // namespace remediate::setting
