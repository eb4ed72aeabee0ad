#include <array>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/setting/attribute_test.h"
#include "remediate/setting/iis_edit.h"
#include "remediate/setting/redact.h"

namespace remediate::setting {
namespace {

struct Kind {
  std::string_view name;
  Role role;
};
constexpr std::array<Kind, 9> kinds{{{"site", Role::site},
                                     {"application", Role::application},
                                     {"virtualDirectory", Role::virtual_directory},
                                     {"location", Role::location},
                                     {"handler", Role::handler},
                                     {"module", Role::module},
                                     {"globalModule", Role::global_module},
                                     {"isapiFilter", Role::isapi_filter},
                                     {"metadataKey", Role::metadata_key}}};

/// Names from below the root or a location down to the element.
std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> out;
  while (true) {
    const auto slash = path.find('/');
    out.emplace_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return out;
    path.remove_prefix(slash + 1);
  }
}

struct Candidate final : AttributeTests::Values {
  Candidate(const Model& the_model, std::uint32_t the_index) : model(the_model), index(the_index) {}
  const Model& model;
  std::uint32_t index;
  std::vector<std::pair<std::string, std::string>> synthetic{};

  [[nodiscard]] const std::string* value(std::string_view name) const override {
    for (const auto& [key, value_] : synthetic)
      if (key == name) return &value_;
    return model.elements[index].attribute(name);
  }
  [[nodiscard]] std::string shown(std::string_view name, const std::string& value_) const override {
    return is_secret_attribute(model.elements[index], name, value_) ? std::string(secret_mark)
                                                                    : value_;
  }
};

void add_value(Candidate& candidate, std::string name, std::uint32_t element,
               std::string_view attribute) {
  if (element == no_element) return;
  if (const auto* value = candidate.model.elements[element].attribute(attribute))
    candidate.synthetic.emplace_back(std::move(name), *value);
}

/// The child with `role` and path "/".
std::uint32_t root_child(const Model& model, std::uint32_t parent, Role role) {
  if (parent == no_element) return no_element;
  for (const auto child : model.children(parent)) {
    const auto* path = model.elements[child].attribute("path");
    if (model.elements[child].role == role && path && *path == "/") return child;
  }
  return no_element;
}

Candidate candidate_for(const Model& model, std::uint32_t index) {
  Candidate out(model, index);
  const auto role = model.elements[index].role;
  if (role == Role::application || role == Role::virtual_directory)
    add_value(out, "@site", model.ancestor(index, Role::site), "name");
  if (role == Role::virtual_directory)
    add_value(out, "@application", model.elements[index].parent, "path");
  if (role == Role::site || role == Role::application || role == Role::virtual_directory)
    out.synthetic.emplace_back("@vpath", model.virtual_path(index));
  const auto application = role == Role::application ? index
                           : role == Role::site      ? root_child(model, index, Role::application)
                                                     : no_element;
  add_value(out, "@physicalPath", root_child(model, application, Role::virtual_directory),
            "physicalPath");
  add_value(out, "@location", model.ancestor(index, Role::location), "path");
  return out;
}

bool has_path(const Model& model, std::uint32_t index, const std::vector<std::string>& names) {
  for (auto name = names.rbegin(); name != names.rend(); ++name) {
    if (index == no_element || model.elements[index].name != *name) return false;
    index = model.elements[index].parent;
  }
  return index != no_element &&
         (model.elements[index].role == Role::root || model.elements[index].role == Role::location);
}

}  // namespace

Result<std::vector<Setting>> find_settings(const Document& document, const Query& query) {
  const auto& [tree, model] = document;
  const auto* kind = std::ranges::find(kinds, query.kind, &Kind::name);
  const bool by_path = query.kind == "element";
  if (!by_path && kind == kinds.end())
    return fail(Code::bad_input,
                "no kind of IIS setting is named '" + display(query.kind, 80) + "'",
                "use site, application, virtualDirectory, location, handler, module, globalModule, "
                "isapiFilter, metadataKey, or element with a path");
  if (by_path == query.path.empty())
    return fail(Code::bad_input,
                by_path ? "the kind 'element' needs a path"
                        : "only the kind 'element' takes a path, not '" + query.kind + "'",
                "give a path like system.web/httpRuntime with the kind 'element'");
  const auto names = split_path(query.path);
  if (by_path && (!std::ranges::all_of(names, is_xml_name) || names.front() == "configuration"))
    return fail(Code::bad_input,
                "'" + display(query.path, 200) + "' is no path of elements below <configuration>",
                "write the names from the section on, separated by '/': system.web/httpRuntime");
  TRY_LET(const auto tests, AttributeTests::compile(query.where, false));
  std::vector<Setting> out;
  std::size_t counted = 0;
  std::size_t line = 1;
  for (std::uint32_t i = 0; i < model.elements.size(); ++i) {
    if (by_path ? !has_path(model, i, names) : model.elements[i].role != kind->role) continue;
    const auto candidate = candidate_for(model, i);
    auto why = tests.reason(candidate, query.kind);
    if (!why) continue;
    Setting setting;
    setting.kind = query.kind;
    setting.address = model.address(i);
    setting.offset = tree.elements[i].range.begin;
    line += line_of(tree.bytes.substr(counted), setting.offset - counted) - 1;
    counted = setting.offset;
    setting.line = line;
    for (const auto& [name, value] : model.elements[i].attributes)
      setting.attributes.emplace_back(name, candidate.shown(name, value));
    for (const auto& [name, value] : candidate.synthetic)
      setting.attributes.emplace_back(name, candidate.shown(name, value));
    setting.reason = std::move(*why);
    out.push_back(std::move(setting));
  }
  return out;
}

}  // namespace remediate::setting
