#include "remediate/setting/compiled_page.h"

#include <algorithm>
#include <array>

#include "remediate/base/encoding.h"
#include "remediate/base/raw_path.h"
#include "remediate/base/try.h"
#include "remediate/setting/xml_scan.h"

namespace remediate::setting {
namespace {

constexpr std::string_view prefix = "App_Web_";
// resultType of an assembly, of App_Code, of global.asax and of resources.
constexpr std::array<std::string_view, 4> shared_results{"1", "6", "8", "9"};

bool is_plain_name(std::string_view name) {
  return !name.starts_with('.') && name.size() <= 200 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
  });
}

bool is_assembly_name(std::string_view name) {
  return name.starts_with(prefix) && name.size() > prefix.size() && is_plain_name(name);
}

bool is_virtual_path(std::string_view path) {
  return path.size() > 1 && path.size() <= 1024 && path.front() == '/' &&
         path.find('\\') == std::string_view::npos && RawPath::parse(path.substr(1)).has_value();
}

bool is_shared_path(std::string_view path) {
  if (path.empty() || path == "/") return true;
  return is_virtual_path(path.ends_with('/') ? path.substr(0, path.size() - 1) : path);
}

}  // namespace

bool is_page_assembly(std::string_view file_name) {
  constexpr std::string_view ending = ".dll";
  return file_name.size() > prefix.size() + ending.size() &&
         ascii_iequals(file_name.substr(0, prefix.size()), prefix) &&
         ascii_iequals(file_name.substr(file_name.size() - ending.size()), ending);
}

Result<CompiledPage> parse_compiled_page(std::string_view bytes) {
  ScanLimits limits;
  limits.max_bytes = max_compiled_bytes;
  limits.max_depth = 8;
  limits.max_elements = 2000;
  TRY_LET(const XmlTree tree, scan_xml(bytes, limits));
  const XmlElement& root = tree.elements.front();
  if (tree.text(root.name) != "preserve")
    return fail(Code::bad_input, "it is no record of a compiled page", "look what it is");
  CompiledPage page;
  for (std::uint32_t index = 0; index < root.attribute_count; ++index) {
    const XmlAttribute& attribute = tree.attributes[root.first_attribute + index];
    const std::string_view name = tree.text(attribute.name);
    if (name == "virtualPath") page.virtual_path = decode_attribute(tree.text(attribute.value));
    if (name == "resultType")
      page.shared =
          std::ranges::find(shared_results, tree.text(attribute.value)) != shared_results.end();
    if (name == "assembly") page.assembly = decode_attribute(tree.text(attribute.value));
  }
  if (page.shared ? !is_shared_path(page.virtual_path) : !is_virtual_path(page.virtual_path))
    return fail(Code::bad_input,
                "its virtualPath " + display(page.virtual_path, 100) + " is not that of a page",
                "look who wrote it");
  if (!page.assembly.empty() &&
      (page.shared ? !is_plain_name(page.assembly) : !is_assembly_name(page.assembly)))
    return fail(Code::bad_input,
                "its assembly " + display(page.assembly, 100) +
                    " is not the name of one that ASP.NET makes for pages",
                "look who wrote it");
  return page;
}

}  // namespace remediate::setting
