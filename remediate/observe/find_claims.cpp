#include "remediate/observe/find_claims.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/observe/packages.h"

namespace remediate::observe {
namespace {

using Key = std::pair<std::uint64_t, std::uint64_t>;
Key key_of(const FileId& id) { return {id.device, id.inode}; }

constexpr std::size_t max_store_files = 1'000'000;
/// Another name of a held file is a target like any other: holding it too loses nothing.
constexpr std::string_view held_folder = "hold";
/// At the top of a mount; see quarantine/vault.
constexpr std::string_view hold_prefix = ".remediate-hold-";
constexpr std::string_view store_file = "store.json";

struct Place {
  std::string folder;
  std::string name;
};
Place place_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

class Finder {
 public:
  Finder(host::Host& host, const ClaimQuestion& question) : host_(host), question_(question) {}

  Claims find() {
    if (question_.files.empty()) return std::move(claims_);
    identify();
    find_own_files();
    find_processes();
    find_store();
    find_evidence();
    find_packages();
    return std::move(claims_);
  }

 private:
  void not_looked_up(std::string where, std::string reason) {
    claims_.notices.push_back({.kind = Issue::Kind::not_looked_up,
                               .where = std::move(where),
                               .reason = std::move(reason)});
  }

  /// A target that is gone by now is claimed by nobody.
  void identify() {
    for (const RawPath& file : question_.files) {
      const auto parent = question_.root.open_directory(file.parent(), host::Mounts::cross);
      if (!parent) continue;
      const auto stat = (*parent)->stat_entry(file.name());
      if (!stat) continue;
      files_[key_of(stat->id)].push_back(&file);
      linked_ = linked_ || stat->links > 1;
    }
  }

  void claim(std::map<RawPath, std::string>& claims, const Key& id, const std::string& why) {
    const auto found = files_.find(id);
    if (found == files_.end()) return;
    for (const RawPath* file : found->second) claims.try_emplace(*file, why);
  }

  void find_own_files() {
    for (const OwnFile& own : question_.own) {
      const Place place = place_of(own.path);
      const auto folder = host_.open_root(place.folder);
      const auto stat =
          folder ? (*folder)->stat_entry(place.name) : std::unexpected(folder.error());
      if (stat)
        claim(claims_.tool, key_of(stat->id), "it is " + own.what);
      else if (stat.error().code != Code::not_found)
        not_looked_up(display(own.path), own.what + ": " + stat.error().text());
    }
  }

  void find_processes() {
    const Result<host::FilesInUse> use =
        question_.in_use != nullptr ? *question_.in_use : host_.files_in_use();
    if (!use) {
      not_looked_up("processes", "running executables: " + use.error().text());
      return;
    }
    for (const host::FileInUse& file : use->files) {
      if (file.process == use->own_process)
        claim(claims_.tool, key_of(file.id), "it is this tool's own program, or a library of it");
      else
        claim(claims_.processes, key_of(file.id),
              "process " + std::to_string(file.process) + " (" + display(file.name) + ")");
    }
    // No number: it would differ from plan to plan.
    if (use->unread != 0)
      not_looked_up("processes",
                    std::string("not every running process could be looked into: what the others "
                                "run is not recognised") +
                        (host_.superuser() ? "" : " (run as root)"));
    if (use->cut_off)
      not_looked_up("processes",
                    "more files are in use than are looked at: the rest is not "
                    "recognised");
  }

  void find_store() {
    if (question_.store.empty()) return;
    const auto store = host_.open_root(question_.store);
    if (!store && store.error().code == Code::not_found) return;
    const auto stat = store ? (*store)->stat() : std::unexpected(store.error());
    if (!stat) {
      not_looked_up(display(question_.store), "the tool's store: " + stat.error().text());
      return;
    }
    for (const RawPath& file : question_.files)
      if (within(file.parent(), key_of(stat->id)))
        claims_.tool.try_emplace(file, "it belongs to the tool's own store");
    if (linked_) find_links_of(**store);
  }

  /// Whether the folder is `top` or below it, by identity.
  bool within(const RawPath& folder, const Key& top) {
    if (const auto known = within_.find(folder); known != within_.end()) return known->second;
    const auto opened = question_.root.open_directory(folder, host::Mounts::cross);
    const auto stat = opened ? (*opened)->stat() : std::unexpected(opened.error());
    const bool inside =
        (stat && key_of(stat->id) == top) || (!folder.is_root() && within(folder.parent(), top));
    within_.emplace(folder, inside);
    return inside;
  }

