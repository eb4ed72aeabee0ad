#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "remediate/base/directory_value.h"
#include "remediate/base/file_facts.h"
#include "remediate/base/raw_path.h"

namespace remediate::plan {

inline constexpr std::int64_t format_version = 1;

enum class Action : std::uint8_t { quarantine, reset_setting, replace_file, instruct };
[[nodiscard]] std::string_view action_name(Action action);

/// Why an operation is planned; `excerpt` is raw bytes.
struct Reason {
  std::string kind;
  std::string text;
  std::uint64_t offset = 0;
  std::string excerpt;
};

/// What must still be true when the plan is applied.
struct Precondition {
  std::string sha256;
  Metadata metadata;  // size, times, identity, mount, attributes
  FileId parent;
  Timestamp parent_modified;
  std::string filesystem;
};

/// One change to one setting of a file, as setting::Edit.
struct SettingEdit {
  std::string address;
  std::string kind;
  std::string attribute;
  std::string value;
  RawPath baseline;  // reset_to_baseline: a file below the root
  std::string baseline_sha256;
};

struct SettingDifference {
  std::string kind;  // removed, added, changed
  std::string address;
  std::string attribute;
  std::string before;  // secrets redacted
  std::string after;
};

struct SettingChange {
  std::string provider;
  std::vector<SettingEdit> edits;
  std::vector<SettingDifference> differences;
  std::string after_sha256;
  std::string diff;  // unified, redacted, display-safe
  /// Of a directory instead of a file: the object, the attribute, its value before and after. There
  /// is no path and no precondition besides it then; edits and differences say the same.
  std::optional<DirectoryValue> directory;
};

/// A change of one value in a directory, with the edit and the difference that it stands for.
[[nodiscard]] SettingChange directory_change(DirectoryValue value);

/// The version that takes a file's place. Its bytes are part of the plan: apply and resume read no
/// folder that somebody could change after the plan was approved.
struct Replacement {
  std::string source;  // the file that the responder supplied
  std::string sha256;
  std::string bytes;
};

struct Operation {
  std::string id;  // "op-0001", in the order in which apply works
  Action action = Action::instruct;
  std::string address;  // display form of the path, setting address, or the step id
  RawPath path;         // below the root; the root itself for instruct
  std::string playbook;
  std::string indicator;
  std::string scope;  // quarantine: where it was found
  std::string step;
  std::vector<Reason> why;
  std::vector<std::pair<std::string, std::string>>
      details;  // e.g. fields of a settings dump; raw bytes
  Precondition precondition;
  SettingChange setting;
  Replacement replacement;  // replace_file
  std::string before;
  std::string after;
  std::string inverse;
  std::vector<std::string> not_restorable;  // what a rollback could not bring back here
  std::string instruction;
  bool waits = false;  // instruct: apply stands still here; operations that it is about follow
};

/// The operation puts another version of a file at its place: reset_setting of a file,
/// replace_file.
[[nodiscard]] bool exchanges_file(const Operation& operation);
/// The digest that the file has after an operation that exchanges it.
[[nodiscard]] const std::string& exchanged_sha256(const Operation& operation);

/// "op-0001" for the first: ids follow the order of work.
[[nodiscard]] std::string operation_id(std::size_t number);

/// A match that the plan shows but does nothing about. Playbook and indicator are empty where the
/// comparison with a baseline found it.
struct Review {
  std::string address;
  std::string playbook;
  std::string indicator;
  std::string sha256;
  std::vector<Reason> why;
};
struct Exclusion {
  std::string address;
  std::string playbook;
  std::string indicator;
  std::string reason;
};
struct LimitReport {
  std::string name;  // "files per plan", "files per indicator hafnium-hash", "percent of the scope"
  std::uint64_t limit = 0;
  std::uint64_t found = 0;
  bool fired = false;           // a fired limit blocks apply
  std::uint64_t approvers = 0;  // unless so many approve, by the policy; 0: nobody can
};
struct ScopeReport {
  std::string playbook;
  std::string scope;
  std::string spelled;
  std::string folder;  // display form; empty when it is not on this host
  bool found = false;
  std::uint64_t files = 0;
};
struct PlaybookReport {
  std::string id;
  std::string name;
  std::uint64_t revision = 0;
  std::string sha256;
  std::string signer{};  // fingerprint of who signed it; empty: the policy asks for nobody
};
/// A baseline of known good files that the plan was made with.
struct BaselineReport {
  struct Folder {
    std::string spelled;
    std::string folder;  // display form; empty when it is not on this host
    bool found = false;
  };
  std::string name;
  std::string product;
  std::string sha256;       // of the file
  std::string signer;       // fingerprint; empty: it was named as one that nobody signed
  std::uint64_t files = 0;  // that it lists
  std::vector<Folder> folders;
  std::uint64_t compared = 0;  // files below its folders
  std::uint64_t known = 0;
  std::uint64_t other_content = 0;
  std::uint64_t not_listed = 0;
  std::uint64_t left_off = 0;  // of the last two, not among the reviews
};
struct IssueReport {
  std::string kind;
  std::string where;
  std::string reason;
};

/// Where the plan was made and is valid.
struct HostFacts {
  std::string id;  // digest of the machine's identity
  std::string name;
  std::string boot;
  std::string root;  // as the operator gave it
  FileId root_id;
};

/// A value: everything that apply will do. Printable, hashed, signed.
struct Plan {
  std::string plan_id;  // 32 hexadecimal digits, binds every byte of the plan file
  std::string nonce;
  std::string tool;  // "remediate 0.1.0"
  std::string policy_sha256;
  std::string policy{};  // its path; empty: the built-in one, or a plan of before it was recorded
  Timestamp created;
  Timestamp expires;
  HostFacts host;
  std::vector<PlaybookReport> playbooks;
  std::vector<BaselineReport> baselines{};
  std::vector<Operation> operations;
  std::vector<Review> reviews;
  std::vector<Exclusion> exclusions;
  std::vector<LimitReport> limits;
  std::vector<ScopeReport> scopes;
  std::vector<IssueReport> issues;
  std::uint64_t files_scanned = 0;

  [[nodiscard]] bool blocked() const;  // a limit fired that nobody may go above
  [[nodiscard]] std::uint64_t approvers_above_limit() const;  // 0: no limit fired, or blocked
  [[nodiscard]] bool has_changes() const;                     // an operation besides instruct
};

}  // namespace remediate::plan
