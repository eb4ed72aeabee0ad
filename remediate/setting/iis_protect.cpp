#include "remediate/setting/iis_protect.h"

#include <algorithm>
#include <array>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"

namespace remediate::setting {
namespace {

/// Of the mitigation tools and of the emergency mitigation service for Exchange.
constexpr std::array<std::string_view, 4> mitigation_rules = {
    "X-AnonResource-Backend Abort - inbound", "X-BEResource Abort - inbound",
    "PowerShell - inbound", "RequestBlockingRule1"};
constexpr std::string_view emergency_prefix = "EEMS ";

int strength(std::string_view token_checking) {
  if (ascii_iequals(token_checking, "Require")) return 2;
  if (ascii_iequals(token_checking, "Allow")) return 1;
  return 0;
}

int strength_at(const Model& model, std::uint32_t element) {
  const std::string* value = model.elements[element].attribute("tokenChecking");
  return value == nullptr ? 0 : strength(*value);
}

bool is_mitigation(const ModelElement& element) {
  if (element.name != "rule") return false;
  const std::string* name = element.attribute("name");
  if (name == nullptr) return false;
  const std::string* enabled = element.attribute("enabled");
  if (enabled != nullptr && ascii_iequals(*enabled, "false")) return false;
  return ascii_lower(*name).starts_with(ascii_lower(emergency_prefix)) ||
         std::ranges::any_of(mitigation_rules,
                             [&](std::string_view known) { return ascii_iequals(known, *name); });
}

bool is_named_rewrite(const ModelElement& element) {
  const std::string* name = element.attribute("name");
  return name != nullptr && ascii_iequals(*name, "RewriteModule");
}

/// The native module of URL Rewrite by its own file; another file under its name is none.
bool is_rewrite_file(const ModelElement& element) {
  const std::string* image = element.attribute("image");
  if (image == nullptr) return false;
  const std::size_t slash = image->find_last_of("\\/");
  return ascii_iequals(std::string_view(*image).substr(slash == std::string::npos ? 0 : slash + 1),
                       "rewrite.dll");
}

/// Its declaration, or a reference to it that no declaration in this file contradicts.
bool is_rewrite_module(const Model& model, const ModelElement& element) {
  if (element.name != "add" || !is_named_rewrite(element)) return false;
  if (element.role == Role::global_module) return is_rewrite_file(element);
  return element.role == Role::module &&
         std::ranges::none_of(model.elements, [](const ModelElement& other) {
           return other.role == Role::global_module && is_named_rewrite(other) &&
                  !is_rewrite_file(other);
         });
}

const std::string& value_or_none(const ModelElement& element, std::string_view attribute) {
  static const std::string none;
  const std::string* value = element.attribute(attribute);
  return value == nullptr ? none : *value;
}

}  // namespace

std::optional<std::string> hardening_of(const Model& model, std::uint32_t element) {
  const ModelElement& here = model.elements[element];
  if (here.name == "extendedProtection" && strength_at(model, element) > 0)
    return "Extended Protection (tokenChecking " + display(*here.attribute("tokenChecking"), 40) +
           ")";
  if (is_mitigation(here))
    return "the mitigation rule \"" + display(*here.attribute("name"), 120) + "\"";
  if (is_rewrite_module(model, here))
    return "the module of URL Rewrite, without which no mitigation rule holds";
  return std::nullopt;
}

std::uint32_t first_hardening(const Model& model, std::uint32_t element) {
  for (auto at = element; at < model.elements[element].subtree_end; ++at)
    if (hardening_of(model, at)) return at;
  return no_element;
}

bool keeps_hardening(const Model& model_before, std::uint32_t before, const Model& model_after,
                     std::uint32_t after) {
  const ModelElement& here = model_before.elements[before];
  const ModelElement& there = model_after.elements[after];
  if (here.name != there.name) return false;
  if (here.name == "extendedProtection" &&
      strength_at(model_after, after) < strength_at(model_before, before))
    return false;
  // Of a rule, and of what stands in extendedProtection, only the very same is surely no weaker.
  if (here.name == "rule") return same_meaning(model_before, before, model_after, after);
  // Its name and where it runs; an edit of its file is judged by what it is after.
  if (here.name == "add")
    return is_named_rewrite(there) &&
           value_or_none(here, "preCondition") == value_or_none(there, "preCondition");
  return true;
}

Result<std::optional<std::string>> redirection_of(std::string_view bytes) {
  TRY_LET(const Document document, read_document(bytes));
  const Model& model = document.model;
  std::optional<std::string> found;
  for (std::uint32_t at = 0; at < model.elements.size(); ++at) {
    const ModelElement& element = model.elements[at];
    if (element.name != "configurationRedirection" || element.depth != 1) continue;
    const std::string* enabled = element.attribute("enabled");
    if (enabled == nullptr || ascii_iequals(*enabled, "false")) continue;
    const std::string* path = element.attribute("path");
    found = path == nullptr ? "a place that it does not name" : display(*path, 300);
  }
  return found;
}

}  // namespace remediate::setting
