#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "remediate/base/error.h"
#include "remediate/base/file_facts.h"
#include "remediate/base/json.h"

namespace remediate::interchange {

enum class ImportFormat : std::uint8_t { hashes, loki, stix, misp, yara };
[[nodiscard]] std::optional<ImportFormat> import_format(std::string_view word);
[[nodiscard]] std::string_view format_word(ImportFormat format);

inline constexpr std::size_t max_import_items = 200'000;  // of all files together

/// A file as it was read; `name` stands in places and messages.
struct ImportFile {
  std::string name;
  std::string bytes;
};

/// What the files do not say themselves. Folders and globs are spelled as in a playbook.
struct ImportOptions {
  std::optional<ImportFormat> format;  // none: guessed file by file
  std::vector<std::string> folders;    // one scope each; at least one
  std::vector<std::string> include = {"**"};
  std::vector<std::string> exclude;
  bool remove_by_weak_digest = false;  // MD5 and SHA-1 authorise removal
  std::int64_t yara_score = 0;         // rules of this score or more authorise removal; 0: none
  std::string id;                      // empty: made from the files and the options
  std::uint64_t revision = 1;
  std::string name;
  std::string author;
  std::string tlp;  // at least this; empty: what the sources say, amber if they say nothing
  std::vector<std::string> attack = {"T1505.003"};
  Timestamp now;
};

/// One item of a source. Taken: `indicators` of the playbook hold it. Else `reason` says why not.
struct ImportedItem {
  std::string place;  // "iocs.txt:12", "bundle.json:/objects/3"
  std::string what;   // for people; printable
  std::vector<std::string> indicators;
  std::vector<std::string> notes;  // taken, but narrower than the source has it, or for review
  std::string reason;
  [[nodiscard]] bool taken() const { return !indicators.empty(); }
};

struct ImportReport {
  std::uint64_t read = 0;  // counted by the readers; always the size of `items`
  std::uint64_t taken = 0;
  std::uint64_t left_out = 0;
  std::uint64_t repeated = 0;  // of the taken: what another item had said already
  std::uint64_t indicators = 0;
  std::uint64_t removing = 0;       // of the indicators
  std::vector<ImportedItem> items;  // in the order of the files
  std::vector<std::string> notes;   // on the whole
};

struct Imported {
  std::string playbook;  // the bytes of a playbook that the parser accepts
  ImportReport report;
};

/// Reads what others know into one playbook. Nothing is widened: what a playbook cannot say is
/// left out with the reason, and every item that was read is in the report. bad_input names the
/// place where a file is not what it should be, or says that nothing could be taken; limit where
/// a bound was reached, usage where an option is missing or wrong.
[[nodiscard]] Result<Imported> import_indicators(const std::vector<ImportFile>& files,
                                                 const ImportOptions& options);

/// The report for people and, complete, for programs.
[[nodiscard]] std::string report_text(const ImportReport& report);
[[nodiscard]] Json report_json(const ImportReport& report);

}  // namespace remediate::interchange
