#include <algorithm>
#include <charconv>
#include <cstring>

#include <sasl/sasl.h>

#include "remediate/base/directory_value.h"
#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/setting/directory/ldap_library.h"
#include "remediate/setting/directory/service.h"

namespace remediate::setting {
namespace {

constexpr std::size_t max_objects = 50'000;
constexpr std::size_t max_directory_bytes = 64u << 20;
constexpr ber_int_t page_size = 500;
constexpr const char* virtual_directories_filter =
    "(&(objectClass=msExchVirtualDirectory)(!(objectClass=container)))";
/// rootDSE of Active Directory: objects can be named by their objectGUID then.
constexpr std::string_view active_directory = "1.2.840.113556.1.4.800";

berval berval_of(const std::string& text) {
  return {text.size(), const_cast<char*>(text.data())};  // libldap only reads it
}

int no_questions(LDAP*, unsigned, void*, void* asked) {
  for (auto* one = static_cast<sasl_interact_t*>(asked); one->id != SASL_CB_LIST_END; ++one) {
    one->result = one->defresult != nullptr ? one->defresult : "";
    one->len = static_cast<unsigned>(std::strlen(static_cast<const char*>(one->result)));
  }
  return LDAP_SUCCESS;
}

class LdapDirectory final : public DirectoryService {
 public:
  LdapDirectory(const LdapLibrary& library, DirectoryConnection connection)
      : api_(library), to_(std::move(connection)) {}
  LdapDirectory(const LdapDirectory&) = delete;
  LdapDirectory& operator=(const LdapDirectory&) = delete;
  ~LdapDirectory() override { disconnect(); }

  Result<void> connect() {
    if (ldap_ != nullptr) return {};
    if (auto made = try_connect(); !made) {
      disconnect();
      return std::unexpected(
          std::move(made).error().wrapped("the directory " + display(to_.url) + " cannot be used"));
    }
    return {};
  }

  Result<std::vector<DirectoryObject>> virtual_directories() override {
    TRY(connect());
    std::vector<DirectoryObject> found;
    auto searched = search(to_.base, LDAP_SCOPE_SUBTREE, virtual_directories_filter, found);
    if (!searched)
      return std::unexpected(std::move(searched).error().wrapped(
          "the virtual directories below " + display(to_.base) + " cannot be read"));
    std::ranges::sort(found, {}, &DirectoryObject::dn);
    return found;
  }

  Result<DirectoryObject> read(const std::string& guid) override {
    // A connection may have ended since it was last used; reading twice does no harm.
    auto object = read_once(guid);
    if (object || object.error().code != Code::io || timed_out_) return object;
    return read_once(guid);
  }

  Result<void> compare_and_swap(const std::string& guid, const std::string& attribute,
                                const std::optional<std::string>& expected,
                                const std::optional<std::string>& wanted) override {
    TRY(connect());
    TRY_LET(const std::string name, name_of_object(guid));
    std::string type = attribute;
    berval old_value = expected ? berval_of(*expected) : berval{};
    berval new_value = wanted ? berval_of(*wanted) : berval{};
    berval* old_values[] = {&old_value, nullptr};
    berval* new_values[] = {&new_value, nullptr};
    LDAPMod remove{};
    remove.mod_op = LDAP_MOD_DELETE | LDAP_MOD_BVALUES;
    remove.mod_type = type.data();
    remove.mod_vals.modv_bvals = old_values;
    LDAPMod add{};
    add.mod_op = LDAP_MOD_ADD | LDAP_MOD_BVALUES;
    add.mod_type = type.data();
    add.mod_vals.modv_bvals = new_values;
    std::vector<LDAPMod*> changes;
    if (expected) changes.push_back(&remove);
    if (wanted) changes.push_back(&add);
    changes.push_back(nullptr);
    const int code = api_.modify_ext_s(ldap_, name.c_str(), changes.data(), nullptr, nullptr);
    if (code == LDAP_SUCCESS) return {};
    const bool lost =
        code == LDAP_NO_SUCH_ATTRIBUTE ||
        (!expected && (code == LDAP_TYPE_OR_VALUE_EXISTS || code == LDAP_CONSTRAINT_VIOLATION));
    if (lost)
      return fail(Code::changed,
                  attribute + " no longer has the expected value (LDAP result " +
                      std::to_string(code) + "): somebody else changed it; nothing was done",
                  "look who changed it and make a new plan");
    return failed(code, "changing " + attribute);
  }

