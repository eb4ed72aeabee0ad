#include "remediate/run/compiled_scan.h"

#include <algorithm>
#include <set>
#include <utility>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/observe/scan.h"
#include "remediate/plan/compiled_plan.h"
#include "remediate/plan/replacement_plan.h"

namespace remediate::run {
namespace {

constexpr std::size_t max_entries = 500'000;
constexpr std::size_t max_records = 50'000;
constexpr std::size_t max_depth = 16;
constexpr std::uint64_t max_assembly_bytes = 32u << 20;
constexpr std::size_t max_unnamed = 100;  // assemblies that no record names

std::string lower(std::string_view text) {
  std::string made(text);
  for (char& c : made)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return made;
}

bool is_record(std::string_view name) { return lower(name).ends_with(".compiled"); }

class CompiledScan {
 public:
  CompiledScan(const host::Directory& root, const std::vector<match::FileMatch>& matches,
               std::vector<plan::IssueReport>& issues)
      : root_(root), issues_(issues) {
    for (const match::FileMatch& match : matches)
      if (match.exclusion.empty() && match.authorises == playbook::Authorises::remove)
        names_.insert(lower(match.path.name()));
  }

  void look(const CompiledFolder& where) {
    if (names_.empty()) return;
    std::vector<RawPath> waiting{where.folder};
    const std::size_t top = where.folder.components().size();
    while (!waiting.empty()) {
      const RawPath at = std::move(waiting.back());
      waiting.pop_back();
      std::vector<RawPath> records;
      std::vector<RawPath> assemblies;
      if (!list(at, top, waiting, records, assemblies)) return;
      std::ranges::sort(records);
      nameless_ = false;
      for (const RawPath& record : records) read(where, record, assemblies);
      if (nameless_) keep_unnamed(at, std::move(assemblies));
    }
  }

  plan::CompiledPages take() { return std::move(found_); }

 private:
  void issue(const char* kind, const RawPath& path, std::string reason) {
    issues_.push_back({kind, path.display(), std::move(reason)});
  }

  /// False when a bound was reached.
  bool list(const RawPath& at, std::size_t top, std::vector<RawPath>& waiting,
            std::vector<RawPath>& records, std::vector<RawPath>& assemblies) {
    const auto directory = root_.open_directory(at, host::Mounts::cross);
    if (!directory) {
      issue("unreadable", at, directory.error().text());
      return true;
    }
    const auto listed = (*directory)->each_entry([&](std::string_view name, FileKind kind) {
      if (++entries_ > max_entries || records_ > max_records) return false;
      auto path = at.child(name);
      if (!path) {  // too long a name for a path
        if (is_record(name)) found_.unread_in.emplace(at, at);
        return true;
      }
      if (kind == FileKind::unknown) {
        const auto stat = (*directory)->stat_entry(name);
        if (stat) {
          kind = stat->kind;
        } else {  // it may be a record that shares an assembly
          found_.unread_in.emplace(at, *path);
          issue("unreadable", *path, stat.error().text());
        }
      }
      if (kind == FileKind::directory) {
        if (path->components().size() < top + max_depth)
          waiting.push_back(std::move(*path));
        else if (!std::exchange(too_deep_, true))  // one is enough
          issue("too_deep", *path, "folders lie too deep in each other to be looked into");
      } else if (kind == FileKind::regular && is_record(name)) {
        ++records_;
        records.push_back(std::move(*path));
      } else if (kind == FileKind::regular && lower(name).ends_with(".dll")) {
        assemblies.push_back(std::move(*path));
      }
      return true;
    });
    if (!listed) {  // what was not listed may share the assemblies that were
      issue("unreadable", at, listed.error().text());
      found_.unread_in.emplace(at, at);
    }
    if (entries_ <= max_entries && records_ <= max_records) return true;
    // Without all records nobody knows which pages share an assembly.
    found_ = {};
    names_.clear();
    issue("too_many", at, "more compiled pages than are looked through: none of them is removed");
    return false;
  }

  /// PAGE.HASH.compiled
  [[nodiscard]] bool named_like_a_match(std::string_view name) const {
    const std::string small = lower(name);
    return std::ranges::any_of(
        names_, [&](const std::string& page) { return small.starts_with(page + "."); });
  }

