#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "remediate/base/error.h"
#include "remediate/setting/xml_scan.h"

namespace remediate::setting {

/// What an element is to IIS, by its place and not by its name alone.
enum class Role : std::uint8_t {
  other,
  root,              // configuration
  application_host,  // system.applicationHost
  sites,
  site,
  application,
  virtual_directory,
  location,
  custom_metadata,
  metadata_key,
  web_server,  // system.webServer, at top level or inside a location
  handlers,
  handler,
  modules,
  module,
  global_modules,
  global_module,
  isapi_filters,
  isapi_filter,
};

struct ModelElement {
  std::string name;
  std::vector<std::pair<std::string, std::string>> attributes;  // in file order, decoded
  std::string text;
  std::uint32_t parent = no_element;
  std::uint32_t subtree_end = 0;
  std::uint32_t depth = 0;

  // Filled in by Model::finish().
  Role role = Role::other;
  bool secret = false;             // inside a place whose every value is secret
  std::string segment;             // identity among the siblings, or in the file for IIS places
  std::uint32_t copy = 0;          // 0 when the identity is unique, else 1, 2, ...
  std::uint64_t address_hash = 0;  // of address()
  std::uint64_t subtree_hash = 0;  // equal for subtrees of equal meaning

  [[nodiscard]] const std::string* attribute(std::string_view key) const;
};

/// The meaning of a configuration file: elements in document order with addresses.
/// Element i is element i of the scanned tree.
struct Model {
  std::vector<ModelElement> elements;

  [[nodiscard]] std::vector<std::uint32_t> children(std::uint32_t element) const;
  [[nodiscard]] std::string address(std::uint32_t element) const;
  /// not_found or ambiguous when not exactly one element has this address.
  [[nodiscard]] Result<std::uint32_t> find(std::string_view address) const;
  /// The nearest ancestor with `role`, or no_element.
  [[nodiscard]] std::uint32_t ancestor(std::uint32_t element, Role role) const;
  /// Where a site, application or virtual directory is served, spelled like a location path:
  /// "Default Web Site/owa/x".
  [[nodiscard]] std::string virtual_path(std::uint32_t element) const;
  /// Its customMetadata path, "LM/W3SVC/1/ROOT/owa/x"; nothing when the site has no id.
  [[nodiscard]] std::optional<std::string> metadata_path(std::uint32_t element) const;
  /// Roles, identities and hashes; once, after the elements are in.
  void finish();
};

/// Refuses a root element other than <configuration>.
[[nodiscard]] Result<Model> model_of(const XmlTree& tree);
/// The same by pugixml: the second opinion on what a file means.
[[nodiscard]] Result<Model> model_by_pugixml(std::string_view bytes);

/// Same elements, attributes in the same order, same text.
[[nodiscard]] bool same_document(const Model& a, const Model& b);
/// Equal meaning of two subtrees: attributes in any order.
[[nodiscard]] bool same_meaning(const Model& a, std::uint32_t element_a, const Model& b,
                                std::uint32_t element_b);

/// A scanned file whose meaning both parsers agree on.
struct Document {
  XmlTree tree;
  Model model;
};
[[nodiscard]] Result<Document> read_document(std::string_view bytes);

}  // namespace remediate::setting
