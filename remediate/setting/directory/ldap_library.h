#pragma once

#include <ldap.h>

#include "remediate/base/error.h"

namespace remediate::setting {

/// libldap's functions, found when a directory is first needed: a host whose playbooks name no
/// directory does not need the library.
struct LdapLibrary {
  decltype(&::ldap_initialize) initialize;
  decltype(&::ldap_set_option) set_option;
  decltype(&::ldap_get_option) get_option;
  decltype(&::ldap_start_tls_s) start_tls_s;
  decltype(&::ldap_sasl_bind_s) sasl_bind_s;
  decltype(&::ldap_sasl_interactive_bind_s) sasl_interactive_bind_s;
  decltype(&::ldap_search_ext_s) search_ext_s;
  decltype(&::ldap_modify_ext_s) modify_ext_s;
  decltype(&::ldap_unbind_ext_s) unbind_ext_s;
  decltype(&::ldap_err2string) err2string;
  decltype(&::ldap_memfree) memfree;
  decltype(&::ldap_msgfree) msgfree;
  decltype(&::ldap_first_message) first_message;
  decltype(&::ldap_next_message) next_message;
  decltype(&::ldap_msgtype) msgtype;
  decltype(&::ldap_parse_result) parse_result;
  decltype(&::ldap_get_dn) get_dn;
  decltype(&::ldap_first_attribute) first_attribute;
  decltype(&::ldap_next_attribute) next_attribute;
  decltype(&::ldap_get_values_len) get_values_len;
  decltype(&::ldap_value_free_len) value_free_len;
  decltype(&::ldap_create_page_control) create_page_control;
  decltype(&::ldap_parse_pageresponse_control) parse_pageresponse_control;
  decltype(&::ldap_control_find) control_find;
  decltype(&::ldap_control_free) control_free;
  decltype(&::ldap_controls_free) controls_free;
  decltype(&::ber_free) free_ber;
  decltype(&::ber_memfree) free_memory;
};

/// Loaded once, for good. unsupported, naming the package, when it is not there.
[[nodiscard]] Result<const LdapLibrary*> ldap_library();

}  // namespace remediate::setting