  void read(const CompiledFolder& where, const RawPath& path,
            const std::vector<RawPath>& assemblies) {
    auto file = observe::read_setting_file(root_, path, setting::max_compiled_bytes);
    Result<setting::CompiledPage> parsed =
        file ? setting::parse_compiled_page(file->bytes) : std::unexpected(file.error());
    if (!parsed) {
      found_.unread_in.emplace(path.parent(), path);
      if (!named_like_a_match(path.name())) return;
      found_.records.push_back(
          {where.playbook, where.step, path, {}, parsed.error().text(), "", {}, {}, {}, {}});
      return;
    }
    const auto dll = std::ranges::find_if(assemblies, [&](const RawPath& one) {
      return plan::same_name(one.name(), parsed->assembly + ".dll", true);
    });
    const std::size_t slash = parsed->virtual_path.rfind('/');
    const bool wanted =
        !parsed->shared && names_.contains(lower(parsed->virtual_path.substr(slash + 1)));
    const std::vector<std::string_view> names = path.components();
    const std::size_t top = where.folder.components().size();
    if (dll != assemblies.end()) {
      found_.users[*dll].emplace(path, parsed->virtual_path);
      if (wanted) read_assembly(*dll);
    }
    nameless_ |= wanted && parsed->assembly.empty();
    if (wanted)
      found_.records.push_back({where.playbook,
                                where.step,
                                path,
                                std::move(*parsed),
                                "",
                                std::move(file->sha256),
                                std::move(file->facts),
                                dll == assemblies.end() ? RawPath() : *dll,
                                names.size() > top + 1 ? std::string(names[top]) : "",
                                {}});
  }

  /// One of them may hold the code of the page whose record names none.
  void keep_unnamed(const RawPath& folder, std::vector<RawPath> assemblies) {
    std::ranges::sort(assemblies);
    for (RawPath& assembly : assemblies) {
      if (!setting::is_page_assembly(assembly.name()) || found_.users.contains(assembly)) continue;
      if (++unnamed_ > max_unnamed) {
        issue("too_many", folder,
              "more than " + std::to_string(max_unnamed) +
                  " assemblies of compiled pages lie beside records that name none, and no record "
                  "names them: the rest is not listed for review. Clear the folder with IIS "
                  "stopped; the good pages are compiled anew");
        return;
      }
      read_assembly(assembly);
      if (found_.assemblies.contains(assembly))
        found_.unnamed[folder].push_back(std::move(assembly));
    }
  }

  void read_assembly(const RawPath& path) {
    if (found_.assemblies.contains(path)) return;
    auto file = observe::read_setting_file(root_, path, max_assembly_bytes);
    if (!file) return issue("unreadable", path, file.error().text());
    found_.assemblies[path] = {std::move(file->sha256), std::move(file->facts)};
  }

  const host::Directory& root_;
  std::vector<plan::IssueReport>& issues_;
  std::set<std::string> names_;  // of pages that may go, lower case
  plan::CompiledPages found_;
  std::size_t entries_ = 0, records_ = 0, unnamed_ = 0;
  bool nameless_ = false;  // a record of the folder is of a match and names no assembly
  bool too_deep_ = false;  // told
};

}  // namespace

plan::CompiledPages scan_compiled(const host::Directory& root,
                                  const std::vector<CompiledFolder>& folders,
                                  const std::vector<match::FileMatch>& matches,
                                  std::vector<plan::IssueReport>& issues) {
  CompiledScan scan(root, matches, issues);
  for (const CompiledFolder& folder : folders) scan.look(folder);
  return scan.take();
}

bool removes_assembly(const plan::Operation& operation) {
  return operation.action == plan::Action::quarantine &&
         lower(operation.path.name()).ends_with(".dll") &&
         std::ranges::any_of(operation.details,
                             [](const auto& one) { return one.first == plan::compiled_from; });
}

Result<void> check_unshared(const host::Directory& root, const RawPath& assembly,
                            const std::set<RawPath>& going) {
  constexpr const char* remedy = "make a new plan";
  TRY_LET(const auto folder, root.open_directory(assembly.parent(), host::Mounts::cross));
  std::vector<RawPath> records;
  std::size_t entries = 0;
  bool nameless = false;
  TRY(folder->each_entry([&](std::string_view name, FileKind) {
    if (++entries > max_entries || records.size() > max_records) return false;
    if (!is_record(name)) return true;
    auto path = assembly.parent().child(name);
    if (!path)
      nameless = true;
    else if (!going.contains(*path))
      records.push_back(std::move(*path));
    return true;
  }));
  if (nameless)
    return fail(Code::changed,
                "whether pages that stay are in it cannot be told: a record beside it has too long "
                "a name to be read",
                remedy);
  if (entries > max_entries || records.size() > max_records)
    return fail(Code::changed, "its folder has more records than are looked through", remedy);
  for (const RawPath& record : records) {
    const auto file = observe::read_setting_file(root, record, setting::max_compiled_bytes);
    if (!file && file.error().code == Code::not_found) continue;
    const auto page = file ? setting::parse_compiled_page(file->bytes)
                           : Result<setting::CompiledPage>(std::unexpected(file.error()));
    if (!page)
      return fail(Code::changed,
                  "whether pages that stay are in it cannot be told: " + record.display() +
                      " cannot be read as a record (" + page.error().text() + ")",
                  remedy);
    if (plan::same_name(page->assembly + ".dll", assembly.name(), true))
      return fail(Code::changed,
                  "a page that stays is in it: " + record.display() + " names it for " +
                      display(page->virtual_path),
                  remedy);
  }
  return {};
}

}  // namespace remediate::run
