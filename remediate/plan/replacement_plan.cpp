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
  std::string others;
  for (const GoodFiles::File& file : survey.good_files.files) {
    if (!same_name(file.path.name(), name, ignore_case)) continue;
    if (!among(good->sha256, file.sha256) || !survey.good_files.bytes.contains(file.sha256)) {
      if (others.size() < 500)
        others += (others.empty() ? "" : ", ") + display(place_of(file)) + " has " + file.sha256;
      continue;
    }
    if (chosen != nullptr && chosen->sha256 != file.sha256)
      return std::unexpected("the known good folders have several good versions of it (" +
                             display(place_of(*chosen)) + ", " + display(place_of(file)) +
                             "): name a folder with the files of this server's build only");
    if (chosen == nullptr) chosen = &file;
  }
  if (chosen != nullptr)
    return Replacement{place_of(*chosen), chosen->sha256,
                       survey.good_files.bytes.at(chosen->sha256)};
  if (others.empty())
    return std::unexpected("no known good folder has a file " + display(name) +
                           " that can be read: put it there and plan again");
  return std::unexpected("no file of this name in the known good folders has a digest that step " +
                         step.id + " names: " + others);
}

}  // namespace remediate::plan
