#include "remediate/setting/iis_model.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/setting/redact.h"

namespace remediate::setting {
namespace {

constexpr std::uint64_t hash_start = 14695981039346656037ull;

std::uint64_t hash_on(std::uint64_t hash, std::string_view bytes) {
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  return hash;
}
std::uint64_t hash_field(std::uint64_t hash, std::string_view bytes) {
  return hash_on(hash_on(hash, std::to_string(bytes.size()) + ":"), bytes);
}

Role role_of(Role parent, std::string_view name) {
  struct Place {
    Role parent;
    std::string_view name;
    Role role;
  };
  static constexpr std::array<Place, 19> places{{
      {Role::root, "system.applicationHost", Role::application_host},
      {Role::location, "system.applicationHost", Role::application_host},
      {Role::application_host, "sites", Role::sites},
      {Role::sites, "site", Role::site},
      {Role::site, "application", Role::application},
      {Role::application, "virtualDirectory", Role::virtual_directory},
      {Role::application_host, "customMetadata", Role::custom_metadata},
      {Role::custom_metadata, "key", Role::metadata_key},
      {Role::root, "location", Role::location},
      {Role::root, "system.webServer", Role::web_server},
      {Role::location, "system.webServer", Role::web_server},
      {Role::web_server, "handlers", Role::handlers},
      {Role::handlers, "add", Role::handler},
      {Role::web_server, "modules", Role::modules},
      {Role::modules, "add", Role::module},
      {Role::web_server, "globalModules", Role::global_modules},
      {Role::global_modules, "add", Role::global_module},
      {Role::web_server, "isapiFilters", Role::isapi_filters},
      {Role::isapi_filters, "filter", Role::isapi_filter},
  }};
  for (const auto& place : places)
    if (place.parent == parent && place.name == name) return place.role;
  return Role::other;
}

/// Attribute values inside an address: what separates its parts is escaped, so that no value can
/// pass for another address; long values are cut and told apart by a hash.
std::string escaped(std::string_view value) {
  static constexpr std::size_t longest = 400;
  std::string out;
  std::size_t at = 0;
  for (; at < value.size() && out.size() < longest; ++at) {
    const char c = value[at];
    if (std::string_view("[]\\,=:").contains(c)) {
      out.push_back('\\');
      out.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += "\\x" + hex_encode(std::string_view(&c, 1));
    } else {
      out.push_back(c);
    }
  }
  while (at < value.size() && (static_cast<unsigned char>(value[at]) & 0xC0u) == 0x80u)
    out.push_back(value[at++]);
  if (at < value.size()) {
    const auto hash = hash_on(hash_start, value);
    std::string raw;
    for (int shift = 56; shift >= 0; shift -= 8)
      raw.push_back(static_cast<char>(static_cast<unsigned char>(hash >> shift)));
    out += "\\~" + hex_encode(raw);
  }
  return out;
}

std::string_view value_or_empty(const ModelElement& element, std::string_view key) {
  const auto* value = element.attribute(key);
  return value ? std::string_view(*value) : std::string_view();
}

std::string keyed(const ModelElement& element, std::initializer_list<std::string_view> keys) {
  std::string out;
  for (const auto key : keys)
    if (const auto* value = element.attribute(key)) {
      out += out.empty() ? "[" : ",";
      out += std::string(key) + "=";
      out += is_secret_attribute(element, key, *value) ? std::string("*") : escaped(*value);
    }
  return element.name + (out.empty() ? "" : out + "]");
}

std::string segment_of(const Model& model, std::uint32_t index) {
  const auto& element = model.elements[index];
  const auto name_of = [&](std::uint32_t site) {
    std::string out;
    for (const char c : escaped(value_or_empty(model.elements[site], "name")))
      out += c == '/' ? std::string("\\/") : std::string(1, c);
    return out;
  };
  if (element.secret) return element.name;
  switch (element.role) {
    case Role::root:
      return "/configuration";
    case Role::site:
      return "site[" + name_of(index) + "]";
    case Role::application:
      return "application[" + name_of(element.parent) + escaped(value_or_empty(element, "path")) +
             "]";
    case Role::virtual_directory: {
      const auto& application = model.elements[element.parent];
      return "virtualDirectory[" + name_of(application.parent) +
             escaped(value_or_empty(application, "path")) + ":" +
             escaped(value_or_empty(element, "path")) + "]";
    }
    case Role::location: {
      const auto* path = element.attribute("path");
      return path ? "location[" + escaped(*path) + "]" : "location";
    }
    default:
      break;
  }
  const auto& name = element.name;
  const std::string_view parent =
      element.parent == no_element ? "" : std::string_view(model.elements[element.parent].name);
  if (element.role == Role::metadata_key) return keyed(element, {"path"});
  if (name == "binding") return keyed(element, {"protocol", "bindingInformation"});
  if (name == "error") return keyed(element, {"statusCode", "subStatusCode"});
  if (parent == "files") return keyed(element, {"value"});
  static constexpr std::array<std::string_view, 14> identities{
      "name",        "key",
      "id",          "fileExtension",
      "extension",   "segment",
      "sequence",    "url",
      "string",      "header",
      "assembly",    "namespace",
      "virtualPath", "processorArchitecture"};
  for (const auto key : identities)
    if (element.attribute(key)) return keyed(element, {key});
  if (element.attribute("path")) return keyed(element, {"path", "verb"});
  return keyed(element, {"accessType", "users", "roles", "verbs"});
}

bool stands_for_itself(Role role) {
  return role == Role::site || role == Role::application || role == Role::virtual_directory ||
         role == Role::location || role == Role::root;
}

std::string slashed(std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  while (path.starts_with("/")) path.remove_prefix(1);
  return path.empty() ? std::string() : "/" + std::string(path);
}

std::string copy_mark(const ModelElement& element) {
  return element.copy == 0 ? std::string() : "#" + std::to_string(element.copy);
}

}  // namespace

const std::string* ModelElement::attribute(std::string_view key) const {
  for (const auto& [name_, value] : attributes)
    if (name_ == key) return &value;
  return nullptr;
}

std::vector<std::uint32_t> Model::children(std::uint32_t element) const {
  std::vector<std::uint32_t> out;
  for (auto i = element + 1; i < elements[element].subtree_end; i = elements[i].subtree_end)
    out.push_back(i);
  return out;
}

std::string Model::address(std::uint32_t index) const {
  std::vector<std::uint32_t> chain;
  for (auto i = index;; i = elements[i].parent) {
    chain.push_back(i);
    if (stands_for_itself(elements[i].role) || elements[i].parent == 0) break;
  }
  std::string out;
  for (auto i = chain.rbegin(); i != chain.rend(); ++i) {
    if (!out.empty()) out.push_back('/');
    out += elements[*i].segment + copy_mark(elements[*i]);
  }
  return out;
}

Result<std::uint32_t> Model::find(std::string_view wanted) const {
  const auto hash = hash_on(hash_start, wanted);
  for (std::uint32_t i = 0; i < elements.size(); ++i)
    if (elements[i].address_hash == hash && address(i) == wanted) return i;
  if (wanted.size() < 1u << 20) {
    const auto first = hash_on(hash, "#1");
    for (std::uint32_t i = 0; i < elements.size(); ++i)
      if (elements[i].copy == 1 && elements[i].address_hash == first)
        return fail(Code::ambiguous, "more than one setting is " + std::string(wanted),
                    "name one of them by its number (" + std::string(wanted) +
                        "#1, #2, ...) or settle the duplicate by hand");
  }
  return fail(Code::not_found, "no setting is " + std::string(wanted),
              "find the settings of the file again and use an address from that list");
}

std::uint32_t Model::ancestor(std::uint32_t element, Role role) const {
  for (auto i = elements[element].parent; i != no_element; i = elements[i].parent)
    if (elements[i].role == role) return i;
  return no_element;
}

std::string Model::virtual_path(std::uint32_t index) const {
  const auto& element = elements[index];
  switch (element.role) {
    case Role::site:
      return std::string(value_or_empty(element, "name"));
    case Role::application:
    case Role::virtual_directory:
      return virtual_path(element.parent) + slashed(value_or_empty(element, "path"));
    default:
      return {};
  }
}

std::optional<std::string> Model::metadata_path(std::uint32_t index) const {
  const auto site = elements[index].role == Role::site ? index : ancestor(index, Role::site);
  if (site == no_element) return std::nullopt;
  const auto* id = elements[site].attribute("id");
  if (!id || id->empty()) return std::nullopt;
  const std::string base = "LM/W3SVC/" + *id;
  if (site == index) return base;
  return base + "/ROOT" + virtual_path(index).substr(virtual_path(site).size());
}

void Model::finish() {
  std::unordered_map<std::string, std::uint32_t> counts;
  const auto count_key = [&](const ModelElement& element) {
    const auto owner = stands_for_itself(element.role) ? no_element : element.parent;
    return std::to_string(owner) + " " + element.segment;
  };
  for (std::uint32_t i = 0; i < elements.size(); ++i) {
    auto& element = elements[i];
    const auto* parent = element.parent == no_element ? nullptr : &elements[element.parent];
    element.role = parent ? role_of(parent->role, element.name) : Role::root;
    element.secret = (parent && parent->secret) || opens_secret_zone(element);
    element.segment = segment_of(*this, i);
    ++counts[count_key(element)];
  }
  std::unordered_map<std::string, std::uint32_t> seen;
  for (auto& element : elements) {
    const auto key = count_key(element);
    element.copy = counts[key] > 1 ? ++seen[key] : 0;
    const bool first = stands_for_itself(element.role) || element.parent == 0;
    const auto base = first ? hash_start : hash_on(elements[element.parent].address_hash, "/");
    element.address_hash = hash_on(hash_on(base, element.segment), copy_mark(element));
  }
  for (auto i = static_cast<std::uint32_t>(elements.size()); i-- > 0;) {
    auto& element = elements[i];
    auto hash = hash_field(hash_field(hash_start, element.name), element.text);
    std::uint64_t any_order = 0;
    for (const auto& [name, value] : element.attributes)
      any_order += hash_field(hash_field(hash_start, name), value);
    hash = hash_on(hash, std::to_string(any_order));
    for (auto child = i + 1; child < element.subtree_end; child = elements[child].subtree_end)
      hash = hash_on(hash, "/" + std::to_string(elements[child].subtree_hash));
    element.subtree_hash = hash;
  }
}

Result<Model> model_of(const XmlTree& tree) {
  Model model;
  model.elements.reserve(tree.elements.size());
  for (std::uint32_t i = 0; i < tree.elements.size(); ++i) {
    const auto& from = tree.elements[i];
    ModelElement element;
    element.name = tree.text(from.name);
    for (std::uint32_t a = 0; a < from.attribute_count; ++a) {
      const auto& attribute = tree.attributes[from.first_attribute + a];
      element.attributes.emplace_back(tree.text(attribute.name),
                                      decode_attribute(tree.text(attribute.value)));
    }
    element.text = text_of(tree, i);
    element.parent = from.parent;
    element.subtree_end = from.subtree_end;
    element.depth = from.depth;
    model.elements.push_back(std::move(element));
  }
  if (model.elements.front().name != "configuration")
    return fail(Code::bad_input,
                "configuration XML, line " +
                    std::to_string(line_of(tree.bytes, tree.elements.front().range.begin)) +
                    ": the root element is <" + display(model.elements.front().name, 80) +
                    ">, not <configuration>",
                "give an IIS or .NET configuration file");
  model.finish();
  return model;
}

bool same_document(const Model& a, const Model& b) {
  return std::ranges::equal(a.elements, b.elements, [](const auto& x, const auto& y) {
    return x.depth == y.depth && x.name == y.name && x.attributes == y.attributes &&
           x.text == y.text;
  });
}

bool same_meaning(const Model& a, std::uint32_t element_a, const Model& b,
                  std::uint32_t element_b) {
  const auto size = a.elements[element_a].subtree_end - element_a;
  if (size != b.elements[element_b].subtree_end - element_b) return false;
  if (a.elements[element_a].subtree_hash != b.elements[element_b].subtree_hash) return false;
  for (std::uint32_t i = 0; i < size; ++i) {
    const auto& x = a.elements[element_a + i];
    const auto& y = b.elements[element_b + i];
    if (x.depth - a.elements[element_a].depth != y.depth - b.elements[element_b].depth ||
        x.name != y.name || x.text != y.text)
      return false;
    auto in_order_x = x.attributes;
    auto in_order_y = y.attributes;
    std::ranges::sort(in_order_x);
    std::ranges::sort(in_order_y);
    if (in_order_x != in_order_y) return false;
  }
  return true;
}

Result<Document> read_document(std::string_view bytes) {
  TRY_LET(auto tree, scan_xml(bytes));
  TRY_LET(auto model, model_of(tree));
  TRY_LET(const auto second, model_by_pugixml(bytes));
  if (!same_document(model, second))
    return fail(Code::internal, "two XML parsers read this configuration differently",
                "do not change this file with the tool; report it with the file");
  return Document{std::move(tree), std::move(model)};
}

}  // namespace remediate::setting