 private:
  Result<void> try_connect() {
    if (api_.initialize(&ldap_, to_.url.c_str()) != LDAP_SUCCESS)
      return fail(Code::bad_input, "libldap does not take this url", "ldaps://SERVER");
    TRY(set_options());
    if (to_.start_tls) TRY(check(api_.start_tls_s(ldap_, nullptr, nullptr), "StartTLS"));
    TRY(bind());
    return look_around();
  }

  Result<void> set_options() {
    const int on = 1;  // any pointer means on; LDAP_OPT_ON is data of the library
    const int version = LDAP_VERSION3;
    const int demand = LDAP_OPT_X_TLS_DEMAND;
    const int least = LDAP_OPT_X_TLS_PROTOCOL_TLS1_2;
    const int client = 0;
    const timeval time{static_cast<time_t>(to_.timeout_seconds), 0};
    const bool tls = !to_.ca_file.empty();
    bool good = set(LDAP_OPT_PROTOCOL_VERSION, &version) && set(LDAP_OPT_REFERRALS, LDAP_OPT_OFF) &&
                // Without it a server that accepts and then says nothing is waited for without end.
                set(LDAP_OPT_CONNECT_ASYNC, &on) && set(LDAP_OPT_NETWORK_TIMEOUT, &time) &&
                set(LDAP_OPT_TIMEOUT, &time) && set(LDAP_OPT_RESTART, LDAP_OPT_OFF) &&
                set(LDAP_OPT_X_SASL_NOCANON, &on);
    if (tls)
      good = good && set(LDAP_OPT_X_TLS_REQUIRE_CERT, &demand) &&
             set(LDAP_OPT_X_TLS_CACERTFILE, to_.ca_file.c_str()) &&
             set(LDAP_OPT_X_TLS_PROTOCOL_MIN, &least) && set(LDAP_OPT_X_TLS_NEWCTX, &client);
    if (!to_.mechanism.empty()) {
      // Active Directory refuses a second layer of encryption inside TLS.
      good = good && set(LDAP_OPT_X_SASL_SECPROPS,
                         tls ? "maxssf=0,noplain,noanonymous" : "minssf=56,noplain,noanonymous");
    }
    if (good) return {};
    return fail(Code::configuration,
                tls ? "libldap does not take its options or the CA file " + display(to_.ca_file)
                    : "libldap does not take its options",
                tls ? "check that the file is there and has PEM certificates" : "");
  }

  bool set(int option, const void* value) {
    return api_.set_option(ldap_, option, value) == LDAP_OPT_SUCCESS;
  }

  Result<void> bind() {
    int code = LDAP_SUCCESS;
    if (to_.mechanism.empty()) {
      if (to_.password.empty())
        return fail(Code::configuration, "the password is empty: that would bind as nobody",
                    "put the password into the file that the connection names");
      berval password = berval_of(to_.password);
      code = api_.sasl_bind_s(ldap_, to_.bind_dn.c_str(), LDAP_SASL_SIMPLE, &password, nullptr,
                              nullptr, nullptr);
    } else {
      code = api_.sasl_interactive_bind_s(ldap_, nullptr, to_.mechanism.c_str(), nullptr, nullptr,
                                          LDAP_SASL_QUIET, no_questions, nullptr);
    }
    return check(code, "the bind");
  }

  /// What kind of directory it is, and where its configuration lies.
  Result<void> look_around() {
    std::vector<DirectoryObject> root;
    TRY(search("", LDAP_SCOPE_BASE, "(objectClass=*)", root));
    if (root.size() != 1)
      return fail(Code::permission, "the server does not say what it holds (rootDSE)",
                  "check that it is a directory server");
    const auto* abilities = root.front().values("supportedCapabilities");
    names_guids_ =
        abilities != nullptr && std::ranges::find(*abilities, active_directory) != abilities->end();
    if (!names_guids_)
      return fail(Code::unsupported, "the server is no Active Directory",
                  "name a domain controller of the forest that Exchange is installed in");
    if (!to_.base.empty()) return {};
    const auto* configuration = root.front().values("configurationNamingContext");
    if (configuration == nullptr || configuration->size() != 1)
      return fail(Code::configuration, "the server does not say where its configuration is",
                  "give base in the connection file");
    // The schema below the configuration is a part of its own, which is answered with a referral.
    to_.base = "CN=Services," + configuration->front();
    return {};
  }

  Result<std::string> name_of_object(const std::string& guid) const {
    if (!guid_bytes(guid))
      return fail(Code::bad_input, display(guid, 80) + " is no GUID", "make a new plan");
    return "<GUID=" + guid + ">";
  }

