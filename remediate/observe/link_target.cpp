#include "remediate/observe/link_target.h"

#include <optional>
#include <vector>

#include "remediate/base/encoding.h"
#include "remediate/host/link_reader.h"

namespace remediate::observe {
namespace {

/// Nothing where only following the links on the way would tell.
std::optional<RawPath> place_of(std::string_view text, const RawPath& folder) {
  RawPath place = text.starts_with('/') ? RawPath() : folder;
  bool went_down = false;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find('/'));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (went_down) return std::nullopt;
      place = place.parent();
      continue;
    }
    auto below = place.child(part);
    if (!below) return std::nullopt;
    place = std::move(*below);
    went_down = true;
  }
  return place;
}

LinkTarget::Kind kind_of(const host::Directory& root, const RawPath& place) {
  using Kind = LinkTarget::Kind;
  if (place.is_root()) return Kind::folder;
  const auto missing = [](const Error& error) {
    return error.code == Code::not_found ? Kind::nothing : Kind::unknown;
  };
  const auto folder = root.open_directory(place.parent(), host::Mounts::cross);
  if (!folder) return missing(folder.error());
  const auto entry = (*folder)->stat_entry(place.name());
  if (!entry) return missing(entry.error());
  if (entry->kind == FileKind::directory) return Kind::folder;
  return entry->kind == FileKind::symlink ? Kind::unknown : Kind::file;
}

}  // namespace

LinkTarget look_up_link(const host::Directory& root, const host::Directory& handle,
                        const RawPath& folder, std::string_view name) {
  LinkTarget target;
  const auto* reader = dynamic_cast<const host::LinkReader*>(&handle);
  if (reader == nullptr) return target;
  const auto text = reader->read_link(name);
  if (!text) return target;
  target.text = display(*text);
  const auto place = place_of(*text, folder);
  if (!place) return target;
  target.kind = kind_of(root, *place);
  target.place = *place;
  if (target.kind == LinkTarget::Kind::folder) target.text += " (a folder)";
  if (target.kind == LinkTarget::Kind::nothing) target.text += " (which is not there)";
  return target;
}

}  // namespace remediate::observe
