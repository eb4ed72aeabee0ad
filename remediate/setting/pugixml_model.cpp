#include <pugixml.hpp>

#include "remediate/base/try.h"
#include "remediate/setting/iis_model.h"

namespace remediate::setting {
namespace {

void trim(std::string& text) {
  while (!text.empty() && is_xml_space(text.back())) text.pop_back();
  std::size_t first = 0;
  while (first < text.size() && is_xml_space(text[first])) ++first;
  text.erase(0, first);
}

std::uint32_t add_element(Model& model, const pugi::xml_node& node, std::uint32_t parent) {
  ModelElement element;
  element.name = node.name();
  for (const auto& attribute : node.attributes())
    element.attributes.emplace_back(attribute.name(), attribute.value());
  for (const auto& child : node.children())
    if (child.type() == pugi::node_pcdata || child.type() == pugi::node_cdata)
      element.text += child.value();
  trim(element.text);
  element.parent = parent;
  element.depth = parent == no_element ? 0 : model.elements[parent].depth + 1;
  model.elements.push_back(std::move(element));
  return static_cast<std::uint32_t>(model.elements.size() - 1);
}

pugi::xml_node next_element(pugi::xml_node node) {
  while (node && node.type() != pugi::node_element) node = node.next_sibling();
  return node;
}

}  // namespace

Result<Model> model_by_pugixml(std::string_view bytes) {
  static constexpr unsigned flags = pugi::parse_cdata | pugi::parse_escapes |
                                    pugi::parse_wconv_attribute | pugi::parse_eol |
                                    pugi::parse_ws_pcdata;
  pugi::xml_document document;
  const auto parsed = document.load_buffer(bytes.data(), bytes.size(), flags, pugi::encoding_utf8);
  if (!parsed)
    return fail(Code::internal,
                "the second XML parser refuses the configuration at byte " +
                    std::to_string(parsed.offset) + ": " + parsed.description(),
                "do not change this file with the tool; report it with the file");
  Model model;
  auto node = next_element(document.first_child());
  auto parent = no_element;
  while (node) {
    const auto index = add_element(model, node, parent);
    if (const auto child = next_element(node.first_child())) {
      parent = index;
      node = child;
      continue;
    }
    model.elements[index].subtree_end = index + 1;
    auto next = next_element(node.next_sibling());
    while (!next && parent != no_element) {
      model.elements[parent].subtree_end = static_cast<std::uint32_t>(model.elements.size());
      parent = model.elements[parent].parent;
      node = node.parent();
      next = next_element(node.next_sibling());
    }
    node = next;
  }
  if (model.elements.empty())
    return fail(Code::internal, "the second XML parser finds no element in the configuration",
                "do not change this file with the tool; report it with the file");
  model.finish();
  return model;
}

}  // namespace remediate::setting