  Result<DirectoryObject> read_once(const std::string& guid) {
    TRY(connect());
    TRY_LET(const std::string name, name_of_object(guid));
    std::vector<DirectoryObject> found;
    TRY(search(name, LDAP_SCOPE_BASE, "(objectClass=*)", found));
    // Of an object that it may not read an account may be given the name alone.
    if (found.size() != 1 || found.front().guid.empty())
      return fail(Code::not_found,
                  "the directory has no object " + guid + " that this account sees",
                  "it was removed, or the account lacks the right to read it");
    if (found.front().guid != guid)
      return fail(Code::io, "the directory gave another object than " + guid, "try again");
    return std::move(found.front());
  }

  /// Page by page: a server gives no more than a thousand objects at once.
  Result<void> search(const std::string& base, int scope, const char* filter,
                      std::vector<DirectoryObject>& found) {
    std::string cookie;
    std::size_t bytes = 0;
    do {
      berval mark = berval_of(cookie);
      LDAPControl* page = nullptr;
      LDAPControl* controls[] = {nullptr, nullptr};
      if (scope != LDAP_SCOPE_BASE) {
        if (api_.create_page_control(ldap_, page_size, &mark, 1, &page) != LDAP_SUCCESS)
          return fail(Code::internal, "no page control could be made", "report it");
        controls[0] = page;
      }
      char all[] = "*", guid[] = "objectGUID", usn[] = "uSNChanged", changed[] = "whenChanged",
           abilities[] = "supportedCapabilities", context[] = "configurationNamingContext";
      char* attributes[] = {all, guid, usn, changed, abilities, context, nullptr};
      timeval time{static_cast<time_t>(to_.timeout_seconds), 0};
      LDAPMessage* messages = nullptr;
      const int code = api_.search_ext_s(ldap_, base.c_str(), scope, filter, attributes, 0,
                                         page == nullptr ? nullptr : controls, nullptr, &time,
                                         static_cast<int>(max_objects), &messages);
      if (page != nullptr) api_.control_free(page);
      auto taken = code == LDAP_SUCCESS ? take(messages, found, bytes, cookie)
                                        : failed(code, "reading " + display(base, 200));
      if (messages != nullptr) api_.msgfree(messages);
      TRY(std::move(taken));
    } while (!cookie.empty());
    return {};
  }

  Result<void> take(LDAPMessage* messages, std::vector<DirectoryObject>& found, std::size_t& bytes,
                    std::string& cookie) {
    cookie.clear();
    for (LDAPMessage* one = api_.first_message(ldap_, messages); one != nullptr;
         one = api_.next_message(ldap_, one)) {
      const int type = api_.msgtype(one);
      if (type == LDAP_RES_SEARCH_REFERENCE)
        return fail(Code::configuration, "a part of what was asked for lies on another server",
                    "name a base that the server holds itself; referrals are not followed");
      if (type == LDAP_RES_SEARCH_RESULT) TRY(take_cookie(one, cookie));
      if (type != LDAP_RES_SEARCH_ENTRY) continue;
      found.push_back(object_of(one, bytes));
      if (found.size() > max_objects || bytes > max_directory_bytes)
        return fail(Code::limit,
                    "the directory gives more than " + std::to_string(max_objects) +
                        " objects or " + std::to_string(max_directory_bytes >> 20) + " MiB",
                    "name a narrower base in the connection file");
    }
    return {};
  }

  Result<void> take_cookie(LDAPMessage* result, std::string& cookie) {
    LDAPControl** controls = nullptr;
    int code = LDAP_SUCCESS;
    if (api_.parse_result(ldap_, result, &code, nullptr, nullptr, nullptr, &controls, 0) !=
        LDAP_SUCCESS)
      return fail(Code::io, "the directory's answer is not understood", "try again");
    if (controls == nullptr) return {};
    berval mark{};
    ber_int_t estimate = 0;
    if (LDAPControl* page = api_.control_find(LDAP_CONTROL_PAGEDRESULTS, controls, nullptr)) {
      if (api_.parse_pageresponse_control(ldap_, page, &estimate, &mark) == LDAP_SUCCESS &&
          mark.bv_val != nullptr) {
        cookie.assign(mark.bv_val, mark.bv_len);
        api_.free_memory(mark.bv_val);
      }
    }
    api_.controls_free(controls);
    return {};
  }

