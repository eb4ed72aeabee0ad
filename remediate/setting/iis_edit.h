#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "remediate/setting/iis_model.h"
#include "remediate/setting/provider.h"

namespace remediate::setting {

/// Replaces one byte range; an empty range inserts.
struct Patch {
  Span range;
  std::string text;
};

/// Applies patches that do not overlap; those with the same beginning apply in the given order.
/// Internal error when they overlap.
[[nodiscard]] Result<std::string> apply_patches(std::string_view bytes, std::vector<Patch> patches);

/// The bytes that go when `removed` elements go (no element inside another; any order): the
/// elements, and where they fill whole lines, these lines with their indentation and line ending.
/// In document order.
[[nodiscard]] std::vector<Span> removal_ranges(const XmlTree& tree,
                                               std::vector<std::uint32_t> removed);

/// Elements that lose their meaning with the `removed` ones: locations and customMetadata keys of
/// virtual directories, applications and sites that no remaining one claims.
[[nodiscard]] std::vector<std::uint32_t> orphans_of(const Model& model,
                                                    const std::vector<std::uint32_t>& removed);

/// The contracts of FileProvider::find, edit and undo.
[[nodiscard]] Result<std::vector<Setting>> find_settings(const Document& document,
                                                         const Query& query);
[[nodiscard]] Result<Edited> edit_settings(std::string_view file, const std::vector<Edit>& edits);
[[nodiscard]] Result<Edited> undo_settings(std::string_view before, std::string_view after,
                                           std::string_view current);

/// The result of a change with its differences and diff.
[[nodiscard]] Result<Edited> describe_change(const Document& old_version, std::string bytes,
                                             const Document& new_version);

}  // namespace remediate::setting
