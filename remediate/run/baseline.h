#pragma once

#include <span>
#include <string>
#include <vector>

#include "remediate/crypto/certificate.h"
#include "remediate/host/host.h"
#include "remediate/plan/planner.h"
#include "remediate/run/host_policy.h"

namespace remediate::run {

struct BaselineFiles {
  std::vector<std::string> verified;       // each with its signature in FILE.p7s
  std::vector<std::string> unsigned_ones;  // named as such: whatever they say is taken
};

/// Reads baselines for a plan. Where the policy names baseline_signers each one must be signed by
/// one of them, and neither `signers` nor unsigned ones are taken (refused); else by one of
/// `signers`, which the operator named. signature when that does not hold; what is parsed are the
/// bytes that were verified.
[[nodiscard]] Result<std::vector<plan::KnownGood>> load_baselines(
    const BaselineFiles& files, const std::vector<crypto::Certificate>& signers,
    const HostPolicy& policy, Timestamp now);

/// Looks at everything below the folders of the baselines and tells what is not in them, at most
/// max_baseline_findings each. A file that one of them knows at its place needs no look. What
/// could not be read goes to `issues`.
[[nodiscard]] Result<std::vector<plan::BaselineComparison>> compare_with(
    std::span<const plan::KnownGood> known, const host::Directory& root, unsigned threads,
    std::vector<plan::IssueReport>& issues);

struct BaselineRequest {
  std::string root = "/";
  std::vector<std::string> folders;  // as they are spelled on the machine
  std::string recorded_as;           // another place for the one folder; empty: where it is
  std::vector<std::string> include = {"**/*"};
  std::vector<std::string> exclude;
  std::string name;
  std::string product;
  std::vector<std::string> builds;
  std::vector<std::string> sources;
  std::string tool;
  unsigned threads = 2;
};
struct MadeBaseline {
  plan::Baseline baseline;
  std::string bytes;
  std::vector<plan::IssueReport> issues;  // what is not in it because it could not be read
};
/// Lists every file below the folders with its digest and size. Changes nothing there. not_found
/// for a folder that is not below the root or holds no such file.
[[nodiscard]] Result<MadeBaseline> make_baseline(host::Host& host, const BaselineRequest& request);

}  // namespace remediate::run
