#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "remediate/base/error.h"
#include "remediate/base/file_facts.h"
#include "remediate/base/raw_path.h"

namespace remediate::observe {

/// A scope's folder as found on this host.
struct ScopeInstance {
  std::string playbook;  // id
  std::string scope;     // id
  std::string spelled;   // as the playbook spells it, variables filled in
  RawPath folder;        // below the root; names as they are on disk
  bool ignore_case = false;
};

/// What a plan must know of a file before anything may be done to it.
struct TargetFacts {
  Metadata metadata;
  FileStat parent;
  std::string filesystem;  // type
};

/// A file seen by the scan.
struct FileObservation {
  const ScopeInstance* scope = nullptr;  // lives as long as the scan's result
  RawPath path;                          // below the root
  std::string below_scope;               // below the scope's folder, '/' separated, raw bytes
  std::uint64_t size = 0;                // 0 when the file was not opened
};

/// Something the scan could not or would not look at; shown in the plan.
struct Issue {
  enum class Kind : std::uint8_t {
    unreadable,
    too_large,
    mount_skipped,
    changed_while_read,
    not_evaluated,
    path_not_found,
    ambiguous_name,
    not_looked_up
  };
  Kind kind;
  std::string where;  // display form
  std::string reason;
};
[[nodiscard]] std::string_view issue_name(Issue::Kind kind);

/// Facts on demand, valid during the call that hands it out; reads from the open handle.
class TargetSource {
 public:
  virtual ~TargetSource() = default;
  [[nodiscard]] virtual Result<TargetFacts> facts() const = 0;
};

/// The bytes of an open file that is too large to be in memory, valid during the call that hands it
/// out.
class LargeContent {
 public:
  virtual ~LargeContent() = default;
  [[nodiscard]] virtual std::uint64_t size() const = 0;
  /// Fills `into` from byte `offset` on; changed when the file ends before.
  [[nodiscard]] virtual Result<void> read(std::uint64_t offset, std::span<char> into) const = 0;
  /// changed when the file was written to since size() was taken.
  [[nodiscard]] virtual Result<void> unchanged() const = 0;
};

enum class Need : std::uint8_t { skip, facts, content };

/// Decides what is opened and receives what was read. Called from several threads at once.
class Selector {
 public:
  virtual ~Selector() = default;
  /// By path alone, before anything is opened.
  [[nodiscard]] virtual Need need(const ScopeInstance& scope,
                                  std::string_view below_scope) const = 0;
  /// By path and size, once the file is open: false when nothing in its content can matter. Then it
  /// is not read, and that is no issue.
  [[nodiscard]] virtual bool wants(const ScopeInstance&, std::string_view /*below_scope*/,
                                   std::uint64_t /*size*/) const {
    return true;
  }
  /// Files larger than this are reported as too_large instead of read.
  [[nodiscard]] virtual std::uint64_t max_file_size(const ScopeInstance& scope) const = 0;
  /// What lets larger files be read, for the issue; empty: nothing does.
  [[nodiscard]] virtual std::string_view raises_limit() const { return {}; }
  /// One file that is wanted and too large to be read.
  virtual void observe_unread(const FileObservation&) {}
  /// One opened file; `content` is its whole bytes with Need::content, empty with Need::facts.
  virtual void observe(const FileObservation& file, std::string_view content,
                       const TargetSource& target) = 0;
  /// One opened file as each scope that needs it sees it: what the scan calls.
  virtual void observe_in(std::span<const FileObservation> places, std::string_view content,
                          const TargetSource& target) {
    for (const FileObservation& place : places) observe(place, content, target);
  }
  /// The same for a file of more than max_held bytes. Nothing is kept of it after an error; after
  /// `changed` it may be handed out once more. Unless it is overridden, the file is read whole.
  [[nodiscard]] virtual Result<void> observe_large(std::span<const FileObservation> places,
                                                   const LargeContent& content,
                                                   const TargetSource& target);
  /// A file up to so many bytes is read whole.
  static constexpr std::uint64_t max_held = 16u << 20;

 private:
  std::mutex one_whole_;  // so that one larger file at a time is in memory
};

}  // namespace remediate::observe
