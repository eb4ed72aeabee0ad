#include "remediate/run/known_good.h"

#include <algorithm>
#include <set>
#include <utility>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/observe/scan.h"
#include "remediate/plan/replacement_plan.h"

namespace remediate::run {
namespace {

constexpr std::size_t max_entries = 200'000;
constexpr std::size_t max_depth = 32;
constexpr std::size_t max_files = 10'000;

struct Wanted {
  std::vector<std::string> names;
  std::set<std::string> digests;

  [[nodiscard]] bool names_file(std::string_view name) const {
    return std::ranges::any_of(
        names, [&](const std::string& one) { return plan::same_name(one, name, true); });
  }
};

Wanted wanted_by(const std::vector<playbook::Playbook>& playbooks) {
  Wanted wanted;
  for (const playbook::Playbook& playbook : playbooks)
    for (const playbook::Step& step : playbook.steps)
      for (const playbook::KnownGood& good : step.known_good) {
        wanted.names.push_back(good.name);
        wanted.digests.insert(good.sha256.begin(), good.sha256.end());
      }
  return wanted;
}

class KnownGoodReader {
 public:
  KnownGoodReader(const Wanted& wanted, std::vector<plan::IssueReport>& issues)
      : wanted_(wanted), issues_(issues) {}

  Result<void> read(host::Host& host, const std::string& folder) {
    auto root = host.open_root(folder);
    if (!root) {
      Error error = std::move(root).error().wrapped("the folder with known good files " +
                                                    display(folder) + " cannot be opened");
      if (error.code == Code::refused)
        error.remedy =
            "name a folder: unpack an archive first, and name the folder that it was unpacked to";
      else if (error.code == Code::not_found)
        error.remedy = "name a folder that is there";
      return std::unexpected(std::move(error));
    }
    std::vector<RawPath> found;
    found_.folders.push_back(folder);
    TRY(walk(**root, folder, found));
    std::ranges::sort(found);
    for (const RawPath& path : found) take(**root, folder, path);
    return {};
  }

  plan::GoodFiles take() { return std::move(found_); }

 private:
  void issue(const std::string& kind, const std::string& folder, const RawPath& path,
             std::string reason) {
    issues_.push_back({kind, display(folder) + "/" + path.display(), std::move(reason)});
  }

  Result<void> walk(const host::Directory& root, const std::string& folder,
                    std::vector<RawPath>& found) {
    std::vector<RawPath> folders{RawPath()};
    while (!folders.empty()) {
      const RawPath at = std::move(folders.back());
      folders.pop_back();
      auto directory = root.open_directory(at, host::Mounts::stay);
      if (!directory) {
        issue("unreadable", folder, at, directory.error().text());
        continue;
      }
      auto listed = (*directory)->each_entry([&](std::string_view name, FileKind kind) {
        if (++entries_ > max_entries || found_.files.size() + found.size() >= max_files)
          return false;
        auto path = at.child(name);
        if (!path) {
          issue("unreadable", folder, at, path.error().text());
          return true;
        }
        if (kind == FileKind::unknown) {
          auto stat = (*directory)->stat_entry(name);
          if (stat)
            kind = stat->kind;
          else
            issue("unreadable", folder, *path, stat.error().text());
        }
        if (kind == FileKind::regular && wanted_.names_file(name)) found.push_back(*path);
        if (kind != FileKind::directory) return true;
        if (path->components().size() < max_depth)
          folders.push_back(std::move(*path));
        else if (!std::exchange(too_deep_, true))  // one is enough
          issue("too_deep", folder, *path, "folders lie too deep in each other to be looked into");
        return true;
      });
      if (!listed) issue("unreadable", folder, at, listed.error().text());
      if (entries_ > max_entries || found_.files.size() + found.size() >= max_files)
        return fail(Code::limit,
                    "the folder with known good files " + display(folder) +
                        " has more entries than are looked through",
                    "name a folder with just the files that are to be put back");
    }
    return {};
  }

  void take(const host::Directory& root, const std::string& folder, const RawPath& path) {
    auto read = observe::read_setting_file(root, path, plan::max_known_good_bytes);
    if (!read) return issue("unreadable", folder, path, read.error().text());
    if (wanted_.digests.contains(read->sha256) && !found_.bytes.contains(read->sha256)) {
      if (bytes_ + read->bytes.size() > plan::max_known_good_total)
        return issue("too_large", folder, path,
                     "the known good files together have more than " +
                         std::to_string(plan::max_known_good_total) + " bytes");
      bytes_ += read->bytes.size();
      found_.bytes.emplace(read->sha256, std::move(read->bytes));
    }
    found_.files.push_back({folder, path, std::move(read->sha256)});
  }

  const Wanted& wanted_;
  std::vector<plan::IssueReport>& issues_;
  plan::GoodFiles found_;
  std::size_t entries_ = 0;
  std::uint64_t bytes_ = 0;
  bool too_deep_ = false;  // told
};

}  // namespace

Result<plan::GoodFiles> read_known_good(host::Host& host, const std::vector<std::string>& folders,
                                        const std::vector<playbook::Playbook>& playbooks,
                                        std::vector<plan::IssueReport>& issues) {
  const Wanted wanted = wanted_by(playbooks);
  if (folders.empty()) return plan::GoodFiles();
  if (wanted.names.empty()) {
    issues.push_back({"not_used", display(folders.front()),
                      "no playbook has a replace_file step, so no known good file is read"});
    return plan::GoodFiles();
  }
  KnownGoodReader reader(wanted, issues);
  for (const std::string& folder : folders) TRY(reader.read(host, folder));
  return reader.take();
}

}  // namespace remediate::run
