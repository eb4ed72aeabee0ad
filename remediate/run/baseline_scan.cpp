#include "remediate/run/baseline_scan.h"

#include <algorithm>

#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"

namespace remediate::run {
namespace {

constexpr std::size_t piece_length = std::size_t{1} << 20;

Result<std::string> sha256_of(const observe::LargeContent& content) {
  crypto::Digest digest(crypto::Algorithm::sha256);
  std::string piece;
  for (std::uint64_t start = 0; start < content.size(); start += piece.size()) {
    piece.resize(
        static_cast<std::size_t>(std::min<std::uint64_t>(piece_length, content.size() - start)));
    TRY(content.read(start, piece));
    digest.update(piece);
  }
  TRY(content.unchanged());
  return digest.finish_hex();
}

}  // namespace

Result<void> BaselineSelector::add(std::size_t number, const plan::Baseline& baseline) {
  for (const plan::BaselineFolder& folder : baseline.folders) {
    Folder made{number, static_cast<std::uint32_t>(&folder - baseline.folders.data()), {}, {}};
    TRY_LET(made.include, match::Glob::parse_all(folder.include, folder.ignore_case));
    TRY_LET(made.exclude, match::Glob::parse_all(folder.exclude, folder.ignore_case));
    folders_.push_back(std::move(made));
  }
  return {};
}

const BaselineSelector::Folder* BaselineSelector::find(const observe::ScopeInstance& scope) const {
  const auto found = std::ranges::find_if(folders_, [&](const Folder& folder) {
    return scope.playbook == std::to_string(folder.baseline) &&
           scope.scope == std::to_string(folder.number);
  });
  return found == folders_.end() ? nullptr : &*found;
}

observe::Need BaselineSelector::need(const observe::ScopeInstance& scope,
                                     std::string_view below_scope) const {
  const Folder* folder = find(scope);
  const auto fits = [&](const match::Glob& glob) { return glob.matches(below_scope); };
  return folder != nullptr && std::ranges::any_of(folder->include, fits) &&
                 std::ranges::none_of(folder->exclude, fits)
             ? observe::Need::content
             : observe::Need::skip;
}

std::uint64_t BaselineSelector::max_file_size(const observe::ScopeInstance&) const {
  return max_baseline_file_size;
}

Result<std::unique_ptr<BaselineScan>> BaselineScan::make(
    std::span<const plan::KnownGood> known, std::vector<plan::BaselineComparison>& into) {
  std::unique_ptr<BaselineScan> made(new BaselineScan(known, into));
  for (std::size_t number = 0; number < known.size(); ++number)
    TRY(made->add(number, known[number].baseline()));
  return made;
}

void BaselineScan::observe(const observe::FileObservation& file, std::string_view content,
                           const observe::TargetSource& target) {
  observe_in(std::span(&file, 1), content, target);
}

void BaselineScan::observe_in(std::span<const observe::FileObservation> places,
                              std::string_view content, const observe::TargetSource&) {
  if (!places.empty()) compare(places, crypto::sha256_hex(content));
}

Result<void> BaselineScan::observe_large(std::span<const observe::FileObservation> places,
                                         const observe::LargeContent& content,
                                         const observe::TargetSource&) {
  TRY_LET(const std::string digest, sha256_of(content));
  if (!places.empty()) compare(places, digest);
  return {};
}

void BaselineScan::compare(std::span<const observe::FileObservation> places,
                           const std::string& digest) {
  using Answer = plan::KnownGood::Answer;
  // By baseline: the best answer of its folders that hold the file.
  std::vector<std::optional<Answer>> answers(known_.size());
  for (const observe::FileObservation& place : places) {
    const Folder* folder = find(*place.scope);
    if (folder == nullptr) continue;
    const Answer answer = known_[folder->baseline].ask(folder->number, place.below_scope, digest);
    auto& best = answers[folder->baseline];
    best = best ? std::min(*best, answer) : answer;
  }
  const bool known = std::ranges::find(answers, Answer::known) != answers.end();
  const std::lock_guard lock(mutex_);
  for (std::size_t number = 0; number < answers.size(); ++number) {
    if (!answers[number]) continue;
    plan::BaselineReport& report = into_[number].report;
    ++report.compared;
    if (known) {
      ++report.known;
      continue;
    }
    const bool listed = *answers[number] == Answer::other_content;
    ++(listed ? report.other_content : report.not_listed);
    auto& findings = findings_[number];
    findings.insert({places.front().path, digest, listed});
    if (findings.size() <= plan::max_baseline_findings) continue;
    findings.erase(std::prev(findings.end()));
    ++report.left_off;
  }
}

void BaselineScan::finish() {
  for (std::size_t number = 0; number < findings_.size(); ++number)
    into_[number].findings.assign(findings_[number].begin(), findings_[number].end());
}

Result<std::unique_ptr<BaselineMaker>> BaselineMaker::make(plan::Baseline& into) {
  std::unique_ptr<BaselineMaker> made(new BaselineMaker(into));
  TRY(made->add(0, into));
  return made;
}

void BaselineMaker::observe(const observe::FileObservation& file, std::string_view content,
                            const observe::TargetSource&) {
  list(file, crypto::sha256_hex(content), content.size());
}

Result<void> BaselineMaker::observe_large(std::span<const observe::FileObservation> places,
                                          const observe::LargeContent& content,
                                          const observe::TargetSource&) {
  TRY_LET(const std::string digest, sha256_of(content));
  for (const observe::FileObservation& place : places) list(place, digest, content.size());
  return {};
}

void BaselineMaker::list(const observe::FileObservation& file, std::string digest,
                         std::uint64_t size) {
  const Folder* folder = find(*file.scope);
  auto path = RawPath::parse(file.below_scope);
  if (folder == nullptr || !path) return;
  const std::lock_guard lock(mutex_);
  if (into_.files.size() >= plan::max_baseline_files)
    ++left_out_;
  else
    into_.files.push_back({folder->number, std::move(*path), std::move(digest), size, {}});
}

Result<void> BaselineMaker::finish() {
  if (left_out_ == 0) return {};
  return fail(Code::limit,
              std::to_string(plan::max_baseline_files + left_out_) +
                  " files are below the folders, a baseline lists at most " +
                  std::to_string(plan::max_baseline_files),
              "narrow --include, or make several");
}

}  // namespace remediate::run
