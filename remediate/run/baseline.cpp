#include "remediate/run/baseline.h"

#include <algorithm>
#include <mutex>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"
#include "remediate/observe/scan.h"
#include "remediate/playbook/spelling.h"
#include "remediate/playbook/trust.h"
#include "remediate/run/baseline_scan.h"
#include "remediate/run/signed_file.h"

namespace remediate::run {
namespace {

constexpr playbook::SignedKind by_policy{"baseline", "the policy names baseline_signers",
                                         "the policy's baseline_signers", "a signer of the policy"};
constexpr playbook::SignedKind by_operator{"baseline", "a baseline needs a signature",
                                           "the certificates of --baseline-signer",
                                           "whoever made it"};

observe::Spelled spelled(const std::string& text) {
  return {text, playbook::spelling_of(text) == playbook::Spelling::windows};
}

void report_issues(observe::ScanResult& result, std::vector<plan::IssueReport>& issues) {
  for (const observe::Issue& found : result.issues)
    issues.push_back({std::string(observe::issue_name(found.kind)), found.where, found.reason});
  if (result.issues_dropped != 0)
    issues.push_back(
        {"more", "", std::to_string(result.issues_dropped) + " further issues are not listed"});
}

Result<plan::KnownGood> load(const std::string& file,
                             const std::vector<crypto::Certificate>* signers, Timestamp now,
                             const playbook::SignedKind& kind) {
  TRY_LET(const std::string bytes, read_named_file(file, "baseline", plan::max_baseline_bytes));
  std::string signer;
  if (signers != nullptr) {
    TRY_LET(const std::string signature, read_signature_of(file, "baseline"));
    TRY_LET(signer, playbook::check_signature(bytes, file, signature, *signers, now, kind));
  }
  TRY_LET(plan::Baseline baseline, plan::parse_baseline(bytes, file));
  return plan::KnownGood(std::move(baseline), crypto::sha256_hex(bytes), std::move(signer));
}

}  // namespace

Result<std::vector<plan::KnownGood>> load_baselines(const BaselineFiles& files,
                                                    const std::vector<crypto::Certificate>& signers,
                                                    const HostPolicy& policy, Timestamp now) {
  const bool policy_decides = !policy.baseline_signers.empty();
  if (policy_decides && (!signers.empty() || !files.unsigned_ones.empty()))
    return fail(Code::refused,
                "the policy names baseline_signers: neither --baseline-signer nor "
                "--unsigned-baseline can be used",
                "have one of them sign the baseline, and name it with --baseline");
  if (!policy_decides && signers.empty() && !files.verified.empty())
    return fail(Code::signature,
                "baseline " + display(files.verified.front()) +
                    " cannot be verified: nobody is named who may sign it",
                "name the certificate with --baseline-signer, or in the policy's "
                "baseline_signers; to take it as it is, name it with --unsigned-baseline");
  if (files.verified.size() + files.unsigned_ones.size() > plan::max_baselines)
    return fail(Code::limit,
                "more than " + std::to_string(plan::max_baselines) + " baselines are named",
                "name fewer, or make one of several");
  std::vector<plan::KnownGood> known;
  const auto& trusted = policy_decides ? policy.baseline_signers : signers;
  const auto& kind = policy_decides ? by_policy : by_operator;
  for (const std::string& file : files.verified) {
    TRY_LET(plan::KnownGood good, load(file, &trusted, now, kind));
    known.push_back(std::move(good));
  }
  for (const std::string& file : files.unsigned_ones) {
    TRY_LET(plan::KnownGood good, load(file, nullptr, now, kind));
    known.push_back(std::move(good));
  }
  for (std::size_t index = 1; index < known.size(); ++index)
    for (std::size_t before = 0; before < index; ++before)
      if (known[before].sha256() == known[index].sha256())
        return fail(Code::bad_input, known[index].title() + " is given twice",
                    "name each baseline once");
  return known;
}

Result<std::vector<plan::BaselineComparison>> compare_with(std::span<const plan::KnownGood> known,
                                                           const host::Directory& root,
                                                           unsigned threads,
                                                           std::vector<plan::IssueReport>& issues) {
  std::vector<plan::BaselineComparison> comparisons;
  std::vector<observe::ScopeInstance> places;
  std::vector<observe::Issue> located;
  for (std::size_t number = 0; number < known.size(); ++number) {
    const plan::Baseline& baseline = known[number].baseline();
    plan::BaselineReport report;
    report.name = baseline.name;
    report.product = baseline.product;
    report.sha256 = known[number].sha256();
    report.signer = known[number].signer();
    report.files = baseline.files.size();
    for (std::size_t index = 0; index < baseline.folders.size(); ++index) {
      const plan::BaselineFolder& folder = baseline.folders[index];
      bool found = false;
      for (const std::string& text : folder.spelled) {
        TRY_LET(const std::vector<RawPath> paths,
                observe::locate(root, spelled(text), {}, &located));
        for (const RawPath& path : paths) {
          const observe::ScopeInstance place{std::to_string(number), std::to_string(index), text,
                                             path, folder.ignore_case};
          const bool twice = std::ranges::any_of(places, [&](const observe::ScopeInstance& other) {
            return other.playbook == place.playbook && other.scope == place.scope &&
                   other.folder == path;
          });
          if (twice) continue;
          found = true;
          places.push_back(place);
          report.folders.push_back({text, path.display(), true});
        }
      }
      if (!found) report.folders.push_back({folder.spelled.front(), "", false});
    }
    comparisons.push_back({std::move(report), {}});
  }
  TRY_LET(const auto selector, BaselineScan::make(known, comparisons));
  if (!places.empty()) {
    observe::ScanOptions options;
    options.threads = threads;
    TRY_LET(observe::ScanResult result, observe::scan(root, places, *selector, options));
    std::ranges::move(located, std::back_inserter(result.issues));
    report_issues(result, issues);
  }
  selector->finish();
  return comparisons;
}

Result<MadeBaseline> make_baseline(host::Host& host, const BaselineRequest& request) {
  MadeBaseline made;
  plan::Baseline& baseline = made.baseline;
  baseline.name = request.name;
  baseline.product = request.product;
  baseline.builds = request.builds;
  baseline.sources = request.sources;
  baseline.tool = request.tool;
  baseline.created = {host.now().seconds, 0};
  if (!request.recorded_as.empty() && request.folders.size() != 1)
    return fail(Code::usage,
                "--recorded-as stands for one folder, and " +
                    std::to_string(request.folders.size()) + " are given",
                "make a baseline of each");
  TRY_LET(const auto root, host.open_root(request.root));
  std::vector<observe::ScopeInstance> places;
  for (const std::string& folder : request.folders) {
    const std::string& text = request.recorded_as.empty() ? folder : request.recorded_as;
    const auto spelling = playbook::spelling_of(text);
    if (!playbook::spelling_of(folder) || !spelling)
      return fail(Code::usage, display(folder) + " is not absolute",
                  "spell it as on the machine itself, such as /var/www or C:\\inetpub\\wwwroot");
    TRY_LET(const std::vector<RawPath> paths, observe::locate(*root, spelled(folder), {}));
    if (paths.size() != 1)
      return fail(paths.empty() ? Code::not_found : Code::ambiguous,
                  display(folder) + (paths.empty() ? " is not" : " is several folders") +
                      " below " + display(request.root),
                  "--root is the top of the disk: the folder that holds var, Windows or inetpub");
    plan::BaselineFolder made_of{
        {text}, spelling == playbook::Spelling::windows, request.include, request.exclude};
    for (auto* globs : {&made_of.include, &made_of.exclude})
      for (std::string& glob : *globs)
        if (const auto refusal = playbook::check_glob(glob, *spelling))
          return fail(Code::usage, refusal->message, refusal->expected);
    places.push_back({"0", std::to_string(baseline.folders.size()), folder, paths.front(), false});
    baseline.folders.push_back(std::move(made_of));
  }
  TRY_LET(const auto selector, BaselineMaker::make(baseline));
  observe::ScanOptions options;
  options.threads = request.threads;
  TRY_LET(observe::ScanResult result, observe::scan(*root, places, *selector, options));
  report_issues(result, made.issues);
  TRY(selector->finish());
  if (baseline.files.empty())
    return fail(Code::not_found, "no file is below the folders that the globs cover",
                "look at --include and --exclude");
  TRY_LET(made.bytes, plan::write_baseline(baseline));
  return made;
}

}  // namespace remediate::run
