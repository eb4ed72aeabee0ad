#include <algorithm>
#include <array>
#include <set>
#include <unordered_map>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/host/durable.h"
#include "remediate/observe/package_database.h"

namespace remediate::observe {
namespace {

constexpr std::uint64_t max_list_bytes = 64u << 20;
constexpr std::uint64_t max_all_lists_bytes = 2ull << 30;
constexpr std::size_t max_lists = 200'000;
constexpr std::size_t max_diversions = 100'000;
constexpr std::size_t max_named = 5;
/// Folders that merged systems have as links to others; databases may name files through them.
constexpr std::array<std::pair<std::string_view, std::string_view>, 9> merged = {
    {{"bin", "/usr/bin"},
     {"sbin", "/usr/sbin"},
     {"lib", "/usr/lib"},
     {"lib32", "/usr/lib32"},
     {"lib64", "/usr/lib64"},
     {"libx32", "/usr/libx32"},
     {"libo32", "/usr/libo32"},
     {"var/run", "/run"},
     {"var/lock", "/run/lock"}}};

struct Hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};

/// Calls `visit` with each line, without its line feed.
template <class Visit>
void each_line(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    visit(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

bool not_there(const Error& error) { return error.code == Code::not_found; }

/// "php8.2-cli" of "php8.2-cli:amd64".
std::string_view without_architecture(std::string_view package) {
  return package.substr(0, package.find(':'));
}

class Dpkg {
 public:
  Dpkg(const host::Directory& root, const host::Directory& contents, const WantedFiles& wanted,
       PackageFiles& found)
      : root_(root), contents_(contents), found_(found) {
    for (const auto& [path, file] : wanted) wanted_.emplace(path, &file);
  }

  void look() {
    if (auto looked = read(); !looked)
      add_unread(found_, "the dpkg database below var/lib/dpkg: " + looked.error().text());
  }

 private:
  Result<void> read() {
    TRY_LET(const RawPath place, RawPath::parse("var/lib/dpkg"));
    auto top = root_.open_directory(place, host::Mounts::cross);
    if (!top && not_there(top.error())) return {};
    found_.looked_up = true;
    if (!top) return std::unexpected(std::move(top).error());
    TRY_LET(const RawPath info_name, RawPath::parse("info"));
    auto info = (*top)->open_directory(info_name, host::Mounts::cross);
    if (!info && not_there(info.error())) {
      for (const char* other : {"status", "status.d"})
        if (auto entry = (*top)->stat_entry(other); entry || !not_there(entry.error()))
          return fail(Code::unsupported, "it has " + std::string(other) + " and no folder info");
      found_.looked_up = false;
      return {};
    }
    if (!info) return std::unexpected(std::move(info).error());
    TRY_LET(const std::vector<std::string> lists, names_of_lists(**info));
    TRY(check_complete(**top, lists));
    TRY(read_diversions(**top));
    find_links();
    std::uint64_t bytes = 0;
    for (const std::string& name : lists) {
      TRY_LET(const std::string list, host::read_whole(**info, name, max_list_bytes));
      bytes += list.size();
      if (bytes > max_all_lists_bytes)
        return fail(Code::limit,
                    "its lists have more than " + std::to_string(max_all_lists_bytes) + " bytes");
      const std::string_view package = std::string_view(name).substr(0, name.size() - 5);
      each_line(list, [&](std::string_view line) { line_of(package, line); });
    }
    for (const Hit& hit : hits_) compare(**info, hit);
    return {};
  }

  static Result<std::vector<std::string>> names_of_lists(const host::Directory& info) {
    std::vector<std::string> names;
    TRY(info.each_entry([&](std::string_view name, FileKind) {
      if (name.ends_with(".list")) names.emplace_back(name);
      return names.size() <= max_lists;
    }));
    if (names.size() > max_lists)
      return fail(Code::limit, "it has more than " + std::to_string(max_lists) + " lists");
    std::ranges::sort(names);
    return names;
  }

  /// Every installed package must have its list: a missing one owns nothing, silently.
  static Result<void> check_complete(const host::Directory& top,
                                     const std::vector<std::string>& lists) {
    TRY_LET(const std::string status, host::read_whole(top, "status", max_list_bytes));
    std::vector<std::string> missing;
    std::string package, architecture;
    bool installed = false;
    const auto has = [&](const std::string& stem) {
      return std::ranges::binary_search(lists, stem + ".list");
    };
    const auto end_of_package = [&] {
      if (installed && !has(package) && !has(package + ":" + architecture))
        missing.push_back(package);
      package.clear();
      architecture.clear();
      installed = false;
    };
    each_line(status, [&](std::string_view line) {
      if (line.empty()) end_of_package();
      if (line.starts_with("Package: ")) package = line.substr(9);
      if (line.starts_with("Architecture: ")) architecture = line.substr(14);
      if (line.starts_with("Status: ")) installed = line.ends_with(" installed");
    });
    end_of_package();
    if (missing.empty()) return {};
    std::string named;
    for (std::size_t index = 0; index < std::min(missing.size(), max_named); ++index)
      named += (index == 0 ? "" : ", ") + display(missing[index]);
    return fail(Code::corrupt,
                std::to_string(missing.size()) + " installed package(s) have no list of files: " +
                    named + (missing.size() > max_named ? " ..." : ""),
                "reinstall them");
  }

  /// Three lines each: the path, where it is moved to, the package whose own file stays there.
  Result<void> read_diversions(const host::Directory& top) {
    auto text = host::read_whole(top, "diversions", max_list_bytes);
    if (!text && not_there(text.error())) return {};
    if (!text) return std::unexpected(std::move(text).error());
    std::size_t count = 0;
    std::array<std::string_view, 2> before;
    each_line(*text, [&](std::string_view line) {
      if (const std::size_t at = count++ % 3; at < 2)
        before.at(at) = line;
      else if (count / 3 <= max_diversions)
        diversions_[std::string(before[0])] = {std::string(before[1]), std::string(line)};
    });
    if (count % 3 != 0) return fail(Code::corrupt, "its diversions end in the middle");
    if (count / 3 > max_diversions)
      return fail(Code::limit,
                  "it has more than " + std::to_string(max_diversions) + " diversions");
    return {};
  }

  void find_links() {
    for (const auto& [name, target] : merged) {
      const auto path = RawPath::parse(name);
      const auto parent = path ? root_.open_directory(path->parent(), host::Mounts::cross)
                               : Result<std::unique_ptr<host::Directory>>(nullptr);
      if (!parent || *parent == nullptr) continue;
      const auto entry = (*parent)->stat_entry(path->name());
      if (entry && entry->kind == FileKind::symlink)
        links_.emplace_back("/" + std::string(name) + "/", target);
    }
  }

  void line_of(std::string_view package, std::string_view line) {
    if (!line.starts_with('/')) return;  // no path, whatever it is diverted to
    std::string moved;
    if (const auto diverted = diversions_.find(line);
        diverted != diversions_.end() && diverted->second.by != without_architecture(package)) {
      moved = diverted->second.to;
      hit(package, moved, line);
      return;
    }
    hit(package, line, line);
  }

  void hit(std::string_view package, std::string_view path, std::string_view listed) {
    auto file = wanted_.find(path);
    if (file == wanted_.end()) {
      const auto link = std::ranges::find_if(
          links_, [&](const auto& entry) { return path.starts_with(entry.first); });
      if (link == links_.end()) return;
      file = wanted_.find(std::string(link->second) +
                          std::string(path.substr(link->first.size() - 1)));
      if (file == wanted_.end()) return;
    }
    const auto [owner, first] = found_.owned.try_emplace(
        *file->second, PackageFile{"dpkg", std::string(package), PackageFile::Content::unknown});
    if (first) hits_.push_back({file->second, std::string(package), std::string(listed)});
  }

  struct Hit {
    const RawPath* file;
    std::string package;
    std::string listed;  // the path as the package names it
  };

  void compare(const host::Directory& info, const Hit& hit) {
    const auto sums = host::read_whole(info, hit.package + ".md5sums", max_list_bytes);
    if (!sums) return;
    each_line(*sums, [&](std::string_view line) {
      if (line.size() <= 34 || line.substr(34) != std::string_view(hit.listed).substr(1)) return;
      found_.owned[*hit.file].content =
          compare_content(contents_, *hit.file, crypto::Algorithm::md5, line.substr(0, 32));
    });
  }

  struct Diversion {
    std::string to;
    std::string by;
  };
  const host::Directory& root_;
  const host::Directory& contents_;
  PackageFiles& found_;
  std::unordered_map<std::string, const RawPath*, Hash, std::equal_to<>> wanted_;
  std::unordered_map<std::string, Diversion, Hash, std::equal_to<>> diversions_;
  std::vector<std::pair<std::string, std::string_view>> links_;
  std::vector<Hit> hits_;
};

}  // namespace

void find_dpkg_files(const host::Directory& root, const host::Directory& contents,
                     const WantedFiles& wanted, PackageFiles& found) {
  Dpkg(root, contents, wanted, found).look();
}

}  // namespace remediate::observe
