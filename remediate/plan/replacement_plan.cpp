#include "remediate/plan/replacement_plan.h"

#include <algorithm>

#include "remediate/base/encoding.h"

namespace remediate::plan {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool ignores_case(const playbook::Playbook& playbook, const std::string& scope) {
  const auto found = std::ranges::find(playbook.scopes, scope, &playbook::Scope::id);
  return found != playbook.scopes.end() && found->ignore_case;
}

bool among(const std::vector<std::string>& digests, const std::string& digest) {
  return std::ranges::find(digests, digest) != digests.end();
}

std::string place_of(const GoodFiles::File& file) {
  return file.folder + (file.folder.ends_with('/') ? "" : "/") + file.path.bytes();
}

/// How many names of their ends two paths have in common.
std::size_t common_end(const RawPath& a, const RawPath& b, bool ignore_case) {
  const std::vector<std::string_view> left = a.components();
  const std::vector<std::string_view> right = b.components();
  std::size_t common = 0;
  while (common < left.size() && common < right.size() &&
         same_name(left[left.size() - 1 - common], right[right.size() - 1 - common], ignore_case))
    ++common;
  return common;
}

/// Another match of the indicator that has more of the file's path than this one; null when none.
const match::FileMatch* owner_of(const GoodFiles::File& file, const Survey& survey,
                                 const match::FileMatch& match, bool ignore_case) {
  const std::size_t own = common_end(file.path, match.path, ignore_case);
  for (const match::FileMatch& other : survey.matches)
    if (other.exclusion.empty() && other.playbook == match.playbook &&
        common_end(file.path, other.path, ignore_case) > own)
      return &other;
  return nullptr;
}

}  // namespace

bool same_name(std::string_view a, std::string_view b, bool ignore_case) {
  if (!ignore_case) return a == b;
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

std::expected<Replacement, std::string> choose_replacement(const Survey& survey,
                                                           const playbook::Playbook& playbook,
                                                           const playbook::Step& step,
                                                           const match::FileMatch& match) {
  const bool ignore_case = ignores_case(playbook, match.scope);
  const std::string name(match.path.name());
  const auto good = std::ranges::find_if(step.known_good, [&](const playbook::KnownGood& one) {
    return same_name(one.name, name, ignore_case);
  });
  if (good == step.known_good.end())
    return std::unexpected("step " + step.id + " names no known good digest for a file " +
                           display(name) + ": it is not replaced");
  if (among(good->sha256, match.sha256))
    return std::unexpected("it is a known good version already (sha256 " + match.sha256 + ")");
  if (match.facts.metadata.stat.size > max_replaced_bytes)
    return std::unexpected("it has " + std::to_string(match.facts.metadata.stat.size) +
                           " bytes, more than the " + std::to_string(max_replaced_bytes) +
                           " up to which a file is replaced");
  if (survey.good_files.folders.empty())
    return std::unexpected(
        "no folder with known good files was given: take " + display(name) +
        " from the installation media or a clean server of the same build, and name its folder "
        "with --known-good");

  const GoodFiles::File* chosen = nullptr;
  const GoodFiles::File* rival = nullptr;  // as near as `chosen`, with other bytes
  std::size_t nearest = 0;
  std::string others;
  const auto say = [&](const GoodFiles::File& file, const std::string& what) {
    if (others.size() < 500)
      others += (others.empty() ? "" : ", ") + display(place_of(file)) + " " + what;
  };
  for (const GoodFiles::File& file : survey.good_files.files) {
    if (!same_name(file.path.name(), name, ignore_case)) continue;
    if (!among(good->sha256, file.sha256) || !survey.good_files.bytes.contains(file.sha256)) {
      say(file, "has " + file.sha256);
      continue;
    }
    if (const match::FileMatch* owner = owner_of(file, survey, match, ignore_case)) {
      say(file, "is of " + owner->path.display());
      continue;
    }
    const std::size_t common = common_end(file.path, match.path, ignore_case);
    if (common < nearest) continue;
    if (common > nearest) {
      chosen = &file;
      rival = nullptr;
      nearest = common;
    } else if (chosen->sha256 != file.sha256) {
      rival = &file;
    }
  }
  if (rival != nullptr)
    return std::unexpected("the known good folders have several good versions of it (" +
                           display(place_of(*chosen)) + ", " + display(place_of(*rival)) +
                           "), and their paths do not tell which: put each below its own folders "
                           "(owa/auth/logon.aspx), or name a folder with the files of this "
                           "server's build only");
  if (chosen != nullptr)
    return Replacement{place_of(*chosen), chosen->sha256,
                       survey.good_files.bytes.at(chosen->sha256)};
  if (others.empty())
    return std::unexpected("no known good folder has a file " + display(name) +
                           " that can be read: put it there and plan again");
  return std::unexpected(
      "no file of this name in the known good folders is this one's and has a "
      "digest that step " +
      step.id + " names: " + others);
}

}  // namespace remediate::plan
