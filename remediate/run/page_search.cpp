#include "remediate/run/page_search.h"

#include <algorithm>
#include <map>
#include <string>

#include "remediate/plan/replacement_plan.h"

namespace remediate::run {
namespace {

constexpr std::size_t max_entries = 2'000'000;
constexpr std::size_t max_depth = 64;
constexpr std::size_t max_fitting = 64;  // files of one record

std::string lower(std::string_view text) {
  std::string made(text);
  for (char& c : made)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return made;
}

/// The last names of a path that a record fits.
struct Tail {
  std::size_t record;
  std::vector<std::string> names;
};

class PageSearch {
 public:
  PageSearch(plan::CompiledPages& compiled, std::vector<plan::IssueReport>& issues)
      : compiled_(compiled), issues_(issues) {
    for (std::size_t index = 0; index < compiled.records.size(); ++index) take(index);
  }

  void look(const host::Directory& root, const std::vector<RawPath>& scopes) {
    if (tails_.empty()) return;
    walk(root, RawPath());
    for (const RawPath& scope : scopes) {
      if (root.open_directory(scope, host::Mounts::stay)) continue;  // seen with the root
      const auto top = root.open_directory(scope, host::Mounts::cross);
      if (top)
        walk(**top, scope);
      else
        unsearched("unreadable", scope, top.error().text());
    }
    for (plan::CompiledPages::Record& record : compiled_.records) {
      std::ranges::sort(record.pages);
      const auto same = std::ranges::unique(record.pages);
      record.pages.erase(same.begin(), same.end());
    }
  }

 private:
  void take(std::size_t index) {
    const plan::CompiledPages::Record& record = compiled_.records[index];
    if (!record.problem.empty() || record.page.shared) return;
    const auto path = RawPath::parse(std::string_view(record.page.virtual_path).substr(1));
    if (!path) return;
    std::vector<std::string> names;
    for (const std::string_view name : path->components()) names.push_back(lower(name));
    tails_.emplace(names.back(), Tail{index, names});
    // The folder of an application may have any name: only what is below it is sure.
    const auto application = std::ranges::find(names, lower(record.application));
    if (std::distance(application, names.end()) >= 3)
      tails_.emplace(names.back(), Tail{index, {application + 1, names.end()}});
  }

  void unsearched(const char* kind, const RawPath& path, const std::string& reason) {
    if (!compiled_.unsearched.empty()) return;  // one is enough
    issues_.push_back({kind, path.display(),
                       reason + "; compiled forms are not removed, since their pages cannot be "
                                "told for sure"});
    compiled_.unsearched = path.display() + ": " + reason;
  }

  void walk(const host::Directory& start, const RawPath& place) {
    struct At {
      RawPath below, path;
    };
    std::vector<At> waiting{{RawPath(), place}};
    const std::size_t top = place.components().size();
    while (!waiting.empty() && compiled_.unsearched.empty()) {
      const At at = std::move(waiting.back());
      waiting.pop_back();
      const auto directory = start.open_directory(at.below, host::Mounts::stay);
      if (!directory) {
        Error why = directory.error();
        if (why.code == Code::refused) {  // another mount, or no folder any more
          const auto across = start.open_directory(at.below, host::Mounts::cross);
          if (across) continue;
          why = across.error();
        }
        if (why.code != Code::not_found) unsearched("unreadable", at.path, why.text());
        continue;
      }
      const auto listed = (*directory)->each_entry([&](std::string_view name, FileKind kind) {
        if (++entries_ > max_entries) return false;
        if (kind == FileKind::unknown) {
          const auto stat = (*directory)->stat_entry(name);
          if (stat)
            kind = stat->kind;
          else if (stat.error().code != Code::not_found)  // it may be a folder
            unsearched("unreadable", at.path, stat.error().text());
        }
        const auto path = at.path.child(name);
        if (!path) {  // no record has such a name
          if (kind != FileKind::regular)
            unsearched("unreadable", at.path, "a folder in it has too long a name to be opened");
          return true;
        }
        if (kind != FileKind::directory) {
          see(*path);
          return true;
        }
        if (path->components().size() <= top + max_depth)
          waiting.push_back({*at.below.child(name), *path});  // the same name
        else
          unsearched("too_deep", *path, "folders lie too deep in each other");
        return true;
      });
      if (!listed) unsearched("unreadable", at.path, listed.error().text());
      if (entries_ > max_entries)
        unsearched("too_many", at.path, "there are more files than are looked through");
    }
  }

  void see(const RawPath& path) {
    const auto [first, last] = tails_.equal_range(lower(path.name()));
    if (first == last) return;
    const std::vector<std::string_view> names = path.components();
    for (auto one = first; one != last; ++one) {
      const Tail& tail = one->second;
      if (tail.names.size() > names.size() ||
          !std::equal(
              tail.names.rbegin(), tail.names.rend(), names.rbegin(),
              [](const std::string& a, std::string_view b) { return plan::same_name(a, b, true); }))
        continue;
      std::vector<RawPath>& pages = compiled_.records[tail.record].pages;
      if (pages.size() < max_fitting)
        pages.push_back(path);
      else
        unsearched("too_many", path, "more files than are kept in mind fit a record");
    }
  }

  plan::CompiledPages& compiled_;
  std::vector<plan::IssueReport>& issues_;
  std::multimap<std::string, Tail> tails_;  // by the page's name, lower case
  std::size_t entries_ = 0;
};

}  // namespace

void find_pages(const host::Directory& root, const std::vector<RawPath>& scopes,
                plan::CompiledPages& compiled, std::vector<plan::IssueReport>& issues) {
  PageSearch(compiled, issues).look(root, scopes);
}

}  // namespace remediate::run