  /// Holds, and stores of other cases. Nobody but their owner may reach into them: a name alone
  /// would let whoever plants a file put it out of reach.
  void find_evidence() {
    for (const RawPath& file : question_.files)
      if (const std::string whose = evidence(file.parent()); !whose.empty())
        claims_.tool.try_emplace(file, whose);
  }

  /// Why the folder, or one above it, is the tool's; empty when it is not.
  std::string evidence(const RawPath& folder) {
    if (folder.is_root()) return {};
    if (const auto known = evidence_.find(folder); known != evidence_.end()) return known->second;
    std::string whose = evidence_in(folder);
    if (whose.empty()) whose = evidence(folder.parent());
    evidence_.emplace(folder, whose);
    return whose;
  }
  std::string evidence_in(const RawPath& folder) {
    const bool named = folder.name().starts_with(hold_prefix);
    const auto opened = question_.root.open_directory(folder, host::Mounts::cross);
    const auto stat = opened ? (*opened)->stat() : std::unexpected(opened.error());
    if (!stat) {
      if (named)
        not_looked_up(folder.display(), "it has the name of a hold: " + stat.error().text());
      return {};
    }
    const bool is_private =
        (stat->mode & 077u) == 0 && (stat->owner == 0 || stat->owner == host_.user());
    if (named && !is_private)
      not_looked_up(folder.display(),
                    "it has the name of a hold of this tool, but it belongs to user " +
                        std::to_string(stat->owner) +
                        " or others can reach into it: it is taken for a folder like any other. "
                        "Look at who made it");
    if (!is_private) return {};
    if (named) return "it lies in a hold of this tool";
    const auto mark = (*opened)->stat_entry(store_file);
    const auto held = (*opened)->stat_entry(held_folder);
    if (!mark || mark->kind != FileKind::regular || !held || held->kind != FileKind::directory)
      return {};
    return "it belongs to a store of this tool, " + folder.display();
  }

  /// Only a file with several names can be a file of the store under another one.
  void find_links_of(const host::Directory& store) {
    std::size_t seen = 0;
    const auto looked = look_at(store, true, seen);
    if (!looked)
      not_looked_up(display(question_.store), "the tool's store: " + looked.error().text());
  }

  Result<void> look_at(const host::Directory& folder, bool top, std::size_t& seen) {
    std::vector<std::string> folders;
    TRY(folder.each_entry([&](std::string_view name, FileKind) {
      if (const auto stat = folder.stat_entry(name); stat && stat->kind == FileKind::directory)
        folders.emplace_back(name);
      else if (stat && stat->links > 1)
        claim(claims_.tool, key_of(stat->id), "it is a file of the tool's own store");
      return ++seen <= max_store_files;
    }));
    if (seen > max_store_files)
      return fail(Code::limit, "it has more than " + std::to_string(max_store_files) + " files");
    for (const std::string& name : folders) {
      if (top && name == held_folder) continue;
      TRY_LET(const RawPath below, RawPath::parse(name));
      TRY_LET(const auto opened, folder.open_directory(below, host::Mounts::stay));
      TRY(look_at(*opened, false, seen));
    }
    return {};
  }

  void find_packages() {
    const std::string place = question_.root.location();
    PackageFiles found = find_package_files(question_.root, "", question_.root, question_.files);
    if (!found.looked_up && place != "/") add_packages_of_this_system(place, found);
    claims_.packages = std::move(found.owned);
    claims_.packages_unread = std::move(found.unread);
    std::ranges::move(found.notices, std::back_inserter(claims_.notices));
  }

  /// For a root that is a folder of the running system. A disk of another machine that is mounted
  /// there is in no package of this one, so what cannot be read here forbids nothing.
  void add_packages_of_this_system(const std::string& place, PackageFiles& found) {
    const auto top = host_.open_root("/");
    if (!top) return;
    PackageFiles here = find_package_files(**top, place, question_.root, question_.files);
    std::ranges::move(found.notices, std::back_inserter(here.notices));
    found = std::move(here);
    if (found.unread.empty()) return;
    not_looked_up("/", found.unread);
    found.unread.clear();
  }

  host::Host& host_;
  const ClaimQuestion& question_;
  Claims claims_;
  std::map<Key, std::vector<const RawPath*>> files_;
  std::map<RawPath, bool> within_;
  std::map<RawPath, std::string> evidence_;
  bool linked_ = false;
};

}  // namespace

Claims find_claims(host::Host& host, const ClaimQuestion& question) {
  return Finder(host, question).find();
}

}  // namespace remediate::observe
