#include <algorithm>
#include <array>
#include <optional>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/observe/scan.h"

namespace remediate::observe {
namespace {

constexpr std::size_t max_places = 1000;

struct Builtin {
  std::string_view name;
  std::string_view value;
};
constexpr std::array<Builtin, 6> builtins = {
    {{"SystemDrive", "C:"},
     {"windir", "C:\\Windows"},
     {"SystemRoot", "C:\\Windows"},
     {"ProgramFiles", "C:\\Program Files"},
     {"ProgramData", "C:\\ProgramData"},
     {"CommonProgramFiles", "C:\\Program Files\\Common Files"}}};

std::unexpected<Error> bad_path(std::string_view text, std::string_view why,
                                std::string_view remedy) {
  return fail(Code::bad_input, "the path \"" + display(text) + "\" " + std::string(why),
              std::string(remedy));
}

bool is_separator(char c, bool windows) { return c == '/' || (windows && c == '\\'); }

bool is_letter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

/// The spelled text with each candidate value in place of a leading %Name%.
Result<std::vector<std::string>> fill_in(const Spelled& spelled, const Variables& variables) {
  const std::string& text = spelled.text;
  if (!spelled.windows) return std::vector{text};
  const std::size_t end = text.starts_with('%') ? text.find('%', 1) : std::string::npos;
  if (end == std::string::npos) return std::vector{text};
  const std::string_view name = std::string_view(text).substr(1, end - 1);
  const std::string_view rest = std::string_view(text).substr(end + 1);
  std::vector<std::string> filled;
  for (const auto& [known, values] : variables.candidates) {
    if (!ascii_iequals(known, name)) continue;
    for (const std::string& value : values) filled.push_back(value + std::string(rest));
    return filled;
  }
  for (const Builtin& builtin : builtins) {
    if (!ascii_iequals(builtin.name, name)) continue;
    return std::vector{std::string(builtin.value) + std::string(rest)};
  }
  return bad_path(text, "uses the unknown variable %" + display(name) + "%",
                  "define it under the playbook's variables");
}

/// What follows the start of the root; nothing when it lies on another drive or machine.
Result<std::optional<std::string_view>> below_root(std::string_view text, bool windows) {
  if (!windows) {
    if (!text.starts_with('/')) return bad_path(text, "is not absolute", "start it with '/'");
    return text.substr(1);
  }
  std::string_view rest = text;
  if (rest.starts_with("\\\\?\\") || rest.starts_with("\\\\.\\")) {
    rest.remove_prefix(4);
  } else if (rest.starts_with("\\\\") || rest.starts_with("//")) {
    return std::nullopt;
  } else if (!rest.empty() && is_separator(rest.front(), true)) {
    return rest.substr(1);
  }
  if (rest.size() < 2 || rest[1] != ':' || !is_letter(rest[0])) {
    if (rest.size() != text.size()) return std::nullopt;  // \\?\UNC\..., \\?\Volume{...}
    return bad_path(text, "is not absolute", "start it with a drive, such as C:\\inetpub");
  }
  if (rest.size() > 2 && !is_separator(rest[2], true)) {
    return bad_path(text, "is relative to a drive's current folder", "put '\\' after the drive");
  }
  if (rest[0] != 'C' && rest[0] != 'c') return std::nullopt;
  return rest.substr(std::min<std::size_t>(3, rest.size()));
}

Result<std::vector<std::string>> split(std::string_view text, std::string_view rest, bool windows) {
  std::vector<std::string> components;
  std::string name;
  for (std::size_t i = 0; i <= rest.size(); ++i) {
    if (i < rest.size() && !is_separator(rest[i], windows)) {
      name += rest[i];
      continue;
    }
    if (name.empty()) continue;
    if (auto valid = RawPath::check_component(name); !valid) {
      return std::unexpected(
          std::move(valid).error().wrapped("the path \"" + display(text) + "\" is not usable"));
    }
    if (windows && name.find(':') != std::string::npos) {
      return bad_path(text, "has ':' in a component", "name the file, not a stream of it");
    }
    components.push_back(std::move(name));
    name.clear();
  }
  return components;
}

class Finder {
 public:
  Finder(const host::Directory& root, bool ignore_case, std::vector<Issue>* issues)
      : root_(root), ignore_case_(ignore_case), issues_(issues) {}

