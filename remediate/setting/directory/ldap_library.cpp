#include "remediate/setting/directory/ldap_library.h"

#include <cstdlib>
#include <string>

#include <dlfcn.h>

namespace remediate::setting {
namespace {

constexpr const char* ldap_name = "libldap-2.5.so.0";
constexpr const char* ber_name = "liblber-2.5.so.0";

template <class Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

Result<LdapLibrary> load() {
  // Neither ldap.conf nor the environment may weaken what the connection file asks for.
  setenv("LDAPNOINIT", "1", 1);
  void* ldap = dlopen(ldap_name, RTLD_NOW | RTLD_LOCAL);
  void* ber = ldap == nullptr ? nullptr : dlopen(ber_name, RTLD_NOW | RTLD_LOCAL);
  if (ber == nullptr)
    return fail(Code::unsupported,
                std::string("a directory needs ") + ldap_name + ", which cannot be loaded",
                "install it (Debian: libldap-2.5-0; for GSSAPI libsasl2-modules-gssapi-mit too)");
  LdapLibrary made{};
  const bool all =
      find(ldap, "ldap_initialize", made.initialize) &&
      find(ldap, "ldap_set_option", made.set_option) &&
      find(ldap, "ldap_get_option", made.get_option) &&
      find(ldap, "ldap_start_tls_s", made.start_tls_s) &&
      find(ldap, "ldap_sasl_bind_s", made.sasl_bind_s) &&
      find(ldap, "ldap_sasl_interactive_bind_s", made.sasl_interactive_bind_s) &&
      find(ldap, "ldap_search_ext_s", made.search_ext_s) &&
      find(ldap, "ldap_modify_ext_s", made.modify_ext_s) &&
      find(ldap, "ldap_unbind_ext_s", made.unbind_ext_s) &&
      find(ldap, "ldap_err2string", made.err2string) && find(ldap, "ldap_memfree", made.memfree) &&
      find(ldap, "ldap_msgfree", made.msgfree) &&
      find(ldap, "ldap_first_message", made.first_message) &&
      find(ldap, "ldap_next_message", made.next_message) &&
      find(ldap, "ldap_msgtype", made.msgtype) &&
      find(ldap, "ldap_parse_result", made.parse_result) &&
      find(ldap, "ldap_get_dn", made.get_dn) &&
      find(ldap, "ldap_first_attribute", made.first_attribute) &&
      find(ldap, "ldap_next_attribute", made.next_attribute) &&
      find(ldap, "ldap_get_values_len", made.get_values_len) &&
      find(ldap, "ldap_value_free_len", made.value_free_len) &&
      find(ldap, "ldap_create_page_control", made.create_page_control) &&
      find(ldap, "ldap_parse_pageresponse_control", made.parse_pageresponse_control) &&
      find(ldap, "ldap_control_find", made.control_find) &&
      find(ldap, "ldap_control_free", made.control_free) &&
      find(ldap, "ldap_controls_free", made.controls_free) &&
      find(ber, "ber_free", made.free_ber) && find(ber, "ber_memfree", made.free_memory);
  if (!all)
    return fail(Code::unsupported, std::string(ldap_name) + " lacks a function that is needed",
                "install the distribution's own libldap");
  return made;
}

}  // namespace

Result<const LdapLibrary*> ldap_library() {
  static const Result<LdapLibrary> loaded = load();
  if (!loaded) return std::unexpected(loaded.error());
  return &*loaded;
}

}  // namespace remediate::setting
