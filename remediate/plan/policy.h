#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "remediate/base/error.h"

namespace remediate::plan {

/// What is asked between two stages whether the server still does its work.
struct Probe {
  std::string url;  // http or https
  std::uint64_t expect_status = 200;
  std::uint64_t timeout_seconds = 10;  // for all of it: connecting, waiting, reading
  std::string body_contains;           // empty: any body will do
  std::string ca_file;  // PEM, relative to the policy's folder; empty: the system's authorities
};

/// How an apply goes on: so many operations, then so many more, at last the rest.
struct Stages {
  std::vector<std::uint64_t> sizes = {1, 5};
  std::optional<Probe> probe;  // none: a person looks, and `resume` starts the next stage
};

/// The host's own rules, above every playbook. The default-constructed value is the embedded
/// policy that holds where the host has no policy file.
struct Policy {
  // Approval. No approvers: apply asks for --confirm PLAN_ID instead of signatures.
  std::uint64_t threshold = 0;
  std::vector<std::string> approver_files;  // certificates (PEM), relative to the policy's folder
  std::uint64_t plan_lifetime_hours = 72;

  // Blast radius. A limit that fires blocks apply.
  std::uint64_t max_files = 50;  // quarantined files a plan
  std::uint64_t max_files_per_indicator = 50;
  std::uint64_t max_settings = 50;          // settings changed a plan
  std::uint64_t max_percent = 1;            // of the files scanned, once above small_scope_files
  std::uint64_t small_scope_files = 10;     // the percentage does not count up to here
  std::uint64_t approvers_above_limit = 0;  // so many may go above a limit; 0: nobody may

  // Playbooks.
  std::vector<std::string> playbook_signer_files;  // certificates (PEM); empty: none need sign
  std::vector<std::string> baseline_signer_files;  // the same for baselines of known good files
  std::map<std::string, std::uint64_t> minimum_revisions;  // by playbook id
  std::vector<std::string> older_revisions_allowed;  // ids that may go back behind what was applied
  bool generic_content_removes = false;  // else what rests on generic content is for review

  std::optional<Stages> stages;  // none: an apply is one stage

  // Reach.
  std::vector<std::string> allowed_roots;        // absolute; empty: every root
  std::vector<std::string> protected_globs;      // below the root, besides the built-in ones
  std::vector<std::string> allowed_filesystems;  // besides the built-in ones
  bool allow_hard_links = false;
  std::vector<std::string> allow_package_files;  // globs below the root

  // Vault.
  std::vector<std::string> recovery_files;      // certificates (PEM); empty: the store's own
  std::uint64_t max_sealed_bytes = 256u << 20;  // larger files stay in the hold only
};

/// Strict: unknown keys, zero or impossible values are bad_input naming the pointer.
[[nodiscard]] Result<Policy> parse_policy(std::string_view bytes, std::string_view what);

/// Globs that no playbook and no policy can open for removal, compared without case.
[[nodiscard]] const std::vector<std::string>& built_in_protected();
/// File systems on which a removal and its undo are proven.
[[nodiscard]] bool filesystem_supported(std::string_view type, const Policy& policy);

}  // namespace remediate::plan
