#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "remediate/base/error.h"
#include "remediate/base/file_facts.h"
#include "remediate/base/raw_path.h"

namespace remediate::plan {

inline constexpr std::size_t max_baseline_bytes = 64u << 20;
inline constexpr std::size_t max_baseline_files = 200'000;
inline constexpr std::size_t max_baselines = 16;            // in one plan
inline constexpr std::size_t max_baseline_findings = 1000;  // of each one, in one plan

/// A folder whose files a baseline knows. It may lie at another place on another host: `spelled`
/// lists the places, as the scopes of playbooks do.
struct BaselineFolder {
  std::vector<std::string> spelled;
  bool ignore_case = false;
  std::vector<std::string> include;  // globs; what they do not cover the baseline says nothing of
  std::vector<std::string> exclude;
};

/// A file as it is known to be good.
struct BaselineFile {
  std::uint32_t folder = 0;  // index
  RawPath path;              // below the folder
  std::string sha256;
  std::optional<std::uint64_t> size;
  std::vector<std::uint32_t> builds;  // indexes; empty: all of them
};

/// What the files of one product, or of one clean server, are known to be.
struct Baseline {
  std::string name;
  std::string product;
  std::vector<std::string> builds;   // versions of the product, as whoever made it gave them
  std::vector<std::string> sources;  // where it comes from, in words
  Timestamp created;
  std::string tool;
  std::vector<BaselineFolder> folders;
  std::vector<BaselineFile> files;  // by folder, path, sha256; none twice
};

/// The one form in which a baseline is written. Sorts the files. bad_input for a value that
/// parse_baseline() would refuse, limit when it has too many files or bytes.
[[nodiscard]] Result<std::string> write_baseline(Baseline baseline);

/// Strict: everything that is not byte for byte what write_baseline() would have written is
/// bad_input. The message starts with a stable code (BL001...; docs/baselines.md lists them) and
/// the place. Give it bytes whose signature was verified.
[[nodiscard]] Result<Baseline> parse_baseline(std::string_view bytes, std::string_view what);

/// A baseline with its bytes' digest and who signed them, ready to be asked. Lookups are of
/// constant time.
class KnownGood {
 public:
  KnownGood(Baseline baseline, std::string sha256, std::string signer);
  KnownGood(KnownGood&&) = default;
  KnownGood& operator=(KnownGood&&) = default;
  KnownGood(const KnownGood&) = delete;
  KnownGood& operator=(const KnownGood&) = delete;
  ~KnownGood() = default;

  /// A file with these bytes, wherever it lies; null when there is none.
  [[nodiscard]] const BaselineFile* file_with(std::string_view digest) const;
  enum class Answer : std::uint8_t { known, other_content, not_listed };
  [[nodiscard]] Answer ask(std::uint32_t folder, std::string_view path,
                           std::string_view digest) const;

  [[nodiscard]] const Baseline& baseline() const { return baseline_; }
  [[nodiscard]] const std::string& sha256() const { return sha256_; }
  /// The certificate's fingerprint; empty for one that was named as unsigned.
  [[nodiscard]] const std::string& signer() const { return signer_; }
  /// `baseline "NAME" (sha256 ...)`.
  [[nodiscard]] std::string title() const;

 private:
  [[nodiscard]] std::string key(std::uint32_t folder, std::string_view path) const;

  Baseline baseline_;
  std::string sha256_;
  std::string signer_;
  std::unordered_map<std::string_view, const BaselineFile*> by_digest_;  // into baseline_.files
  std::unordered_multimap<std::string, const BaselineFile*> by_path_;
};

}  // namespace remediate::plan
