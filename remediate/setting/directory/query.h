#pragma once

#include <vector>

#include "remediate/setting/directory/service.h"
#include "remediate/setting/provider.h"

namespace remediate::setting {

inline constexpr std::string_view directory_provider = "exchange-directory";

/// Attributes of Exchange alone are changed, never those that say who may do what.
[[nodiscard]] bool is_exchange_attribute(std::string_view attribute);

struct DirectoryMatch {
  const DirectoryObject* object = nullptr;
  std::string reason;
};

/// The objects of the query's kind that fit all its tests. A test of an attribute with several
/// values holds when one of them fits. "@server" and "@name" are the names of the server and of the
/// virtual directory. `servers` empty: every server. bad_input for a pattern that is no RE2.
[[nodiscard]] Result<std::vector<DirectoryMatch>> find_objects(
    const std::vector<DirectoryObject>& objects, const Query& query,
    const std::vector<std::string>& servers);

/// Whether an object is of a class, or derived from it.
[[nodiscard]] bool is_of_class(const DirectoryObject& object, std::string_view kind);

}  // namespace remediate::setting
