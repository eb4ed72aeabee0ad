#include "remediate/plan/baseline.h"

#include "remediate/base/encoding.h"

namespace remediate::plan {

KnownGood::KnownGood(Baseline baseline, std::string sha256, std::string signer)
    : baseline_(std::move(baseline)), sha256_(std::move(sha256)), signer_(std::move(signer)) {
  by_digest_.reserve(baseline_.files.size());
  by_path_.reserve(baseline_.files.size());
  for (const BaselineFile& file : baseline_.files) {
    by_digest_.emplace(file.sha256, &file);
    by_path_.emplace(key(file.folder, file.path.bytes()), &file);
  }
}

std::string KnownGood::key(std::uint32_t folder, std::string_view path) const {
  const bool fold = baseline_.folders[folder].ignore_case;
  return std::to_string(folder) + "/" + (fold ? ascii_lower(path) : std::string(path));
}

const BaselineFile* KnownGood::file_with(std::string_view digest) const {
  const auto found = by_digest_.find(digest);
  return found == by_digest_.end() ? nullptr : found->second;
}

KnownGood::Answer KnownGood::ask(std::uint32_t folder, std::string_view path,
                                 std::string_view digest) const {
  if (folder >= baseline_.folders.size()) return Answer::not_listed;
  const auto [first, last] = by_path_.equal_range(key(folder, path));
  if (first == last) return Answer::not_listed;
  for (auto file = first; file != last; ++file)
    if (file->second->sha256 == digest) return Answer::known;
  return Answer::other_content;
}

std::string KnownGood::title() const {
  return "baseline \"" + display(baseline_.name) + "\" (sha256 " + sha256_ +
         (signer_.empty() ? ", unsigned)" : ")");
}

}  // namespace remediate::plan
