#pragma once

// How the parts of a plan look in JSON; private to plan/.

#include "remediate/base/json.h"
#include "remediate/plan/plan.h"

namespace remediate::plan {

[[nodiscard]] Json operation_to_json(const Operation& operation);
[[nodiscard]] Result<Operation> operation_from_json(const Json& json, const std::string& pointer);
[[nodiscard]] Json reasons_to_json(const std::vector<Reason>& reasons);
[[nodiscard]] Result<std::vector<Reason>> reasons_from_json(const Json& array,
                                                            const std::string& pointer);

/// Reads each element of an array of objects with `read(element, pointer)`.
template <class T, class Read>
[[nodiscard]] Result<std::vector<T>> read_array(JsonReader& reader, const char* key, Read read) {
  auto array = reader.array(key);
  if (!array) return std::unexpected(std::move(array).error());
  std::vector<T> result;
  std::size_t index = 0;
  for (const Json& element : **array) {
    auto value = read(element, reader.pointer() + "/" + key + "/" + std::to_string(index++));
    if (!value) return std::unexpected(std::move(value).error());
    result.push_back(std::move(*value));
  }
  return result;
}

}  // namespace remediate::plan