  Result<std::vector<RawPath>> find(const std::vector<std::string>& components) const {
    std::vector<RawPath> places{RawPath()};
    for (std::size_t i = 0; i < components.size(); ++i) {
      std::vector<RawPath> deeper;
      for (const RawPath& place : places) TRY(step(place, i == 0, components[i], deeper));
      if (deeper.size() > max_places) {
        return fail(Code::limit,
                    "more than " + std::to_string(max_places) + " folders differ from \"" +
                        display(components[i]) + "\" in case only",
                    "name one of them exactly in a scope that minds the case");
      }
      places = std::move(deeper);
    }
    return places;
  }

 private:
  Result<void> step(const RawPath& place, bool at_root, const std::string& name,
                    std::vector<RawPath>& found) const {
    std::unique_ptr<host::Directory> opened;
    if (!at_root) {
      TRY_LET(const bool is_folder, enter(place, opened));
      if (!is_folder) return {};
    }
    const host::Directory& folder = at_root ? root_ : *opened;
    auto entry = folder.stat_entry(name);
    if (entry) {
      TRY_LET(RawPath exact, place.child(name));
      found.push_back(std::move(exact));
    } else if (entry.error().code != Code::not_found) {
      return report(place, std::move(entry).error());
    }
    if (!ignore_case_) return {};
    std::vector<std::string> others;
    auto listed = folder.each_entry([&](std::string_view other, FileKind) {
      if (other != name && ascii_iequals(other, name)) others.emplace_back(other);
      return others.size() <= max_places;
    });
    if (!listed) return report(place, std::move(listed).error());
    std::ranges::sort(others);
    for (const std::string& other : others) {
      TRY_LET(RawPath variant, place.child(other));
      found.push_back(std::move(variant));
    }
    return {};
  }

  /// False for what is no folder: a file on the way is no place, a link is told.
  Result<bool> enter(const RawPath& place, std::unique_ptr<host::Directory>& opened) const {
    auto folder = root_.open_directory(place, host::Mounts::cross);
    if (folder) {
      opened = std::move(*folder);
      return true;
    }
    if (folder.error().code == Code::not_found) return false;
    if (auto kind = kind_of(place); kind && *kind != FileKind::directory) {
      if (*kind != FileKind::symlink) return false;
      TRY(report(place, Error{.code = Code::refused,
                              .message = place.display() + " is a symbolic link",
                              .remedy = "links are not followed: name the folder it leads to"}));
      return false;
    }
    TRY(report(place, std::move(folder).error()));
    return false;
  }

  Result<FileKind> kind_of(const RawPath& place) const {
    TRY_LET(const auto parent, root_.open_directory(place.parent(), host::Mounts::cross));
    TRY_LET(const FileStat stat, parent->stat_entry(place.name()));
    return stat.kind;
  }

  Result<void> report(const RawPath& place, Error error) const {
    if (issues_ == nullptr) return std::unexpected(std::move(error));
    issues_->push_back(
        {.kind = Issue::Kind::unreadable, .where = place.display(), .reason = error.text()});
    return {};
  }

  const host::Directory& root_;
  bool ignore_case_;
  std::vector<Issue>* issues_;
};

}  // namespace

bool lies_elsewhere(const Spelled& spelled, const Variables& variables) {
  const auto texts = fill_in(spelled, variables);
  return texts && std::ranges::any_of(*texts, [&](const std::string& text) {
           const auto rest = below_root(text, spelled.windows);
           return rest && !*rest;
         });
}

Result<std::vector<RawPath>> locate(const host::Directory& root, const Spelled& spelled,
                                    const Variables& variables, std::vector<Issue>* issues) {
  TRY_LET(const auto texts, fill_in(spelled, variables));
  const Finder finder(root, spelled.windows, issues);
  std::vector<RawPath> places;
  for (const std::string& text : texts) {
    TRY_LET(const auto rest, below_root(text, spelled.windows));
    if (!rest) continue;
    TRY_LET(const auto components, split(text, *rest, spelled.windows));
    TRY_LET(const auto found, finder.find(components));
    for (const RawPath& place : found) {
      if (std::ranges::find(places, place) == places.end()) places.push_back(place);
    }
  }
  return places;
}

}  // namespace remediate::observe