  DirectoryObject object_of(LDAPMessage* entry, std::size_t& bytes) {
    DirectoryObject object;
    if (char* dn = api_.get_dn(ldap_, entry)) {
      object.dn = dn;
      api_.memfree(dn);
    }
    BerElement* position = nullptr;
    char* name = api_.first_attribute(ldap_, entry, &position);
    while (name != nullptr) {
      std::vector<std::string>& list = object.attributes[name];
      if (berval** values = api_.get_values_len(ldap_, entry, name)) {
        for (berval** value = values; *value != nullptr; ++value) {
          list.emplace_back((*value)->bv_val, (*value)->bv_len);
          bytes += (*value)->bv_len + sizeof(std::string);
        }
        api_.value_free_len(values);
      }
      bytes += std::strlen(name);
      api_.memfree(name);
      name = api_.next_attribute(ldap_, entry, position);
    }
    if (position != nullptr) api_.free_ber(position, 0);
    const auto first = [&](const char* wanted) {
      const auto* list = object.values(wanted);
      return list == nullptr || list->empty() ? std::string() : list->front();
    };
    object.guid = guid_text(first("objectGUID"));
    object.when_changed = first("whenChanged");
    const std::string usn = first("uSNChanged");
    std::from_chars(usn.data(), usn.data() + usn.size(), object.usn_changed);
    if (const auto* classes = object.values("objectClass")) object.classes = *classes;
    return object;
  }

  Result<void> check(int code, const std::string& what) {
    if (code == LDAP_SUCCESS) return {};
    return failed(code, what);
  }

  std::unexpected<Error> failed(int code, const std::string& what) {
    std::string text =
        what + ": " + api_.err2string(code) + " (LDAP result " + std::to_string(code) + ")";
    char* said = nullptr;
    if (api_.get_option(ldap_, LDAP_OPT_DIAGNOSTIC_MESSAGE, &said) == LDAP_OPT_SUCCESS &&
        said != nullptr) {
      if (*said != '\0') text += ": " + display(said, 300);
      api_.memfree(said);
    }
    const bool gone = code == LDAP_SERVER_DOWN || code == LDAP_TIMEOUT ||
                      code == LDAP_CONNECT_ERROR || code == LDAP_UNAVAILABLE;
    timed_out_ = code == LDAP_TIMEOUT;
    if (gone) disconnect();
    const auto error = [&](Code kind, const char* remedy) { return fail(kind, text, remedy); };
    switch (code) {
      case LDAP_SERVER_DOWN:
      case LDAP_CONNECT_ERROR:
        return error(Code::io,
                     "check the url, that the server runs, and that its certificate has "
                     "this very name and is signed by an authority of ca_file");
      case LDAP_TIMEOUT:
        return error(Code::io,
                     "the server took the connection and does not answer: look after it, "
                     "or give more timeout_seconds");
      case LDAP_INVALID_CREDENTIALS:
        return error(Code::permission, "check the name and the password of the bind");
      case LDAP_LOCAL_ERROR:
      case LDAP_AUTH_UNKNOWN:
      case LDAP_AUTH_METHOD_NOT_SUPPORTED:
        return error(Code::permission,
                     "for GSSAPI get a ticket first (kinit), and name the server "
                     "in the url as its principal does");
      case LDAP_INSUFFICIENT_ACCESS:
        return error(Code::permission, "the account needs the right to write this attribute");
      case LDAP_STRONG_AUTH_REQUIRED:
      case LDAP_CONFIDENTIALITY_REQUIRED:
      case LDAP_INAPPROPRIATE_AUTH:
        return error(Code::configuration, "use ldaps://, start_tls or GSSAPI");
      case LDAP_REFERRAL:
      case LDAP_PARTIAL_RESULTS:
        return error(
            Code::configuration,
            "the server does not hold this: name one that does, or another base; referrals "
            "are not followed");
      case LDAP_NO_SUCH_OBJECT:
        return error(Code::not_found, "it is not there, or this account may not see it");
      case LDAP_SIZELIMIT_EXCEEDED:
      case LDAP_TIMELIMIT_EXCEEDED:
      case LDAP_ADMINLIMIT_EXCEEDED:
        return error(Code::limit, "name a narrower base in the connection file");
      case LDAP_BUSY:
        return error(Code::busy, "try again later");
      case LDAP_UNAVAILABLE:
        return error(Code::io, "the server is going down: try again later");
      default:
        return error(Code::refused, "look into the server's log");
    }
  }

  void disconnect() {
    if (ldap_ != nullptr) api_.unbind_ext_s(ldap_, nullptr, nullptr);
    ldap_ = nullptr;
  }

  const LdapLibrary& api_;
  DirectoryConnection to_;
  LDAP* ldap_ = nullptr;
  bool names_guids_ = false;
  bool timed_out_ = false;
};

}  // namespace

Result<std::unique_ptr<DirectoryService>> connect_directory(const DirectoryConnection& connection) {
  TRY_LET(const LdapLibrary* library, ldap_library());
  auto directory = std::make_unique<LdapDirectory>(*library, connection);
  TRY(directory->connect());
  return directory;
}

}  // namespace remediate::setting
