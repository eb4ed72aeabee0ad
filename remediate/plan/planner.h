#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "remediate/match/engine.h"
#include "remediate/observe/claims.h"
#include "remediate/plan/baseline.h"
#include "remediate/plan/plan.h"
#include "remediate/plan/policy.h"
#include "remediate/playbook/model.h"
#include "remediate/setting/compiled_page.h"
#include "remediate/setting/directory/service.h"

namespace remediate::plan {

/// A configuration file as the survey read it. `playbook` and `indicator` say who asked for it.
struct SettingObservation {
  std::string playbook;
  std::string indicator;
  RawPath path;
  std::string bytes;
  std::string sha256;
  observe::TargetFacts facts;
  std::string refusal{};  // why it must not be edited: what it says is not what holds
};

/// A file that may have the server run others with every page, and what it says is not known.
struct UnreadSetting {
  RawPath path;
  RawPath folder;  // it may speak for everything below
  std::string reason;
  std::string bytes{};  // empty when they could not be read
};

/// A clean copy that a step's reset_to_baseline names.
struct BaselineObservation {
  std::string playbook;
  std::string step;
  RawPath path;
  std::string bytes;
  std::string sha256;
};

/// What lies below the folders of a baseline and is not in it; `findings` are those that the report
/// does not leave off, sorted by path.
struct BaselineComparison {
  struct Finding {
    RawPath path;
    std::string sha256;
    bool listed = false;  // with other content
    auto operator<=>(const Finding&) const = default;
  };
  BaselineReport report;
  std::vector<Finding> findings;
};

/// Files of the folders that the responder supplied whose names steps give good digests for.
struct GoodFiles {
  struct File {
    std::string folder;
    RawPath path;  // below the folder
    std::string sha256;
  };
  std::vector<std::string> folders;
  std::vector<File> files;                   // in the folders' order, sorted by path in each
  std::map<std::string, std::string> bytes;  // by digest, of those digests that steps name
};

/// What ASP.NET keeps of compiled pages, for steps that ask for it.
struct CompiledPages {
  struct Record {  // PAGE.HASH.compiled
    std::string playbook;
    std::string step;
    RawPath path;
    setting::CompiledPage page;
    std::string problem;  // not empty: it cannot be read as a record, and page says nothing
    std::string sha256;
    observe::TargetFacts facts;
    RawPath assembly;  // the root when it is not there
    /// The folder's name below Temporary ASP.NET Files: "root", or the application's last name.
    std::string application{};
    /// All files below the root that the virtual path fits; the page that goes is one of them.
    std::vector<RawPath> pages{};
  };
  struct Assembly {
    std::string sha256;
    observe::TargetFacts facts;
  };
  std::vector<Record> records;  // whose page has the name of a match
  std::map<RawPath, Assembly> assemblies;
  std::map<RawPath, std::map<RawPath, std::string>> users;  // all records and pages of an assembly
  std::map<RawPath, RawPath> unread_in;                     // by folder: a record that is none
  /// By folder, where a record of a match names no assembly: those of pages that no record names.
  std::map<RawPath, std::vector<RawPath>> unnamed{};
  std::string unsearched{};  // not empty: why Record::pages may lack some
};

/// Everything that the planner knows: observations only.
struct Survey {
  HostFacts host;
  std::vector<match::FileMatch> matches;  // sorted by path
  std::vector<SettingObservation> settings;
  std::vector<UnreadSetting> unread_settings{};
  std::vector<BaselineObservation> baselines;
  std::vector<BaselineComparison> known_good{};
  GoodFiles good_files;
  CompiledPages compiled;
  /// The virtual directories that the directory showed; nothing when no connection was given.
  std::optional<std::vector<setting::DirectoryObject>> directory;
  std::vector<ScopeReport> scopes;
  std::vector<IssueReport> issues;
  std::uint64_t files_scanned = 0;
  std::optional<RawPath> store;  // where the store lies when it is below the root
  observe::Claims claims;        // of what matches and may be removed, and of settings
  bool superuser = true;
  std::uint32_t user = 0;
  std::vector<std::uint32_t> groups{};  // of the user; the one that new files get first
};

/// A file whose bytes a baseline knows is never removed: excludes the matches that name one.
void exclude_known_good(std::vector<match::FileMatch>& matches, std::span<const KnownGood> known);

struct PlanRequest {
  const std::vector<playbook::Playbook>& playbooks;
  const Policy& policy;
  std::string policy_sha256;
  std::string tool;
  std::string nonce;
  Timestamp now;
  std::string policy_path{};  // empty: the built-in policy
};

/// Pure. Binds concrete targets: operations in the order of the playbooks' steps, one per file
/// and one per configuration file and indicator, ids in that order. What a guard keeps out is an
/// exclusion with its reason; limits are evaluated and reported. bad_input for a playbook that is
/// revoked or past valid_until.
[[nodiscard]] Result<Plan> make_plan(const PlanRequest& request, const Survey& survey);

}  // namespace remediate::plan
