#include <algorithm>
#include <functional>
#include <map>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/setting/diff.h"
#include "remediate/setting/iis_edit.h"
#include "remediate/setting/redact.h"
#include "remediate/setting/xml_difference.h"

namespace remediate::setting {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t'; }

bool only_blanks(std::string_view text) { return std::ranges::all_of(text, is_blank); }

/// Whole lines around `group` when nothing else stands on them, else nothing.
Span lines_around(std::string_view bytes, Span group) {
  auto begin = group.begin;
  while (begin > 0 && is_blank(bytes[begin - 1])) --begin;
  if (begin > 0 && bytes[begin - 1] != '\n' && bytes[begin - 1] != '\r') return {};
  auto end = group.end;
  while (end < bytes.size() && is_blank(bytes[end])) ++end;
  if (end >= bytes.size() || (bytes[end] != '\n' && bytes[end] != '\r')) return {};
  end += bytes.substr(end).starts_with("\r\n") ? 2 : 1;
  return {begin, end};
}

/// Sites, applications and virtual directories by lower-case path: "Site/app" claims itself and,
/// unless it is a virtual directory that goes, all below it.
class Owners {
 public:
  void add(std::string_view path, bool goes, bool with_children) {
    if (path.empty()) return;
    auto& owner = owners_[ascii_lower(path)];
    owner.kept = owner.kept || !goes;
    owner.gone = owner.gone || goes;
    owner.gone_with_children = owner.gone_with_children || (goes && with_children);
  }
  [[nodiscard]] bool any_gone() const {
    return std::ranges::any_of(owners_, [](const auto& owner) { return owner.second.gone; });
  }
  /// The nearest claim decides, and what stays wins over what goes.
  [[nodiscard]] bool is_orphan(std::string_view path) const {
    while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
    const auto whole = ascii_lower(path);
    for (std::string_view part = whole;;) {
      if (const auto owner = owners_.find(part); owner != owners_.end()) {
        if (owner->second.kept) return false;
        if (owner->second.gone_with_children || part.size() == whole.size()) return true;
      }
      const auto slash = part.rfind('/');
      if (slash == std::string_view::npos) return false;
      part = part.substr(0, slash);
    }
  }

 private:
  struct Owner {
    bool kept = false, gone = false, gone_with_children = false;
  };
  std::map<std::string, Owner, std::less<>> owners_;
};

}  // namespace

Result<std::string> apply_patches(std::string_view bytes, std::vector<Patch> patches) {
  std::ranges::stable_sort(patches, {}, [](const Patch& patch) {
    return std::pair(patch.range.begin, patch.range.end);
  });
  std::string out;
  std::size_t at = 0;
  for (const auto& patch : patches) {
    if (patch.range.begin < at || patch.range.end < patch.range.begin ||
        patch.range.end > bytes.size())
      return fail(Code::internal, "two changes of the configuration overlap",
                  "make the changes one at a time");
    out += bytes.substr(at, patch.range.begin - at);
    out += patch.text;
    at = patch.range.end;
  }
  out += bytes.substr(at);
  return out;
}

std::vector<Span> removal_ranges(const XmlTree& tree, std::vector<std::uint32_t> removed) {
  std::ranges::sort(removed);
  std::vector<Span> out;
  for (std::size_t i = 0; i < removed.size();) {
    const auto& first = tree.elements[removed[i]];
    Span group = first.range;
    std::size_t next = i + 1;
    for (; next < removed.size(); ++next) {
      const auto& element = tree.elements[removed[next]];
      if (element.parent != first.parent ||
          !only_blanks(tree.text({group.end, element.range.begin})))
        break;
      group.end = element.range.end;
    }
    const bool mixed = first.parent != no_element && tree.elements[first.parent].has_text;
    const auto lines = mixed ? Span{} : lines_around(tree.bytes, group);
    if (!lines.empty())
      out.push_back(lines);
    else
      for (; i < next; ++i) out.push_back(tree.elements[removed[i]].range);
    i = next;
  }
  return out;
}

std::vector<std::uint32_t> orphans_of(const Model& model,
                                      const std::vector<std::uint32_t>& removed) {
  Owners served;
  Owners metadata;
  std::vector<bool> goes(model.elements.size());
  for (const auto i : removed)
    for (auto j = i; j < model.elements[i].subtree_end; ++j) goes[j] = true;
  for (std::uint32_t i = 0; i < model.elements.size(); ++i) {
    const auto role = model.elements[i].role;
    if (role != Role::site && role != Role::application && role != Role::virtual_directory)
      continue;
    const bool with_children = role != Role::virtual_directory;
    served.add(model.virtual_path(i), goes[i], with_children);
    if (const auto path = model.metadata_path(i)) metadata.add(*path, goes[i], with_children);
  }
  std::vector<std::uint32_t> out;
  if (!served.any_gone() && !metadata.any_gone()) return out;
  for (std::uint32_t i = 0; i < model.elements.size(); ++i) {
    const auto& element = model.elements[i];
    const auto* path = element.attribute("path");
    if (!path || goes[i]) continue;
    if ((element.role == Role::location && served.is_orphan(*path)) ||
        (element.role == Role::metadata_key && metadata.is_orphan(*path)))
      out.push_back(i);
  }
  return out;
}

Result<Edited> describe_change(const Document& old_version, std::string bytes,
                               const Document& new_version) {
  Edited edited;
  TRY_LET(const auto second_old, model_by_pugixml(old_version.tree.bytes));
  TRY_LET(const auto second_new, model_by_pugixml(bytes));
  TRY_LET(edited.differences, difference_of(second_old, second_new));
  edited.diff =
      unified_diff(redact_document(old_version), redact_document(new_version, &old_version.model));
  edited.bytes = std::move(bytes);
  return edited;
}

}  // namespace remediate::setting
