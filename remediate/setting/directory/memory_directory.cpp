#include "remediate/setting/directory/memory_directory.h"

#include <algorithm>

#include "remediate/base/encoding.h"

namespace remediate::setting {
namespace {

bool is_virtual_directory(const DirectoryObject& object) {
  const auto has = [&](const char* name) {
    return std::ranges::any_of(object.classes,
                               [&](const std::string& one) { return ascii_iequals(one, name); });
  };
  return has("msExchVirtualDirectory") && !has("container");
}

}  // namespace

Result<std::vector<DirectoryObject>> MemoryDirectory::virtual_directories() {
  if (before)
    if (auto error = before("search")) return std::unexpected(std::move(*error));
  std::vector<DirectoryObject> found;
  std::ranges::copy_if(objects, std::back_inserter(found), is_virtual_directory);
  std::ranges::sort(found, {}, &DirectoryObject::dn);
  return found;
}

Result<DirectoryObject> MemoryDirectory::read(const std::string& guid) {
  if (before)
    if (auto error = before("read")) return std::unexpected(std::move(*error));
  const auto found = std::ranges::find(objects, guid, &DirectoryObject::guid);
  if (found == objects.end())
    return fail(Code::not_found, "the directory has no object " + guid + " that this account sees");
  return *found;
}

Result<void> MemoryDirectory::compare_and_swap(const std::string& guid,
                                               const std::string& attribute,
                                               const std::optional<std::string>& expected,
                                               const std::optional<std::string>& wanted) {
  if (before)
    if (auto error = before("swap")) return std::unexpected(std::move(*error));
  const auto object = std::ranges::find(objects, guid, &DirectoryObject::guid);
  if (object == objects.end())
    return fail(Code::not_found, "the directory has no object " + guid + " that this account sees");
  const auto* present = object->values(attribute);
  const bool fits =
      expected
          ? present != nullptr &&
                std::ranges::any_of(
                    *present, [&](const auto& value) { return ascii_iequals(value, *expected); })
          : present == nullptr;
  if (!fits)
    return fail(Code::changed, attribute + " does not have the expected value: somebody changed it",
                "make a new plan");
  std::erase_if(object->attributes,
                [&](const auto& pair) { return ascii_iequals(pair.first, attribute); });
  if (wanted) object->attributes[attribute] = {*wanted};
  ++object->usn_changed;
  if (after_swap)
    if (auto error = after_swap()) return std::unexpected(std::move(*error));
  return {};
}

}  // namespace remediate::setting
